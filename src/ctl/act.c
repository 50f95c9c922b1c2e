/* The acting commands: a request goes to the control socket, and what comes of it to the terminal.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"

/* What is wrong goes to standard error, where a caller looks for the reason of a failure. */
static void tell(void *context, enum control_verdict verdict, const char *line)
{
    const struct command *command = context;
    bool good = verdict == CONTROL_OK;

    if (line)
        fprintf(good && !command->done ? stdout : stderr, "%s\n", line);
    else if (good && command->done)
        puts(command->done);
    else if (!good && command->refused)
        warnx("%s", command->refused);
}

/* The daemon's text is escaped already, but for what JSON has of its own. */
static void print_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        putc(*text, out);
    }
    putc('"', out);
}

/* Collects the lines: whether all of them came is known at the end. */
static void collect(void *context, enum control_verdict verdict, const char *line)
{
    FILE *lines = context;

    (void)verdict;
    if (!line)
        return;
    if (ftell(lines) > 0)
        putc(',', lines);
    print_string(lines, line);
}

/* Prints {"ok":true,"lines":[…]} or {"ok":false,"error":"…","lines":[…]}. */
static int ask_json(const struct call *call, const char *request, struct failure *why)
{
    char *text = NULL;
    size_t size;
    FILE *lines = open_memstream(&text, &size);

    if (!lines)
        err(EXIT_UNREACHABLE, "the answer");
    int verdict = control_ask(&call->control, request, collect, lines, why);
    if (fclose(lines))
        err(EXIT_UNREACHABLE, "the answer");
    printf("{\"ok\":%s,", verdict == CONTROL_OK ? "true" : "false");
    if (verdict != CONTROL_OK) {
        const char *refused = call->command->refused ? call->command->refused : "refused";
        fputs("\"error\":", stdout);
        print_string(stdout, verdict == CONTROL_REJECTED ? refused : why->text);
        putchar(',');
    }
    printf("\"lines\":[%s]}\n", text);
    free(text);
    return verdict;
}

static int ask(const struct call *call, const char *request)
{
    struct failure why;
    int verdict;

    if (call->json) {
        verdict = ask_json(call, request, &why);
    } else {
        verdict = control_ask(&call->control, request, tell, (void *)call->command, &why);
        if (verdict < 0 || verdict == CONTROL_ERROR)
            warnx("%s", why.text);
    }
    if (verdict < 0)
        return EXIT_UNREACHABLE;
    return verdict == CONTROL_OK ? 0 : 1;
}

/* Asks `name` with the words behind it. */
static int ask_words(const struct call *call, const char *name, char *const *words)
{
    char request[CONTROL_LINE_MAX];
    size_t length = (size_t)snprintf(request, sizeof request, "%s", name);

    for (; *words && length < sizeof request; words++)
        length += (size_t)snprintf(request + length, sizeof request - length, " %s", *words);
    if (length >= sizeof request - 1)
        errx(EXIT_UNREACHABLE, "the arguments are longer than %zu bytes", sizeof request - 2);
    return ask(call, request);
}

int act_run(const struct call *call)
{
    return ask_words(call, call->command->name, call->arguments);
}

int act_kill(const struct call *call)
{
    char *const client[] = { (char *)call->client, NULL };

    if (!call->client && !call->count)
        errx(EXIT_UNREACHABLE, "kill whom? Give IDs, or --client ADDRESS\n"
                               "Try `forkechoctl --help`.");
    if (call->client && call->count)
        errx(EXIT_UNREACHABLE, "IDs and --client cannot be together\nTry `forkechoctl --help`.");
    return call->client ? ask_words(call, "kill-client", client) : act_run(call);
}
