/*
 * Server-sent events: the fixtures at every cut, limits, the writer, the boundary watch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/arena.h>
#include <cmocka.h>
#include <wire/json.h>
#include <wire/sse.h>

/* What a stream gave, as one text: "[event|data|id]" per event, then how it ended. */
struct record {
    struct ccp_buf text;
    int stop_after; /* 0 = never */
    int events;
};

static bool note(void *arg, const struct sse_event *e)
{
    struct record *r = arg;
    assert_true(e->has_data);
    buf_addz(&r->text, "[");
    buf_add(&r->text, e->event);
    buf_addz(&r->text, "|");
    buf_add(&r->text, e->data);
    buf_addz(&r->text, "|");
    buf_add(&r->text, e->id);
    buf_addz(&r->text, "]");
    return ++r->events != r->stop_after;
}

/* Lengths of the reads. */
struct cuts {
    size_t fixed;  /* 0 = random or by place */
    uint32_t seed; /* 0 = not random */
    char after, before;
};

static size_t next_cut(struct cuts *c, struct ccp_span rest)
{
    size_t n = rest.n;
    if (c->fixed != 0) {
        n = c->fixed;
    } else if (c->seed != 0) {
        c->seed = c->seed * 1664525u + 1013904223u;
        n = 1 + (c->seed >> 20) % 64;
    } else if (c->after != 0) {
        n = ccp_span_find(rest, c->after) + 1;
    } else if (c->before != 0) {
        n = 1 + ccp_span_find(ccp_span_skip(rest, 1), c->before);
    }
    return n < rest.n ? n : rest.n;
}

/* Each read in memory of its own that is gone afterwards, so that ASan sees a span that outlives it. */
static enum sse_result feed(struct sse_reader *r, struct ccp_span part, struct record *rec)
{
    char *copy = malloc(part.n + 1);
    memcpy(copy, part.p, part.n);
    enum sse_result result = sse_read(r, ccp_span_of(copy, part.n), note, rec);
    free(copy);
    return result;
}

static void run(struct ccp_span text, size_t max, int stop_after, struct cuts cuts, struct ccp_buf *out)
{
    struct sse_reader r;
    struct record rec = {.stop_after = stop_after};
    enum sse_result result = SSE_OK;
    bool unfinished = false;
    buf_init(&rec.text, 1 << 24);
    sse_reader_init(&r, max);
    for (size_t n; text.n != 0; text = ccp_span_skip(text, n)) {
        n = next_cut(&cuts, text);
        enum sse_result again = feed(&r, ccp_span_of(text.p, n), &rec);
        assert_true(result == SSE_OK || again == result); /* for good */
        result = again;
    }
    enum sse_result end = sse_finish(&r, note, &rec, &unfinished);
    assert_true(result == SSE_OK || end == result);
    buf_printf(&rec.text, "%s%s",
               end == SSE_OK          ? ""
               : end == SSE_TOO_LARGE ? "!large"
                                      : "!stopped",
               unfinished ? "~" : "");
    sse_reader_release(&r);
    *out = rec.text;
}

static void same_at_every_cut(struct ccp_span text, size_t max, int stop_after, struct ccp_span want)
{
    static const struct cuts ways[] = {{.fixed = 1},    {.fixed = 2},     {.fixed = 3},      {.fixed = 7},
                                       {.fixed = 0},    {.after = '\r'},  {.after = '\n'},   {.before = '\n'},
                                       {.before = ':'}, {.before = '\\'}, {.before = '\x82'}};
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways) + 40; i++) {
        size_t known = sizeof(ways) / sizeof(*ways);
        struct ccp_buf got;
        run(text, max, stop_after, i < known ? ways[i] : (struct cuts){.seed = (uint32_t)(i - known + 1)}, &got);
        if (!ccp_span_eq(buf_span(&got), want))
            fail_msg("way %zu: got %.*s, want %.*s", i, CCP_FMT(buf_span(&got)), CCP_FMT(want));
        buf_release(&got);
    }
}

static void expect(const char *text, const char *want)
{
    same_at_every_cut(ccp_span_z(text), 1 << 20, 0, ccp_span_z(want));
}

