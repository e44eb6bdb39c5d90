/*
 * What the tests of reading answers stand on: a middleware that writes down what it sees, exchanges through the real
 * chain (testing/stage.h) made of a format and a fixture, and what ought to be seen: what a translation of the same
 * bytes into another format shows.
 */
#ifndef UNIT_CHAIN_DELTAS_H
#define UNIT_CHAIN_DELTAS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/clock.h>
#include <base/log.h>
#include <dirent.h>
#include <format/translate.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <testing/stage.h>
#include <wire/json.h>

enum { A, C, R, G, FORMATS }; /* Anthropic, Chat, Responses, Gemini */
static const char *const format_names[FORMATS] = {"anthropic", "chat", "responses", "gemini"};
static const enum ccp_format formats_of[FORMATS] = {CCP_FORMAT_ANTHROPIC, CCP_FORMAT_OPENAI_CHAT,
                                                    CCP_FORMAT_OPENAI_RESPONSES, CCP_FORMAT_GEMINI};

struct file {
    char *p;
    size_t n;
};

/* A fixture below tests/fixtures/wire, NUL-terminated beyond n. */
static inline struct file fixture(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline struct file fixture(const char *fmt, ...)
{
    char name[300], path[600];
    struct file f = {NULL, 0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    snprintf(path, sizeof(path), FIXTURES "/wire/%s", name);
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        fail_msg("%s is missing", path);
    fseek(in, 0, SEEK_END);
    f.n = (size_t)ftell(in);
    rewind(in);
    f.p = calloc(1, f.n + 1);
    assert_int_equal(fread(f.p, 1, f.n, in), f.n);
    fclose(in);
    return f;
}

static inline bool long_run(void)
{
    const char *text = getenv("TEST_LONG");
    return text != NULL && strcmp(text, "1") == 0;
}

/* A middleware that writes down what it sees. */
struct reader {
    const char *name;
    bool wanted;
    size_t refuse_at;                         /* ends the answer at this delta, counted from 1; 0 = never */
    bool silent;                              /* without saying why */
    uint64_t slow_us;                         /* each call takes so long */
    size_t asked, seen, starts, ends, behind; /* behind: deltas after the end */
    char *text;
    size_t n, room;
};

static char order[4000];
static uint64_t now_us = 1000000000000;

static inline uint64_t slow_clock(void)
{
    return now_us;
}

static inline void add(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void add(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    if (r->room - r->n < 70000)
        r->text = realloc(r->text, r->room += 400000);
    va_start(ap, fmt);
    r->n += (size_t)vsnprintf(r->text + r->n, r->room - r->n, fmt, ap);
    va_end(ap);
    assert_true(r->n < r->room);
}

static const char *const parts[] = {"text", "thinking", "refusal", "call"};

static inline void write_down(struct reader *r, const struct ccp_delta *d)
{
    switch (d->type) {
    case CCP_DELTA_START:
        add(r, "start %.*s %.*s\n", CCP_FMT(d->id), CCP_FMT(d->model));
        break;
    case CCP_DELTA_OPEN:
        add(r, "open %s %u %.*s %.*s\n", parts[d->part], d->index, CCP_FMT(d->id), CCP_FMT(d->name));
        break;
    case CCP_DELTA_TEXT:
        add(r, "say %s %u %.*s\n", parts[d->part], d->index, CCP_FMT(d->text));
        break;
    case CCP_DELTA_CLOSE:
        add(r, "close %s %u\n", parts[d->part], d->index);
        break;
    case CCP_DELTA_STOP:
        add(r, "stop %d", d->stop);
        if (d->usage != NULL)
            add(r, " %llu %llu %llu %llu", (unsigned long long)d->usage->input,
                (unsigned long long)d->usage->cache_read, (unsigned long long)d->usage->output,
                (unsigned long long)d->usage->reasoning);
        add(r, "\n");
        break;
    default:
        add(r, "error %.*s\n", CCP_FMT(d->text));
    }
}

static inline bool wants_deltas(void *self, struct ccp_exchange *x)
{
    struct reader *r = self;
    r->asked++;
    return r->wanted;
}

static inline bool on_delta(void *self, struct ccp_exchange *x, const struct ccp_delta *d)
{
    struct reader *r = self;
    r->seen++;
    r->behind += r->ends != 0;
    r->starts += d->type == CCP_DELTA_START;
    r->ends += d->type == CCP_DELTA_STOP || d->type == CCP_DELTA_ERROR;
    write_down(r, d);
    if (strlen(order) + 8 < sizeof(order))
        memcpy(order + strlen(order), r->name, strlen(r->name) + 1);
    if (r->slow_us != 0) {
        clock_replace(slow_clock, NULL);
        now_us += r->slow_us;
    }
    if (r->seen != r->refuse_at)
        return true;
    if (!r->silent)
        (x->api->fail)(x, CCP_FORBIDDEN, "the word is forbidden");
    return false;
}

static const struct ccp_middleware reading = {
    .name = "reading", .layer = CCP_LAYER_APPLICATION, .on_delta = on_delta, .wants_deltas = wants_deltas};

/* -- one exchange -- */

static const char config[] =
    "[providers.up_anthropic]\nbase_url = \"https://up.example\"\nformat = \"anthropic\"\nauth = \"none\"\n"
    "[providers.up_chat]\nbase_url = \"https://up.example/v1\"\nformat = \"openai-chat\"\nauth = \"none\"\n"
    "[providers.up_responses]\nbase_url = \"https://up.example/v1\"\nformat = \"openai-responses\"\nauth = \"none\"\n"
    "[providers.up_gemini]\nbase_url = \"https://up.example\"\nformat = \"gemini\"\nauth = \"none\"\n"
    "[upstream]\nmax_event_bytes = \"64KiB\"\n";

struct asked_for {
    int from, to; /* upstream's format, the client's */
    bool stream, upstream_streams;
    bool array;       /* Gemini without alt=sse */
    const char *type; /* content-type, NULL = as it should be */
    const char *coding;
    bool cut; /* the connection breaks behind the body */
};

static const char *const targets[FORMATS] = {"/v1/messages", "/v1/chat/completions", "/v1/responses", ""};
static const char *const bodies[FORMATS] = {
    "{\"model\":\"m\",\"max_tokens\":9,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    ("{\"model\":\"m\",\"stream\":%s,\"stream_options\":{\"include_usage\":true},"
     "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
    "{\"model\":\"m\",\"stream\":%s,\"input\":\"hi\"}",
    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]}",
};

/* The case, made by hand: `text` keeps what its spans point to. */
struct play {
    struct test_case c;
    char first[200], body[300], answer[40];
};

static inline void make_case(struct play *p, const struct asked_for *a, const struct file *up)
{
    struct case_message *answer = &p->c.up[0].answer;
    *p = (struct play){.c = {.path = "made", .up_n = 1}};
    p->c.config = ccp_span_z(config);
    if (a->to == G)
        snprintf(p->first, sizeof(p->first), "POST /up_%s/v1beta/models/m:%s", format_names[a->from],
                 !a->stream ? "generateContent"
                 : a->array ? "streamGenerateContent"
                            : "streamGenerateContent?alt=sse");
    else
        snprintf(p->first, sizeof(p->first), "POST /up_%s%s", format_names[a->from], targets[a->to]);
    snprintf(p->body, sizeof(p->body), bodies[a->to], a->stream ? "true" : "false");
    p->c.client.first = ccp_span_z(p->first);
    p->c.client.body.exact = ccp_span_z(p->body);
    answer->first = a->cut ? CCP_SPAN("200 cut") : CCP_SPAN("200");
    const char *type = a->upstream_streams ? "text/event-stream" : "application/json";
    answer->headers[answer->header_n++] =
        (struct case_want){.name = CCP_SPAN("content-type"), .value = ccp_span_z(a->type != NULL ? a->type : type)};
    if (a->coding != NULL)
        answer->headers[answer->header_n++] =
            (struct case_want){.name = CCP_SPAN("content-encoding"), .value = ccp_span_z(a->coding)};
    answer->body.exact = ccp_span_of(up->p, up->n);
}

static struct runtime *shared; /* of the configuration above */

static inline struct runtime *runtime_with(struct reader *const *readers, struct plugin_unit *unit)
{
    static struct middleware_entry *before;
    static size_t count;
    char why[300];
    if (shared == NULL) {
        struct test_case c = {.config = ccp_span_z(config)};
        shared = case_runtime(&c, NULL, why, sizeof(why));
        if (shared == NULL)
            fail_msg("%s", why);
        before = shared->chain;
        count = shared->chain_count;
        shared->chain = calloc(count + 4, sizeof(*shared->chain));
        memcpy(shared->chain, before, count * sizeof(*before));
    }
    shared->chain_count = count;
    shared->reads_deltas = readers != NULL;
    for (size_t i = 0; readers != NULL && readers[i] != NULL; i++)
        shared->chain[shared->chain_count++] = (struct middleware_entry){&reading, readers[i], CCP_SPAN("test"), unit};
    return shared;
}

static inline void play_with(struct stage *s, struct play *p, struct reader *const *readers, struct rhythm rhythm)
{
    order[0] = '\0';
    stage_play(s, &p->c, runtime_with(readers, NULL), rhythm);
    if (s->wrong[0] != '\0')
        fail_msg("%s: %s", p->first, s->wrong);
}

static inline void again(struct reader *r)
{
    char *text = r->text;
    size_t room = r->room;
    *r = (struct reader){.name = r->name,
                         .wanted = true,
                         .refuse_at = r->refuse_at,
                         .silent = r->silent,
                         .slow_us = r->slow_us,
                         .text = text,
                         .room = room};
    add(r, "%s", "");
}

/* What is seen, and how it ended: for all who read. */
static inline void check_ends(const struct reader *r, const char *what)
{
    if (r->starts > 1 || (r->starts == 1 && r->ends != 1) || r->behind != 0)
        fail_msg("%s: %zu beginnings, %zu ends, %zu behind:\n%s", what, r->starts, r->ends, r->behind, r->text);
}

/* -- what is to be seen -- */

static inline bool note(void *self, const struct delta *d)
{
    static unsigned index;
    static struct arena a; /* of one delta */
    struct ccp_delta out = {.type = d->type == DELTA_STOP    ? CCP_DELTA_STOP
                                    : d->type == DELTA_ERROR ? CCP_DELTA_ERROR
                                    : d->type == DELTA_CLOSE ? CCP_DELTA_CLOSE
                                                             : (enum ccp_delta_type)d->type};
    static const enum ccp_stop stops[] = {CCP_STOP_NONE,   CCP_STOP_END,  CCP_STOP_SEQUENCE, CCP_STOP_LENGTH,
                                          CCP_STOP_LENGTH, CCP_STOP_TOOL, CCP_STOP_REFUSAL,  CCP_STOP_OTHER,
                                          CCP_STOP_OTHER,  CCP_STOP_OTHER};
    struct ccp_usage u = {false};
    if (d->type == DELTA_PROOF)
        return true;
    arena_init(&a, NULL, 0);
    index = d->type == DELTA_START ? 0 : index + (d->type == DELTA_OPEN);
    out.part = d->kind == PART_CALL       ? CCP_PART_TOOL_CALL
               : d->kind == PART_THINKING ? CCP_PART_THINKING
               : d->kind == PART_REFUSAL  ? CCP_PART_REFUSAL
                                          : CCP_PART_TEXT;
    out.index = index - 1;
    out.id = json_unescape(&a, d->id);
    out.name = json_unescape(&a, d->name);
    out.model = json_unescape(&a, d->model);
    out.text = json_unescape(&a, d->type == DELTA_ERROR ? d->failure->message : d->text);
    out.stop = stops[d->stop];
    if (d->type == DELTA_STOP && d->usage != NULL && d->usage->known) {
        u = (struct ccp_usage){true, d->usage->input,  d->usage->cache_read, 0,
                               0,    d->usage->output, d->usage->reasoning};
        out.usage = &u;
    }
    write_down(self, &out);
    ((struct reader *)self)->seen++;
    arena_end(&a);
    return true;
}

/* By a translation into a format that is not the upstream's. */
static inline void reference(struct reader *r, int from, bool stream, const struct file *f)
{
    struct arena scratch, memory;
    struct translation t;
    arena_init(&scratch, NULL, 0);
    arena_init(&memory, NULL, 0);
    struct answer_from source = {formats_of[from], ccp_span_z("p"), names_new(&memory), stream};
    struct answer_to target = {.model = CCP_SPAN("m"), .request_id = CCP_SPAN("r")};
    again(r);
    assert_true(translation_init(&t, &source, formats_of[(from + 1) % FORMATS], &target, true, &scratch, 1 << 20));
    t.tap = (struct delta_sink){note, r};
    translation_feed(&t, ccp_span_of(f->p, f->n));
    translation_finish(&t, NULL);
    translation_release(&t);
    arena_end(&scratch);
    arena_end(&memory);
}

static inline struct file answer_of(const char *name, int from, bool stream)
{
    return stream ? fixture("scenarios/%s/%s.stream.sse", name, format_names[from])
                  : fixture("scenarios/%s/%s.response.json", name, format_names[from]);
}

/* -- those of the tests -- */

static struct reader want = {.name = "w"}, got = {.name = "g"};

static inline int begin(void **state)
{
    got = (struct reader){.name = "g", .text = got.text, .room = got.room};
    return 0;
}

static inline bool has(const struct stage *s, const char *what)
{
    return s->body.n != 0 && memmem(s->body.p, s->body.n, what, strlen(what)) != NULL;
}

#endif
