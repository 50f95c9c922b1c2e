/* The access layer: who may come in, how many of one source, how fast. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "access/lists.h"
#include "access/sources.h"

enum { LIST_MAX = 50000 };

/* A client with this address, un-mapped as the listener does it. */
static struct address client(const char *text)
{
    struct address address = { .kind = ADDRESS_SOCKET };

    if (strchr(text, ':')) {
        address.socket.v6.sin6_family = AF_INET6;
        address.length = sizeof address.socket.v6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &address.socket.v6.sin6_addr), 1);
    } else {
        address.socket.v4.sin_family = AF_INET;
        address.length = sizeof address.socket.v4;
        ck_assert_int_eq(inet_pton(AF_INET, text, &address.socket.v4.sin_addr), 1);
    }
    address_unmap(&address);
    return address;
}

static struct address unix_client(void)
{
    struct address address = { .kind = ADDRESS_SOCKET, .length = sizeof(sa_family_t) };
    address.socket.any.sa_family = AF_UNIX;
    return address;
}

struct list {
    struct network networks[16];
    size_t count;
};

/* Words parted by spaces, in the order that the configuration gives a list. */
static struct list list(const char *words)
{
    struct list list = { .count = 0 };
    const char *hint;
    char copy[256], *rest = copy, *word;

    ck_assert_uint_lt(strlen(words), sizeof copy);
    strcpy(copy, words);
    while ((word = strtok_r(rest, " ", &rest)))
        ck_assert_int_eq(network_parse(word, &list.networks[list.count++], &hint), 0);
    qsort(list.networks, list.count, sizeof *list.networks, network_compare);
    return list;
}

static enum access_verdict verdict(const char *only_from, const char *no_access, const char *who)
{
    struct list only = list(only_from), no = list(no_access);
    struct address address = client(who);

    return access_check(only.networks, only.count, no.networks, no.count, &address);
}

