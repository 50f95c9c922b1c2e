/* Addresses and networks as an administrator writes them and as logs show them. */
#include "test-base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *hint;

static struct address address_of(const char *text)
{
    struct address out[2];
    ck_assert_msg(address_parse(text, out, &hint) == 1, "%s: %s", text, hint);
    return out[0];
}

static struct network network_from(const char *text)
{
    struct network out;
    ck_assert_msg(network_parse(text, &out, &hint) == 0, "%s: %s", text, hint);
    return out;
}

START_TEST(a_bare_port_is_both_families)
{
    struct address out[2];
    char text[ADDRESS_TEXT_MAX];

    ck_assert_int_eq(address_parse("7", out, &hint), 2);
    ck_assert_str_eq(address_format(&out[0], text, sizeof text), "0.0.0.0:7");
    ck_assert_str_eq(address_format(&out[1], text, sizeof text), "[::]:7");
}
END_TEST

START_TEST(addresses_read_back_as_written)
{
    static const struct {
        const char *written, *shown;
    } cases[] = {
        { "127.0.0.1:7", "127.0.0.1:7" },
        { "0.0.0.0:0", "0.0.0.0:0" },
        { "[::1]:7", "[::1]:7" },
        { "[2001:DB8:0::1]:65535", "[2001:db8::1]:65535" },
        { "[fe80::1%lo]:7", "[fe80::1%lo]:7" },
        { "[fe80::1%1]:7", "[fe80::1%lo]:7" },
        { "[fe80::1%4242424]:7", "[fe80::1%4242424]:7" },
        { "unix:/run/echo", "unix:/run/echo" },
        { "unix:@echo", "unix:@echo" },
        { "unix:/run/größe", "unix:/run/größe" },
        { "systemd:echo", "systemd:echo" },
    };
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address first = address_of(cases[i].written);
        ck_assert_str_eq(address_format(&first, text, sizeof text), cases[i].shown);
        struct address again = address_of(text);
        ck_assert_mem_eq(&first, &again, sizeof first);
        ck_assert(address_equal(&first, &again));
    }
}
END_TEST

START_TEST(wrong_addresses_are_refused_with_what_would_be_right)
{
    static const char *const wrong[] = {
        "",
        "echo",
        "65536",
        "07",
        "-1",
        "7 ",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:7x",
        "127.0.0.1 :7",
        "127.0.0:7",
        "256.0.0.1:7",
        "127.0.0.01:7",
        "*:7",
        "localhost:7",
        ":7",
        "::1:7",
        "[::1]",
        "[::1]7",
        "[::1:7",
        "[::1]:",
        "[::g]:7",
        "[127.0.0.1]:7",
        "[::ffff:127.0.0.1]:7",
        "[fe80::1]:7",
        "[::1%lo]:7",
        "[fe80::1%]:7",
        "[fe80::1%nosuchif]:7",
        "unix:",
        "unix:/",
        "unix:@",
        "unix:echo",
        "unix:/a b",
        "unix:/a,b",
        "unix:/a\"b",
        "unix:/a\nb",
        "unix:/\xff",
        "systemd:",
        "systemd:a b",
        "systemd:a:b",
        "http://7",
        "127.0.0.1:7:7",
        "[::1]:7:7",
        "0x7",
    };
    struct address out[2];

    for (size_t i = 0; i < COUNT(wrong); i++) {
        hint = NULL;
        ck_assert_msg(address_parse(wrong[i], out, &hint) == -EINVAL, "accepted: %s", wrong[i]);
        ck_assert_ptr_nonnull(hint);
    }
}
END_TEST

START_TEST(a_unix_path_may_have_107_bytes)
{
    char text[130] = "unix:/", shown[ADDRESS_TEXT_MAX];
    struct address out[2];

    memset(text + 6, 'a', 106);
    ck_assert_int_eq(address_parse(text, out, &hint), 1);
    ck_assert_uint_eq(out[0].length, sizeof(struct sockaddr_un));
    ck_assert_str_eq(address_format(out, shown, sizeof shown), text);
    text[5 + 107] = 'a';
    ck_assert_int_eq(address_parse(text, out, &hint), -EINVAL);
}
END_TEST

START_TEST(unix_addresses_are_equal_whatever_length_the_kernel_reports)
{
    struct address a = address_of("unix:/run/echo"), b = a, abstract = address_of("unix:@x");

    b.length--;
    ck_assert(address_equal(&a, &b));
    ck_assert_uint_eq(abstract.length, offsetof(struct sockaddr_un, sun_path) + 2);
    ck_assert(address_is_unix(&a) && address_is_unix(&abstract));
    b = abstract;
    b.length++; /* one more NUL is another abstract name */
    ck_assert(!address_equal(&abstract, &b));
}
END_TEST

