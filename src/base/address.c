#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/text.h"

static const char shape[] = "PORT, IPV4:PORT, [IPV6]:PORT, unix:/PATH, unix:@NAME or systemd:NAME";

static int refuse(const char **hint, const char *right)
{
    *hint = right;
    return -EINVAL;
}

static int parse_port(const char *text, in_port_t *out, const char **hint)
{
    uint64_t port;

    if (text_parse_count(text, 0, UINT16_MAX, &port, hint))
        return refuse(hint, "a port from 1 to 65535, or 0 for any free one");
    *out = htons((uint16_t)port);
    return 0;
}

static void set_v4(struct address *out, struct in_addr host, in_port_t port)
{
    out->length = sizeof out->socket.v4;
    out->socket.v4 =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = host, .sin_port = port };
}

static void set_v6(struct address *out, struct in6_addr host, in_port_t port)
{
    out->length = sizeof out->socket.v6;
    out->socket.v6 =
        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = port };
}

/* `eth0`, or an interface's number. */
static int parse_scope(const char *text, uint32_t *out, const char **hint)
{
    uint64_t number;

    *out = if_nametoindex(text);
    if (!*out && !text_parse_count(text, 1, INT32_MAX, &number, hint))
        *out = (uint32_t)number;
    return *out ? 0 : refuse(hint, "the name of a network interface of this machine behind %");
}

static int parse_v6(const char *text, struct address *out, const char **hint)
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    const char *end = strchr(text, ']');
    struct in6_addr bytes;
    in_port_t port;

    if (!end || end[1] != ':' || (size_t)(end - text) >= sizeof host)
        return refuse(hint, "[IPV6]:PORT, as [::1]:7");
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    char *scope = strchr(host, '%');
    if (scope)
        *scope++ = '\0';
    if (inet_pton(AF_INET6, host, &bytes) != 1)
        return refuse(hint, "[IPV6]:PORT, as [::1]:7");
    if (IN6_IS_ADDR_V4MAPPED(&bytes))
        return refuse(hint, "the IPv4 address itself, as 127.0.0.1:7");
    if (IN6_IS_ADDR_LINKLOCAL(&bytes) != (scope != NULL))
        return refuse(hint, scope ? "an interface only with a link-local address, fe80::…"
                                  : "a link-local address with its interface, as [fe80::1%eth0]:7");
    if (parse_port(end + 2, &port, hint))
        return -EINVAL;
    set_v6(out, bytes, port);
    return scope ? parse_scope(scope, &out->socket.v6.sin6_scope_id, hint) : 0;
}

static int parse_v4(const char *text, struct address *out, const char **hint)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    struct in_addr bytes;
    in_port_t port;

    if (!colon || (size_t)(colon - text) >= sizeof host)
        return refuse(hint, shape);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &bytes) != 1)
        return refuse(hint, shape);
    if (parse_port(colon + 1, &port, hint))
        return -EINVAL;
    set_v4(out, bytes, port);
    return 0;
}

/* True when `text` may stand in a list, and in a log, as it is. */
static bool is_plain(const char *text)
{
    char shown[2 * ADDRESS_TEXT_MAX];

    return !strpbrk(text, " ,") &&
           !strcmp(text_escape(text, strlen(text), shown, sizeof shown), text);
}

static int parse_unix(const char *text, struct address *out, const char **hint)
{
    struct sockaddr_un *local = &out->socket.local;
    size_t size = strlen(text);

    if ((*text != '/' && *text != '@') || size < 2)
        return refuse(hint, "unix:/PATH or unix:@NAME");
    if (size >= sizeof local->sun_path)
        return refuse(hint, "a path of at most 107 bytes");
    if (!is_plain(text))
        return refuse(hint, "a path without blanks, commas, quotes and control characters");
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, text, size + 1);
    out->length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    if (*text == '@') { /* an abstract name begins with a NUL and ends with its length: unix(7) */
        local->sun_path[0] = '\0';
        out->length--;
    }
    return 0;
}

