/*
 * The file as text. Most cases are inputs that the INI library reads in a way nobody means; each
 * is refused with its position, or read as it is written.
 */
#include "test-conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_ini.h"

START_TEST(a_key_that_is_named_like_a_section_is_refused)
{
    ck_refused(
        "[service]\necho = 1\n[service:echo]\nlisten = 7\n" GOOD_SERVICE,
        "forkechod.conf:1: [service]: not a service's name: \"\" (1 to 32 of a-z 0-9 . _ -)\n"
        "forkechod.conf:3: not a section's name: \"service:echo\" (daemon, defaults or "
        "service NAME)\n");
}
END_TEST

START_TEST(a_read_error_is_no_short_file)
{
    unlink("forkechod.conf");
    /* A regular file that cannot be read at its beginning. */
    ck_assert_int_eq(symlink("/proc/self/mem", "forkechod.conf"), 0);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: cannot be read: Input/output error\n");
    unlink("forkechod.conf");
}
END_TEST

START_TEST(a_file_that_is_no_regular_one_is_refused_at_once)
{
    unlink("forkechod.conf");
    ck_assert_int_eq(mkfifo("forkechod.conf", 0600), 0);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: not a regular file\n");
    unlink("forkechod.conf");
    ck_assert_int_eq(symlink("/dev/zero", "forkechod.conf"), 0);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: not a regular file\n");
    unlink("forkechod.conf");
    ck_assert_int_eq(mkdir("forkechod.conf", 0700), 0);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: not a regular file\n");
    rmdir("forkechod.conf");
}
END_TEST

START_TEST(a_missing_or_unreadable_file_is_told)
{
    unlink("forkechod.conf");
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: cannot be opened: No such file or directory\n");
    if (geteuid() == 0)
        return; /* nothing is unreadable for root */
    write_text("forkechod.conf", GOOD_SERVICE);
    ck_assert_int_eq(chmod("forkechod.conf", 0), 0);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: cannot be opened: Permission denied\n");
}
END_TEST

START_TEST(a_file_of_more_than_256_kib_is_refused)
{
    static char text[256 * 1024 + 1];

    memset(text, '\n', sizeof(text));
    memcpy(text, GOOD_SERVICE, strlen(GOOD_SERVICE));
    write_bytes("forkechod.conf", text, sizeof(text) - 1);
    struct conf *conf = load(NULL);
    ck_assert_str_eq(told, "");
    conf_free(conf);
    write_bytes("forkechod.conf", text, sizeof(text));
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "forkechod.conf: larger than 256 KiB\n");
}
END_TEST

START_TEST(a_backslash_at_the_end_does_not_swallow_the_next_line)
{
    ck_refused("# see C:\\\n" GOOD_SERVICE "quit = a\\\nonce = yes\n# end\\",
               "forkechod.conf:1: a backslash at the end of a line (no line goes on in the next "
               "one)\n"
               "forkechod.conf:4: a backslash at the end of a line (no line goes on in the next "
               "one)\n"
               "forkechod.conf:6: a backslash at the end of a line (no line goes on in the next "
               "one)\n");
    ck_taken(GOOD_SERVICE "quit = \"a\\\\\"\n");
}
END_TEST

START_TEST(a_section_has_a_name_and_its_line_for_itself)
{
    ck_refused(GOOD_SERVICE "[]\n[ \t]\n[daemon\n[daemon] ; comment\n[a=b\n[a]b]\n[[daemon]]\n",
               "forkechod.conf:3: not a section's name: \"\" (daemon, defaults or service NAME)\n"
               "forkechod.conf:4: not a section's name: \"\" (daemon, defaults or service NAME)\n"
               "forkechod.conf:5: no ] in \"[daemon\" ([SECTION] alone on its line)\n"
               "forkechod.conf:6: text behind ] in \"[daemon] ; comment\" ([SECTION] alone on its "
               "line; a comment needs one of its own)\n"
               "forkechod.conf:7: no ] in \"[a=b\" ([SECTION] alone on its line)\n"
               "forkechod.conf:8: text behind ] in \"[a]b]\" ([SECTION] alone on its line; a "
               "comment needs one of its own)\n"
               "forkechod.conf:9: text behind ] in \"[[daemon]]\" ([SECTION] alone on its line; a "
               "comment needs one of its own)\n");
    ck_taken(" [ daemon ] \n\t[\tservice  good\t]\nlisten=7\n");
}
END_TEST

