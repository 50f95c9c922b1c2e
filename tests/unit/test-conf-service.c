/* A service as the flat value that a listener gets. */
#include "test-conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

static const char text[] = "[service a]\nlisten = 7 unix:/x\nonly_from = ::1 10.0.0.0/8\n"
                           "no_access = 10.1.0.0/16\nquit = Bye\n";

static struct conf *conf;

static void load_service(void)
{
    conf = load_text(text);
    ck_assert_ptr_nonnull(conf);
}

static void free_service(void)
{
    conf_free(conf);
}

static const struct service *map(const void *bytes, size_t size)
{
    int fd = io_sealed_memfd("service", bytes, size);

    ck_assert_int_ge(fd, 0);
    const struct service *service = service_map(fd);
    int error = errno;
    close(fd);
    errno = error;
    return service;
}

START_TEST(a_listener_gets_the_service_as_the_master_has_it)
{
    const struct service *service = conf->services[0], *mapped = map(service, service->size);

    ck_assert_ptr_nonnull(mapped);
    ck_assert_mem_eq(mapped, service, service->size);
    ck_assert_str_eq(mapped->service_name, "a");
    ck_assert_uint_eq(mapped->listen.count, 3);
    ck_assert_uint_eq(service_networks(mapped, mapped->only_from)[0].prefix, 8);
}
END_TEST

START_TEST(equal_configurations_are_equal_bytes)
{
    struct conf *again = load_text("# moved\n[defaults]\nquit = Bye\n[service a]\nhandler = echo\n"
                                   "no_access = 10.1.0.0/16,\nonly_from = 10.0.0.0/8,::1 ::1\n"
                                   "listen = 7 , unix:/x\n");
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(again->services[0]->size, conf->services[0]->size);
    ck_assert_mem_eq(again->services[0], conf->services[0], conf->services[0]->size);
    conf_free(again);
    again = load_text("[service a]\nquit = Bye!\n");
    ck_assert(memcmp(again->services[0], conf->services[0], sizeof(struct service)) != 0);
    conf_free(again);
}
END_TEST

START_TEST(a_damaged_service_is_refused)
{
    const struct service *service = conf->services[0];
    struct service *bad = malloc(service->size);
    size_t size = service->size;

#define ck_damaged(damage)                                                                         \
    do {                                                                                           \
        memcpy(bad, service, size);                                                                \
        damage;                                                                                    \
        ck_assert_msg(!map(bad, size), #damage);                                                   \
        ck_assert_int_eq(errno, EINVAL);                                                           \
    } while (0)
    ck_damaged(bad->size--);
    ck_damaged(bad->size = 0);
    ck_damaged(bad->listen.count++);
    ck_damaged(bad->listen.count = UINT32_MAX);
    ck_damaged(bad->only_from.offset = 8);
    ck_damaged(bad->only_from.offset += 1);
    ck_damaged(bad->no_access.offset = UINT32_MAX - 7);
    ck_damaged(bad->no_access.offset = bad->size);
    ck_damaged(memset(bad->quit, 'a', sizeof(bad->quit)));
    ck_damaged(memset(bad->handler, 'a', sizeof(bad->handler)));
    ck_damaged(memset(bad->service_name, 'a', sizeof(bad->service_name)));
    memcpy(bad, service, size);
    ck_assert_ptr_null(map(bad, sizeof(*bad) - 1));
    ck_assert_ptr_null(map(bad, 0));
    ck_assert_ptr_nonnull(map(bad, size));
    free(bad);
}
END_TEST

START_TEST(a_service_that_could_still_change_is_refused)
{
    const struct service *service = conf->services[0];
    int fd = memfd_create("service", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_eq(io_write_full(fd, service, service->size), 0);
    ck_assert_ptr_null(service_map(fd));
    ck_assert_int_eq(errno, EINVAL);
    close(fd);
    ck_assert_ptr_null(service_map(-1));
    ck_assert_int_eq(errno, EBADF);
    ck_assert_ptr_null(service_map(0));
}
END_TEST

TCase *service_cases(void)
{
    TCase *cases = case_in_directory("service");

    tcase_add_checked_fixture(cases, load_service, free_service);
    tcase_add_test(cases, a_listener_gets_the_service_as_the_master_has_it);
    tcase_add_test(cases, equal_configurations_are_equal_bytes);
    tcase_add_test(cases, a_damaged_service_is_refused);
    tcase_add_test(cases, a_service_that_could_still_change_is_refused);
    return cases;
}
