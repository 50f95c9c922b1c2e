/*
 * One service's configuration as a flat value: no pointers, padding zeroed. The master compares old
 * and new by memcmp (that is what a reload is) and hands it to a listener as a sealed memfd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"

enum {
    SERVICE_NAME_MAX = 32,
    OPTION_TEXT_MAX = 256,
    OPTION_NAME_MAX = 64,
    SERVICE_SOCKETS_MAX = 64
};

/* Where a list lies, counted from the start of the struct service. */
struct span {
    uint32_t offset;
    uint32_t count;
};

/* The words of CHOICE options that code asks for, in the order of options.def. */
enum process_model { PROCESS_MODEL_FORK, PROCESS_MODEL_PREFORK };
enum sandbox { SANDBOX_STRICT, SANDBOX_OFF };
enum over_limit { OVER_LIMIT_DEFER, OVER_LIMIT_REFUSE };

#define MEMBER_BOOL(name)      bool name;
#define MEMBER_COUNT(name)     uint32_t name;
#define MEMBER_DURATION(name)  uint64_t name;
#define MEMBER_SIZE(name)      uint64_t name;
#define MEMBER_RATE(name)      struct rate name;
#define MEMBER_MODE(name)      uint32_t name;
#define MEMBER_CHOICE(name)    uint32_t name;
#define MEMBER_TEXT(name)      char name[OPTION_TEXT_MAX];
#define MEMBER_NAME(name)      char name[OPTION_NAME_MAX];
#define MEMBER_PATH(name)      char name[OPTION_TEXT_MAX];
#define MEMBER_HANDLER(name)   char name[OPTION_NAME_MAX];
#define MEMBER_ADDRESSES(name) struct span name;
#define MEMBER_NETWORKS(name)  struct span name;

/* Expands OPTION lines of one scope to members; see options.def. */
#define MEMBER_IF_DAEMON(type, name)
#define MEMBER_IF_SERVICE(type, name) MEMBER_##type(name)
#define MEMBER_IF_ONLY(type, name)    MEMBER_##type(name)

struct service {
    uint32_t size; /* of the whole value, lists included */
    char service_name[SERVICE_NAME_MAX + 1];
    /* What a listener needs of [daemon]. */
    uint64_t graceful_timeout;
    uint32_t log_address; /* enum address_view */
    /* One member an option of scope SERVICE or ONLY, under the option's name. */
#define THEME(title)
#define OPTION(scope, type, name, low, high, preset, words, reload, help)                          \
    MEMBER_IF_##scope(type, name)
#include "conf/options.def"
#undef OPTION
#undef THEME
};

static inline const struct address *service_addresses(const struct service *service,
                                                      struct span span)
{
    return (const struct address *)(const void *)((const char *)service + span.offset);
}

static inline const struct network *service_networks(const struct service *service,
                                                     struct span span)
{
    return (const struct network *)(const void *)((const char *)service + span.offset);
}

/* Maps the sealed memfd `fd` read-only and checks that it is whole (size, spans inside, texts
 * terminated, seals set). Returns NULL with errno set when it is not. Stays mapped for good. */
const struct service *service_map(int fd);
