/*
 * See wire.h.
 */
#include "wire.h"

#include <base/fault.h>
#include <dirent.h>
#include <wire/json.h>

const char *const format_names[FORMATS] = {"anthropic", "chat", "responses", "gemini"};
const enum ccp_format formats_of[FORMATS] = {CCP_FORMAT_ANTHROPIC, CCP_FORMAT_OPENAI_CHAT, CCP_FORMAT_OPENAI_RESPONSES,
                                             CCP_FORMAT_GEMINI};
int wrong;

int begin_test(void **state)
{
    wrong = 0;
    return 0;
}

bool long_run(void)
{
    const char *text = getenv("TEST_LONG");
    return text != NULL && strcmp(text, "1") == 0;
}

int format_named(const char *name)
{
    for (int f = 0; f < FORMATS; f++)
        if (strncmp(name, format_names[f], strlen(format_names[f])) == 0)
            return f;
    return -1;
}

const char *fixture_model(int format)
{
    static const char *const models[FORMATS] = {"claude-test-1", "gpt-test-1", "gpt-test-1", "gemini-test-1"};
    return models[format];
}

uint32_t rnd(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

uint32_t rnd_below(uint32_t *seed, uint32_t n)
{
    return (rnd(seed) >> 8) % n;
}

/* -- files -- */

struct file file_read(const char *path)
{
    struct file f = {NULL, 0};
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return f;
    fseek(in, 0, SEEK_END);
    f.n = (size_t)ftell(in);
    rewind(in);
    f.p = malloc(f.n + 1);
    if (fread(f.p, 1, f.n, in) != f.n)
        f.n = 0;
    f.p[f.n] = '\0';
    fclose(in);
    return f;
}

struct file fixture(const char *fmt, ...)
{
    char name[300], path[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    snprintf(path, sizeof(path), FIXTURES "/wire/%s", name);
    struct file f = file_read(path);
    if (f.p == NULL)
        fail_msg("no fixture %s", path);
    return f;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **files_in(const char *folder, const char *ending)
{
    char **names = calloc(1024, sizeof(*names));
    size_t n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL && n < 1023;) {
        size_t length = strlen(e->d_name), tail = strlen(ending);
        if (e->d_name[0] != '.' && length >= tail && strcmp(e->d_name + length - tail, ending) == 0)
            names[n++] = strdup(e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(names, n, sizeof(*names), by_name);
    return names;
}

void names_free(char **names)
{
    for (char **n = names; *n != NULL; n++)
        free(*n);
    free(names);
}

static struct file keep(struct ccp_span s)
{
    struct file f = {malloc(s.n + 1), s.n};
    if (s.n != 0)
        memcpy(f.p, s.p, s.n);
    f.p[s.n] = '\0';
    return f;
}

/* -- requests -- */

static void translate(struct sent_up *s, const struct asked *how, struct arena *a, struct ccp_span body)
{
    struct prompt p;
    struct prompt_target to = {
        .format = formats_of[how->to],
        .provider = ccp_span_z(how->provider != NULL ? how->provider : format_names[how->to]),
        .model = ccp_span_z(how->model != NULL ? how->model : fixture_model(how->to)),
        .compatible = how->compatible,
        .stream = how->stream,
    };
    struct names *names = names_new(a);
    struct ccp_json *root = NULL;
    struct ccp_buf out;
    s->status = CCP_OVERLOADED;
    if (names == NULL || (s->status = json_parse(a, body, &root, NULL)) != CCP_OK)
        return;
    prompt_init(&p, a, formats_of[how->from], &to, names);
    buf_init(&out, SIZE_MAX / 2);
    s->ok = translate_request(&p, root, &out);
#ifdef CCP_FAULTS
    fault_arm(NULL); /* what the test allocates for itself must not fail */
#endif
    s->status = p.status;
    snprintf(s->error, sizeof(s->error), "%.*s", CCP_FMT(p.error));
    for (struct loss *l = p.dropped; l != NULL; l = l->next) {
        size_t n = strlen(s->dropped);
        snprintf(s->dropped + n, sizeof(s->dropped) - n, "%s%.*s", n != 0 ? ", " : "", CCP_FMT(l->name));
    }
    if (s->ok && !out.failed)
        s->body = keep(buf_span(&out));
    s->ok = s->ok && !out.failed;
    buf_release(&out);
}

struct sent_up send_up(const struct asked *how, const char *body, size_t n)
{
    struct sent_up s = {0};
    struct arena a;
    arena_init(&a, NULL, how->budget);
    translate(&s, how, &a, ccp_span_of(body, n));
    s.arena = a.used;
    arena_end(&a);
    return s;
}

void sent_up_free(struct sent_up *s)
{
    free(s->body.p);
    s->body = (struct file){NULL, 0};
}

/* -- answers -- */

static size_t next_read(const struct cuts *cuts, uint32_t *seed, size_t left)
{
    size_t n = cuts->seed != 0 ? 1 + rnd_below(seed, 64) : cuts->step != 0 ? cuts->step : left;
    return n < left ? n : left;
}

/* Each read lies in a block of its own, so that a look beyond it is seen. */
static bool feed(struct translation *t, const struct cuts *cuts, const char *body, size_t n, struct ccp_buf *got)
{
    uint32_t seed = cuts->seed;
    bool ok = true;
    for (size_t at = 0, size; ok && at < n; at += size) {
        size = next_read(cuts, &seed, n - at);
        char *block = malloc(size);
        memcpy(block, body + at, size);
        ok = translation_feed(t, ccp_span_of(block, size));
        buf_add(got, buf_span(&t->out));
        buf_drop(&t->out, t->out.n);
        free(block);
    }
    return ok;
}

static void end_answer(struct sent_down *s, const struct answered *how, struct translation *t, struct ccp_buf *got)
{
    s->ok = translation_finish(t, how->why) && s->ok;
    buf_add(got, buf_span(&t->out));
    s->done = t->done;
    s->broken = t->broken;
    s->kind = t->failure.kind;
    if (t->broken)
        snprintf(s->error, sizeof(s->error), "%.*s", CCP_FMT(t->failure.message));
    if (t->broken && !how->stream) {
        got->n = 0;
        s->ok = failure_body(formats_of[how->to], &t->failure, CCP_SPAN("req_1"), got) && s->ok;
    }
}

struct sent_down send_down(const struct answered *how, const char *body, size_t n)
{
    struct sent_down s = {.ok = true};
    struct arena scratch;
    struct translation t;
    struct ccp_buf got;
    struct answer_from from = {
        .format = formats_of[how->from],
        .provider = ccp_span_z(how->provider != NULL ? how->provider : format_names[how->from]),
        .stream = how->from_stream,
    };
    struct answer_to to = {.model = CCP_SPAN("model-of-the-client"),
                           .request_id = CCP_SPAN("req_1"),
                           .created = 1760000000,
                           .include_usage = !how->no_usage,
                           .json_array = how->json_array};
    arena_init(&scratch, NULL, 0);
    buf_init(&got, SIZE_MAX / 2);
    size_t max = how->max != 0 ? how->max : 64 << 20;
    s.ok = translation_init(&t, &from, formats_of[how->to], &to, how->stream, &scratch, max);
    if (s.ok) {
        s.ok = feed(&t, &how->cuts, body, n, &got);
        end_answer(&s, how, &t, &got);
    }
    s.scratch = scratch.used;
    translation_release(&t);
    arena_end(&scratch);
    s.body = keep(buf_span(&got));
    buf_release(&got);
    return s;
}

void sent_down_free(struct sent_down *s)
{
    free(s->body.p);
    s->body = (struct file){NULL, 0};
}