static struct ccp_span load(struct arena *a, const char *name, const char *ending)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/sse-edge/%s%s", FIXTURES, name, ending);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = arena_alloc(a, 1 << 16);
    size_t n = fread(text, 1, 1 << 16, f);
    fclose(f);
    assert_true(n > 0 && n < 1 << 16);
    return ccp_span_of(text, n);
}

static struct ccp_span wanted(struct arena *a, struct ccp_span expect, bool unfinished)
{
    struct ccp_json *root;
    struct ccp_buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(json_parse(a, expect, &root, NULL), CCP_OK);
    for (struct ccp_json *e = ccp_json_get(root, "events")->child; e != NULL; e = e->next) {
        struct ccp_json *event = ccp_json_get(e, "event");
        buf_addz(&out, "[");
        if (event->type == CCP_JSON_STRING)
            buf_add(&out, json_text(a, event->raw));
        buf_addz(&out, "|");
        buf_add(&out, json_text(a, ccp_json_get(e, "data")->raw));
        buf_addz(&out, ccp_json_get(e, "id") != NULL ? "|7]" : "|]");
    }
    buf_addz(&out, unfinished ? "~" : "");
    struct ccp_span copy = arena_dup(a, buf_span(&out));
    buf_release(&out);
    return copy;
}

static void fixtures(void **state)
{
    (void)state;
    static const char *const names[] = {
        "bom", "comments", "cr", "empty-data", "lf", "mixed", "no-final-blank", "no-final-newline", "nul-and-long"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct arena a;
        arena_init(&a, NULL, 0);
        struct ccp_span want = wanted(&a, load(&a, names[i], ".expect.json"), strncmp(names[i], "no-final", 8) == 0);
        same_at_every_cut(load(&a, names[i], ".sse"), 1 << 20, 0, want);
        arena_end(&a);
    }
    struct arena a;
    arena_init(&a, NULL, 0);
    same_at_every_cut(load(&a, "unknown-fields", ".sse"), 1 << 20, 0, CCP_SPAN("[|1|7]")); /* its id is kept */
    arena_end(&a);
}

static void fields(void **state)
{
    (void)state;
    expect("", "");
    expect("\n\n\r\r\n", "");
    expect("data:1\n\n", "[|1|]");
    expect("data: 1\ndata\ndata:  3\n\n", "[|1\n\n 3|]");
    expect("data\n\n", "[||]");
    expect("data:\ndata:\n\n", "[|\n|]");
    expect("data\ndata\ndata:x\n\n", "[|\n\nx|]");
    expect("event:a\nevent: b\ndata:1\nid: 4\n\ndata:2\n\n", "[b|1|4][|2|]");
    expect("event: a\nevent\ndata:1\n\n", "[|1|]");
    expect("event: lost\nid: 1\n\ndata: x\n\n", "[|x|]");
    expect("Data: 1\n data: 2\ndatax: 3\ndat: 4\n\n", "");
    expect("data:a:b: c\n\n", "[|a:b: c|]");
    expect("data:\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xe2\x82\xac\n\n", "[|\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xe2\x82\xac|]");
    expect("data:1\r\ndata:2\r\n\r\ndata:3\r\r\ndata:4\n\r\n", "[|1\n2|][|3|][|4|]");
    expect(": OPENROUTER PROCESSING\n\n:\n\ndata:x\n:mid\ndata:y\n\n:end\n", "[|x\ny|]");
    same_at_every_cut(CCP_SPAN("id: a\0b\ndata:x\0y\n\n"), 1 << 20, 0, CCP_SPAN("[|x\0y|]"));
}

static void byte_order_marks(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf", "");
    expect("\xef\xbb\xbf\ndata:1\n\n", "[|1|]");
    expect("\xef\xbb\xbf\xef\xbb\xbf"
           "data:1\n\ndata:2\n\n",
           "[|2|]"); /* only one is skipped */
    expect("\xef\xbb"
           "data:1\n\ndata:2\n\n",
           "[|2|]");
    expect("\xef"
           "data:1\ndata:2\n\n",
           "[|2|]");
    expect("\xef\xbb\n\ndata:2\n\n", "[|2|]");
    expect("\xef\xbb", "");
    expect("data:\xef\xbb\xbf\n\n\xef\xbb\xbf"
           "data:x\n\n",
           "[|\xef\xbb\xbf|]");
}

