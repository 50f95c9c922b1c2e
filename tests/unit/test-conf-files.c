/* Several files, the command line, lists in files of their own, and the dump. */
#include "test-conf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OVERRIDES(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(later_files_override_single_keys)
{
    write_text("forkechod.conf", GOOD_SERVICE "instances = 1\nbacklog = 1\nper_source = 1\n");
    mkdir("forkechod.conf.d", 0755);
    write_text("forkechod.conf.d/10.conf", "[service good]\nbacklog = 2\nper_source = 2\n");
    write_text("forkechod.conf.d/9.conf", "[service good]\nper_source = 3\n"
                                          "[service more]\nlisten = 9\n");
    write_text("forkechod.conf.d/.hidden.conf", "nonsense");
    write_text("forkechod.conf.d/old.conf.bak", "nonsense");
    struct conf *conf = load(OVERRIDES("good.nice=4", "service good.instances = 5"));
    ck_assert_str_eq(told, "");
    const struct service *good = conf_find(conf, "good");
    ck_assert_uint_eq(good->instances, 5);
    ck_assert_uint_eq(good->backlog, 2);
    ck_assert_uint_eq(good->per_source, 3); /* 10 comes before 9 */
    ck_assert_uint_eq(good->nice, 4);
    ck_assert_uint_eq(conf->count, 2);
    ck_assert_str_eq(conf->services[1]->service_name, "more");
    conf_free(conf);
}
END_TEST

START_TEST(mistakes_come_in_the_order_of_files)
{
    write_text("forkechod.conf", GOOD_SERVICE "instances = x\n[daemon]\nlog_level = x\n");
    mkdir("forkechod.conf.d", 0755);
    write_text("forkechod.conf.d/b.conf", "[service good]\nbacklog = x\n");
    write_text("forkechod.conf.d/a.conf", "x\n[service good]\ninstances = 5\nhandler = x\n");
    mkdir("forkechod.conf.d/c.conf", 0755);
    ck_assert_ptr_null(load(OVERRIDES("good.nice=x", "daemon.user=a b", "x")));
    ck_assert_str_eq(
        told, "forkechod.conf:5: [daemon] log_level: none of the words \"x\" (crit, err, "
              "warning, notice, info, debug)\n"
              "forkechod.conf.d/a.conf:1: neither a section nor a setting: \"x\" ([SECTION], "
              "or KEY = VALUE)\n"
              "forkechod.conf.d/a.conf:4: [service good] handler: not a handler \"x\" (echo, "
              "discard, upper, next, http, status)\n"
              "forkechod.conf.d/b.conf:2: [service good] backlog: not a number \"x\" (a "
              "number in decimal digits)\n"
              "forkechod.conf.d/c.conf: not a regular file\n"
              "command line: [service good] nice: not a number \"x\" (a number in decimal "
              "digits)\n"
              "command line: [daemon] user: not a name \"a b\" (letters, digits and . _ @ : "
              "+ -, with no - in front)\n"
              "command line: -o: not a setting: \"x\" (SECTION.KEY=VALUE, unquoted)\n");
    rmdir("forkechod.conf.d/c.conf");
}
END_TEST

START_TEST(overrides_name_a_service_by_its_name_alone)
{
    write_text("forkechod.conf", "[service a.b]\nlisten = 7\n");
    struct conf *conf =
        load(OVERRIDES("a.b.instances=3", "a.b.instances=4", "defaults.quit=a = \\\\b ; c",
                       "service new.listen=9", "daemon.pid_file="));
    ck_assert_str_eq(told, "");
    const struct service *service = conf_find(conf, "a.b");
    ck_assert_uint_eq(service->instances, 4);
    ck_assert_str_eq(service->quit, "a = \\b ; c");
    ck_assert_ptr_nonnull(conf_find(conf, "new"));
    ck_assert_str_eq(conf->daemon.pid_file, "");
    conf_free(conf);
}
END_TEST

