/*
 * forkechod: what was typed, then the start in its order:
 *
 *   descriptors, signals, umask as a program expects them
 *   the command line
 *   what systemd passed: its variables name this process, so before any fork
 *   -t, -T, -i end here
 *   detach, unless told not to
 *   the configuration, read where it will be read again
 *   the master, until the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/title.h"
#include "conf/conf.h"
#include "log/log.h"
#include "master/master.h"
#include "options.h"
#include "service/handlers.h"
#include "session/session.h"
#include "sys/confine.h"
#include "sys/daemonize.h"
#include "sys/sandbox.h"
#include "sys/systemd.h"

static struct conf_request request_of(const struct options *options)
{
    struct conf_request request = { .file = options->file,
                                    .overrides = (const char *const *)options->overrides,
                                    .override_count = options->override_count };
    request.handler_count = handler_names(&request.handlers);
    return request;
}

static void print_mistakes(const struct conf_mistakes *mistakes, FILE *out)
{
    for (size_t i = 0; i < mistakes->count; i++)
        fprintf(out, "forkechod: %s\n", mistakes->lines[i]);
}

/* -t and -T. A running daemon that this program is to take the place of asks with -t. */
static int check(const struct conf_request *request, bool dump, const struct heritage *heritage)
{
    struct conf_mistakes mistakes = { 0 };
    struct conf *conf = conf_load(request, &mistakes);
    int status = conf == NULL ? EX_CONFIG : EX_OK;

    print_mistakes(&mistakes, stderr);
    if (conf != NULL && dump && (conf_dump(conf, stdout) < 0 || fflush(stdout) != 0)) {
        perror("forkechod: standard output");
        status = EX_IOERR;
    }
    conf_mistakes_free(&mistakes);
    conf_free(conf);
    if (status == EX_OK && heritage != NULL)
        puts(HERITAGE_ANSWER VERSION);
    return status;
}

/* Nobody is there to be told of a violation: it kills. */
static int enter_sandbox(const struct service *service, struct failure *why)
{
    char missing[64];
    int image = sandbox_make(service->sandbox == SANDBOX_OFF, why);
    if (image < 0)
        return -1;
    address_ask(STDIN_FILENO);
    int result = confine(image, missing, sizeof(missing), why);
    close(image);
    return result;
}

/* -i: this process is the session. */
static int serve_one_client(const struct conf_request *request)
{
    struct conf_mistakes mistakes = { 0 };
    struct conf *conf = conf_load(request, &mistakes);
    if (conf == NULL) {
        print_mistakes(&mistakes, stderr);
        conf_mistakes_free(&mistakes);
        return EX_CONFIG;
    }
    conf_mistakes_free(&mistakes);
    if (handler_find(conf->services[0]->handler)->sight == SEES_ALL) {
        fprintf(stderr,
                "forkechod: -i: handler %s shows a running daemon, and here is none "
                "(give the daemon a service with it)\n",
                conf->services[0]->handler);
        conf_free(conf);
        return EX_USAGE;
    }
    static struct session_plan plan;
    struct failure why;
    session_plan(&plan, conf->services[0], NULL);
    if (enter_sandbox(conf->services[0], &why) < 0) {
        fprintf(stderr, "forkechod: -i: %s\n", why.text);
        conf_free(conf);
        return why.status;
    }
    enum session_end end = session_serve_standard(&plan, NULL);
    conf_free(conf);
    return end == SESSION_SYSTEM ? EX_IOERR : EX_OK;
}

/* The mistakes reach the terminal of whoever started us, though this process may have none. */
static int refuse_start(struct conf_mistakes *mistakes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        daemonize_report(EX_OSERR, "out of memory");
        return EX_OSERR;
    }
    for (size_t i = 0; i < mistakes->count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : "\n", mistakes->lines[i]);
    fclose(out);
    daemonize_report(EX_CONFIG, text);
    free(text);
    conf_mistakes_free(mistakes);
    return EX_CONFIG;
}

static int complain(const struct failure *why)
{
    daemonize_report(why->status, why->text);
    return why->status;
}

static int serve(const struct options *options, const struct conf_request *request)
{
    struct master_start start = { .request = request,
                                  .foreground = options->foreground,
                                  .print_addresses = options->print_addresses,
                                  .arguments = options->arguments };
    struct conf_mistakes mistakes = { 0 };
    struct failure why;
    int keep[SYSTEMD_SOCKETS_MAX];

    start.passed_count = systemd_adopt(&start.passed, &why);
    if (start.passed_count < 0)
        return complain(&why);
    if (!options->foreground &&
        daemonize(keep, systemd_descriptors(keep, SYSTEMD_SOCKETS_MAX)) < 0) {
        perror("forkechod: cannot detach");
        return EX_OSERR;
    }
    if (master_open_signals(&why) < 0)
        return complain(&why);
    start.conf = conf_load(request, &mistakes);
    if (start.conf == NULL)
        return refuse_start(&mistakes);
    start.remarks = mistakes;
    return master_run(&start);
}

/* In the place of another program, which was serving. */
static int take_over(const struct options *options, const struct conf_request *request,
                     const struct heritage *heritage)
{
    struct master_start start = { .request = request,
                                  .heritage = heritage,
                                  .foreground = options->foreground,
                                  .arguments = options->arguments };
    struct failure why;

    if (master_arrive(&start, &why) < 0 || systemd_adopt(&start.passed, &why) < 0 ||
        master_open_signals(&why) < 0)
        return complain(&why);
    return master_run(&start);
}

static int run(const struct options *options, const struct conf_request *request,
               const struct heritage *heritage)
{
    switch (options->mode) {
    case MODE_HELP:
        options_print_help();
        return EX_OK;
    case MODE_VERSION:
        puts("forkechod " VERSION);
        return EX_OK;
    case MODE_CHECK:
    case MODE_DUMP:
        return check(request, options->mode == MODE_DUMP, heritage);
    case MODE_ONE_CLIENT:
        return serve_one_client(request);
    case MODE_SERVE:
        break;
    }
    return heritage == NULL ? serve(options, request) : take_over(options, request, heritage);
}

/* With what another program has left, when this one is to take its place. */
static int inherit_and_run(const struct options *options)
{
    struct conf_request request = request_of(options);
    struct failure why;
    if (heritage_descriptor() < 0)
        return run(options, &request, NULL);
    struct heritage *heritage = heritage_read(heritage_descriptor(), &why);
    if (heritage == NULL)
        return complain(&why);
    /* As it was named where the first program was started. */
    request.file = heritage->file.path[0] == '\0' ? NULL : heritage->file.path;
    int status = run(options, &request, heritage);
    free(heritage);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;

    if (heritage_descriptor() < 0) /* else signals have to wait for this program */
        daemonize_repair();
    int status = options_parse(argc, argv, &options);
    if (status == 0) {
        title_init(argc, argv);
        status = inherit_and_run(&options);
    }
    options_free(&options);
    return status;
}
