#include "conf/lists.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"

enum { TOKEN_MAX = TEXTFILE_LINE_MAX };

static void add(struct findings *findings, struct list *list, const void *item, size_t size)
{
    char *more = list->items;

    /* Grown by doubling, at each power of two. */
    if (!(list->count & (list->count - 1))) {
        more = reallocarray(more, list->count ? 2 * list->count : 1, size);
        if (!more) {
            findings->out_of_memory = true;
            return;
        }
        list->items = more;
    }
    memcpy(more + list->count++ * size, item, size);
}

/* Copies the next word of a list parted by blanks and commas. False at the end. */
static bool next_word(const char **cursor, char word[TOKEN_MAX + 1])
{
    const char *text = *cursor + strspn(*cursor, " \t,");
    size_t length = strcspn(text, " \t,");

    if (length > TOKEN_MAX)
        length = TOKEN_MAX;
    memcpy(word, text, length);
    word[length] = '\0';
    *cursor = text + length;
    return length > 0;
}

static bool is_there(const struct list *list, const struct address *address)
{
    const struct address *known = list->items;

    for (size_t i = 0; i < list->count; i++)
        if (address_equal(&known[i], address) && !address_is_any_port(address))
            return true;
    return false;
}

void lists_addresses(struct findings *findings, const struct setting *setting, struct list *out)
{
    const char *cursor = setting->value, *hint = "";
    char word[TOKEN_MAX + 1];

    while (next_word(&cursor, word)) {
        struct address found[2];
        int count = address_parse(word, found, &hint);
        if (count < 0)
            findings_error(findings, &setting->place, "not an address \"%s\" (%s)",
                           show(word, strlen(word)).text, hint);
        for (int i = 0; i < count; i++) {
            if (is_there(out, &found[i]))
                findings_error(findings, &setting->place, "listed twice: \"%s\"",
                               show(word, strlen(word)).text);
            else
                add(findings, out, &found[i], sizeof(*found));
        }
    }
    if (out->count > SERVICE_SOCKETS_MAX)
        findings_error(findings, &setting->place,
                       "%zu addresses (at most %d in a service; a bare port is two)", out->count,
                       SERVICE_SOCKETS_MAX);
}

static void add_network(struct findings *findings, const struct conf_place *place, const char *word,
                        struct list *out)
{
    const char *hint = "";
    struct network network;

    if (network_parse(word, &network, &hint) < 0)
        findings_error(findings, place, "not an address or a network \"%s\" (%s)",
                       show(word, strlen(word)).text, hint);
    else
        add(findings, out, &network, sizeof(network));
}

/* One a line; a # at the beginning, or behind a blank, begins a comment. */
static void read_list_file(struct findings *findings, struct conf_place place, const char *path,
                           struct list *out)
{
    struct textfile file;
    struct textline line = { 0 };
    char word[TOKEN_MAX + 1];

    if (!textfile_read(findings, place, path, &file))
        return;
    place.file = path;
    while (textfile_next(&file, &line)) {
        place.line = line.number;
        if (!textline_check(findings, &place, &line))
            continue;
        memcpy(word, line.text, line.length);
        word[line.length] = '\0';
        char *text = word + strspn(word, " \t");
        char *end = text + strcspn(text, " \t");
        if (*text == '#' || !*text)
            continue;
        size_t blanks = strspn(end, " \t");
        if (end[blanks] && end[blanks] != '#') {
            findings_error(findings, &place,
                           "more than one word: \"%s\" (one address or network a "
                           "line, or a comment with #)",
                           show(text, strlen(text)).text);
            continue;
        }
        *end = '\0';
        add_network(findings, &place, text, out);
    }
    textfile_free(&file);
}

static void sort_once(struct list *list)
{
    struct network *networks = list->items;
    size_t kept = 0;

    if (!list->count)
        return;
    qsort(networks, list->count, sizeof(*networks), network_compare);
    for (size_t i = 1; i < list->count; i++)
        if (network_compare(&networks[kept], &networks[i]))
            networks[++kept] = networks[i];
    list->count = kept + 1;
}

void lists_networks(struct findings *findings, const struct setting *setting, struct list *out)
{
    const char *cursor = setting->value;
    char word[TOKEN_MAX + 1];

    while (next_word(&cursor, word)) {
        if (*word == '/')
            read_list_file(findings, setting->place, word, out);
        else
            add_network(findings, &setting->place, word, out);
    }
    sort_once(out);
}
