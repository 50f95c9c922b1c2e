/*
 * A program that a test puts where the daemon's stood. What it does wrong
 * stands in the file of its own name with .act behind it, and in a second line where the real
 * program is.
 *
 *   fails      says why and ends with a status
 *   mute       only ends with a status
 *   crashes    is killed by a signal
 *   hangs      never ends
 *   babbles    says far more than anybody wants to hear, and fails
 *   agrees     ends well, and has not understood what it was asked
 *   ancient    hands the state, as one of another version, to the real program
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char act[32], real[PATH_MAX];

static int fails(char **argv)
{
    (void)argv;
    fputs("stranger: no \033[31mlibrary\n", stderr);
    return 3;
}

static int mute(char **argv)
{
    (void)argv;
    return 4;
}

static int crashes(char **argv)
{
    (void)argv;
    return raise(SIGKILL);
}

static _Noreturn int hangs(char **argv)
{
    (void)argv;
    for (;;)
        pause();
}

static int babbles(char **argv)
{
    (void)argv;
    for (int i = 0; i < 1000000; i++)
        puts("blah");
    return 2;
}

static int agrees(char **argv)
{
    (void)argv;
    return 0;
}

/* "program VERSION …": another version. Everything else stays. */
static int ancient(char **argv)
{
    static const char word[] = "program ";
    static char text[1 << 20];
    int old = atoi(getenv("FORKECHOD_STATE"));
    ssize_t size = pread(old, text, sizeof(text), 0);
    if (size < (ssize_t)sizeof(word) || memcmp(text, word, sizeof(word) - 1) != 0)
        return 5;
    text[sizeof(word) - 1] = '9';
    int new = memfd_create("other", MFD_ALLOW_SEALING);
    if (write(new, text, (size_t)size) != size ||
        fcntl(new, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0 ||
        dup2(new, old) < 0)
        return 6;
    execv(real, argv);
    return 7;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*act)(char **argv);
    } acts[] = {
        { "fails", fails },     { "mute", mute },     { "crashes", crashes }, { "hangs", hangs },
        { "babbles", babbles }, { "agrees", agrees }, { "ancient", ancient },
    };
    char path[PATH_MAX + sizeof(".act")];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);

    (void)argc;
    memcpy(path + (length < 0 ? 0 : length), ".act", sizeof(".act"));
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%31s %4095s", act, real) < 1)
        return 64;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(act, acts[i].name) == 0)
            return acts[i].act(argv);
    return 64;
}