static int parse_systemd(const char *text, struct address *out, const char **hint)
{
    size_t size = strlen(text);

    /* What FileDescriptorName= of systemd.socket(5) allows. */
    if (!size || size >= sizeof out->socket.name || strchr(text, ':') || !is_plain(text))
        return refuse(hint, "systemd:NAME, the FileDescriptorName= of a socket unit");
    out->kind = ADDRESS_SYSTEMD;
    out->length = (uint32_t)size;
    memcpy(out->socket.name, text, size + 1);
    return 0;
}

int address_parse(const char *text, struct address out[2], const char **hint)
{
    in_port_t port;
    int result;

    memset(out, 0, 2 * sizeof *out);
    if (!strncmp(text, "unix:", 5))
        result = parse_unix(text + 5, out, hint);
    else if (!strncmp(text, "systemd:", 8))
        result = parse_systemd(text + 8, out, hint);
    else if (*text == '[')
        result = parse_v6(text + 1, out, hint);
    else if (!*text || text[strspn(text, "0123456789")])
        result = parse_v4(text, out, hint);
    else if (!(result = parse_port(text, &port, hint))) {
        set_v4(&out[0], (struct in_addr){ htonl(INADDR_ANY) }, port);
        set_v6(&out[1], in6addr_any, port);
        return 2;
    }
    return result ? result : 1;
}

/* The bytes of a Unix socket's name; an abstract one's begin with a NUL. */
static size_t unix_name_size(const struct address *address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t size = address->length > start ? address->length - start : 0;

    if (size > sizeof address->socket.local.sun_path)
        size = sizeof address->socket.local.sun_path;
    if (size && address->socket.local.sun_path[0])
        size = strnlen(address->socket.local.sun_path, size);
    return size;
}

static void format_unix(const struct address *address, char *text, size_t size)
{
    const char *path = address->socket.local.sun_path;
    char name[ADDRESS_TEXT_MAX];
    size_t length = unix_name_size(address);
    bool abstract = length && !*path;

    text_escape(path + abstract, length - abstract, name, sizeof name);
    snprintf(text, size, "unix:%s%s", abstract ? "@" : "", name);
}

static int asked = -1;

void address_ask(int socket)
{
    asked = socket;
}

static bool name_interface(unsigned int index, char name[IF_NAMESIZE])
{
    struct ifreq request = { .ifr_ifindex = (int)index };
    if (asked < 0)
        return if_indextoname(index, name) != NULL;
    if (ioctl(asked, SIOCGIFNAME, &request) < 0)
        return false;
    memcpy(name, request.ifr_name, IF_NAMESIZE);
    name[IF_NAMESIZE - 1] = '\0';
    return true;
}

static void format_v6(const struct sockaddr_in6 *v6, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE], scope[IF_NAMESIZE + 1] = "";

    if (v6->sin6_scope_id && name_interface(v6->sin6_scope_id, name))
        snprintf(scope, sizeof scope, "%%%s", name);
    else if (v6->sin6_scope_id)
        snprintf(scope, sizeof scope, "%%%u", v6->sin6_scope_id);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    snprintf(text, size, "[%s%s]:%u", host, scope, ntohs(v6->sin6_port));
}

static char *put_decimal(char *at, unsigned int number)
{
    if (number >= 10)
        at = put_decimal(at, number / 10);
    *at = (char)('0' + number % 10);
    return at + 1;
}

/* By hand, as it is done for each client while he waits, and the way through printf(3) is long. */
static void format_v4(const struct sockaddr_in *v4, char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)&v4->sin_addr;
    char whole[sizeof "255.255.255.255:65535"], *end = whole;

    for (int i = 0; i < 4; i++) {
        end = put_decimal(end, bytes[i]);
        *end++ = i < 3 ? '.' : ':';
    }
    end = put_decimal(end, ntohs(v4->sin_port));
    size_t length = (size_t)(end - whole);
    if (length >= size)
        length = size - 1;
    memcpy(text, whole, length);
    text[length] = '\0';
}