START_TEST(addresses_that_differ_are_not_equal)
{
    static const char *const all[] = { "0.0.0.0:7", "127.0.0.1:7",   "127.0.0.1:8",   "[::]:7",
                                       "[::1]:7",   "[fe80::1%1]:7", "[fe80::1%2]:7", "unix:/a",
                                       "unix:/b",   "unix:@a",       "systemd:a",     "systemd:b" };

    for (size_t i = 0; i < COUNT(all); i++)
        for (size_t j = 0; j < COUNT(all); j++) {
            struct address a = address_of(all[i]), b = address_of(all[j]);
            ck_assert_msg(address_equal(&a, &b) == (i == j), "%s %s", all[i], all[j]);
        }
}
END_TEST

START_TEST(every_address_of_a_port_overlaps_each_of_its_family)
{
    static const char *const all[] = { "0.0.0.0:7", "127.0.0.1:7", "[::]:7", "[::1]:7",
                                       "0.0.0.0:8", "127.0.0.1:0", "unix:/x" };
    for (size_t i = 0; i < COUNT(all); i++)
        for (size_t j = 0; j < COUNT(all); j++) {
            struct address a = address_of(all[i]), b = address_of(all[j]);
            bool same_port = i < 4 && j < 4 && i / 2 == j / 2;
            bool wildcard = i == 0 || i == 2 || j == 0 || j == 2;
            if (i != j)
                ck_assert_msg(address_overlaps(&a, &b) == (same_port && wildcard), "%s %s", all[i],
                              all[j]);
        }
}
END_TEST

START_TEST(foreign_bytes_in_a_socket_name_are_escaped)
{
    struct address address = { .length = offsetof(struct sockaddr_un, sun_path) + 5 };
    char text[ADDRESS_TEXT_MAX];

    address.socket.local.sun_family = AF_UNIX;
    memcpy(address.socket.local.sun_path, "\0a\n\0b", 5);
    ck_assert_str_eq(address_format(&address, text, sizeof text), "unix:@a\\x0A\\x00b");
    address.length = sizeof(sa_family_t);
    ck_assert_str_eq(address_format(&address, text, sizeof text), "unix:");
    address.length = sizeof(sa_family_t) + 6;
    memset(address.socket.local.sun_path, 0, 6);
    memcpy(address.socket.local.sun_path, "/x", 2);
    ck_assert_str_eq(address_format(&address, text, sizeof text), "unix:/x");
}
END_TEST

START_TEST(a_client_is_shown_in_full_masked_or_not_at_all)
{
    static const struct {
        const char *client, *full, *masked;
    } cases[] = { { "192.0.2.7:51234", "192.0.2.7:51234", "192.0.2.0" },
                  { "[2001:db8:1:2::3]:33410", "[2001:db8:1:2::3]:33410", "2001:db8:1::/48" },
                  { "unix:/x", "unix", "unix" } };
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address client = address_of(cases[i].client);
        ck_assert_str_eq(address_format_peer(&client, ADDRESS_FULL, text, sizeof text),
                         cases[i].full);
        ck_assert_str_eq(address_format_peer(&client, ADDRESS_MASKED, text, sizeof text),
                         cases[i].masked);
        ck_assert_str_eq(address_format_peer(&client, ADDRESS_NONE, text, sizeof text), "-");
    }
}
END_TEST

START_TEST(mapped_clients_become_ipv4)
{
    struct address client = address_of("[::1]:7"), plain = address_of("192.0.2.7:7");
    struct address other = client;

    inet_pton(AF_INET6, "::ffff:192.0.2.7", &client.socket.v6.sin6_addr);
    address_unmap(&client);
    ck_assert_mem_eq(&client, &plain, sizeof plain);
    address_unmap(&plain);
    ck_assert_mem_eq(&client, &plain, sizeof plain);
    address_unmap(&other);
    ck_assert_uint_eq(other.socket.any.sa_family, AF_INET6);
}
END_TEST

START_TEST(networks_read_back_as_written)
{
    static const struct {
        const char *written, *shown;
    } cases[] = { { "192.0.2.7", "192.0.2.7" },
                  { "192.0.2.0/24", "192.0.2.0/24" },
                  { "0.0.0.0/0", "0.0.0.0/0" },
                  { "192.0.2.7/32", "192.0.2.7" },
                  { "10.128.0.0/9", "10.128.0.0/9" },
                  { "2001:db8::/32", "2001:db8::/32" },
                  { "::/0", "::/0" },
                  { "::1", "::1" },
                  { "::ffff:192.0.2.0/120", "192.0.2.0/24" },
                  { "::ffff:0:0/96", "0.0.0.0/0" } };
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network first = network_from(cases[i].written);
        ck_assert_str_eq(network_format(&first, text, sizeof text), cases[i].shown);
        struct network again = network_from(text);
        ck_assert_mem_eq(&first, &again, sizeof first);
    }
}
END_TEST

START_TEST(wrong_networks_are_refused_with_what_would_be_right)
{
    static const char *const wrong[] = { "",
                                         "192.0.2.7/24",
                                         "192.0.2.0/33",
                                         "192.0.2/24",
                                         "192.0.2.0/",
                                         "/24",
                                         "::1/64",
                                         "::/129",
                                         "::/064",
                                         "192.0.2.0/-1",
                                         "example.org",
                                         "1",
                                         "192.0.2.0/24/24",
                                         "fe80::1%lo",
                                         "192.0.2.0-9" };
    struct network out;

    for (size_t i = 0; i < COUNT(wrong); i++) {
        hint = NULL;
        ck_assert_msg(network_parse(wrong[i], &out, &hint) == -EINVAL, "accepted: %s", wrong[i]);
        ck_assert_ptr_nonnull(hint);
    }
}
END_TEST

