#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"

enum { MAPPED_PREFIX = 96 }; /* ::ffff:0:0/96 holds the IPv4 addresses: RFC 4291, 2.5.5.2 */

static unsigned int bits_of(uint16_t family)
{
    return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

/* Zeroes the host bits. Returns true when one of them was set. */
static bool clear_host(struct network *network)
{
    bool found = false;

    for (unsigned int i = 0; i < sizeof network->bytes; i++) {
        unsigned int left = network->prefix > i * 8 ? network->prefix - i * 8U : 0;
        uint8_t mask = (uint8_t)(left >= 8 ? 0xffU : 0xff00U >> left);
        found = found || (network->bytes[i] & ~mask);
        network->bytes[i] = (uint8_t)(network->bytes[i] & mask);
    }
    return found;
}

static void unmap(struct network *network)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (network->family != AF_INET6 || network->prefix < MAPPED_PREFIX ||
        memcmp(network->bytes, mapped, sizeof mapped) != 0)
        return;
    network->family = AF_INET;
    network->prefix = (uint16_t)(network->prefix - MAPPED_PREFIX);
    memmove(network->bytes, network->bytes + 12, 4);
    memset(network->bytes + 4, 0, 12);
}

int network_parse(const char *text, struct network *out, const char **hint)
{
    char host[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    uint64_t prefix;

    memset(out, 0, sizeof *out);
    *hint = "an address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";
    if (length >= sizeof host)
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    out->family = strchr(host, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(out->family, host, out->bytes) != 1)
        return -EINVAL;
    prefix = bits_of(out->family);
    if (text[length] && text_parse_count(text + length + 1, 0, prefix, &prefix, hint)) {
        *hint = out->family == AF_INET ? "a prefix from /0 to /32" : "a prefix from /0 to /128";
        return -EINVAL;
    }
    out->prefix = (uint16_t)prefix;
    if (clear_host(out)) {
        *hint = "only zero bits behind the prefix";
        return -EINVAL;
    }
    unmap(out);
    return 0;
}

const char *network_format(const struct network *network, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];

    if (!inet_ntop(network->family, network->bytes, host, sizeof host))
        snprintf(text, size, "unix");
    else if (network->prefix == bits_of(network->family))
        snprintf(text, size, "%s", host);
    else
        snprintf(text, size, "%s/%u", host, network->prefix);
    return text;
}

struct network network_of(const struct address *address, unsigned int prefix)
{
    struct network network;

    memset(&network, 0, sizeof network);
    if (address->kind != ADDRESS_SOCKET)
        return network;
    if (address->socket.any.sa_family == AF_INET)
        memcpy(network.bytes, &address->socket.v4.sin_addr, 4);
    else if (address->socket.any.sa_family == AF_INET6)
        memcpy(network.bytes, &address->socket.v6.sin6_addr, 16);
    else
        return network;
    network.family = address->socket.any.sa_family;
    network.prefix =
        (uint16_t)(prefix < bits_of(network.family) ? prefix : bits_of(network.family));
    clear_host(&network);
    return network;
}

bool network_holds(const struct network *network, const struct address *address)
{
    struct network other = network_of(address, network->prefix);

    return network->family && network->family == other.family &&
           !memcmp(network->bytes, other.bytes, sizeof other.bytes);
}

int network_compare(const void *a, const void *b)
{
    const struct network *left = a, *right = b;

    if (left->family != right->family)
        return left->family < right->family ? -1 : 1;
    if (left->prefix != right->prefix)
        return left->prefix > right->prefix ? -1 : 1;
    return memcmp(left->bytes, right->bytes, sizeof left->bytes);
}
