/* forkechoctl: speaks with a running forkechod. */
#include <err.h>
#include <stdio.h>

#include "base/io.h"
#include "ctl/options.h"

int main(int argc, char **argv)
{
    struct call call;

    io_repair_standard();
    options_read(argc, argv, &call);
    int status = call.command ? call.command->run(&call) : 0;
    if (fflush(stdout) || ferror(stdout)) {
        warn("standard output");
        status = status ? status : 1;
    }
    return status;
}
