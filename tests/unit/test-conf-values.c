/* Values: what each type takes, what goes together, and what is worth a remark. */
#include "test-conf.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "conf/options.h"

START_TEST(numbers_are_read_whole_or_refused)
{
    ck_refused(
        "[defaults]\ninstances = 12abc\nper_source = abc\nbacklog = 010\n"
        "source_prefix_v4 = 99999999999\nsource_prefix_v6 = 4294967297\nnice = -1\n"
        "keepalive_probes =\n" GOOD_SERVICE,
        "forkechod.conf:2: [defaults] instances: not a number \"12abc\" (a number in decimal "
        "digits, nothing behind it)\n"
        "forkechod.conf:3: [defaults] per_source: not a number \"abc\" (a number in decimal "
        "digits)\n"
        "forkechod.conf:4: [defaults] backlog: not a number \"010\" (a number without "
        "leading zeros)\n"
        "forkechod.conf:5: [defaults] source_prefix_v4: out of range \"99999999999\" (1 to "
        "32)\n"
        "forkechod.conf:6: [defaults] source_prefix_v6: out of range \"4294967297\" (1 to "
        "128)\n"
        "forkechod.conf:7: [defaults] nice: not a number \"-1\" (a number in decimal "
        "digits)\n"
        "forkechod.conf:8: [defaults] keepalive_probes: not a number \"\" (a number in "
        "decimal digits)\n");
}
END_TEST

START_TEST(yes_and_no_are_words_not_first_letters)
{
    static const char *const wrong[] = { "yikes", "tru", "100", "enabled", "tomorrow", "y", "" };
    char text[200], mistake[300];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        snprintf(text, sizeof(text), "%sonce = %s\n", GOOD_SERVICE, wrong[i]);
        snprintf(mistake, sizeof(mistake),
                 "forkechod.conf:3: [service good] once: neither yes nor no \"%s\" (yes or no)\n",
                 wrong[i]);
        ck_refused(text, mistake);
    }
    struct conf *conf = load_text(GOOD_SERVICE "once = on\nkeepalive = OFF\n");
    ck_assert(conf->services[0]->once && !conf->services[0]->keepalive);
    conf_free(conf);
}
END_TEST

START_TEST(other_types_say_what_would_be_right)
{
    ck_refused(
        "[daemon]\ngraceful_timeout = 2days\npid_file = run/pid\nlog_address = some\n"
        "user = -x\n[defaults]\nrlimit_as = 1k\nrlimit_cpu = 25h\nsocket_mode = 0999\n"
        "cps = 5/d\nbusy_message = \"a\\q\"\nsocket_user = a b\nkeepalive_time = 0\n"
        "bind_to_device = abcdefghijklmnop\n" GOOD_SERVICE,
        "forkechod.conf:2: [daemon] graceful_timeout: not a time \"2days\" (a time as 250ms, "
        "30s, 5min or 1h)\n"
        "forkechod.conf:3: [daemon] pid_file: not a path \"run/pid\" (one that begins with "
        "/, or nothing)\n"
        "forkechod.conf:4: [daemon] log_address: none of the words \"some\" (full, masked, "
        "none)\n"
        "forkechod.conf:5: [daemon] user: not a name \"-x\" (letters, digits and . _ @ : + "
        "-, with no - in front)\n"
        "forkechod.conf:7: [defaults] rlimit_as: not a size \"1k\" (bytes, or a size as 64K, "
        "1M or 2G)\n"
        "forkechod.conf:8: [defaults] rlimit_cpu: out of range \"25h\" (0 to 24h)\n"
        "forkechod.conf:9: [defaults] socket_mode: not a file mode \"0999\" (an octal mode "
        "from 0000 to 0777)\n"
        "forkechod.conf:10: [defaults] cps: not a rate \"5/d\" (RATE[/s|/min|/h] [BURST], as "
        "50/s 100, or 0)\n"
        "forkechod.conf:11: [defaults] busy_message: not a text \"a\\x5Cq\" (r, n, t, a "
        "backslash, or x01 to xFF behind a backslash)\n"
        "forkechod.conf:12: [defaults] socket_user: not a name \"a b\" (letters, digits and "
        ". _ @ : + -, with no - in front)\n"
        "forkechod.conf:13: [defaults] keepalive_time: out of range \"0\" (1s to 32767s)\n"
        "forkechod.conf:14: [defaults] bind_to_device: not an interface \"abcdefghijklmnop\" "
        "(at most 15 bytes)\n");
}
END_TEST