START_TEST(what_stands_twice_in_a_file_is_told_with_both_lines)
{
    ck_refused(
        "[service a]\nlisten = 7\nonce = yes\nlisten = 8\n[daemon]\n[service a]\nonce = no\n",
        "forkechod.conf:4: [service a] listen: the key is there already (line 2)\n"
        "forkechod.conf:6: [service a]: the section is there already (line 1)\n"
        "forkechod.conf:7: [service a] once: the key is there already (line 3)\n");
    ck_refused("[Daemon]\n[daemon]\nMAX_SESSIONS = 5\nmax_sessions = 6\n" GOOD_SERVICE
               "[service Good]\n",
               "forkechod.conf:1: [Daemon]: no such section (did you mean [daemon]?)\n"
               "forkechod.conf:3: [daemon] MAX_SESSIONS: no such key (did you mean max_sessions?)\n"
               "forkechod.conf:7: [service Good]: not a service's name: \"Good\" (1 to 32 of a-z "
               "0-9 . _ -)\n");
}
END_TEST

START_TEST(a_setting_needs_a_section)
{
    ck_refused("port = 7\n# comment\n" GOOD_SERVICE,
               "forkechod.conf:1: in front of any section: \"port = 7\" ([daemon], [defaults] or "
               "[service NAME] above it)\n");
}
END_TEST

START_TEST(a_line_of_more_than_1000_bytes_is_refused)
{
    char text[1200] = GOOD_SERVICE "#";
    size_t start = strlen(text);

    memset(text + start, 'x', 999);
    ck_taken(text);
    text[start + 999] = 'x';
    ck_refused(text, "forkechod.conf:3: a line of more than 1000 bytes (a long list can stand in a "
                     "file of its own)\n");
}
END_TEST

START_TEST(a_nul_byte_is_told_with_its_line)
{
    static const char line_start[] = GOOD_SERVICE "\0once = yes\n";
    static const char inside[] = GOOD_SERVICE "once =\0yes\n";
    static const char at_the_end[] = GOOD_SERVICE "once = yes\0no";
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = { { line_start, sizeof(line_start) - 1 },
                  { inside, sizeof(inside) - 1 },
                  { at_the_end, sizeof(at_the_end) - 1 } };

    for (size_t i = 0; i < 3; i++) {
        write_bytes("forkechod.conf", cases[i].bytes, cases[i].size);
        ck_assert_ptr_null(load(NULL));
        ck_assert_str_eq(told, "forkechod.conf:3: a NUL byte (this is no text file)\n");
    }
}
END_TEST

START_TEST(a_byte_order_mark_changes_nothing)
{
    ck_taken("\xef\xbb\xbf# c = d\n" GOOD_SERVICE);
    ck_taken("\xef\xbb\xbf" GOOD_SERVICE);
    ck_refused("\xef\xbb\xbf[service good]\nlisten = 7x\n",
               "forkechod.conf:2: [service good] listen: not an address \"7x\" (PORT, IPV4:PORT, "
               "[IPV6]:PORT, unix:/PATH, unix:@NAME or systemd:NAME)\n");
    ck_refused(GOOD_SERVICE "\xef\xbb\xbfonce = yes\n",
               "forkechod.conf:3: neither a section nor a setting: \"\xef\xbb\xbfonce = yes\" "
               "([SECTION], or KEY = VALUE)\n");
}
END_TEST

START_TEST(lines_end_with_lf_or_crlf)
{
    ck_taken("[service good]\r\nlisten = 7\r\n\r\n# comment\r\nonce = \"yes\"\r\n");
    ck_refused("[service good]\rlisten = 7\r",
               "forkechod.conf:1: a carriage return (lines end with LF or CR LF)\n"
               "forkechod.conf: no service is enabled (a section [service NAME], with handler and "
               "listen)\n");
    ck_refused(GOOD_SERVICE "once = yes\r",
               "forkechod.conf:3: a carriage return (lines end with LF "
               "or CR LF)\n");
    ck_refused(GOOD_SERVICE "once = yes\r\r\n", "forkechod.conf:3: a carriage return (lines end "
                                                "with LF or CR LF)\n");
}
END_TEST