static void endings(void **state)
{
    (void)state;
    expect("data:1\n\ndata:2", "[|1|][|2|]~");
    expect("data:1\r", "[|1|]~");
    expect("data:1\r\n", "[|1|]~");
    expect("event:a\ndata:1\nda", "[a|1|]~");
    expect("data:1\n\nevent: x\n", "[|1|]");
    expect("data:1\n\n: comment", "[|1|]");
    expect("da", "");
    expect("data", "[||]~");
}

static void limits(void **state)
{
    (void)state;
    same_at_every_cut(CCP_SPAN("data:12345\n\ndata:1\n\n"), 10, 0, CCP_SPAN("[|12345|][|1|]"));
    same_at_every_cut(CCP_SPAN("data:12345\n\ndata:1\n\n"), 9, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("data:1\n\ndata:123456\n\ndata:1\n\n"), 10, 0, CCP_SPAN("[|1|]!large"));
    same_at_every_cut(CCP_SPAN("event:aaaa\ndata:1\n\n"), 10, 0, CCP_SPAN("[aaaa|1|]"));
    same_at_every_cut(CCP_SPAN("event:aaaa\ndata:123\n\n"), 10, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("data:1\ndata:2\ndata:3\ndata:4\n\n"), 11, 0, CCP_SPAN("[|1\n2\n3\n4|]"));
    same_at_every_cut(CCP_SPAN("data:1\ndata:2\ndata:3\ndata:4\n\n"), 10, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("data\ndata\ndata\ndata\ndata\ndata\n\n"), 7, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN(":a very long comment\n\ndata:1\n\n"), 10, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("a line without an end"), 10, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("data:1\n\n"), 0, 0, CCP_SPAN("!large"));
    same_at_every_cut(CCP_SPAN("\n\n\n"), 0, 0, CCP_SPAN(""));
}

static void stops(void **state)
{
    (void)state;
    same_at_every_cut(CCP_SPAN("data:1\n\ndata:2\n\ndata:3\n\ndata:4"), 100, 2, CCP_SPAN("[|1|][|2|]!stopped"));
    same_at_every_cut(CCP_SPAN("data:1\n\ndata:2"), 100, 2, CCP_SPAN("[|1|][|2|]!stopped~"));
}

static bool look(void *arg, const struct sse_event *e)
{
    const struct ccp_span *read = arg;
    assert_true(e->data.p > read->p && e->data.p < read->p + read->n); /* not copied */
    return true;
}

static void whole_events_are_not_copied(void **state)
{
    (void)state;
    struct ccp_span read = CCP_SPAN("event: a\ndata: {\"x\":1}\n\nevent: b\ndata: {\"x\":2}\n\n");
    struct sse_reader r;
    sse_reader_init(&r, 1 << 20);
    assert_int_equal(sse_read(&r, read, look, &read), SSE_OK);
    assert_null(r.line.p);
    assert_null(r.data.p);
    assert_null(r.event.p);
    sse_reader_release(&r);
}

static void wrote(struct ccp_span event, struct ccp_span data, const char *want, const char *read_back)
{
    struct ccp_buf out, got;
    buf_init(&out, 1 << 16);
    assert_true(sse_write(&out, event, data));
    assert_true(ccp_span_is(buf_span(&out), want));
    run(buf_span(&out), 1 << 16, 0, (struct cuts){.fixed = 1}, &got);
    assert_true(ccp_span_is(buf_span(&got), read_back));
    buf_release(&got);
    buf_release(&out);
}