START_TEST(long_texts_are_refused)
{
    char text[600] = GOOD_SERVICE "quit = ";
    size_t start = strlen(text);

    memset(text + start, 'a', 255);
    ck_taken(text);
    text[start + 255] = 'a';
    ck_assert_ptr_null(load_text(text));
    ck_assert_ptr_nonnull(strstr(told, "…\" (at most 255 bytes)\n"));
}
END_TEST

START_TEST(the_right_values_arrive)
{
    struct conf *conf = load_text(
        "[daemon]\nmax_sessions = 5000\nlog_level = debug\nlog_address = masked\n"
        "graceful_timeout = 1min\nlog_probes = no\n"
        "[defaults]\ninstances = 5\nidle_timeout = 250ms\n"
        "[service a]\nhandler = upper\nlisten = 7777, unix:/run/a\nrlimit_as = 64M\ncps = 5/min 9\n"
        "socket_mode = 640\nover_limit = refuse\ninstances = 6\n[service b]\nlisten = [::1]:9\n");
    ck_assert_str_eq(told, "");
    const struct service *a = conf_find(conf, "a"), *b = conf_find(conf, "b");
    ck_assert_ptr_null(conf_find(conf, "c"));
    ck_assert_uint_eq(conf->daemon.max_sessions, 5000);
    ck_assert_uint_eq(conf->daemon.log_level, 5);
    ck_assert(!conf->daemon.log_probes);
    ck_assert_str_eq(a->handler, "upper");
    ck_assert_str_eq(b->handler, "echo");
    ck_assert_uint_eq(a->listen.count, 3);
    const struct address *addresses = service_addresses(a, a->listen);
    ck_assert_uint_eq(ntohs(addresses[0].socket.v4.sin_port), 7777);
    ck_assert(address_is_unix(&addresses[2]));
    ck_assert_uint_eq(a->rlimit_as, 64 << 20);
    ck_assert_uint_eq(a->cps.tokens, 5);
    ck_assert_uint_eq(a->cps.period_ms, 60000);
    ck_assert_uint_eq(a->cps.burst, 9);
    ck_assert_uint_eq(a->socket_mode, 0640);
    ck_assert_uint_eq(a->over_limit, OVER_LIMIT_REFUSE);
    ck_assert_uint_eq(a->instances, 6);
    ck_assert_uint_eq(b->instances, 5);
    ck_assert_uint_eq(b->idle_timeout, 250);
    /* What a listener needs of [daemon]. */
    ck_assert_uint_eq(b->graceful_timeout, 60000);
    ck_assert_uint_eq(b->log_address, ADDRESS_MASKED);
    conf_free(conf);
}
END_TEST

START_TEST(presets_are_what_the_list_says)
{
    struct conf *conf = load_text(GOOD_SERVICE);
    const struct service *service = conf->services[0];
    char text[2000];

    for (int i = 0; i < OPTIONS; i++) {
        const struct conf_option *option = &conf_options[i];
        if (i == ONLY_listen)
            continue;
        const void *object =
            option->scope == OPTION_IN_DAEMON ? (const void *)&conf->daemon : (const void *)service;
        struct option_mistake mistake;
        char value[sizeof(struct service)];
        option_format(option, object, text, sizeof(text));
        if (option->type == OPTION_ADDRESSES || option->type == OPTION_NETWORKS) {
            ck_assert_str_eq(option->preset, "");
            continue;
        }
        ck_assert_msg(option_read(option, option->preset, value, &mistake), "%s", option->name);
        char preset[2000];
        ck_assert_str_eq(text, option_format(option, value, preset, sizeof(preset)));
    }
    ck_assert_uint_eq(service->instances, 256);
    ck_assert_uint_eq(service->tcp_user_timeout, 90000);
    ck_assert_uint_eq(service->only_from.count, 0);
    conf_free(conf);
}
END_TEST

