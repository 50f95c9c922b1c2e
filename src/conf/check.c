/* What is wrong with values that are right one by one. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "conf/drafts.h"

/* A service under check. */
struct subject {
    struct findings *findings;
    const struct layers *layers;
    const struct draft *draft;
    const struct service *service;
};

/* The setting behind an option if it was written, and well. */
static const struct setting *good_setting(const struct subject *subject, int option)
{
    return subject->draft->bad[option]
               ? NULL
               : layers_setting(subject->layers, subject->draft->layer, option);
}

/* Of two settings, the one that was read last: the one that broke what was well before. */
static const struct setting *later(const struct setting *a, const struct setting *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->place.source != b->place.source)
        return a->place.source > b->place.source ? a : b;
    return a->place.order > b->place.order ? a : b;
}

static void check_timeouts(const struct subject *subject)
{
    const struct service *service = subject->service;
    const struct setting *last = later(good_setting(subject, SERVICE_tcp_user_timeout),
                                       good_setting(subject, SERVICE_write_timeout));
    char user[32], write[32];

    if (!last || subject->draft->bad[SERVICE_tcp_user_timeout] ||
        subject->draft->bad[SERVICE_write_timeout] || !service->tcp_user_timeout ||
        !service->write_timeout || service->tcp_user_timeout > service->write_timeout)
        return;
    text_format_duration(service->tcp_user_timeout, user, sizeof(user));
    text_format_duration(service->write_timeout, write, sizeof(write));
    findings_error(
        subject->findings, &last->place,
        "a tcp_user_timeout of %s is not above the write_timeout of %s (or one of them 0)", user,
        write);
}

static void check_keepalive(const struct subject *subject)
{
    const struct setting *probes = good_setting(subject, SERVICE_keepalive_probes);

    /* The preset is in every dump. */
    if (probes && subject->service->tcp_user_timeout &&
        strcmp(probes->value, conf_options[SERVICE_keepalive_probes].preset) != 0)
        findings_warning(subject->findings, &probes->place,
                         "without effect: tcp_user_timeout decides when a silent connection is "
                         "given up (set that to 0)");
}

/* The kernel takes these in seconds. */
static void check_seconds(const struct subject *subject)
{
    static const int options[] = { SERVICE_keepalive_time, SERVICE_keepalive_interval,
                                   SERVICE_rlimit_cpu };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        const struct setting *setting = good_setting(subject, options[i]);
        const char *member = (const char *)subject->service + conf_options[options[i]].offset;
        if (setting && *(const uint64_t *)(const void *)member % 1000)
            findings_error(subject->findings, &setting->place, "not whole seconds \"%s\" (as 60s)",
                           show(setting->value, strlen(setting->value)).text);
    }
}

static void check_device(const struct subject *subject)
{
    const struct setting *setting = good_setting(subject, SERVICE_bind_to_device);

    if (setting && strlen(setting->value) >= IF_NAMESIZE)
        findings_error(subject->findings, &setting->place,
                       "not an interface \"%s\" (at most %d bytes)",
                       show(setting->value, strlen(setting->value)).text, IF_NAMESIZE - 1);
}

/* The same prefix in both lists: only no_access counts. */
static void check_lists(const struct subject *subject)
{
    const struct service *service = subject->service;
    const struct network *denied = service_networks(service, service->no_access);
    const struct setting *setting = good_setting(subject, SERVICE_no_access);
    char text[ADDRESS_TEXT_MAX];

    for (uint32_t i = 0; setting && i < service->no_access.count; i++)
        if (bsearch(&denied[i], service_networks(service, service->only_from),
                    service->only_from.count, sizeof(*denied), network_compare))
            findings_warning(subject->findings, &setting->place,
                             "%s stands in only_from too, and is refused",
                             network_format(&denied[i], text, sizeof(text)));
}

/* Whether bind(2) refuses one of the two: equal, or one is the other's port on every address,
 * unless each has an interface of its own. */
static bool is_conflict(const struct service *left, const struct address *a,
                        const struct service *right, const struct address *b)
{
    bool apart = *left->bind_to_device && *right->bind_to_device &&
                 strcmp(left->bind_to_device, right->bind_to_device) != 0;

    if (address_equal(a, b))
        return !address_is_any_port(a);
    return !apart && address_overlaps(a, b);
}