START_TEST(wrong_overrides_are_told)
{
    write_text("forkechod.conf", GOOD_SERVICE);
    ck_assert_ptr_null(load(OVERRIDES("goood.nice=1", "zebra.nice=1", "nice=1", ".nice=1",
                                      "good.=1", "good.nice", "good.quit=\"x\"", "good.quit=\x01",
                                      "", "good.listne=7", "Good.nice=1", "daemon.handler=echo")));
    ck_assert_str_eq(
        told,
        "command line: [service goood]: no such service (did you mean good?)\n"
        "command line: [service zebra]: no such service (write \"service zebra\" to begin one)\n"
        "command line: -o: not a setting: \"nice=1\" (SECTION.KEY=VALUE, unquoted)\n"
        "command line: -o: not a setting: \".nice=1\" (SECTION.KEY=VALUE, unquoted)\n"
        "command line: -o: not a setting: \"good.=1\" (SECTION.KEY=VALUE, unquoted)\n"
        "command line: -o: not a setting: \"good.nice\" (SECTION.KEY=VALUE, unquoted)\n"
        "command line: -o: not a setting: \"good.quit=\\x22x\\x22\" (SECTION.KEY=VALUE, "
        "unquoted)\n"
        "command line: a control character: \"good.quit=\\x01\"\n"
        "command line: -o: not a setting: \"\" (SECTION.KEY=VALUE, unquoted)\n"
        "command line: [service good] listne: no such key (did you mean listen?)\n"
        "command line: [service Good]: not a service's name: \"Good\" (1 to 32 of a-z 0-9 . _ -)\n"
        "command line: [daemon] handler: not in this section (it belongs in [service NAME])\n");
}
END_TEST

START_TEST(overrides_alone_are_a_configuration)
{
    struct conf *conf =
        load_without_file(OVERRIDES("echo.listen=127.0.0.1:7777", "echo.handler=upper"));
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(conf->count, 1);
    ck_assert_str_eq(conf->services[0]->handler, "upper");
    conf_free(conf);
    ck_assert_ptr_null(load_without_file(NULL));
    ck_assert_str_eq(told, "command line: no service is enabled (a section [service NAME], with "
                           "handler and listen)\n");
}
END_TEST

START_TEST(a_file_without_an_enabled_service_is_refused)
{
    ck_refused("", "forkechod.conf: no service is enabled (a section [service NAME], with handler "
                   "and listen)\n");
    ck_refused("[service a]\nlisten = 7\ndisable = yes\n[daemon]\n[defaults]\n",
               "forkechod.conf: no service is enabled (a section [service NAME], with handler and "
               "listen)\n");
    /* What is disabled is read all the same. */
    ck_refused("[service a]\ndisable = yes\ninstances = 0\n" GOOD_SERVICE,
               "forkechod.conf:3: [service a] instances: out of range \"0\" (1 to 100000)\n");
}
END_TEST

START_TEST(service_names_are_short_and_plain)
{
    ck_taken("[service a-b_c.9]\nlisten = 7\n");
    ck_taken("[service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nlisten = 7\n");
    ck_refused("[service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n[service a b]\n[echo]\n[service ä]\n"
               "[services x]\n" GOOD_SERVICE,
               "forkechod.conf:1: [service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: not a service's "
               "name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" (1 to 32 of a-z 0-9 . _ -)\n"
               "forkechod.conf:2: [service a b]: not a service's name: \"a b\" (1 to 32 of a-z 0-9 "
               ". _ -)\n"
               "forkechod.conf:3: [echo]: no such section ([daemon], [defaults] or [service "
               "NAME])\n"
               "forkechod.conf:4: [service ä]: not a service's name: \"ä\" (1 to 32 of a-z 0-9 . _ "
               "-)\n"
               "forkechod.conf:5: [services x]: no such section (did you mean [service x]?)\n");
}
END_TEST

/* forkechod.conf with one service whose only_from names the file `list` of this directory. */
static void write_list_user(const char *key)
{
    char here[PATH_MAX], text[PATH_MAX + 200];

    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(text, sizeof(text), "%s%s = ::1 %s/list\n", GOOD_SERVICE, key, here);
    write_text("forkechod.conf", text);
}

START_TEST(a_list_may_stand_in_a_file_of_its_own)
{
    write_list_user("only_from");
    write_text("list", "# the lab\n192.0.2.0/24 # upstairs\r\n\n  2001:db8::/32\t\n#end");
    struct conf *conf = load(NULL);
    ck_assert_str_eq(told, "");
    const struct service *good = conf_find(conf, "good");
    const struct network *networks = service_networks(good, good->only_from);
    char text[ADDRESS_TEXT_MAX];
    ck_assert_uint_eq(good->only_from.count, 3);
    ck_assert_str_eq(network_format(&networks[0], text, sizeof(text)), "192.0.2.0/24");
    ck_assert_str_eq(network_format(&networks[1], text, sizeof(text)), "::1");
    ck_assert_str_eq(network_format(&networks[2], text, sizeof(text)), "2001:db8::/32");
    conf_free(conf);
}
END_TEST

