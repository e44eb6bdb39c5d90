/*
 * A configuration out of any bytes: file, environment and flags are refused with readable words or bound, twice the
 * same way; `config show` never prints a secret, is TOML, and read again gives the same values.
 *
 * The input is the file, then, each behind a form feed, "NAME=value" of the environment or "--set key=value". Bound by
 * the program's own rows, so every rule between settings is in play; nothing is opened that could reach a network.
 */
#include "fuzz.h"

#include <config/config_impl.h>
#include <plugin/runtime.h>
#include <sys/mman.h>
#include <unistd.h>

#define MARK "s3cr3t"

enum { ENTRIES_MAX = 32 };

struct input {
    struct ccp_span file;
    char *environ[ENTRIES_MAX + 1], *sets[ENTRIES_MAX + 1];
    size_t environ_n, set_n;
};

static void take_entry(struct input *in, struct ccp_span entry)
{
    if (ccp_span_starts(entry, CCP_SPAN("--set ")) && in->set_n < ENTRIES_MAX)
        in->sets[in->set_n++] = strndup(entry.p + 6, entry.n - 6);
    else if (in->environ_n < ENTRIES_MAX)
        in->environ[in->environ_n++] = strndup(entry.p, entry.n);
}

static void take(struct input *in, struct ccp_span rest)
{
    *in = (struct input){.file = ccp_span_of(rest.p, ccp_span_find(rest, '\f'))};
    rest = ccp_span_skip(rest, in->file.n + 1);
    while (rest.n != 0) {
        struct ccp_span entry = ccp_span_of(rest.p, ccp_span_find(rest, '\f'));
        take_entry(in, entry);
        rest = ccp_span_skip(rest, entry.n + 1);
    }
}

static void drop(struct input *in)
{
    for (size_t i = 0; i < in->environ_n; i++)
        free(in->environ[i]);
    for (size_t i = 0; i < in->set_n; i++)
        free(in->sets[i]);
}

static struct runtime *bound(struct ccp_span text, struct input *in)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config *c = config_load(&(struct config_source){
        .file = path, .environ = in != NULL ? in->environ : NULL, .sets = in != NULL ? (void *)in->sets : NULL});
    close(fd);
    MUST(c != NULL);
    struct runtime *rt = runtime_bind(c);
    MUST(rt != NULL);
    return rt;
}

/* Refusals are shown on terminals and written to logs. */
static void faults_are_readable(const struct config *c)
{
    size_t n, bad;
    const struct config_fault *f = config_faults(c, &n);
    for (size_t i = 0; i < n; i++) {
        MUST(f[i].text.n != 0 && f[i].text.n < 4096 && config_utf8(f[i].text, &bad));
        for (size_t k = 0; k < f[i].text.n; k++)
            MUST((unsigned char)f[i].text.p[k] >= 0x20 && f[i].text.p[k] != 0x7f);
    }
}

static void same_faults(const struct config *a, const struct config *b)
{
    size_t n, m;
    const struct config_fault *f = config_faults(a, &n), *g = config_faults(b, &m);
    MUST(n == m && config_ok(a) == config_ok(b));
    for (size_t i = 0; i < n; i++) /* the path of the file differs, so compare what stands behind it */
        MUST(f[i].warning == g[i].warning);
}

static size_t occurrences(struct ccp_span text, const char *part)
{
    size_t n = 0, length = strlen(part);
    for (const char *p; text.n >= length && (p = memmem(text.p, text.n, part, length)) != NULL; n++)
        text = ccp_span_skip(text, (size_t)(p - text.p) + length);
    return n;
}

/* Secrets that hold the mark once. */
static size_t sealed_marks(const struct config *c, size_t *all)
{
    size_t marks = 0;
    for (const struct bound *b = c->bound; b != NULL; b = b->next)
        for (const struct sealed *s = b->secrets; s != NULL; s = s->next) {
            marks += occurrences(secret_reveal(s->secret), MARK) == 1;
            ++*all;
        }
    return marks;
}

static struct ccp_buf shown(struct runtime *rt, bool json)
{
    struct ccp_buf out;
    buf_init(&out, 16 << 20);
    size_t n;
    struct config_section *sections = runtime_sections(rt, &n);
    MUST(sections != NULL && config_show(rt->config, sections, n, json, &out));
    return out;
}

static json_t *values(struct runtime *rt)
{
    struct ccp_buf out = shown(rt, true);
    json_error_t e;
    json_t *all = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e), *section, *entry;
    const char *path, *key;
    MUST(all != NULL);
    json_object_foreach(all, path, section) json_object_foreach(section, key, entry) json_object_del(entry, "origin");
    buf_release(&out);
    return all;
}

static void show(struct runtime *rt, struct ccp_span whole)
{
    struct ccp_buf text = shown(rt, false), json = shown(rt, true);
    size_t secrets = 0, marks = sealed_marks(rt->config, &secrets);
    if (occurrences(whole, MARK) == marks && occurrences(whole, "${") == 0)
        MUST(occurrences(buf_span(&text), MARK) == 0 && occurrences(buf_span(&json), MARK) == 0);
    if (occurrences(buf_span(&text), "${") == 0 && occurrences(buf_span(&text), "file:") == 0) {
        struct runtime *again = bound(buf_span(&text), NULL);
        if (secrets == 0) /* two masked tokens would be one token twice */
            MUST(config_ok(again->config));
        if (config_ok(again->config)) {
            json_t *one = values(rt), *two = values(again);
            MUST(json_equal(one, two));
            json_decref(one);
            json_decref(two);
        }
        runtime_unref(again);
    }
    buf_release(&text);
    buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ccp_span whole = {(const char *)data, size};
    struct input in;
    if (size > 1 << 15)
        return 0;
    take(&in, whole);
    struct runtime *rt = bound(in.file, &in), *twice = bound(in.file, &in);
    faults_are_readable(rt->config);
    same_faults(rt->config, twice->config);
    if (config_ok(rt->config))
        show(rt, whole);
    runtime_unref(twice);
    runtime_unref(rt);
    drop(&in);
    return 0;
}