START_TEST(foreign_bytes_are_refused_and_shown_harmless)
{
    ck_refused(GOOD_SERVICE "# \x1b[2J\nquit = gr\xf6\xdf"
                            "e\n",
               "forkechod.conf:3: a control character: \"# \\x1B[2J\"\n"
               "forkechod.conf:4: not UTF-8: \"quit = gr\\xF6\\xDFe\"\n");
    ck_taken(GOOD_SERVICE "# größe\nquit = größe\nbusy_message = \"später \xf0\x9f\x90\x9a\"\n");
    ck_refused(GOOD_SERVICE "on\xc2\x9b"
                            "ce = yes\n",
               "forkechod.conf:3: a control character: \"on\\xC2\\x9Bce = yes\"\n");
}
END_TEST

START_TEST(a_comment_needs_a_blank_in_front_of_it)
{
    ck_refused(GOOD_SERVICE "[daemon]\npid_file = /srv/#1;x\ncontrol_socket =#x\nuser = a;b ; c\n",
               "forkechod.conf:4: [daemon] pid_file: # begins a comment in \"/srv/#1;x\" (put a "
               "blank in front of a comment, quotes around a value)\n"
               "forkechod.conf:5: [daemon] control_socket: # begins a comment in \"#x\" (put a "
               "blank in front of a comment, quotes around a value)\n"
               "forkechod.conf:6: [daemon] user: ; begins a comment in \"a;b ; c\" (put a blank in "
               "front of a comment, quotes around a value)\n");
    struct conf *conf = load_text("; comment\n  # comment\n" GOOD_SERVICE
                                  "[daemon]\npid_file = \"/srv/#1;x\" # c\nuser = a ; = \"b\n"
                                  "control_socket = # none\ngroup = \"\" ; none\n");
    ck_assert_str_eq(told, "");
    ck_assert_str_eq(conf->daemon.pid_file, "/srv/#1;x");
    ck_assert_str_eq(conf->daemon.user, "a");
    ck_assert_str_eq(conf->daemon.control_socket, "");
    ck_assert_str_eq(conf->daemon.group, "");
    conf_free(conf);
}
END_TEST

START_TEST(quotes_hold_the_whole_value)
{
    ck_refused(
        GOOD_SERVICE "quit = \"unterminated ; x\nbusy_message = \"say \\\"hi\\\"\"\n"
                     "[defaults]\nquit = \"a\" b\nbusy_message = say \"hi\"\n"
                     "bind_to_device = 'eth0'\nsocket_user = \"a\"#c\n",
        "forkechod.conf:3: [service good] quit: no closing quote: \"\\x22unterminated ; x\" "
        "(\"VALUE\")\n"
        "forkechod.conf:4: [service good] busy_message: text behind the closing quote: "
        "\"\\x22say \\x5C\\x22hi\\x5C\\x22\\x22\" (write \\x22 for a quote in a text)\n"
        "forkechod.conf:6: [defaults] quit: text behind the closing quote: \"\\x22a\\x22 b\" "
        "(write \\x22 for a quote in a text)\n"
        "forkechod.conf:7: [defaults] busy_message: a stray quote in \"say \\x22hi\\x22\" "
        "(\"VALUE\", with \\x22 for a quote in a text)\n"
        "forkechod.conf:8: [defaults] bind_to_device: a stray quote in \"'eth0'\" "
        "(\"VALUE\", with \\x22 for a quote in a text)\n"
        "forkechod.conf:9: [defaults] socket_user: text behind the closing quote: "
        "\"\\x22a\\x22#c\" (write \\x22 for a quote in a text)\n");
    struct conf *conf = load_text(GOOD_SERVICE "quit = \" it's \"\nbusy_message = \"say "
                                               "\\x22hi\\x22\\r\\n\"\n");
    ck_assert_str_eq(told, "");
    ck_assert_str_eq(conf->services[0]->quit, " it's ");
    ck_assert_str_eq(conf->services[0]->busy_message, "say \"hi\"\r\n");
    conf_free(conf);
}
END_TEST

