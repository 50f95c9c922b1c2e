#include "ctl/commands.h"

#include <string.h>

#include "base/text.h"

enum { MANY = 200 };

const struct command commands[] = {
    { .name = "status",
      .arguments = "[SERVICE]",
      .help = "how the daemon and its services do, or one of them in full",
      .options = "jS",
      .most = 1,
      .run = look_status },
    { .name = "list",
      .arguments = "",
      .help = "the sessions: who is connected, for how long, with how many bytes",
      .options = "jScnkH",
      .run = look_list },
    { .name = "top",
      .arguments = "",
      .help = "the same live, on a terminal; h shows its keys",
      .options = "Scnki1",
      .run = top_run },
    { .name = "reload",
      .arguments = "",
      .help = "read the configuration again, and wait for what comes of it",
      .options = "j",
      .run = act_run,
      .done = "reload accepted",
      .refused = "reload rejected, the old configuration stays in force" },
    { .name = "upgrade",
      .arguments = "",
      .help = "have the program on disk take the place of the running one",
      .options = "j",
      .run = act_run,
      .done = "upgraded",
      .refused = "upgrade rejected" },
    { .name = "pause",
      .arguments = "SERVICE",
      .help = "take no clients: they wait in the kernel's queue",
      .options = "j",
      .least = 1,
      .most = 1,
      .run = act_run },
    { .name = "resume",
      .arguments = "SERVICE",
      .help = "undo pause and drain",
      .options = "j",
      .least = 1,
      .most = 1,
      .run = act_run },
    { .name = "drain",
      .arguments = "[SERVICE]",
      .help = "close the service's addresses; without SERVICE: end the daemon in order",
      .options = "j",
      .most = 1,
      .run = act_run },
    { .name = "kill",
      .arguments = "ID...",
      .help = "end these sessions, or with --client all of one client",
      .options = "jc",
      .most = MANY,
      .run = act_kill,
      .refused = "not every session could be ended" },
    { .name = "scale",
      .arguments = "SERVICE N|auto",
      .help = "have so many workers in a prefork service's pool",
      .options = "j",
      .least = 2,
      .most = 2,
      .run = act_run },
    { .name = "log",
      .arguments = "LEVEL|default",
      .help = "log from this level on, whatever is configured",
      .options = "j",
      .least = 1,
      .most = 1,
      .run = act_run },
    { .name = "check",
      .arguments = "",
      .help = "see whether slots, processes, groups and descriptors agree",
      .options = "j",
      .run = act_run,
      .refused = "they do not agree" },
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

const size_t command_count = COMMAND_COUNT;

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *names[COMMAND_COUNT];

    for (size_t i = 0; i < command_count; i++)
        names[i] = commands[i].name;
    return text_nearest(name, names, command_count);
}
