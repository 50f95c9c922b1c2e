/* Any text as an address and as a network, and any bytes as an address that the kernel gave. */
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "fuzz.h"

/* What is read and written again is the same, byte by byte: a reload compares it so. */
static void try_address(const char *text)
{
    struct address found[2], again[2];
    char written[ADDRESS_TEXT_MAX], once_more[ADDRESS_TEXT_MAX];
    const char *hint = NULL;
    int count = address_parse(text, found, &hint);

    HOLDS(count == 1 || count == 2 || (count < 0 && hint != NULL));
    for (int i = 0; i < count; i++) {
        address_format(&found[i], written, sizeof(written));
        HOLDS(address_parse(written, again, &hint) == 1);
        HOLDS(memcmp(&again[0], &found[i], sizeof(found[i])) == 0);
        HOLDS(address_equal(&again[0], &found[i]));
        HOLDS(strcmp(address_format(&again[0], once_more, sizeof(once_more)), written) == 0);
        HOLDS(!address_overlaps(&found[i], &found[i]) || !address_is_any_port(&found[i]));
    }
}

static unsigned int bit(const void *bytes, unsigned int number)
{
    return ((const uint8_t *)bytes)[number / 8] >> (7 - number % 8) & 1U;
}

/* It has these bits, as many as its prefix says, and zeroes behind them. */
static void check_bits(const struct network *network, const void *host)
{
    for (unsigned int at = 0; at < 128; at++)
        HOLDS(bit(network->bytes, at) == (at < network->prefix ? bit(host, at) : 0));
}

static void try_network(const char *text)
{
    struct network found, again;
    char written[ADDRESS_TEXT_MAX];
    const char *hint = NULL;

    if (network_parse(text, &found, &hint) < 0) {
        HOLDS(hint != NULL);
        return;
    }
    HOLDS(found.prefix <= (found.family == AF_INET ? 32 : 128));
    check_bits(&found, found.bytes);
    network_format(&found, written, sizeof(written));
    HOLDS(network_parse(written, &again, &hint) == 0);
    HOLDS(memcmp(&found, &again, sizeof(found)) == 0 && network_compare(&found, &again) == 0);
}

/* As accept4(2) or getsockname(2) fill it: any bytes, as far as the length says. */
static void try_socket(const uint8_t *bytes, size_t size)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC };
    struct address address, copy;

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        char text[ADDRESS_TEXT_MAX], shorter[8];
        memset(&address, 0, sizeof(address));
        address.length = (uint32_t)(sizeof(sa_family_t) + size);
        if (address.length > sizeof(address.socket))
            address.length = sizeof(address.socket);
        if (size > 0)
            memcpy((char *)&address.socket + sizeof(sa_family_t), bytes,
                   address.length - sizeof(sa_family_t));
        address.socket.any.sa_family = families[i];
        for (int view = ADDRESS_FULL; view <= ADDRESS_NONE; view++) {
            address_format_peer(&address, (enum address_view)view, text, sizeof(text));
            HOLDS(strnlen(text, sizeof(text)) < sizeof(text));
            address_format_peer(&address, (enum address_view)view, shorter, sizeof(shorter));
            HOLDS(strnlen(shorter, sizeof(shorter)) < sizeof(shorter));
        }
        copy = address;
        address_unmap(&copy);
        HOLDS(address_is_local(&address) == address_is_local(&copy));
        for (unsigned int prefix = 0; prefix <= 128; prefix += 1 + prefix / 4) {
            struct network network = network_of(&copy, prefix);
            HOLDS(network.family == 0 || network_holds(&network, &copy));
            if (network.family == AF_INET)
                check_bits(&network, &copy.socket.v4.sin_addr);
            else if (network.family == AF_INET6)
                check_bits(&network, &copy.socket.v6.sin6_addr);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = fuzz_text(bytes, size);
    try_address(text);
    try_network(text);
    try_socket(bytes, size);
    free(text);
    return 0;
}