START_TEST(choices_that_code_asks_for_are_in_its_order)
{
    static const struct {
        int option;
        uint32_t index;
        const char *word;
    } cases[] = { { DAEMON_log_type, LOG_TYPE_AUTO, "auto" },
                  { DAEMON_log_type, LOG_TYPE_JOURNAL, "journal" },
                  { DAEMON_log_type, LOG_TYPE_SYSLOG, "syslog" },
                  { DAEMON_log_type, LOG_TYPE_STDERR, "stderr" },
                  { DAEMON_log_address, ADDRESS_FULL, "full" },
                  { DAEMON_log_address, ADDRESS_MASKED, "masked" },
                  { DAEMON_log_address, ADDRESS_NONE, "none" },
                  { SERVICE_over_limit, OVER_LIMIT_DEFER, "defer" },
                  { SERVICE_over_limit, OVER_LIMIT_REFUSE, "refuse" } };
    union {
        struct service service;
        struct conf_daemon daemon;
    } object;
    char text[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct conf_option *option = &conf_options[cases[i].option];
        *(uint32_t *)(void *)((char *)&object + option->offset) = cases[i].index;
        ck_assert_str_eq(option_format(option, &object, text, sizeof(text)), cases[i].word);
    }
}
END_TEST

START_TEST(an_unknown_handler_names_those_there_are)
{
    ck_refused(GOOD_SERVICE "handler = telnet\n",
               "forkechod.conf:3: [service good] handler: not a handler \"telnet\" (echo, discard, "
               "upper, next, http, status)\n");
    ck_refused(
        GOOD_SERVICE "handler =\n",
        "forkechod.conf:3: [service good] handler: not a handler \"\" (echo, discard, upper, "
        "next, http, status)\n");
}
END_TEST

START_TEST(a_user_timeout_below_the_write_timeout_is_refused)
{
    ck_refused(GOOD_SERVICE "write_timeout = 90s\n",
               "forkechod.conf:3: [service good] write_timeout: a tcp_user_timeout of 90s is not "
               "above the write_timeout of 90s (or one of them 0)\n");
    ck_refused("[defaults]\ntcp_user_timeout = 30s\n" GOOD_SERVICE "write_timeout = 40s\n"
               "[service other]\nlisten = 9\n",
               "forkechod.conf:2: [defaults] tcp_user_timeout: a tcp_user_timeout of 30s is not "
               "above the write_timeout of 1min (or one of them 0)\n"
               "forkechod.conf:5: [service good] write_timeout: a tcp_user_timeout of 30s is not "
               "above the write_timeout of 40s (or one of them 0)\n");
    ck_taken(GOOD_SERVICE "write_timeout = 0\ntcp_user_timeout = 1s\n");
    ck_taken(GOOD_SERVICE "write_timeout = 1h\ntcp_user_timeout = 0\n");
    /* What is wrong in itself is not also held against the other. */
    ck_refused(GOOD_SERVICE "write_timeout = long\ntcp_user_timeout = 30s\n",
               "forkechod.conf:3: [service good] write_timeout: not a time \"long\" (a time as "
               "250ms, 30s, 5min or 1h)\n");
}
END_TEST

START_TEST(kernel_times_are_whole_seconds)
{
    ck_refused(GOOD_SERVICE "keepalive_time = 1500ms\nrlimit_cpu = 10ms\n",
               "forkechod.conf:3: [service good] keepalive_time: not whole seconds \"1500ms\" (as "
               "60s)\n"
               "forkechod.conf:4: [service good] rlimit_cpu: not whole seconds \"10ms\" (as "
               "60s)\n");
    ck_taken(GOOD_SERVICE "keepalive_time = 2000ms\n");
}
END_TEST

