/*
 * Stands in the place of the listener's program, and becomes it with more of an environment than
 * the master lets through. The file of its own name with .environment behind it has the path of
 * the listener, and then variables, each in a line.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char listener[PATH_MAX], variable[PATH_MAX];

static char *read_line(char *into, FILE *file)
{
    if (fgets(into, PATH_MAX, file) == NULL)
        return NULL;
    into[strcspn(into, "\n")] = '\0';
    return into;
}

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(".environment"));
    FILE *file;

    (void)argc;
    if (length < 0)
        return 1;
    strcpy(path + length, ".environment");
    file = fopen(path, "re");
    if (file == NULL || read_line(listener, file) == NULL)
        return 2;
    while (read_line(variable, file) != NULL)
        if (putenv(strdup(variable)) != 0)
            return 3;
    execv(listener, argv);
    return 4;
}
