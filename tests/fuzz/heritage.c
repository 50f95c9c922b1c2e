/* Any text as what a program leaves to the next, behind the line of the versions. It is refused, or
 * it is what would be written: then the next program takes it over, and would leave the same,
 * unless descriptors or the board are not as it says. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "household.h"

/* Descriptors as the seeds have them. Their originals lie where nobody looks. */
enum { FIRST_FD = 100, ORIGINALS = 900 };
enum kind {
    CONTROL,
    SESSIONS,
    CONFIGURATION,
    PID_FILE,
    CONTROL_SOCKET,
    SOCKET,
    OTHER_SOCKET,
    CHANNEL,
    CLIENT,
    KINDS
};

enum { PID = 4711 };

pid_t getpid(void)
{
    return PID;
}

static int listening(void)
{
    struct sockaddr_un any = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    HOLDS(bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) == 0);
    HOLDS(listen(fd, 1) == 0);
    return fd;
}

static void keep(enum kind kind, int fd)
{
    HOLDS(fd >= 0 && dup3(fd, ORIGINALS + (int)kind, O_CLOEXEC) >= 0);
    close(fd);
}

static void make_originals(void)
{
    struct house house;
    int pair[2];
    house_build(&house);
    keep(CONTROL, dup(house.master->board.fds[0]));
    keep(SESSIONS, dup(house.master->board.fds[1]));
    house_end(&house);
    keep(CONFIGURATION, io_sealed_memfd("fuzz", "", 0));
    keep(PID_FILE, open("/dev/null", O_RDWR | O_CLOEXEC));
    for (enum kind kind = CONTROL_SOCKET; kind <= OTHER_SOCKET; kind++)
        keep(kind, listening());
    HOLDS(channel_pair(pair) == 0);
    keep(CHANNEL, pair[0]);
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    keep(CLIENT, pair[0]);
}

static void place_descriptors(void)
{
    static bool made;
    if (!made)
        make_originals();
    made = true;
    for (int i = 0; i < KINDS; i++)
        HOLDS(dup3(ORIGINALS + i, FIRST_FD + i, O_CLOEXEC) >= 0);
}

static char *put_versions(const uint8_t *bytes, size_t size, size_t *length)
{
    char *text = malloc(size + 64);
    *length = (size_t)snprintf(text, 64, "program %d %d %d 1.0.0\n", HERITAGE_VERSION,
                               BOARD_VERSION, CHANNEL_VERSION);
    memcpy(text + *length, bytes, size);
    *length += size;
    return realloc(text, *length);
}

/* What was understood is written as it was read. */
static void check_written(const struct heritage *heritage, const char *text, size_t size)
{
    struct failure why;
    char *written = NULL;
    size_t length;
    FILE *out = open_memstream(&written, &length);
    HOLDS(heritage_write(heritage, out, &why) == 0);
    fclose(out);
    struct heritage *again = malloc(sizeof(*again));
    HOLDS(heritage_parse(written, length, again, &why) == 0);
    HOLDS(memcmp(heritage, again, sizeof(*again)) == 0);
    (void)text;
    (void)size;
    free(again);
    free(written);
}

/* Returns false where it names some that it must not close: the fuzzer's own, and the originals. */
static bool check_descriptors(const struct heritage *heritage)
{
    static int all[HERITAGE_DESCRIPTORS_MAX];
    size_t count = heritage_descriptors(heritage, all);
    bool harmless = true;
    HOLDS(count <= HERITAGE_DESCRIPTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        HOLDS(all[i] > STDERR_FILENO);
        harmless = harmless && all[i] >= FIRST_FD && all[i] < ORIGINALS;
    }
    return harmless;
}

static void compare(const struct heritage *before, const struct heritage *after)
{
    HOLDS(before->service_count == after->service_count);
    for (size_t i = 0; i < before->service_count; i++) {
        struct heritage_service service = before->services[i];
        if (conf_find(house_conf(), service.name) == NULL)
            service.configured = 0;
        HOLDS(memcmp(&service, &after->services[i], sizeof(service)) == 0);
    }
    HOLDS(before->generation_count == after->generation_count);
    HOLDS(before->socket_count == after->socket_count);
    for (size_t i = 0; i < before->socket_count; i++)
        HOLDS(before->sockets[i].fd == after->sockets[i].fd);
    HOLDS(before->process.last_number == after->process.last_number &&
          before->process.log_switch == after->process.log_switch &&
          strcmp(before->process.user, after->process.user) == 0 &&
          strcmp(before->pid_path.path, after->pid_path.path) == 0);
}

static void take_over(const struct heritage *heritage)
{
    static const struct conf_request request;
    static const struct master_start start = { .request = &request };
    struct house house = { .listener = { -1, -1 } };
    struct failure why = { .text = "" };

    place_descriptors();
    house.master = calloc(1, sizeof(*house.master));
    house.master->start = &start;
    house.master->conf = house_conf();
    control_init(house.master);
    if (succession_take(house.master, heritage, &why) == 0) {
        struct heritage *left = succession_leave(house.master, &why);
        HOLDS(left != NULL);
        compare(heritage, left);
        close((int)left->process.configuration);
        free(left);
    } else {
        HOLDS(why.text[0] != '\0');
    }
    house_end(&house);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct failure why = { .text = "" };
    size_t length;
    char *text = put_versions(bytes, size, &length);
    struct heritage *heritage = malloc(sizeof(*heritage));

    if (heritage_parse(text, length, heritage, &why) == 0) {
        check_written(heritage, text, length);
        if (check_descriptors(heritage))
            take_over(heritage);
    } else {
        HOLDS(why.text[0] != '\0');
    }
    free(heritage);
    free(text);
    return 0;
}