START_TEST(probes_without_effect_are_remarked_on)
{
    struct conf *conf = load_text(GOOD_SERVICE "keepalive_probes = 5\n");
    ck_assert_ptr_nonnull(conf);
    ck_assert_str_eq(told,
                     "forkechod.conf:3: [service good] keepalive_probes: without effect: "
                     "tcp_user_timeout decides when a silent connection is given up (set that "
                     "to 0)\n");
    ck_assert_uint_eq(told_warnings, 1);
    conf_free(conf);
    ck_taken(GOOD_SERVICE "keepalive_probes = 5\ntcp_user_timeout = 0\n");
}
END_TEST

START_TEST(an_address_is_served_once)
{
    ck_refused("[service a]\nlisten = 7, 127.0.0.1:7\n"
               "[service b]\nlisten = 127.0.0.1:8 127.0.0.1:8 unix:/x\n"
               "[service c]\nlisten = unix:/x [::1]:7 [::1]:9\n[service d]\nlisten = 9\n",
               "forkechod.conf:2: [service a] listen: \"127.0.0.1:7\" is taken by 0.0.0.0:7 of "
               "[service a]\n"
               "forkechod.conf:4: [service b] listen: listed twice: \"127.0.0.1:8\"\n"
               "forkechod.conf:6: [service c] listen: \"[::1]:7\" is taken by [::]:7 of [service "
               "a]\n"
               "forkechod.conf:6: [service c] listen: \"unix:/x\" is taken by unix:/x of [service "
               "b]\n"
               "forkechod.conf:8: [service d] listen: \"[::]:9\" is taken by [::1]:9 of [service "
               "c]\n");
    ck_taken("[service a]\nlisten = 127.0.0.1:0 127.0.0.1:0\n[service b]\nlisten = 127.0.0.1:0\n");
    ck_taken("[service a]\nlisten = 7\n[service b]\nlisten = 7\ndisable = yes\n");
    ck_taken("[service a]\nlisten = 0.0.0.0:7\nbind_to_device = eth0\n"
             "[service b]\nlisten = 192.0.2.1:7\nbind_to_device = eth1\n");
    ck_refused("[service a]\nlisten = 192.0.2.1:7\nbind_to_device = eth0\n"
               "[service b]\nlisten = 192.0.2.1:7\nbind_to_device = eth1\n",
               "forkechod.conf:5: [service b] listen: \"192.0.2.1:7\" is taken by 192.0.2.1:7 of "
               "[service a]\n");
}
END_TEST

START_TEST(a_service_without_listen_waits_for_a_passed_socket)
{
    ck_taken("[service echo]\n");
    ck_taken("[service echo]\nlisten =\n");
    ck_taken("[service echo]\nlisten = systemd:echo\n");
}
END_TEST

START_TEST(a_service_has_at_most_64_addresses)
{
    char text[1000] = "[service a]\nlisten = ";
    size_t used = strlen(text);

    for (int i = 1; i <= 32; i++)
        used += (size_t)sprintf(text + used, "%d ", i);
    ck_taken(text);
    sprintf(text + used, "unix:/x\n");
    ck_refused(text, "forkechod.conf:2: [service a] listen: 65 addresses (at most 64 in a service; "
                     "a bare port is two)\n");
}
END_TEST

static void expect_networks(const struct service *service, struct span span, const char *wanted)
{
    const struct network *networks = service_networks(service, span);
    char text[ADDRESS_TEXT_MAX], all[1000] = "";

    for (uint32_t i = 0; i < span.count; i++) {
        strcat(all, i ? " " : "");
        strcat(all, network_format(&networks[i], text, sizeof(text)));
    }
    ck_assert_str_eq(all, wanted);
}

START_TEST(networks_are_sorted_and_a_services_own_list_replaces_the_default)
{
    struct conf *conf =
        load_text("[defaults]\nonly_from = 10.0.0.0/8\n"
                  "[service a]\nlisten = 7\n"
                  "only_from = 192.0.2.0/24,::1 192.0.2.7 , 192.0.2.0/24\n"
                  "no_access = 192.0.2.9\n"
                  "[service b]\nlisten = 8\n[service c]\nlisten = 9\nonly_from =\n");
    ck_assert_str_eq(told, "");
    const struct service *a = conf_find(conf, "a"), *b = conf_find(conf, "b"),
                         *c = conf_find(conf, "c");
    expect_networks(a, a->only_from, "192.0.2.7 192.0.2.0/24 ::1");
    expect_networks(a, a->no_access, "192.0.2.9");
    expect_networks(b, b->only_from, "10.0.0.0/8");
    expect_networks(c, c->only_from, "");
    conf_free(conf);
}
END_TEST