START_TEST(mistakes_in_a_list_file_have_its_name_and_line)
{
    write_list_user("no_access");
    write_text("list", "192.0.2.7/24\n192.0.2.0/24 192.0.3.0/24\nlan\n");
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told,
                     "list:1: [service good] no_access: not an address or a network "
                     "\"192.0.2.7/24\" (only zero bits behind the prefix)\n"
                     "list:2: [service good] no_access: more than one word: \"192.0.2.0/24 "
                     "192.0.3.0/24\" (one address or network a line, or a comment with #)\n"
                     "list:3: [service good] no_access: not an address or a network \"lan\" (an "
                     "address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)\n");
    write_bytes("list", "::1\n\0\n", 6);
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "list:2: [service good] no_access: a NUL byte (this is no text file)\n");
    unlink("list");
    ck_assert_ptr_null(load(NULL));
    ck_assert_str_eq(told, "list: [service good] no_access: cannot be opened: No such file or "
                           "directory\n");
}
END_TEST

START_TEST(a_file_that_everybody_may_write_is_remarked_on)
{
    write_text("forkechod.conf", GOOD_SERVICE);
    chmod("forkechod.conf", 0666);
    struct conf *conf = load(NULL);
    ck_assert_ptr_nonnull(conf);
    ck_assert_str_eq(told, "forkechod.conf: everybody may write to it (chmod o-w)\n");
    ck_assert_uint_eq(told_warnings, 1);
    conf_free(conf);
    chmod("forkechod.conf", 0664);
    ck_taken(GOOD_SERVICE);
}
END_TEST

START_TEST(remarks_come_after_mistakes)
{
    ck_refused(
        GOOD_SERVICE "keepalive_probes = 3\nonce = x\n",
        "forkechod.conf:4: [service good] once: neither yes nor no \"x\" (yes or no)\n"
        "forkechod.conf:3: [service good] keepalive_probes: without effect: tcp_user_timeout "
        "decides when a silent connection is given up (set that to 0)\n");
    ck_assert_uint_eq(told_warnings, 1);
}
END_TEST

static const char everything[] =
    "[daemon]\nuser = \"a\"\npid_file = \"/a b#c\\\"\ncontrol_socket =\nmax_sessions = 7\n"
    "graceful_timeout = 1500ms\nlog_type = syslog\nlog_probes = off\n"
    "[defaults]\ninstances = 9\nbusy_message = \" it's \\x22late\\x22\\r\\n\\xff; # \"\n"
    "[service z]\nhandler = next\nlisten = 7, 127.0.0.1:8\tunix:/x#y unix:@z systemd:w\n"
    "cps = 7/h 9\nrlimit_as = 1536K\nsocket_mode = 7\nonly_from = ::/0 192.0.2.0/24\nquit = Bye\n"
    "[service a]\ndisable = yes\n[service b]\nlisten = [::1]:9\nonce = 1\n";

START_TEST(a_dump_reads_back_to_the_same_values)
{
    char text[sizeof(everything)];

    strcpy(text, everything);
    memcpy(strstr(text, "/x#y"), "/x-y", 4);
    struct conf *first = load_text(text);
    ck_assert_str_eq(told, "");
    char *dump = dump_of(first);
    struct conf *second = load_text(dump);
    ck_assert_str_eq(told, "");
    char *again = dump_of(second);
    ck_assert_str_eq(dump, again);
    ck_assert_uint_eq(first->count, 2);
    ck_assert_mem_eq(&first->daemon, &second->daemon, sizeof(first->daemon));
    for (size_t i = 0; i < first->count; i++) {
        ck_assert_uint_eq(first->services[i]->size, second->services[i]->size);
        ck_assert_mem_eq(first->services[i], second->services[i], first->services[i]->size);
    }
    free(dump);
    free(again);
    conf_free(first);
    conf_free(second);
}
END_TEST

