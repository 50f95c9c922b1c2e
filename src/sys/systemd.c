#include "sys/systemd.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "sys/notify.h"
#include "sys/sockets.h"

enum { NAME_MAX_BYTES = 255, WAIT_MS = 1000 };

static const char store_prefix[] = "store-";

static struct systemd_socket *adopted;
static size_t adopted_count;
static uint64_t watchdog_us;
static char manager[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* NOTIFY_SOCKET; "": none */

static int adopt_one(int fd, const char *name, struct failure *why)
{
    struct systemd_socket *socket = &adopted[adopted_count];
    struct failure detail;

    *socket =
        (struct systemd_socket){ .fd = fd,
                                 .stored = !strncmp(name, store_prefix, sizeof store_prefix - 1) };
    snprintf(socket->name, sizeof socket->name, "%s", name);
    if (sockets_adopt(fd, &socket->address, &detail) == 0) {
        adopted_count++;
        return 0;
    }
    if (socket->stored) {
        close(fd);
        return 0;
    }
    return failure_set(why, EX_CONFIG,
                       "systemd passed %s: %s (its .socket unit needs ListenStream= and Accept=no)",
                       name, detail.text);
}

static int adopt_all(int count, char *const *names, struct failure *why)
{
    if (count > SYSTEMD_SOCKETS_MAX)
        return failure_set(why, EX_CONFIG, "systemd passed %d sockets (%d are the most)", count,
                           SYSTEMD_SOCKETS_MAX);
    adopted = calloc((size_t)count, sizeof *adopted);
    if (!adopted)
        return failure_set(why, EX_OSERR, "no memory for the sockets that systemd passed");
    for (int i = 0; i < count; i++)
        if (adopt_one(SD_LISTEN_FDS_START + i, names ? names[i] : "", why) < 0)
            return -1;
    return (int)adopted_count;
}

int systemd_adopt(struct systemd_socket **sockets, struct failure *why)
{
    const char *address = getenv("NOTIFY_SOCKET");
    char **names = NULL;

    if (address && notify_open(address))
        memcpy(manager, address, strlen(address) + 1);
    unsetenv("NOTIFY_SOCKET");
    if (sd_watchdog_enabled(1, &watchdog_us) <= 0)
        watchdog_us = 0;
    int count = sd_listen_fds_with_names(1, &names), result = count;
    if (count < 0)
        failure_errno(why, EX_OSERR, -count, "cannot take over the sockets that systemd passed");
    else if (count > 0)
        result = adopt_all(count, names, why);
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
    *sockets = adopted;
    return result < 0 ? -1 : result;
}

size_t systemd_descriptors(int *out, size_t size)
{
    size_t count = 0;

    for (; count < adopted_count && count < size; count++)
        out[count] = adopted[count].fd;
    return count;
}

void systemd_leave(void)
{
    char number[24];

    if (*manager)
        setenv("NOTIFY_SOCKET", manager, 1);
    if (watchdog_us == 0)
        return;
    snprintf(number, sizeof number, "%" PRIu64, watchdog_us);
    setenv("WATCHDOG_USEC", number, 1);
    snprintf(number, sizeof number, "%d", getpid());
    setenv("WATCHDOG_PID", number, 1);
}

void systemd_stay(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

bool systemd_is_manager(void)
{
    return notify_is_open();
}

uint64_t systemd_watchdog_period(void)
{
    return watchdog_us / 1000 / 2;
}

/* A status is one line; what follows would be a message of its own. */
static int line_size(const char *status)
{
    return (int)strcspn(status, "\n");
}

/* Returns 0 or an errno. */
static int tell(int fd, int wait_ms, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int tell(int fd, int wait_ms, const char *format, ...)
{
    char message[2048];
    va_list arguments;

    if (!notify_is_open())
        return 0;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return -notify_send(message, fd, wait_ms);
}

/* What the manager waits for: without it, it ends a daemon that runs well. One line, until a
 * message gets through again. */
static void note_lost(const char *message, int error)
{
    static bool lost;

    if (error && !lost)
        log_event(EVENT_SYSTEM, NULL,
                  "cannot tell the service manager %s: %s (it may wait for that, and end the "
                  "daemon: restart the service once this is mended)",
                  message, strerror(error));
    lost = error;
}

void systemd_ready(const char *status)
{
    note_lost("READY=1", tell(-1, WAIT_MS, "READY=1\nMAINPID=%d\nSTATUS=%.*s", getpid(),
                              line_size(status), status));
}

void systemd_reloading(void)
{
    note_lost("RELOADING=1", tell(-1, WAIT_MS, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_us()));
}

void systemd_stopping(const char *status)
{
    tell(-1, WAIT_MS, "STOPPING=1\nSTATUS=%.*s", line_size(status), status);
}

void systemd_status(const char *status)
{
    tell(-1, 0, "STATUS=%.*s", line_size(status), status);
}

void systemd_extend(uint64_t milliseconds)
{
    tell(-1, 0, "EXTEND_TIMEOUT_USEC=%" PRIu64, milliseconds * 1000);
}

void systemd_watchdog(void)
{
    tell(-1, 0, "WATCHDOG=1");
}

/* The readable form: letters, digits and a few signs as they are, `:` as +, others as %HH. Returns
 * false when it is too long. */
static bool name_readably(const char *address, char name[NAME_MAX_BYTES + 1])
{
    size_t used = (size_t)snprintf(name, NAME_MAX_BYTES + 1, "%s", store_prefix);

    for (; *address; address++) {
        unsigned char byte = (unsigned char)*address;
        if (used + 3 > NAME_MAX_BYTES)
            return false;
        if (byte == ':')
            name[used++] = '+';
        else if (byte < 0x80 && (isalnum(byte) || strchr("./@_-[]", byte)))
            name[used++] = (char)byte;
        else
            used += (size_t)snprintf(name + used, 4, "%%%02X", byte);
    }
    name[used] = '\0';
    return true;
}

/* For long paths of many bytes that do not show: every byte in hexadecimal, behind a %% that the
 * readable form cannot have. */
static void name_in_hexadecimal(const char *address, char name[NAME_MAX_BYTES + 1])
{
    size_t used = (size_t)snprintf(name, NAME_MAX_BYTES + 1, "%s%%%%", store_prefix);

    for (; *address && used + 2 <= NAME_MAX_BYTES; address++)
        used += (size_t)snprintf(name + used, 3, "%02X", (unsigned char)*address);
}

static const char *store_name(const struct address *address, char name[NAME_MAX_BYTES + 1])
{
    char text[ADDRESS_TEXT_MAX];

    address_format(address, text, sizeof text);
    if (!name_readably(text, name))
        name_in_hexadecimal(text, name);
    return name;
}

void systemd_store(int fd, const struct address *address)
{
    char name[NAME_MAX_BYTES + 1];
    note_lost("FDSTORE=1", tell(fd, WAIT_MS, "FDSTORE=1\nFDNAME=%s", store_name(address, name)));
}

void systemd_unstore(const struct address *address)
{
    char name[NAME_MAX_BYTES + 1];
    note_lost("FDSTOREREMOVE=1",
              tell(-1, WAIT_MS, "FDSTOREREMOVE=1\nFDNAME=%s", store_name(address, name)));
}