START_TEST(equal_prefixes_in_both_lists_are_remarked_on)
{
    struct conf *conf = load_text(GOOD_SERVICE "only_from = 10.0.0.0/8 ::/0\n"
                                               "no_access = 10.0.0.0/8 10.0.0.0/9 ::/0\n");
    ck_assert_ptr_nonnull(conf);
    ck_assert_str_eq(
        told, "forkechod.conf:4: [service good] no_access: 10.0.0.0/8 stands in only_from "
              "too, and is refused\n"
              "forkechod.conf:4: [service good] no_access: ::/0 stands in only_from too, and "
              "is refused\n");
    ck_assert_uint_eq(told_warnings, 2);
    conf_free(conf);
}
END_TEST

START_TEST(wrong_networks_are_refused_one_by_one)
{
    ck_refused(
        GOOD_SERVICE "only_from = 10.0.0.1/8 lan 127.0.0.1\n",
        "forkechod.conf:3: [service good] only_from: not an address or a network "
        "\"10.0.0.1/8\" (only zero bits behind the prefix)\n"
        "forkechod.conf:3: [service good] only_from: not an address or a network \"lan\" (an "
        "address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)\n");
}
END_TEST

START_TEST(who_is_connected_is_shown_to_this_machine_alone)
{
    static const char status[] = "[service status]\nhandler = status\n";
    char text[256];

    snprintf(text, sizeof(text), "%slisten = 127.0.0.1:7 192.0.2.1:7 unix:/x\n", status);
    ck_refused(text, "forkechod.conf:3: [service status] listen: other machines can reach "
                     "\"192.0.2.1:7\", and status shows who is connected (127.0.0.1, [::1], "
                     "unix:/path, or remote_status = yes)\n");
    snprintf(text, sizeof(text), "%slisten = 7\nremote_status = yes\n", status);
    conf_free(load_text(text));
    ck_assert_str_eq(told, "");
    snprintf(text, sizeof(text), "%slisten = 127.0.0.9:7 [::1]:7 unix:@x systemd:s\n", status);
    conf_free(load_text(text));
    ck_assert_str_eq(told, "");
}
END_TEST

TCase *value_cases(void)
{
    TCase *cases = case_in_directory("values");

    tcase_add_test(cases, numbers_are_read_whole_or_refused);
    tcase_add_test(cases, yes_and_no_are_words_not_first_letters);
    tcase_add_test(cases, other_types_say_what_would_be_right);
    tcase_add_test(cases, long_texts_are_refused);
    tcase_add_test(cases, the_right_values_arrive);
    tcase_add_test(cases, presets_are_what_the_list_says);
    tcase_add_test(cases, choices_that_code_asks_for_are_in_its_order);
    tcase_add_test(cases, an_unknown_handler_names_those_there_are);
    tcase_add_test(cases, a_user_timeout_below_the_write_timeout_is_refused);
    tcase_add_test(cases, kernel_times_are_whole_seconds);
    tcase_add_test(cases, probes_without_effect_are_remarked_on);
    tcase_add_test(cases, an_address_is_served_once);
    tcase_add_test(cases, a_service_without_listen_waits_for_a_passed_socket);
    tcase_add_test(cases, a_service_has_at_most_64_addresses);
    tcase_add_test(cases, networks_are_sorted_and_a_services_own_list_replaces_the_default);
    tcase_add_test(cases, equal_prefixes_in_both_lists_are_remarked_on);
    tcase_add_test(cases, wrong_networks_are_refused_one_by_one);
    tcase_add_test(cases, who_is_connected_is_shown_to_this_machine_alone);
    return cases;
}