/* Addresses of a service against those of an earlier one, or its own. */
static void check_pair(const struct subject *subject, const struct draft *other)
{
    const struct service *service = subject->service, *earlier = other->object;
    const struct address *ours = service_addresses(service, service->listen);
    const struct address *theirs = service_addresses(earlier, earlier->listen);
    const struct setting *mine = good_setting(subject, ONLY_listen);
    const struct setting *before = other->layer->set[ONLY_listen];
    char text[ADDRESS_TEXT_MAX], where[ADDRESS_TEXT_MAX];

    for (uint32_t i = 0; mine && before && i < service->listen.count; i++) {
        uint32_t end = service == earlier ? i : earlier->listen.count;
        for (uint32_t j = 0; j < end; j++)
            if (is_conflict(service, &ours[i], earlier, &theirs[j]))
                findings_error(subject->findings, &mine->place, "\"%s\" is taken by %s of [%s]",
                               address_format(&ours[i], text, sizeof(text)),
                               address_format(&theirs[j], where, sizeof(where)),
                               before->place.section);
    }
}

bool conf_may_listen(const struct service *service, const struct address *address)
{
    return strcmp(service->handler, "status") != 0 || service->remote_status ||
           address_is_local(address);
}

/* Sockets that systemd passes are looked at when they are there. */
static void check_status(const struct subject *subject)
{
    const struct service *service = subject->service;
    const struct address *addresses = service_addresses(service, service->listen);
    const struct setting *setting = good_setting(subject, ONLY_listen);
    char text[ADDRESS_TEXT_MAX];

    for (uint32_t i = 0; setting && i < service->listen.count; i++)
        if (addresses[i].kind == ADDRESS_SOCKET && !conf_may_listen(service, &addresses[i]))
            findings_error(subject->findings, &setting->place,
                           "other machines can reach \"%s\", and status shows who is connected "
                           "(127.0.0.1, [::1], unix:/path, or remote_status = yes)",
                           address_format(&addresses[i], text, sizeof(text)));
}

/* A pool's numbers against each other, and limits of a process that serves many. */
static void check_pool(const struct subject *subject)
{
    const struct service *service = subject->service;
    const struct setting *spare =
        later(good_setting(subject, SERVICE_min_spare), good_setting(subject, SERVICE_max_spare));
    const struct setting *cpu = good_setting(subject, SERVICE_rlimit_cpu);
    const struct setting *start = later(good_setting(subject, SERVICE_start_servers),
                                        good_setting(subject, SERVICE_instances));

    if (service->process_model != PROCESS_MODEL_PREFORK)
        return;
    if (spare && service->max_spare != 0 && service->min_spare > service->max_spare)
        findings_error(subject->findings, &spare->place,
                       "min_spare is %u and max_spare %u (not more than that, or auto)",
                       service->min_spare, service->max_spare);
    if (start && service->start_servers > service->instances)
        findings_error(subject->findings, &start->place,
                       "start_servers is %u and instances %u (at least as many)",
                       service->start_servers, service->instances);
    if (cpu && service->rlimit_cpu && service->max_requests != 1)
        findings_error(subject->findings, &cpu->place,
                       "counts for all clients of a process of the pool (set max_requests = 1, or "
                       "process_model = fork)");
}

/* Worth a word each time: nobody means to leave it so. */
static void check_sandbox(const struct subject *subject)
{
    const struct setting *setting = good_setting(subject, SERVICE_sandbox);

    if (setting && subject->service->sandbox == SANDBOX_OFF)
        findings_warning(subject->findings, &setting->place,
                         "a session that is taken over can open files, make connections and "
                         "execute programs (strict, once the debugging is done)");
}

void drafts_check(struct findings *findings, const struct layers *layers, const struct draft *all,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct subject subject = { findings, layers, &all[i], all[i].object };
        if (!subject.service)
            continue;
        check_timeouts(&subject);
        check_keepalive(&subject);
        check_seconds(&subject);
        check_device(&subject);
        check_lists(&subject);
        check_pool(&subject);
        check_sandbox(&subject);
        check_status(&subject);
        for (size_t j = 0; j <= i; j++)
            if (all[j].object)
                check_pair(&subject, &all[j]);
    }
}
