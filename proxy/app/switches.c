/*
 * --enable-plugin and --disable-plugin: they add to and take from the lists that file and environment gave, so the
 * configuration is read once for the lists and then again with the new ones as flags.
 */
#include <app/app.h>

#define NAMES_MAX 256

struct names {
    struct ccp_span v[NAMES_MAX];
    size_t n;
};

static void take_out(struct names *names, struct ccp_span name)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->n; i++)
        if (!ccp_span_eq(names->v[i], name))
            names->v[kept++] = names->v[i];
    names->n = kept;
}

static void put_in(struct names *names, struct ccp_span name)
{
    take_out(names, name);
    if (names->n < NAMES_MAX)
        names->v[names->n++] = name;
}

static void copy(struct names *names, const struct ccp_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        put_in(names, list->v[i]);
}

static bool add_list(struct sets *s, const char *flag, const char *key, const struct names *names)
{
    struct ccp_buf text;
    buf_init(&text, 64 * 1024);
    for (size_t i = 0; i < names->n; i++)
        buf_printf(&text, "%s%.*s", i != 0 ? "," : "", CCP_FMT(names->v[i]));
    bool fine = !text.failed && (names->n != 0 ? sets_add(s, "--%s %s=%.*s", flag, key, CCP_FMT(buf_span(&text)))
                                               : sets_add(s, "--%s %s=[]", flag, key));
    buf_release(&text);
    return fine;
}

static bool apply(struct sets *s, const struct args *args, struct config *c)
{
    struct top_settings top = {.enable_plugins = true};
    struct config_section section = {"", settings_top_rows, NULL, &top, NULL};
    struct names *on = calloc(2, sizeof(*on));
    if (on == NULL)
        return false;
    struct names *off = on + 1;
    config_bind(c, &section);
    bool limited = config_is_set(c, "", "enabled_plugins", NULL);
    copy(on, &top.enabled_plugins);
    copy(off, &top.disabled_plugins);
    for (size_t i = 0; i < args->hit_n; i++) {
        struct ccp_span name = ccp_span_z(args->hits[i].value);
        if (strcmp(args->hits[i].option->name, "enable-plugin") == 0) {
            put_in(on, name);
            take_out(off, name);
        } else if (strcmp(args->hits[i].option->name, "disable-plugin") == 0) {
            put_in(off, name);
            take_out(on, name);
        }
    }
    bool fine = add_list(s, "disable-plugin", "disabled_plugins", off) &&
                (!limited || add_list(s, "enable-plugin", "enabled_plugins", on));
    free(on);
    return fine;
}

bool sets_add_switches(struct sets *s, const struct args *args, const struct config_source *source)
{
    if (!args_has(args, "enable-plugin") && !args_has(args, "disable-plugin"))
        return true;
    struct config *c = config_load(source);
    bool fine = c != NULL && apply(s, args, c);
    config_unref(c);
    return fine;
}