START_TEST(a_network_holds_its_own_addresses_alone)
{
    static const struct {
        const char *network, *client;
        bool holds;
    } cases[] = {
        { "192.0.2.0/24", "192.0.2.255:9", true },
        { "192.0.2.0/24", "192.0.3.0:9", false },
        { "192.0.2.128/25", "192.0.2.127:9", false },
        { "0.0.0.0/0", "203.0.113.9:9", true },
        { "0.0.0.0/0", "[::1]:9", false },
        { "::/0", "192.0.2.1:9", false },
        { "2001:db8::/33", "[2001:db8:7fff::1]:9", true },
        { "2001:db8::/33", "[2001:db8:8000::1]:9", false },
        { "::/0", "unix:/x", false },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network network = network_from(cases[i].network);
        struct address client = address_of(cases[i].client);
        ck_assert_msg(network_holds(&network, &client) == cases[i].holds, "%s %s", cases[i].network,
                      cases[i].client);
    }
}
END_TEST

START_TEST(a_source_is_the_network_of_a_client)
{
    struct address v4 = address_of("192.0.2.7:9"), v6 = address_of("[2001:db8:1:2:3::4]:9");
    struct address local = address_of("unix:/x");
    char text[ADDRESS_TEXT_MAX];

    struct network source = network_of(&v4, 32);
    ck_assert_str_eq(network_format(&source, text, sizeof text), "192.0.2.7");
    source = network_of(&v4, 128);
    ck_assert_str_eq(network_format(&source, text, sizeof text), "192.0.2.7");
    source = network_of(&v6, 64);
    ck_assert_str_eq(network_format(&source, text, sizeof text), "2001:db8:1:2::/64");
    source = network_of(&local, 32);
    ck_assert_uint_eq(source.family, 0);
}
END_TEST

START_TEST(longer_prefixes_sort_first)
{
    static const char *const sorted[] = { "10.0.0.1",     "192.0.2.7",     "10.0.0.0/24",
                                          "192.0.2.0/24", "10.0.0.0/8",    "0.0.0.0/0",
                                          "::1",          "2001:db8::/32", "::/0" };
    struct network networks[COUNT(sorted)];
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < COUNT(sorted); i++)
        networks[i] = network_from(sorted[(i * 5 + 3) % COUNT(sorted)]);
    qsort(networks, COUNT(sorted), sizeof *networks, network_compare);
    for (size_t i = 0; i < COUNT(sorted); i++)
        ck_assert_str_eq(network_format(&networks[i], text, sizeof text), sorted[i]);
}
END_TEST

START_TEST(only_this_machine_reaches_the_loopback_and_unix_sockets)
{
    static const char *const local[] = { "127.0.0.1:7", "127.255.0.9:7", "[::1]:7", "unix:/x",
                                         "unix:@x" };
    static const char *const remote[] = { "0.0.0.0:7", "[::]:7", "192.0.2.1:7", "128.0.0.1:7",
                                          "[2001:db8::1]:7" };

    for (size_t i = 0; i < COUNT(local); i++) {
        struct address address = address_of(local[i]);
        ck_assert_msg(address_is_local(&address), "%s", local[i]);
    }
    for (size_t i = 0; i < COUNT(remote); i++) {
        struct address address = address_of(remote[i]);
        ck_assert_msg(!address_is_local(&address), "%s", remote[i]);
    }
}
END_TEST

TCase *address_cases(void)
{
    TCase *cases = tcase_create("address");

    tcase_add_test(cases, a_bare_port_is_both_families);
    tcase_add_test(cases, addresses_read_back_as_written);
    tcase_add_test(cases, wrong_addresses_are_refused_with_what_would_be_right);
    tcase_add_test(cases, a_unix_path_may_have_107_bytes);
    tcase_add_test(cases, unix_addresses_are_equal_whatever_length_the_kernel_reports);
    tcase_add_test(cases, addresses_that_differ_are_not_equal);
    tcase_add_test(cases, every_address_of_a_port_overlaps_each_of_its_family);
    tcase_add_test(cases, foreign_bytes_in_a_socket_name_are_escaped);
    tcase_add_test(cases, a_client_is_shown_in_full_masked_or_not_at_all);
    tcase_add_test(cases, mapped_clients_become_ipv4);
    tcase_add_test(cases, networks_read_back_as_written);
    tcase_add_test(cases, wrong_networks_are_refused_with_what_would_be_right);
    tcase_add_test(cases, a_network_holds_its_own_addresses_alone);
    tcase_add_test(cases, a_source_is_the_network_of_a_client);
    tcase_add_test(cases, longer_prefixes_sort_first);
    tcase_add_test(cases, only_this_machine_reaches_the_loopback_and_unix_sockets);
    return cases;
}
