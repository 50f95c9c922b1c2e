#include "master/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* Before anything is given up, the new program is run as `forkechod -t`, with the arguments of this
 * one, and is handed the state as it is now. It has to say that it can take it over: another
 * program would not. What is executed later is this very file, whatever its name stands for by
 * then. */

enum { OUTPUT_MAX = 65536, TOLD_MAX = 400 };

static const char prefix[] = "forkechod: ";

/* The arguments with -t among them: an allocation, or NULL. */
static char **with_check(char *const *arguments)
{
    size_t count = 0;
    while (arguments[count] != NULL)
        count++;
    char **out = calloc(count + 2, sizeof(*out));
    if (out == NULL)
        return NULL;
    out[0] = arguments[0];
    out[1] = (char *)(uintptr_t) "-t";
    memcpy(out + 2, arguments + 1, (count - 1) * sizeof(*out));
    return out;
}

/* The child. What goes wrong is said where the program would say it. */
static _Noreturn void become_program(const struct upgrade *upgrade, char **arguments, int state,
                                     int configuration)
{
    char number[16];
    sigset_t none;

    setpgid(0, 0); /* whoever is first */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fcntl(state, F_SETFD, 0);
    fcntl(configuration, F_SETFD, 0);
    snprintf(number, sizeof(number), "%d", state);
    if (dup2(upgrade->output, STDOUT_FILENO) >= 0 && dup2(upgrade->output, STDERR_FILENO) >= 0 &&
        setenv(HERITAGE_VARIABLE, number, 1) == 0)
        fexecve(upgrade->program, arguments, environ);
    dprintf(upgrade->output, "%s: %s\n", upgrade->executable,
            errno == ENOEXEC || errno == ENOENT ? "not a program" : strerror(errno));
    _exit(EX_OSERR);
}

static int start_child(struct upgrade *upgrade, const struct master_start *start, int state,
                       int configuration, struct failure *why)
{
    char **arguments = with_check(start->arguments);
    if (arguments == NULL)
        return failure_errno(why, EX_OSERR, ENOMEM, "cannot start the new program");
    upgrade->child = fork();
    if (upgrade->child == 0)
        become_program(upgrade, arguments, state, configuration);
    int error = errno;
    free(arguments);
    if (upgrade->child < 0)
        return failure_errno(why, EX_OSERR, error, "cannot start the new program");
    setpgid(upgrade->child, upgrade->child);
    return 0;
}

static int hand_state(struct master *master, struct failure *why)
{
    struct heritage *heritage = succession_leave(master, why);
    if (heritage == NULL)
        return -1;
    int configuration = (int)heritage->process.configuration;
    int state = heritage_seal(heritage, why), result = -1;
    free(heritage);
    if (state >= 0) {
        result = start_child(&master->upgrade, master->start, state, configuration, why);
        close(state);
    }
    close(configuration);
    return result;
}

int preflight_start(struct master *master, struct failure *why)
{
    struct upgrade *upgrade = &master->upgrade;

    upgrade->program = open(upgrade->executable, O_PATH | O_CLOEXEC);
    if (upgrade->program < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot open %s",
                             upgrade->executable[0] == '\0' ? "the program, its path is not known"
                                                            : upgrade->executable);
    /* Who has more to say than this says it in vain. */
    upgrade->output = memfd_create("forkechod-preflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (upgrade->output < 0 || ftruncate(upgrade->output, OUTPUT_MAX) < 0 ||
        fcntl(upgrade->output, F_ADD_SEALS, F_SEAL_GROW) < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot hear the new program");
    return hand_state(master, why);
}

/* Whether the line is the answer that is waited for. */
static bool is_answer(const char *line)
{
    return strncmp(line, HERITAGE_ANSWER, sizeof(HERITAGE_ANSWER) - 1) == 0;
}

static void add_line(struct conf_mistakes *lines, const char *text)
{
    char shown[TOLD_MAX];
    if (lines->count == PREFLIGHT_LINES_MAX)
        return;
    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
        text += sizeof(prefix) - 1;
    text_escape(text, strlen(text), shown, sizeof(shown));
    char *copy = strdup(shown);
    if (copy != NULL)
        lines->lines[lines->count++] = copy;
}

/* What it said, line by line, and whether the answer was among it. */
static bool read_output(int output, struct conf_mistakes *lines)
{
    char *text = calloc(1, OUTPUT_MAX + 1), *rest = text, *line;
    bool answered = false;

    *lines = (struct conf_mistakes){ .lines = calloc(PREFLIGHT_LINES_MAX, sizeof(*lines->lines)) };
    if (text != NULL && lines->lines != NULL && pread(output, text, OUTPUT_MAX, 0) > 0)
        while ((line = strsep(&rest, "\n")) != NULL) {
            answered = answered || is_answer(line);
            if (line[0] != '\0' && !is_answer(line))
                add_line(lines, line);
        }
    free(text);
    return answered;
}

int preflight_judge(const struct upgrade *upgrade, const siginfo_t *info,
                    struct conf_mistakes *lines, struct failure *why)
{
    bool answered = read_output(upgrade->output, lines);
    const char *said = lines->count > 0 ? lines->lines[0] : NULL;

    if (info->si_code != CLD_EXITED)
        return failure_set(why, EX_SOFTWARE, "%s was killed by signal %d (%s)", upgrade->executable,
                           info->si_status, strsignal(info->si_status));
    if (info->si_status == 0 && answered)
        return 0;
    if (info->si_status == 0)
        return failure_set(why, EX_SOFTWARE,
                           "%s does not know how to take over (restart the "
                           "daemon)",
                           upgrade->executable);
    if (said != NULL)
        return failure_set(why, info->si_status, "%s", said);
    return failure_set(why, info->si_status, "%s exited with status %d", upgrade->executable,
                       info->si_status);
}

void preflight_end(struct upgrade *upgrade)
{
    if (upgrade->child > 0) {
        kill(-upgrade->child, SIGKILL);
        /* Its children, too: this process is their reaper. */
        while (waitpid(-upgrade->child, NULL, 0) > 0) {
        }
    }
    if (upgrade->output >= 0)
        close(upgrade->output);
    upgrade->child = 0;
    upgrade->output = -1;
}
