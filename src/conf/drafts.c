#include "conf/drafts.h"

#include <stdlib.h>
#include <string.h>

#include "conf/lists.h"

/* Puts a list behind the object and its place into the option's member. */
static void append_list(struct findings *findings, struct draft *draft,
                        const struct conf_option *option, const struct list *list, size_t item_size)
{
    size_t offset = (draft->size + 7) / 8 * 8, size = list->count * item_size;

    if (!list->count)
        return;
    char *more = realloc(draft->object, offset + size);
    if (!more) {
        findings->out_of_memory = true;
        return;
    }
    memset(more + draft->size, 0, offset - draft->size);
    memcpy(more + offset, list->items, size);
    draft->object = more;
    draft->size = offset + size;
    *(struct span *)(void *)(more + option->offset) =
        (struct span){ (uint32_t)offset, (uint32_t)list->count };
}

static void read_list(struct findings *findings, struct draft *draft,
                      const struct conf_option *option, const struct setting *setting)
{
    struct list list = { 0 };

    if (option->type == OPTION_ADDRESSES) {
        lists_addresses(findings, setting, &list);
        append_list(findings, draft, option, &list, sizeof(struct address));
    } else {
        lists_networks(findings, setting, &list);
        append_list(findings, draft, option, &list, sizeof(struct network));
    }
    free(list.items);
}

static bool is_handler(const struct conf_request *request, const char *name)
{
    for (size_t i = 0; i < request->handler_count; i++)
        if (!strcmp(request->handlers[i], name))
            return true;
    return false;
}

static void refuse_handler(struct findings *findings, const struct conf_request *request,
                           const struct setting *setting)
{
    const char *nearest = text_nearest(setting->value, request->handlers, request->handler_count);
    char all[256] = "";

    for (size_t i = 0, used = 0; i < request->handler_count; i++) {
        size_t length = strlen(request->handlers[i]);
        if (used + length + 3 > sizeof(all))
            break;
        memcpy(all + used, i ? ", " : "", i ? 2 : 0);
        used += i ? 2 : 0;
        memcpy(all + used, request->handlers[i], length + 1);
        used += length;
    }
    findings_error(findings, &setting->place, "not a handler \"%s\" (%s%s%s)",
                   show(setting->value, strlen(setting->value)).text,
                   nearest ? "did you mean " : "", nearest ? nearest : all, nearest ? "?" : "");
}

static void read_scalar(struct findings *findings, const struct conf_request *request,
                        struct draft *draft, const struct conf_option *option,
                        const struct setting *setting)
{
    struct option_mistake mistake;
    bool *bad = &draft->bad[option - conf_options];

    if (setting && !option_read(option, setting->value, draft->object, &mistake)) {
        findings_error(findings, &setting->place, "%s \"%s\" (%s)", mistake.what,
                       show(setting->value, strlen(setting->value)).text, mistake.right);
        *bad = true;
    } else if (setting && option->type == OPTION_HANDLER && !is_handler(request, setting->value)) {
        refuse_handler(findings, request, setting);
        *bad = true;
    }
    if (!setting || *bad)
        option_read(option, option->preset, draft->object, &mistake);
}

void draft_read(struct findings *findings, const struct conf_request *request,
                const struct layers *layers, const struct layer *layer, struct draft *out)
{
    *out = (struct draft){ .layer = layer };
    out->size =
        layer->scope == OPTION_IN_DAEMON ? sizeof(struct conf_daemon) : sizeof(struct service);
    if (!(out->object = calloc(1, out->size))) {
        findings->out_of_memory = true;
        return;
    }
    for (int i = 0; i < OPTIONS; i++) {
        const struct conf_option *option = &conf_options[i];
        const struct setting *setting = layers_setting(layers, layer, i);
        if (!option_fits(option, layer->scope))
            continue;
        if (option->type != OPTION_ADDRESSES && option->type != OPTION_NETWORKS)
            read_scalar(findings, request, out, option, setting);
        else if (setting)
            read_list(findings, out, option, setting);
    }
}

void draft_free(struct draft *draft)
{
    free(draft->object);
    *draft = (struct draft){ 0 };
}
