#include "client/ping.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/exchange.h"
#include "client/stats.h"
#include "client/wait.h"

struct ping {
    const struct options *options;
    const struct peer *peer;
    int fd; /* -1 while there is no connection */
    unsigned char *message;
    uint64_t start_us;
    bool last_was_equal;
    struct stats stats;
};

static double ms(uint64_t us)
{
    return (double)us / 1000;
}

static void hang_up(struct ping *ping)
{
    if (ping->fd >= 0)
        close(ping->fd);
    ping->fd = -1;
}

/* Every byte value, beginning with another one each time: an answer to an earlier message differs
 * in every byte, and a service that is not 8-bit clean shows. */
static void fill(unsigned char *message, size_t size, uint64_t sequence)
{
    for (size_t i = 0; i < size; i++)
        message[i] = (unsigned char)(sequence * 37 + i);
}

/* Says why a message has no answer: everything after its number. */
static void print_loss(const struct ping *ping, enum exchange_end end,
                       const struct exchange *exchange)
{
    char time[32];

    if (end == EXCHANGE_LATE)
        printf("no answer within %s",
               text_format_duration(ping->options->timeout_us / 1000, time, sizeof time));
    else if (end == EXCHANGE_CLOSED)
        printf("the server closed the connection");
    else
        printf("%s", end == EXCHANGE_FAILED ? strerror(exchange->error) : "interrupted");
    if (exchange->received)
        printf(" (%zu of %zu bytes came)", exchange->received, ping->options->size);
}

static void print_answer(const struct ping *ping, const struct exchange *exchange)
{
    printf("%zu bytes from %s: seq=%" PRIu64 " time=%.3f ms", exchange->received, ping->peer->text,
           ping->stats.sent, ms(exchange->took_us));
    if (exchange->differs_at >= ping->options->size)
        printf(exchange->received > ping->options->size ? " DIFFERENT: more than was sent" : "");
    else
        printf(" DIFFERENT at byte %zu: sent 0x%02x, received 0x%02x", exchange->differs_at,
               exchange->wanted, exchange->came);
}

static void report(const struct ping *ping, enum exchange_end end, const struct exchange *exchange)
{
    if (ping->options->quiet)
        return;
    if (end == EXCHANGE_EQUAL || end == EXCHANGE_DIFFERENT) {
        print_answer(ping, exchange);
    } else {
        printf("%s: seq=%" PRIu64 " ", ping->peer->text, ping->stats.sent);
        print_loss(ping, end, exchange);
    }
    putchar('\n');
    fflush(stdout);
}

/* One message, over a new connection where the last one was given up. */
static void send_one(struct ping *ping)
{
    struct exchange exchange = { 0 };
    enum exchange_end end = EXCHANGE_FAILED;
    const struct options *options = ping->options;

    ping->stats.sent++;
    fill(ping->message, options->size, ping->stats.sent);
    if (ping->fd < 0)
        ping->fd = connect_again(ping->peer, options->timeout_us);
    if (ping->fd >= 0)
        end = exchange_run(ping->fd, ping->message, options->size, options->timeout_us, &exchange);
    else if (ping->fd == -EINTR)
        end = EXCHANGE_INTERRUPTED;
    else
        exchange.error = -ping->fd;
    if (end == EXCHANGE_EQUAL || end == EXCHANGE_DIFFERENT)
        stats_add(&ping->stats, exchange.took_us);
    ping->stats.different += end == EXCHANGE_DIFFERENT;
    ping->last_was_equal = end == EXCHANGE_EQUAL;
    if (end != EXCHANGE_EQUAL)
        hang_up(ping);
    report(ping, end, &exchange);
}

/* Nothing is due now: bytes that come are more than the last message, and its answer was wrong. */
static void take_surplus(struct ping *ping)
{
    char part[4096];
    ssize_t count = recv(ping->fd, part, sizeof part, 0);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    hang_up(ping);
    if (count <= 0 || !ping->last_was_equal)
        return;
    ping->last_was_equal = false;
    ping->stats.different++;
    if (!ping->options->quiet)
        printf("%zd bytes from %s: DIFFERENT: more than was sent, after seq=%" PRIu64 "\n", count,
               ping->peer->text, ping->stats.sent);
    fflush(stdout);
}

/* The line for SIGQUIT, as ping prints it. */
static void print_progress(const struct stats *stats)
{
    fprintf(stderr, "%" PRIu64 "/%" PRIu64 " messages, %g%% loss", stats->answered, stats->sent,
            stats_loss(stats));
    if (stats->answered)
        fprintf(stderr, ", min/avg/max = %.3f/%.3f/%.3f ms", ms(stats->min_us),
                ms(stats_mean(stats)), ms(stats->max_us));
    fputc('\n', stderr);
}

static void rest_until(struct ping *ping, uint64_t deadline_us)
{
    int result;

    do {
        struct pollfd ready = { .fd = ping->fd, .events = POLLIN };
        result = wait_for(&ready, 1, deadline_us);
        if (wait_taken(SIGQUIT))
            print_progress(&ping->stats);
        if (result > 0)
            take_surplus(ping);
    } while (result && !wait_interrupted());
}

static void print_statistics(const struct ping *ping)
{
    const struct stats *stats = &ping->stats;
    char host[256];

    text_escape(ping->options->host, strlen(ping->options->host), host, sizeof host);
    printf("\n--- %s forkecho statistics ---\n", host);
    printf("%" PRIu64 " messages sent, %" PRIu64 " answered, %" PRIu64 " different, %g%% loss, ",
           stats->sent, stats->answered, stats->different, stats_loss(stats));
    printf("time %" PRIu64 "ms\n", (clock_us() - ping->start_us) / 1000);
    if (!stats->answered)
        return;
    printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", ms(stats->min_us),
           ms(stats_mean(stats)), ms(stats->max_us), ms(stats_mdev(stats)));
}

int ping_run(const struct options *options, const struct peer *peer, int fd)
{
    static const int signals[] = { SIGINT, SIGQUIT, 0 };
    struct ping ping = { .options = options, .peer = peer, .fd = fd, .start_us = clock_us() };
    uint64_t next = ping.start_us;

    ping.message = malloc(options->size);
    if (!ping.message)
        err(1, "a message of %zu bytes", options->size);
    wait_record(signals);
    printf("FORKECHO %s: %zu bytes of data\n", peer->name, options->size);
    fflush(stdout);
    while (!wait_interrupted()) {
        uint64_t now = clock_us();
        next = (next > now ? next : now) + options->interval_us;
        send_one(&ping);
        if (options->count && ping.stats.sent == options->count)
            break;
        rest_until(&ping, next);
    }
    hang_up(&ping);
    free(ping.message);
    print_statistics(&ping);
    const struct stats *stats = &ping.stats;
    bool whole = stats->sent && stats->answered == stats->sent && !stats->different;
    if (fflush(stdout) || ferror(stdout)) {
        warn("standard output");
        return 1;
    }
    return whole ? 0 : 1;
}