const char *address_format(const struct address *address, char *text, size_t size)
{
    if (address->kind == ADDRESS_SYSTEMD) {
        snprintf(text, size, "systemd:%.*s", (int)sizeof address->socket.name - 1,
                 address->socket.name);
    } else if (address->socket.any.sa_family == AF_INET) {
        format_v4(&address->socket.v4, text, size);
    } else if (address->socket.any.sa_family == AF_INET6) {
        format_v6(&address->socket.v6, text, size);
    } else if (address->socket.any.sa_family == AF_UNIX) {
        format_unix(address, text, size);
    } else {
        snprintf(text, size, "family %u", address->socket.any.sa_family);
    }
    return text;
}

const char *address_format_peer(const struct address *address, enum address_view view, char *text,
                                size_t size)
{
    if (view == ADDRESS_NONE) {
        snprintf(text, size, "-");
    } else if (address_is_unix(address)) {
        snprintf(text, size, "unix");
    } else if (view == ADDRESS_MASKED) {
        bool v4 = address->socket.any.sa_family == AF_INET;
        struct network network = network_of(address, v4 ? 24 : 48);
        network_format(&network, text, size);
        char *slash = v4 ? strchr(text, '/') : NULL;
        if (slash)
            *slash = '\0';
    } else {
        address_format(address, text, size);
    }
    return text;
}

bool address_equal(const struct address *a, const struct address *b)
{
    sa_family_t family = a->socket.any.sa_family;

    if (a->kind != b->kind)
        return false;
    if (a->kind == ADDRESS_SYSTEMD)
        return !strcmp(a->socket.name, b->socket.name);
    if (family != b->socket.any.sa_family)
        return false;
    if (family == AF_INET)
        return a->socket.v4.sin_port == b->socket.v4.sin_port &&
               a->socket.v4.sin_addr.s_addr == b->socket.v4.sin_addr.s_addr;
    if (family == AF_INET6)
        return a->socket.v6.sin6_port == b->socket.v6.sin6_port &&
               a->socket.v6.sin6_scope_id == b->socket.v6.sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&a->socket.v6.sin6_addr, &b->socket.v6.sin6_addr);
    /* The kernel may or may not count a path's last NUL (unix(7)). */
    size_t size = unix_name_size(a);
    return family == AF_UNIX && size == unix_name_size(b) &&
           !memcmp(a->socket.local.sun_path, b->socket.local.sun_path, size);
}

/* 0.0.0.0 or :: */
static bool is_wildcard(const struct address *address)
{
    struct network network = network_of(address, 128);
    static const uint8_t zeros[sizeof network.bytes];

    return network.family && !memcmp(network.bytes, zeros, sizeof zeros);
}

bool address_overlaps(const struct address *a, const struct address *b)
{
    sa_family_t family = a->socket.any.sa_family;

    if (a->kind != ADDRESS_SOCKET || b->kind != ADDRESS_SOCKET ||
        family != b->socket.any.sa_family || address_is_any_port(a) ||
        !(is_wildcard(a) || is_wildcard(b)))
        return false;
    return family == AF_INET
               ? a->socket.v4.sin_port == b->socket.v4.sin_port
               : family == AF_INET6 && a->socket.v6.sin6_port == b->socket.v6.sin6_port;
}

bool address_is_unix(const struct address *address)
{
    return address->kind == ADDRESS_SOCKET && address->socket.any.sa_family == AF_UNIX;
}

bool address_is_local(const struct address *address)
{
    struct address plain = *address;
    address_unmap(&plain);
    if (plain.socket.any.sa_family == AF_INET)
        return ntohl(plain.socket.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (plain.socket.any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&plain.socket.v6.sin6_addr);
    return plain.socket.any.sa_family == AF_UNIX;
}

bool address_is_any_port(const struct address *address)
{
    sa_family_t family = address->socket.any.sa_family;

    return address->kind == ADDRESS_SOCKET &&
           ((family == AF_INET && !address->socket.v4.sin_port) ||
            (family == AF_INET6 && !address->socket.v6.sin6_port));
}

void address_unmap(struct address *address)
{
    struct sockaddr_in6 v6 = address->socket.v6;
    struct in_addr host;

    if (address->kind != ADDRESS_SOCKET || v6.sin6_family != AF_INET6 ||
        !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    memcpy(&host, &v6.sin6_addr.s6_addr[12], sizeof host);
    memset(address, 0, sizeof *address);
    set_v4(address, host, v6.sin6_port);
}
