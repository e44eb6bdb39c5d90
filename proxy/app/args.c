/*
 * Option parsing: see args.h. It knows no command and no configuration; what an option means is in the tables.
 */
#include <app/args.h>

#include <base/secret.h>
#include <config/config.h>

#include <ctype.h>

#define NAMES_MAX 64

struct reader {
    const struct arg_option *const *tables;
    char **argv;
    int argc, at;
    struct args *out;
};

static bool refuse(struct args *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct args *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->error, sizeof(out->error), fmt, ap);
    va_end(ap);
    return false;
}

static const struct arg_option *option_at(const struct arg_option *const *tables, size_t i)
{
    for (; *tables != NULL; tables++)
        for (const struct arg_option *o = *tables; o->name != NULL; o++)
            if (i-- == 0)
                return o;
    return NULL;
}

static const struct arg_option *find_long(const struct arg_option *const *tables, struct ccp_span name)
{
    const struct arg_option *o;
    for (size_t i = 0; (o = option_at(tables, i)) != NULL; i++)
        if (ccp_span_is(name, o->name))
            return o;
    return NULL;
}

static const struct arg_option *find_short(const struct arg_option *const *tables, char letter)
{
    const struct arg_option *o;
    for (size_t i = 0; (o = option_at(tables, i)) != NULL; i++)
        if (o->letter == letter)
            return o;
    return NULL;
}

static bool refuse_unknown(struct reader *r, struct ccp_span name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    const struct arg_option *o;
    for (; n < NAMES_MAX && (o = option_at(r->tables, n)) != NULL; n++)
        names[n] = o->name;
    const char *nearest = config_nearest(name, names, n);
    int shown = name.n < 60 ? (int)name.n : 60;
    if (nearest != NULL)
        return refuse(r->out, "unknown option --%.*s (did you mean --%s?)", shown, name.p, nearest);
    return refuse(r->out, "unknown option --%.*s", shown, name.p);
}

/* The last word of the key decides; keys of [plugins.x.headers] may hold anything. */
bool args_key_is_secret(struct ccp_span key)
{
    static const char *const words[] = {"token", "key", "secret", "password", "passphrase", "headers", "proxy"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t at = 0, n = strlen(words[i]); at + n <= key.n; at++)
            if (strncasecmp(key.p + at, words[i], n) == 0)
                return true;
    return false;
}

/* Where the part to be overwritten begins; NULL = nothing of it is secret. */
static char *secret_part(const struct arg_option *o, char *value)
{
    if (o->kind == ARG_SECRET)
        return value;
    char *sign = o->kind == ARG_SET ? strchr(value, '=') : NULL;
    if (sign != NULL && args_key_is_secret(ccp_span_of(value, (size_t)(sign - value))))
        return sign + 1;
    return NULL;
}

static bool add_hit(struct reader *r, const struct arg_option *o, char *value)
{
    struct arg_hit *hit = &r->out->hits[r->out->hit_n];
    *hit = (struct arg_hit){.option = o, .value = value};
    char *secret = secret_part(o, value);
    if (secret != NULL) {
        hit->locked = secret_new(ccp_span_of(value, strlen(value) + 1));
        if (hit->locked == NULL)
            return refuse(r->out, "--%s: the value is too long or memory ended", o->name);
        /* Revealed for the configuration, which reads it as the text of a flag. */
        hit->value = secret_reveal(hit->locked).p;
        secret_wipe(secret, strlen(secret));
    }
    r->out->hit_n++;
    return true;
}

static bool take_value(struct reader *r, const struct arg_option *o, char *attached)
{
    if (attached == NULL && r->at + 1 >= r->argc)
        return refuse(r->out, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    return add_hit(r, o, attached != NULL ? attached : r->argv[++r->at]);
}

static bool read_long(struct reader *r, char *text)
{
    static char none[] = "";
    char *sign = strchr(text, '=');
    struct ccp_span name = ccp_span_of(text, sign != NULL ? (size_t)(sign - text) : strlen(text));
    const struct arg_option *o = find_long(r->tables, name);
    if (o == NULL)
        return refuse_unknown(r, name);
    if (o->kind != ARG_FLAG)
        return take_value(r, o, sign != NULL ? sign + 1 : NULL);
    if (sign != NULL)
        return refuse(r->out, "--%s takes no value", o->name);
    return add_hit(r, o, none);
}

static bool read_short(struct reader *r, char *text)
{
    static char none[] = "";
    for (; *text != '\0'; text++) {
        const struct arg_option *o = find_short(r->tables, *text);
        if (o == NULL)
            return refuse(r->out, isprint((unsigned char)*text) ? "unknown option -%c" : "unknown option", *text);
        if (o->kind != ARG_FLAG)
            return take_value(r, o, text[1] != '\0' ? text + 1 : NULL);
        if (!add_hit(r, o, none))
            return false;
    }
    return true;
}

bool args_parse(const struct arg_option *const *tables, int argc, char **argv, struct args *out)
{
    struct reader r = {tables, argv, argc, 0, out};
    size_t room = 1; /* bundled letters make several hits of one argument */
    for (int i = 0; i < argc; i++)
        room += strlen(argv[i]) + 1;
    *out = (struct args){.hits = calloc(room, sizeof(*out->hits)), .operands = calloc(room, sizeof(char *))};
    if (out->hits == NULL || out->operands == NULL)
        return refuse(out, "out of memory");
    for (bool operands_only = false; r.at < argc; r.at++) {
        char *text = argv[r.at];
        if (operands_only || text[0] != '-' || text[1] == '\0')
            out->operands[out->operand_n++] = text;
        else if (strcmp(text, "--") == 0)
            operands_only = true;
        else if (!(text[1] == '-' ? read_long(&r, text + 2) : read_short(&r, text + 1)))
            return false;
    }
    return true;
}

bool args_unknown(const struct arg_option *const *tables, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        size_t n = strcspn(argv[i] + 2, "=");
        const struct arg_option *o = find_long(tables, ccp_span_of(argv[i] + 2, n));
        if (o == NULL)
            return true;
        i += o->kind != ARG_FLAG && argv[i][2 + n] == '\0'; /* the next one is its value, whatever it looks like */
    }
    return false;
}

void args_release(struct args *a)
{
    for (size_t i = 0; i < a->hit_n; i++)
        secret_unref(a->hits[i].locked);
    free(a->hits);
    free(a->operands);
    *a = (struct args){.hits = NULL};
}

const char *args_get(const struct args *a, const char *name)
{
    for (size_t i = a->hit_n; i > 0; i--)
        if (strcmp(a->hits[i - 1].option->name, name) == 0)
            return a->hits[i - 1].value;
    return NULL;
}

bool args_has(const struct args *a, const char *name)
{
    return args_get(a, name) != NULL;
}

void args_print_help(const struct arg_option *const *tables, FILE *out)
{
    const struct arg_option *o;
    for (size_t i = 0; (o = option_at(tables, i)) != NULL; i++) {
        char left[64];
        int n = o->letter != '\0' ? snprintf(left, sizeof(left), "-%c, --%s", o->letter, o->name)
                                  : snprintf(left, sizeof(left), "    --%s", o->name);
        if (o->value != NULL)
            snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->value);
        fprintf(out, "  %-28s %s\n", left, o->help);
    }
}