static void writer(void **state)
{
    (void)state;
    wrote(CCP_SPAN("ping"), CCP_SPAN("{}"), "event: ping\ndata: {}\n\n", "[ping|{}|]");
    wrote(CCP_SPAN(""), CCP_SPAN("[DONE]"), "data: [DONE]\n\n", "[|[DONE]|]");
    wrote(CCP_SPAN(""), CCP_SPAN(""), "data: \n\n", "[||]");
    wrote(CCP_SPAN(""), (struct ccp_span){NULL, 0}, "data: \n\n", "[||]");
    wrote(CCP_SPAN(""), CCP_SPAN(" x"), "data:  x\n\n", "[| x|]");
    wrote(CCP_SPAN("e"), CCP_SPAN("a\nb\rc\r\nd"), "event: e\ndata: a\ndata: b\ndata: c\ndata: d\n\n",
          "[e|a\nb\nc\nd|]");
    wrote(CCP_SPAN(""), CCP_SPAN("\n"), "data: \ndata: \n\n", "[|\n|]");
    wrote(CCP_SPAN(""), CCP_SPAN("\r\n\r\nevent: x\n"), "data: \ndata: \ndata: event: x\ndata: \n\n",
          "[|\n\nevent: x\n|]");
    struct ccp_buf out;
    buf_init(&out, 1 << 16);
    assert_false(sse_write(&out, CCP_SPAN("a\ndata: x"), CCP_SPAN("1")));
    assert_false(sse_write(&out, CCP_SPAN("a\r"), CCP_SPAN("1")));
    assert_false(sse_write_comment(&out, CCP_SPAN("a\n\ndata: x")));
    assert_int_equal(out.n, 0);
    assert_true(sse_write_comment(&out, CCP_SPAN(" keep-alive")));
    assert_true(sse_write_comment(&out, CCP_SPAN("")));
    assert_true(ccp_span_is(buf_span(&out), ": keep-alive\n\n:\n\n"));
    buf_release(&out);
}

static void writer_is_all_or_nothing(void **state)
{
    (void)state;
    for (size_t max = 0; max < 30; max++) {
        struct ccp_buf out;
        buf_init(&out, max);
        bool fits = max >= strlen("event: e\ndata: a\ndata: b\n\n");
        assert_int_equal(sse_write(&out, CCP_SPAN("e"), CCP_SPAN("a\nb")), fits);
        assert_true(out.failed == !fits && (fits || out.n == 0));
        assert_true(fits || !sse_write_comment(&out, CCP_SPAN(""))); /* failed stays failed */
        buf_release(&out);
    }
}

/* The rule, said another way: everything up to here is empty, or its last line is. */
static bool at_boundary(const char *p, size_t n)
{
    size_t lines = 0, length = 0;
    bool empty_last = true; /* the beginning counts */
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' && i > 0 && p[i - 1] == '\r')
            continue; /* belongs to the CR */
        if (p[i] != '\n' && p[i] != '\r') {
            length++;
            continue;
        }
        empty_last = length == 0;
        length = 0;
        lines++;
    }
    return length == 0 && (lines == 0 || empty_last);
}

/* All texts of up to 8 bytes over {x, CR, LF}, cut in two everywhere. */
static void boundary(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 8; n++) {
        size_t all = 1;
        for (size_t i = 0; i < n; i++)
            all *= 3;
        for (size_t code = 0; code < all; code++) {
            char text[8];
            for (size_t i = 0, c = code; i < n; i++, c /= 3)
                text[i] = "x\r\n"[c % 3];
            for (size_t cut = 0; cut <= n; cut++) {
                struct sse_boundary b = {0};
                assert_int_equal(sse_boundary_feed(&b, ccp_span_of(text, cut)), at_boundary(text, cut));
                assert_int_equal(sse_boundary_feed(&b, ccp_span_of(text + cut, n - cut)), at_boundary(text, n));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixtures),
        cmocka_unit_test(fields),
        cmocka_unit_test(byte_order_marks),
        cmocka_unit_test(endings),
        cmocka_unit_test(limits),
        cmocka_unit_test(stops),
        cmocka_unit_test(whole_events_are_not_copied),
        cmocka_unit_test(writer),
        cmocka_unit_test(writer_is_all_or_nothing),
        cmocka_unit_test(boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