START_TEST(a_dump_says_where_each_value_was_written)
{
    char *text = NULL;
    size_t size;

    write_text("forkechod.conf", "[defaults]\nnice = 3\n" GOOD_SERVICE "once = yes\n");
    struct conf *conf = load(OVERRIDES("good.quit=Bye\\\\\\x0d\\n\\xFF"));
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(conf_dump(conf, out), 0);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "/forkechod.conf:2 [defaults]\nnice = 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "/forkechod.conf:5 [service good]\nonce = yes\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "# command line [service good]\nquit = \"Bye\\\\\\r\\n\\xFF\"\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nbacklog = 511\n"));
    free(text);
    out = fopen("/dev/full", "w");
    ck_assert(conf_dump(conf, out) < 0 || fflush(out) != 0);
    fclose(out);
    conf_free(conf);
}
END_TEST

static void keep_text(void *context, const char *text)
{
    snprintf((char *)context + strlen(context), 1000 - strlen(context), "%s\n", text);
}

START_TEST(a_reload_tells_what_only_a_restart_changes)
{
    char text[1000] = "";
    struct conf *old = load_text(GOOD_SERVICE "[daemon]\nlog_level = info\npid_file = /a\n");
    struct conf *new = load_text(GOOD_SERVICE "[daemon]\nlog_level = debug\nmax_sessions = 9\n"
                                              "pid_file = /b\n");

    conf_compare_fixed(old, old, keep_text, text);
    ck_assert_str_eq(text, "");
    conf_compare_fixed(old, new, keep_text, text);
    ck_assert_str_eq(text, "[daemon] pid_file: changed from \"/a\" to \"/b\", which takes effect "
                           "after a restart\n"
                           "[daemon] max_sessions: changed from \"0\" to \"9\", which takes effect "
                           "after a restart\n");
    conf_free(old);
    conf_free(new);
}
END_TEST

static struct conf *load_shipped(const char *path, bool uncommented)
{
    const char *top = getenv("top_srcdir");
    char name[PATH_MAX], line[1000], *text = NULL;
    size_t size;

    snprintf(name, sizeof(name), "%s/%s", top ? top : "", path);
    FILE *in = fopen(name, "r"), *out = open_memstream(&text, &size);
    ck_assert_msg(in != NULL, "%s (top_srcdir has to name the source tree)", name);
    while (fgets(line, sizeof(line), in)) {
        bool setting = uncommented && line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
        if (strcmp(line, "#listen = 7\n") != 0)
            fputs(line + setting, out);
    }
    fclose(in);
    fclose(out);
    struct conf *conf = load_text(text);
    free(text);
    return conf;
}

START_TEST(the_shipped_files_are_right_and_show_the_defaults)
{
    struct conf *shipped = load_shipped("etc/forkechod.conf", false);
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(shipped->count, 2);
    char *dump = dump_of(shipped);
    struct conf *uncommented = load_shipped("etc/forkechod.conf", true);
    char *again = dump_of(uncommented);
    ck_assert_str_eq(dump, again);
    free(dump);
    free(again);
    conf_free(shipped);
    conf_free(uncommented);
    struct conf *classic = load_shipped("doc/examples/classic.conf", false);
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(classic->count, 4);
    conf_free(classic);
}
END_TEST

TCase *file_cases(void)
{
    TCase *cases = case_in_directory("files");

    tcase_add_test(cases, overrides_alone_are_a_configuration);
    tcase_add_test(cases, overrides_name_a_service_by_its_name_alone);
    tcase_add_test(cases, wrong_overrides_are_told);
    tcase_add_test(cases, a_file_without_an_enabled_service_is_refused);
    tcase_add_test(cases, service_names_are_short_and_plain);
    tcase_add_test(cases, a_list_may_stand_in_a_file_of_its_own);
    tcase_add_test(cases, mistakes_in_a_list_file_have_its_name_and_line);
    tcase_add_test(cases, a_file_that_everybody_may_write_is_remarked_on);
    tcase_add_test(cases, remarks_come_after_mistakes);
    tcase_add_test(cases, a_dump_reads_back_to_the_same_values);
    tcase_add_test(cases, a_dump_says_where_each_value_was_written);
    tcase_add_test(cases, a_reload_tells_what_only_a_restart_changes);
    tcase_add_test(cases, the_shipped_files_are_right_and_show_the_defaults);
    /* The last ones leave a directory forkechod.conf.d behind. */
    tcase_add_test(cases, later_files_override_single_keys);
    tcase_add_test(cases, mistakes_come_in_the_order_of_files);
    return cases;
}