START_TEST(a_line_that_says_nothing_is_refused_even_at_the_end)
{
    ck_refused(GOOD_SERVICE "x", "forkechod.conf:3: neither a section nor a setting: \"x\" "
                                 "([SECTION], or KEY = VALUE)\n");
    ck_refused(GOOD_SERVICE "once yes\n= yes\non ce = yes\n:a = b\n",
               "forkechod.conf:3: neither a section nor a setting: \"once yes\" ([SECTION], or KEY "
               "= VALUE)\n"
               "forkechod.conf:4: neither a section nor a setting: \"= yes\" ([SECTION], or KEY = "
               "VALUE)\n"
               "forkechod.conf:5: neither a section nor a setting: \"on ce = yes\" ([SECTION], or "
               "KEY = VALUE)\n"
               "forkechod.conf:6: neither a section nor a setting: \":a = b\" ([SECTION], or KEY = "
               "VALUE)\n");
    ck_taken(GOOD_SERVICE "#");
    ck_taken(GOOD_SERVICE "once=yes");
}
END_TEST

START_TEST(forty_thousand_keys_are_refused_soon)
{
    static char text[256 * 1024] = GOOD_SERVICE;
    size_t used = strlen(text);

    for (int i = 0; i < 10000 && used + 8 < sizeof(text); i++)
        used += (size_t)sprintf(text + used, "k=%d\n", i % 10);
    ck_assert_ptr_null(load_text(text));
    ck_assert_ptr_nonnull(strstr(told,
                                 "forkechod.conf:4097: [service good] k: more than 4096 lines "
                                 "that say something\n"));
    ck_assert_ptr_nonnull(strstr(told, "more mistakes\n"));
}
END_TEST

START_TEST(every_mistake_is_told_in_one_run_in_the_order_of_lines)
{
    ck_refused(
        "[defaults]\nidle_timeout = soon\nlisten = 7\n[service a]\nlisten = 7\nhandler = eco\n"
        "[service b]\nlisten = 7 x\nonce\n[deamon]\nlog_level = loud\n[daemon]\n"
        "log_level = loud\n",
        "forkechod.conf:2: [defaults] idle_timeout: not a time \"soon\" (a time as 250ms, "
        "30s, 5min or 1h)\n"
        "forkechod.conf:3: [defaults] listen: not in this section (it belongs in [service "
        "NAME])\n"
        "forkechod.conf:6: [service a] handler: not a handler \"eco\" (did you mean echo?)\n"
        "forkechod.conf:8: [service b] listen: not an address \"x\" (PORT, IPV4:PORT, "
        "[IPV6]:PORT, unix:/PATH, unix:@NAME or systemd:NAME)\n"
        "forkechod.conf:8: [service b] listen: \"0.0.0.0:7\" is taken by 0.0.0.0:7 of "
        "[service a]\n"
        "forkechod.conf:8: [service b] listen: \"[::]:7\" is taken by [::]:7 of [service "
        "a]\n"
        "forkechod.conf:9: neither a section nor a setting: \"once\" ([SECTION], or KEY = "
        "VALUE)\n"
        "forkechod.conf:10: [deamon]: no such section (did you mean [daemon]?)\n"
        "forkechod.conf:13: [daemon] log_level: none of the words \"loud\" (crit, err, "
        "warning, notice, info, debug)\n");
}
END_TEST

/* Random lines of what means something to either reader. */
static size_t random_text(char *text, unsigned int *seed)
{
    static const char *const pieces[] = { "a",  "B1", " ",  "\t",   "=",     "\"", "\"", "'", "#",
                                          " #", ";",  " ;", "[",    "]",     "\\", ":",  "é", "%s",
                                          ".",  "-",  "  ", "\"\"", "\\x22", ",",  "==" };
    size_t size = 0;

    for (int line = 0; line < 4; line++) {
        if (rand_r(seed) % 8)
            size += (size_t)sprintf(text + size, line ? "k%d=" : "[s%d]\nk=", line);
        for (int i = rand_r(seed) % 6; i > 0; i--)
            size +=
                (size_t)sprintf(text + size, "%s",
                                pieces[(size_t)rand_r(seed) % (sizeof(pieces) / sizeof(*pieces))]);
        size += (size_t)sprintf(text + size, "%s", rand_r(seed) % 8 ? "\n" : "\r\n");
    }
    return size - (size_t)(rand_r(seed) % 2);
}