START_TEST(everybody_comes_in_without_lists)
{
    ck_assert_int_eq(verdict("", "", "192.0.2.7"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("", "", "2001:db8::1"), ACCESS_ALLOWED);
}
END_TEST

START_TEST(only_those_listed_come_in)
{
    const char *only = "192.0.2.0/24 2001:db8::/32 198.51.100.7";

    ck_assert_int_eq(verdict(only, "", "192.0.2.0"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict(only, "", "192.0.2.255"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict(only, "", "198.51.100.7"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict(only, "", "2001:db8:ffff::1"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict(only, "", "192.0.3.0"), ACCESS_NOT_LISTED);
    ck_assert_int_eq(verdict(only, "", "198.51.100.6"), ACCESS_NOT_LISTED);
    ck_assert_int_eq(verdict(only, "", "2001:db9::1"), ACCESS_NOT_LISTED);
}
END_TEST

START_TEST(those_denied_stay_out_and_others_come_in)
{
    ck_assert_int_eq(verdict("", "192.0.2.0/24 ::1", "192.0.2.9"), ACCESS_DENIED);
    ck_assert_int_eq(verdict("", "192.0.2.0/24 ::1", "::1"), ACCESS_DENIED);
    ck_assert_int_eq(verdict("", "192.0.2.0/24 ::1", "192.0.4.9"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("", "192.0.2.0/24 ::1", "::2"), ACCESS_ALLOWED);
}
END_TEST

START_TEST(the_longest_prefix_wins_whatever_list_it_is_on)
{
    const char *only = "10.0.0.0/8 10.1.2.3", *no = "10.1.0.0/16";

    ck_assert_int_eq(verdict(only, no, "10.2.0.1"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict(only, no, "10.1.0.1"), ACCESS_DENIED);
    ck_assert_int_eq(verdict(only, no, "10.1.2.3"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("192.0.2.1", "0.0.0.0/0 ::/0", "192.0.2.1"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("192.0.2.1", "0.0.0.0/0 ::/0", "192.0.2.2"), ACCESS_DENIED);
    ck_assert_int_eq(verdict("192.0.2.1", "0.0.0.0/0 ::/0", "::1"), ACCESS_DENIED);
}
END_TEST

START_TEST(on_both_lists_alike_is_denied)
{
    ck_assert_int_eq(verdict("10.1.0.0/16", "10.1.0.0/16", "10.1.0.1"), ACCESS_DENIED);
    ck_assert_int_eq(verdict("0.0.0.0/0", "0.0.0.0/0", "10.1.0.1"), ACCESS_DENIED);
}
END_TEST

START_TEST(zero_bits_mean_all_of_one_family)
{
    ck_assert_int_eq(verdict("0.0.0.0/0", "", "203.0.113.9"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("0.0.0.0/0", "", "2001:db8::1"), ACCESS_NOT_LISTED);
    ck_assert_int_eq(verdict("::/0", "", "2001:db8::1"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("::/0", "", "203.0.113.9"), ACCESS_NOT_LISTED);
}
END_TEST

START_TEST(a_mapped_address_is_the_ipv4_one)
{
    ck_assert_int_eq(verdict("127.0.0.0/8", "", "::ffff:127.0.0.1"), ACCESS_ALLOWED);
    ck_assert_int_eq(verdict("", "127.0.0.1", "::ffff:127.0.0.1"), ACCESS_DENIED);
}
END_TEST

START_TEST(unix_peers_come_in_past_every_list)
{
    struct list none = list("0.0.0.0/0 ::/0");
    struct address peer = unix_client();

    ck_assert_int_eq(access_check(none.networks, 1, none.networks, 2, &peer), ACCESS_ALLOWED);
}
END_TEST

/* What the rule says, read word by word: every entry is looked at. */
static int plain_longest(const struct network *networks, size_t count, const struct address *who)
{
    int longest = -1;

    for (size_t i = 0; i < count; i++)
        if (network_holds(&networks[i], who) && networks[i].prefix > longest)
            longest = networks[i].prefix;
    return longest;
}

/* One of a small neighbourhood, so that networks overlap. */
static struct address somebody(void)
{
    bool v4 = random() % 3;
    struct address address = client(v4 ? "10.0.0.0" : "2001:db8::");
    uint8_t *bytes =
        v4 ? (uint8_t *)&address.socket.v4.sin_addr : address.socket.v6.sin6_addr.s6_addr;

    for (int i = 0; i < (v4 ? 4 : 16); i++)
        bytes[i] = (uint8_t)(bytes[i] | (random() & 1));
    return address;
}

START_TEST(any_lists_give_what_looking_at_every_entry_gives)
{
    struct network networks[64];
    unsigned int denied = 0;

    srandom(7);
    for (int round = 0; round < 2000; round++) {
        size_t count = (size_t)random() % 64, half = count / 2;
        for (size_t i = 0; i < count; i++) {
            struct address holder = somebody();
            networks[i] = network_of(&holder, (unsigned int)random() % 40);
        }
        qsort(networks, half, sizeof *networks, network_compare);
        qsort(networks + half, count - half, sizeof *networks, network_compare);
        struct address who = somebody();
        int yes = plain_longest(networks, half, &who);
        int no = plain_longest(networks + half, count - half, &who);
        enum access_verdict expected = no >= 0 && no >= yes    ? ACCESS_DENIED
                                       : yes >= 0 || half == 0 ? ACCESS_ALLOWED
                                                               : ACCESS_NOT_LISTED;
        denied += expected == ACCESS_DENIED;
        ck_assert_int_eq(access_check(networks, half, networks + half, count - half, &who),
                         expected);
    }
    ck_assert_uint_gt(denied, 100);
}
END_TEST

START_TEST(a_blocklist_of_fifty_thousand_lines_is_searched_in_no_time)
{
    struct network *networks = calloc(LIST_MAX, sizeof *networks);
    struct address inside = client("10.7.8.9"), outside = client("192.0.2.1");

    for (uint32_t i = 0; i < LIST_MAX; i++) {
        struct address address = client("0.0.0.0");
        address.socket.v4.sin_addr.s_addr = htonl(0x0a000000 + (i << 4));
        networks[i] = network_of(&address, 20 + i % 13);
    }
    qsort(networks, LIST_MAX, sizeof *networks, network_compare);
    /* Ten thousand clients; looking at every entry would take seconds. */
    for (int i = 0; i < 10000; i++) {
        ck_assert_int_eq(access_check(NULL, 0, networks, LIST_MAX, &inside), ACCESS_DENIED);
        ck_assert_int_eq(access_check(NULL, 0, networks, LIST_MAX, &outside), ACCESS_ALLOWED);
    }
    free(networks);
}
END_TEST

static const struct rate no_rate = { .tokens = 0 };
static const struct rate two_a_second = { .tokens = 2, .period_ms = 1000, .burst = 2 };

static enum source_verdict enter(struct sources *sources, const char *who, uint64_t now_ms,
                                 uint32_t *entry)
{
    struct address address = client(who);
    return sources_enter(sources, &address, now_ms, entry);
}

START_TEST(a_source_has_its_sessions_and_no_more)
{
    struct sources *sources = sources_new(16, 32, 64, 2, &no_rate, false);
    uint32_t first, second, other;

    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &first), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &second), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &other), SOURCE_TOO_MANY);
    ck_assert_int_eq(enter(sources, "192.0.2.2", 1, &other), SOURCE_ALLOWED);
    sources_leave(sources, first);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &first), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &other), SOURCE_TOO_MANY);
    sources_free(sources);
}
END_TEST

START_TEST(a_source_is_as_wide_as_its_prefix)
{
    struct sources *sources = sources_new(16, 24, 64, 1, &no_rate, false);
    uint32_t entry;

    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &entry), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.200", 1, &entry), SOURCE_TOO_MANY);
    ck_assert_int_eq(enter(sources, "192.0.3.1", 1, &entry), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "2001:db8::1", 1, &entry), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "2001:db8::ffff:2", 1, &entry), SOURCE_TOO_MANY);
    ck_assert_int_eq(enter(sources, "2001:db8:0:1::1", 1, &entry), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(unix_peers_and_services_without_limits_are_not_counted)
{
    struct sources *limited = sources_new(16, 32, 64, 1, &no_rate, false);
    struct sources *unlimited = sources_new(16, 32, 64, 0, &no_rate, false);
    struct address peer = unix_client();
    uint32_t entry = 7;

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(sources_enter(limited, &peer, 1, &entry), SOURCE_ALLOWED);
        ck_assert_uint_eq(entry, 0);
        sources_leave(limited, entry);
        ck_assert_int_eq(enter(unlimited, "192.0.2.1", 1, &entry), SOURCE_ALLOWED);
    }
    sources_free(limited);
    sources_free(unlimited);
}
END_TEST

START_TEST(a_source_that_is_too_fast_waits_for_its_next_token)
{
    struct sources *sources = sources_new(16, 32, 64, 0, &two_a_second, false);
    uint32_t entry;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(enter(sources, "192.0.2.1", 1000, &entry), SOURCE_ALLOWED);
        sources_leave(sources, entry);
    }
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1000, &entry), SOURCE_TOO_FAST);
    ck_assert_int_eq(enter(sources, "192.0.2.2", 1000, &entry), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1499, &entry), SOURCE_TOO_FAST);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1500, &entry), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(a_refusal_for_number_costs_no_token)
{
    struct sources *sources = sources_new(16, 32, 64, 1, &two_a_second, false);
    uint32_t first, other;

    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &first), SOURCE_ALLOWED);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &other), SOURCE_TOO_MANY);
    sources_leave(sources, first);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &first), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(a_crowd_of_sources_does_not_make_a_busy_one_forgotten)
{
    struct sources *sources = sources_new(64, 32, 128, 1, &two_a_second, false);
    uint32_t held, entry;
    char who[64];

    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &held), SOURCE_ALLOWED);
    for (unsigned int i = 0; i < 100000; i++) {
        snprintf(who, sizeof who, "2001:db8::%x:%x", i >> 16, i & 0xffff);
        ck_assert_int_eq(enter(sources, who, 1, &entry), SOURCE_ALLOWED);
        sources_leave(sources, entry);
    }
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &entry), SOURCE_TOO_MANY);
    sources_leave(sources, held);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &entry), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(a_full_table_forgets_who_has_been_away_for_longest)
{
    struct sources *sources =
        sources_new(4, 32, 64, 0, &two_a_second, false); /* of eight entries */
    uint32_t entry;
    char who[32];

    for (unsigned int i = 0; i < 8; i++)
        for (int twice = 0; twice < 2; twice++) {
            snprintf(who, sizeof who, "192.0.2.%u", i);
            ck_assert_int_eq(enter(sources, who, 1 + i, &entry), SOURCE_ALLOWED);
            sources_leave(sources, entry);
        }
    ck_assert_int_eq(enter(sources, "192.0.2.9", 10, &entry), SOURCE_ALLOWED);
    for (unsigned int i = 7; i > 0; i--) {
        snprintf(who, sizeof who, "192.0.2.%u", i);
        ck_assert_int_eq(enter(sources, who, 10, &entry), SOURCE_TOO_FAST);
    }
    ck_assert_int_eq(enter(sources, "192.0.2.0", 10, &entry), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(processes_share_one_table_and_one_limit)
{
    enum { PROCESSES = 4, TRIES = 200, LIMIT = 37 };
    struct sources *sources = sources_new(64, 32, 64, LIMIT, &no_rate, true);
    uint32_t entry;
    int status, admitted = 0;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            int mine = 0;
            for (int j = 0; j < TRIES; j++)
                mine += enter(sources, "192.0.2.1", 1, &entry) == SOURCE_ALLOWED;
            _exit(mine);
        }
    while (wait(&status) > 0)
        admitted += WEXITSTATUS(status);
    ck_assert_int_eq(admitted, LIMIT);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &entry), SOURCE_TOO_MANY);
    ck_assert_int_eq(enter(sources, "192.0.2.2", 1, &entry), SOURCE_ALLOWED);
    /* They have died without leaving; one of them is still counted, by whoever looks after them. */
    sources_forget_sessions(sources);
    sources_count_again(sources, entry);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &entry), SOURCE_ALLOWED);
    sources_free(sources);
}
END_TEST

