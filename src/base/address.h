/*
 * Socket addresses as people write them, and networks for access lists.
 *
 * Forms read by address_parse (the keys `listen` and --listen of forkechod.conf(5)):
 *   7                 every address, as two entries: 0.0.0.0:7 and [::]:7
 *   127.0.0.1:7       [::1]:7     [fe80::1%eth0]:7
 *   unix:/path        a socket in the file system      unix:@name   an abstract one
 *   systemd:NAME      the socket that systemd passes under that name
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>

enum { ADDRESS_TEXT_MAX = 128 }; /* the longest text that address_format writes, with its NUL */

/* How much of a client's address people get to see (the key `log_address`). */
enum address_view { ADDRESS_FULL, ADDRESS_MASKED, ADDRESS_NONE };

enum address_kind { ADDRESS_SOCKET, ADDRESS_SYSTEMD };

/* A plain value without pointers: it may be copied, compared with memcmp, put in a memfd.
 * Whoever makes one zeroes it first. */
struct address {
    uint32_t kind;   /* enum address_kind */
    uint32_t length; /* of the part of `socket` that counts, for bind(2) */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        char name[sizeof(struct sockaddr_un)]; /* ADDRESS_SYSTEMD: the socket's name */
    } socket;
};

/* An IPv4 or IPv6 prefix. Host bits are zero. */
struct network {
    uint16_t family; /* AF_INET or AF_INET6 */
    uint16_t prefix; /* bits that count: 0–32 or 0–128 */
    uint8_t bytes[16];
};

/* Reads one written address into out[0..1] (a bare port is two). Returns how many it wrote, or
 * -EINVAL with *hint saying what would be right (a constant text). */
int address_parse(const char *text, struct address out[2], const char **hint);

/* Writes the canonical text, which address_parse reads back to the same value.
 * Returns `text`, always terminated. */
const char *address_format(const struct address *address, char *text, size_t size);

/* Interfaces, which IPv6 addresses of one link have behind a %, are asked for their names on this
 * socket from now on, whatever it is; where that fails, their number is shown. Until then one is
 * opened each time. */
void address_ask(int socket);

/* A client's address as accept4(2) gave it, for logs and titles: 192.0.2.7:51234,
 * [2001:db8::1]:33410, `unix`. Masked: 192.0.2.0, 2001:db8::/48 without port; none: `-`. */
const char *address_format_peer(const struct address *address, enum address_view view, char *text,
                                size_t size);

bool address_equal(const struct address *a, const struct address *b);
/* True for two addresses of one port, not 0, of which one is every address (0.0.0.0, [::]): unless
 * they are equal, bind(2) refuses the second. */
bool address_overlaps(const struct address *a, const struct address *b);
/* True where nobody but this machine can connect: a Unix socket, or an address of the loopback. */
bool address_is_local(const struct address *address);
bool address_is_unix(const struct address *address) __attribute__((hot));
/* True for an IP address whose port the kernel is to choose (port 0). */
bool address_is_any_port(const struct address *address);

/* Turns a v4-mapped IPv6 address (::ffff:a.b.c.d) into plain IPv4. Others stay as they are. */
void address_unmap(struct address *address);

/* Reads `192.0.2.0/24`, `2001:db8::/32` or a bare address. Host bits that are set are an error.
 * Returns 0 or -EINVAL with *hint. v4-mapped networks become IPv4. */
int network_parse(const char *text, struct network *out, const char **hint);
const char *network_format(const struct network *network, char *text, size_t size);

/* The network of `prefix` bits that holds an (un-mapped) address. family 0 for a Unix socket. */
struct network network_of(const struct address *address, unsigned int prefix);

bool network_holds(const struct network *network, const struct address *address);

/* An order for qsort: family, then longest prefix first, then bytes. */
int network_compare(const void *a, const void *b);