static bool has_repeated(const struct scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct conf_place *a = &scan->settings[i].place, *b = &scan->settings[j].place;
            if (!strcasecmp(a->section, b->section) &&
                (!a->key || !b->key ? a->key == b->key : !strcasecmp(a->key, b->key)))
                return true;
        }
    return false;
}

START_TEST(both_readers_agree_on_whatever_is_not_refused)
{
    unsigned int seed = 1, taken = 0;
    char text[256];

    for (int i = 0; i < 1000; i++) {
        struct findings findings = { 0 };
        struct conf_mistakes mistakes;
        struct scan scan;
        size_t size = random_text(text, &seed);
        write_bytes("random", text, size);
        ck_assert(scan_file(&findings, 1, "random", &scan));
        if (findings_good(&findings) && !has_repeated(&scan)) {
            taken++;
            conf_ini_confirm(&findings, &scan);
            ck_assert_msg(findings_good(&findings), "%.*s\n%s", (int)size, text,
                          findings.count ? findings.all[0].text : "");
        }
        scan_free(&scan);
        findings_finish(&findings, &mistakes);
        conf_mistakes_free(&mistakes);
    }
    ck_assert_uint_gt(taken, 50);
}
END_TEST

static bool confirm(const struct scan *scan)
{
    struct findings findings = { 0 };
    struct conf_mistakes mistakes;

    conf_ini_confirm(&findings, scan);
    findings_finish(&findings, &mistakes);
    bool agreed = !mistakes.count;
    if (!agreed)
        ck_assert_str_eq(mistakes.lines[0], "forkechod.conf: is not what the INI library reads in "
                                            "it (out of memory, or an unusual file)");
    conf_mistakes_free(&mistakes);
    return agreed;
}

START_TEST(a_difference_between_the_readers_refuses_the_file)
{
    struct findings findings = { 0 };
    struct scan scan;

    write_text("forkechod.conf", "[a]\nk = value\nl = 1\n");
    ck_assert(scan_file(&findings, 1, "forkechod.conf", &scan));
    ck_assert(confirm(&scan));
    scan.settings[1].value = "other";
    ck_assert(!confirm(&scan));
    scan.settings[1].value = "value";
    scan.count = 2; /* the library has one more */
    ck_assert(!confirm(&scan));
    scan.count = 3;
    scan.settings[2].place.key = "m"; /* the library has none of it */
    ck_assert(!confirm(&scan));
    scan_free(&scan);
}
END_TEST

TCase *syntax_cases(void)
{
    TCase *cases = case_in_directory("syntax");

    tcase_add_test(cases, a_key_that_is_named_like_a_section_is_refused);
    tcase_add_test(cases, a_read_error_is_no_short_file);
    tcase_add_test(cases, a_file_that_is_no_regular_one_is_refused_at_once);
    tcase_add_test(cases, a_missing_or_unreadable_file_is_told);
    tcase_add_test(cases, a_file_of_more_than_256_kib_is_refused);
    tcase_add_test(cases, a_backslash_at_the_end_does_not_swallow_the_next_line);
    tcase_add_test(cases, a_section_has_a_name_and_its_line_for_itself);
    tcase_add_test(cases, what_stands_twice_in_a_file_is_told_with_both_lines);
    tcase_add_test(cases, a_setting_needs_a_section);
    tcase_add_test(cases, a_line_of_more_than_1000_bytes_is_refused);
    tcase_add_test(cases, a_nul_byte_is_told_with_its_line);
    tcase_add_test(cases, a_byte_order_mark_changes_nothing);
    tcase_add_test(cases, lines_end_with_lf_or_crlf);
    tcase_add_test(cases, foreign_bytes_are_refused_and_shown_harmless);
    tcase_add_test(cases, a_comment_needs_a_blank_in_front_of_it);
    tcase_add_test(cases, quotes_hold_the_whole_value);
    tcase_add_test(cases, a_line_that_says_nothing_is_refused_even_at_the_end);
    tcase_add_test(cases, forty_thousand_keys_are_refused_soon);
    tcase_add_test(cases, every_mistake_is_told_in_one_run_in_the_order_of_lines);
    tcase_add_test(cases, both_readers_agree_on_whatever_is_not_refused);
    tcase_add_test(cases, a_difference_between_the_readers_refuses_the_file);
    return cases;
}