START_TEST(newcomers_are_let_in_where_every_place_is_taken)
{
    struct sources *sources = sources_new(4, 32, 64, 1, &no_rate, false); /* of eight entries */
    uint32_t held[8], ninth, other;
    char who[32];

    for (unsigned int i = 0; i < 8; i++) {
        snprintf(who, sizeof who, "192.0.2.%u", i);
        ck_assert_int_eq(enter(sources, who, 1, &held[i]), SOURCE_ALLOWED);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(enter(sources, "192.0.2.9", 1, &ninth), SOURCE_ALLOWED);
    ck_assert_uint_eq(ninth, 0);
    sources_leave(sources, ninth);
    ck_assert_int_eq(enter(sources, "192.0.2.1", 1, &other), SOURCE_TOO_MANY);
    sources_leave(sources, held[0]);
    ck_assert_int_eq(enter(sources, "192.0.2.9", 1, &ninth), SOURCE_ALLOWED);
    ck_assert_int_eq(enter(sources, "192.0.2.9", 1, &other), SOURCE_TOO_MANY);
    sources_free(sources);
}
END_TEST

/* Comings and goings at random, against a plain count for each source. */
START_TEST(counts_stay_right_through_any_comings_and_goings)
{
    enum { SOURCES = 40, SESSIONS = 60, LIMIT = 3 };
    /* With so much room that no set of the table can fill up. */
    struct sources *sources = sources_new(16 * SOURCES, 32, 64, LIMIT, &no_rate, false);
    struct {
        int source;
        uint32_t entry;
    } sessions[SESSIONS];
    int counts[SOURCES] = { 0 }, live = 0;

    srandom(11);
    for (int step = 0; step < 100000; step++) {
        int source = (int)(random() % SOURCES), leaver = live ? (int)(random() % live) : 0;
        char who[32];

        if (live == SESSIONS || (live && random() % 2)) {
            sources_leave(sources, sessions[leaver].entry);
            counts[sessions[leaver].source]--;
            sessions[leaver] = sessions[--live];
            continue;
        }
        snprintf(who, sizeof who, "198.51.100.%d", source);
        enum source_verdict verdict = enter(sources, who, 1, &sessions[live].entry);
        ck_assert_int_eq(verdict, counts[source] < LIMIT ? SOURCE_ALLOWED : SOURCE_TOO_MANY);
        if (verdict == SOURCE_ALLOWED) {
            sessions[live++].source = source;
            counts[source]++;
        }
    }
    sources_free(sources);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access");
    TCase *lists = tcase_create("lists"), *sources = tcase_create("sources");

    tcase_add_test(lists, everybody_comes_in_without_lists);
    tcase_add_test(lists, only_those_listed_come_in);
    tcase_add_test(lists, those_denied_stay_out_and_others_come_in);
    tcase_add_test(lists, the_longest_prefix_wins_whatever_list_it_is_on);
    tcase_add_test(lists, on_both_lists_alike_is_denied);
    tcase_add_test(lists, zero_bits_mean_all_of_one_family);
    tcase_add_test(lists, a_mapped_address_is_the_ipv4_one);
    tcase_add_test(lists, unix_peers_come_in_past_every_list);
    tcase_add_test(lists, any_lists_give_what_looking_at_every_entry_gives);
    tcase_add_test(lists, a_blocklist_of_fifty_thousand_lines_is_searched_in_no_time);
    tcase_add_test(sources, a_source_has_its_sessions_and_no_more);
    tcase_add_test(sources, a_source_is_as_wide_as_its_prefix);
    tcase_add_test(sources, unix_peers_and_services_without_limits_are_not_counted);
    tcase_add_test(sources, a_source_that_is_too_fast_waits_for_its_next_token);
    tcase_add_test(sources, a_refusal_for_number_costs_no_token);
    tcase_add_test(sources, a_crowd_of_sources_does_not_make_a_busy_one_forgotten);
    tcase_add_test(sources, a_full_table_forgets_who_has_been_away_for_longest);
    tcase_add_test(sources, processes_share_one_table_and_one_limit);
    tcase_add_test(sources, newcomers_are_let_in_where_every_place_is_taken);
    tcase_add_test(sources, counts_stay_right_through_any_comings_and_goings);
    suite_add_tcase(suite, lists);
    suite_add_tcase(suite, sources);

    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
