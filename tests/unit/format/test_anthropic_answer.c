/*
 * Answers to Anthropic's clients, delta by delta, and answers of an Anthropic upstream with their oddities.
 */
#include "anthropic_request.h"
#include <wire/json.h>

/* -- answers to clients -- */

struct play {
    struct delta deltas[12];
    const char *events; /* the data of each, ' for ", one a line; '-' stands for "content_block_" */
};

static const struct answer_to client = {.model = CCP_LIT("m"), .request_id = CCP_LIT("r/1")};

#define START                                                                                                          \
    "{'type':'message_start','message':{'id':'msg_r_1','type':'message','role':'assistant','model':'m','content':[],"  \
    "'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':0,'cache_creation_input_tokens':0,"               \
    "'cache_read_input_tokens':0,'cache_creation':{'ephemeral_5m_input_tokens':0,'ephemeral_1h_input_tokens':0},"      \
    "'output_tokens':0}}}\n"
#define STOP(reason)                                                                                                   \
    "{'type':'message_delta','delta':{'stop_reason':'" reason "','stop_sequence':null},'usage':{'input_tokens':0,"     \
    "'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'cache_creation':{'ephemeral_5m_input_tokens':0,"     \
    "'ephemeral_1h_input_tokens':0},'output_tokens':0}}\n{'type':'message_stop'}\n"
#define STARTS(i, block) "{'type':'content_block_start','index':" i ",'content_block':" block "}\n"
#define GETS(i, type, key, text)                                                                                       \
    "{'type':'content_block_delta','index':" i ",'delta':{'type':'" type "','" key "':'" text "'}}\n"
#define STOPS(i)      "{'type':'content_block_stop','index':" i "}\n"
#define NEW_TEXT      "{'type':'text','text':''}"
#define NEW_THINKING  "{'type':'thinking','thinking':'','signature':''}"
#define SIGN(i, text) GETS(i, "signature_delta", "signature", text)

#define OPEN(k, ...)                                                                                                   \
    {                                                                                                                  \
        .type = DELTA_OPEN, .kind = k, __VA_ARGS__                                                                     \
    }
#define SAY(k, t)                                                                                                      \
    {                                                                                                                  \
        .type = DELTA_TEXT, .kind = k, .text = CCP_LIT(t)                                                              \
    }
#define PROVE(k, p)                                                                                                    \
    {                                                                                                                  \
        .type = DELTA_PROOF, .kind = k, .proof = p                                                                     \
    }
#define CLOSE(k)                                                                                                       \
    {                                                                                                                  \
        .type = DELTA_CLOSE, .kind = k                                                                                 \
    }
#define END(s)                                                                                                         \
    {                                                                                                                  \
        .type = DELTA_STOP, .stop = s                                                                                  \
    }
#define THOUGHT                                                                                                        \
    {                                                                                                                  \
        PROOF_THOUGHT, CCP_LIT("g"), CCP_LIT("abc")                                                                    \
    }
#define BARE                                                                                                           \
    {                                                                                                                  \
        PROOF_SIGNATURE, CCP_LIT("a"), CCP_LIT("sig")                                                                  \
    }

static const struct failure overloaded = {.kind = FAILURE_OVERLOADED, .message = CCP_LIT("full")};

static const struct play plays[] = {
    {{END(STOP_LENGTH)}, START STOP("max_tokens")},
    {{{.type = DELTA_ERROR, .failure = &overloaded}, END(STOP_END)},
     "{'type':'error','error':{'type':'overloaded_error','message':'full'},'request_id':'r/1'}\n"},
    {{OPEN(PART_REFUSAL), SAY(PART_REFUSAL, "no"), CLOSE(PART_REFUSAL), END(STOP_END)},
     START STARTS("0", NEW_TEXT) GETS("0", "text_delta", "text", "no") STOPS("0") STOP("end_turn")},
    {{OPEN(PART_THINKING), SAY(PART_THINKING, "t"), PROVE(PART_THINKING, BARE), CLOSE(PART_THINKING), OPEN(PART_TEXT),
      SAY(PART_TEXT, "a"), END(STOP_END)},
     START STARTS("0", NEW_THINKING) GETS("0", "thinking_delta", "thinking", "t") SIGN("0", "sig") STOPS("0")
         STARTS("1", NEW_TEXT) GETS("1", "text_delta", "text", "a") STOPS("1") STOP("end_turn")},
    {{OPEN(PART_THINKING), CLOSE(PART_THINKING), END(STOP_END)},
     START STARTS("0", NEW_THINKING) SIGN("0", "") STOPS("0") STOP("end_turn")},
    {{OPEN(PART_THINKING, .proof = {PROOF_REDACTED, CCP_LIT("a"), CCP_LIT("data")}),
      PROVE(PART_THINKING, ((struct proof){PROOF_REDACTED, CCP_LIT("a"), CCP_LIT("data")})), CLOSE(PART_THINKING),
      END(STOP_END)},
     START STARTS("0", "{'type':'redacted_thinking','data':'data'}") STOPS("0") STOP("end_turn")},
    {{OPEN(PART_CALL, .id = CCP_LIT("c"), .name = CCP_LIT("f"), .proof = THOUGHT), SAY(PART_CALL, "{}"),
      PROVE(PART_CALL, ((struct proof)THOUGHT)), CLOSE(PART_CALL), END(STOP_TOOL)},
     START STARTS("0", NEW_THINKING) SIGN("0", "ccp1.g.dGFiYw") STOPS("0")
         STARTS("1", "{'type':'tool_use','id':'c','name':'f','input':{}}")
             GETS("1", "input_json_delta", "partial_json", "{}") STOPS("1") STOP("tool_use")},
    /* The last block is the answer to many clients: no proof behind a text. */
    {{OPEN(PART_TEXT), SAY(PART_TEXT, "a"), PROVE(PART_TEXT, THOUGHT), CLOSE(PART_TEXT), END(STOP_END)},
     START STARTS("0", NEW_TEXT) GETS("0", "text_delta", "text", "a") STOPS("0") STOP("end_turn")},
    {{OPEN(PART_CALL, .id = CCP_LIT("a b"), .name = CCP_LIT("f"), .custom = true), SAY(PART_CALL, "x\\n"),
      CLOSE(PART_CALL), END(STOP_TOOL)},
     START STARTS("0", "{'type':'tool_use','id':'call_c7d5202bb5d8c566520f4fcc','name':'f','input':{}}")
         GETS("0", "input_json_delta", "partial_json", "{\\u0022input\\u0022:\\u0022")
             GETS("0", "input_json_delta", "partial_json", "x\\\\n")
                 GETS("0", "input_json_delta", "partial_json", "\\u0022}") STOPS("0") STOP("tool_use")},
    {{SAY(PART_TEXT, "lost"), CLOSE(PART_TEXT), END(STOP_MALFORMED), SAY(PART_TEXT, "late")}, START STOP("end_turn")},
};

/* Checks the framing of each event; the data lines are compared as JSON. */
static bool next_event(const char **at, char *type, size_t room, json_t **data)
{
    const char *line = *at, *end = strchr(line, '\n');
    assert_int_equal(strncmp(line, "event: ", 7), 0);
    snprintf(type, room, "%.*s", (int)(end - line - 7), line + 7);
    line = end + 1;
    assert_int_equal(strncmp(line, "data: ", 6), 0);
    end = strchr(line, '\n');
    *data = js_load(line + 6, (size_t)(end - line - 6));
    assert_int_equal(end[1], '\n');
    *at = end + 2;
    return *data != NULL;
}

static const char *compare_events(const char *got, const char *want)
{
    static char text[1000];
    while (*got != '\0' && *want != '\0') {
        char type[64];
        json_t *a, *b = js_load(want, strcspn(want, "\n"));
        assert_true(next_event(&got, type, sizeof(type), &a));
        assert_non_null(b);
        const char *diff = js_diff(a, b);
        if (diff != NULL || !js_is(js_get(a, "type"), type)) {
            snprintf(text, sizeof(text), "%s event: %s", type, diff != NULL ? diff : "type");
            return text;
        }
        json_decref(a);
        json_decref(b);
        want += strcspn(want, "\n") + 1;
    }
    return *got == '\0' && *want == '\0' ? NULL : "another number of events";
}

static void test_stream(void **state)
{
    const struct wire_format *f = format_of(CCP_FORMAT_ANTHROPIC);
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        void *self = calloc(1, f->writer_size);
        struct ccp_buf out;
        buf_init(&out, 1 << 20);
        for (const struct delta *d = plays[i].deltas; d->type != DELTA_START; d++)
            assert_true(f->write_delta(self, &client, d, &out));
        buf_add(&out, ccp_span_of("", 1));
        char *want = quoted(plays[i].events);
        judge(compare_events(out.p, want), "play %zu: %s", i, out.p);
        free(want);
        free(self);
        buf_release(&out);
    }
    all_right();
}

static void test_whole(void **state)
{
    const struct wire_format *f = format_of(CCP_FORMAT_ANTHROPIC);
    static const struct delta deltas[] = {OPEN(PART_THINKING),
                                          CLOSE(PART_THINKING),
                                          OPEN(PART_TEXT),
                                          SAY(PART_TEXT, "a"),
                                          CLOSE(PART_TEXT),
                                          OPEN(PART_CALL, .id = CCP_LIT("c1"), .name = CCP_LIT("f")),
                                          CLOSE(PART_CALL),
                                          OPEN(PART_CALL, .id = CCP_LIT("c2"), .name = CCP_LIT("f"), .custom = true),
                                          SAY(PART_CALL, "\\\"x"),
                                          CLOSE(PART_CALL),
                                          OPEN(PART_CALL, .id = CCP_LIT("c3"), .name = CCP_LIT("f")),
                                          SAY(PART_CALL, "{\\\"a\\\":"),
                                          CLOSE(PART_CALL)};
    struct collect c;
    struct arena a;
    struct ccp_buf out;
    arena_init(&a, NULL, 0);
    buf_init(&out, 1 << 20);
    collect_init(&c, 1 << 20);
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++)
        assert_true(collect_put(&c, &deltas[i]));
    assert_true(collect_put(&c, &(struct delta)END(STOP_LENGTH)));
    assert_true(f->write_whole(&client, &c, &a, &out));
    json_t *got = js_load(out.p, out.n);
    char *want =
        quoted("[" TEXT("a") ",{'type':'tool_use','id':'c1','name':'f','input':{}},{'type':'tool_use','id':'c2',"
                             "'name':'f','input':{'input':'\\u0022x'}}]");
    json_t *content = js_load(want, strlen(want));
    assert_null(js_diff(js_get(got, "content"), content));
    assert_true(js_is(js_get(got, "stop_reason"), "max_tokens"));
    json_decref(got);
    json_decref(content);
    free(want);
    collect_release(&c);
    buf_release(&out);
    arena_end(&a);
}

/* -- answers of upstreams -- */

struct upstream {
    const char *what, *events, *content, *stop;
    bool broken;
};

#define U_START "{'type':'message_start','message':{'id':'msg_1','usage':{'input_tokens':7,'output_tokens':1}}}\n"
#define U_STOP                                                                                                         \
    "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{'input_tokens':null,'output_tokens':3}}\n{'"  \
    "type':'message_stop'}\n"

static const struct upstream upstreams[] = {
    {"no stop reason", U_START "{'type':'message_stop'}\n", "[]", "end_turn"},
    {"no message_stop", U_START, "[]", NULL, true},
    {"no JSON", U_START "oops\n", "[]", NULL, true},
    {"a block that is not closed",
     U_START STARTS("0", NEW_TEXT) GETS("0", "text_delta", "text", "a") STARTS("1", NEW_TEXT)
         GETS("1", "text_delta", "text", "b") U_STOP,
     "[" TEXT("a") "," TEXT("b") "]", "end_turn"},
    {"no index",
     U_START "{'type':'content_block_start','content_block':{'type':'text','text':'a'}}\n"
             "{'type':'content_block_delta','delta':{'type':'text_delta','text':'b'}}\n" U_STOP,
     "[" TEXT("ab") "]", "end_turn"},
    {"input at once",
     U_START STARTS("0", "{'type':'tool_use','id':'c','name':'f','input':{'x':1}}")
         GETS("0", "input_json_delta", "partial_json", "{}") STOPS("0") U_STOP,
     "[{'type':'tool_use','id':'c','name':'f','input':{'x':1}}]", "tool_use"},
    {"no input",
     U_START STARTS("0", "{'type':'tool_use','id':'c','name':'f','input':{}}")
         GETS("0", "input_json_delta", "partial_json", "") STOPS("0") U_STOP,
     "[{'type':'tool_use','id':'c','name':'f','input':{}}]", "tool_use"},
    {"again from the start",
     U_START STARTS("0", NEW_TEXT) GETS("0", "text_delta", "text", "a") U_START GETS("0", "text_delta", "text", "b")
         STOPS("0") "{'type':'unheard_of'}\n" U_STOP,
     "[" TEXT("ab") "]", "end_turn"},
    {"what was not opened",
     U_START GETS("4", "text_delta", "text", "x") STARTS("5", "{'type':'fallback','from':{'model':'x'}}") STOPS("5")
         U_STOP,
     "[]", "end_turn"},
    {"hidden thinking",
     U_START STARTS("0", NEW_THINKING) SIGN("0", "s") STOPS("0") STARTS("1", "{'type':'redacted_thinking','data':'d'}")
         STOPS("1") U_STOP,
     "[{'type':'thinking','thinking':'','signature':'s'},{'type':'redacted_thinking','data':'d'}]", "end_turn"},
    {"a tool of the provider",
     U_START STARTS("0", "{'type':'server_tool_use','id':'s','name':'x','input':{}}")
         GETS("0", "input_json_delta", "partial_json", "{}") STOPS(
             "0") "{'type':'message_delta','delta':{'stop_reason':'pause_turn'},'usage':{}}\n{'type':'message_stop'}\n",
     "[]", "pause_turn"},
};

/* Without event names: the type in the data is enough. */
static char *as_stream(const char *events)
{
    struct ccp_buf out;
    buf_init(&out, 1 << 20);
    for (const char *line = events; *line != '\0'; line += strcspn(line, "\n") + 1) {
        buf_addz(&out, "data: ");
        buf_add(&out, ccp_span_of(line, strcspn(line, "\n")));
        buf_addz(&out, "\n\n");
    }
    buf_add(&out, ccp_span_of("", 1));
    char *stream = quoted(out.p);
    buf_release(&out);
    return stream;
}

static void test_upstreams(void **state)
{
    for (size_t i = 0; i < sizeof(upstreams) / sizeof(upstreams[0]); i++) {
        const struct upstream *u = &upstreams[i];
        char *stream = as_stream(u->events), *want = quoted(u->content);
        struct sent_down s =
            send_down(&(struct answered){.from = A, .to = A, .from_stream = true}, stream, strlen(stream));
        json_t *got = js_load(s.body.p, s.body.n), *content = js_load(want, strlen(want));
        if (s.broken != u->broken)
            judge("ended in another way", "%s: %s", u->what, s.error);
        if (!u->broken) {
            judge(js_diff(js_get(got, "content"), content), "%s", u->what);
            judge(js_is(js_get(got, "stop_reason"), u->stop) ? NULL : "stop_reason", "%s", u->what);
            judge(js_number(js_get(js_get(got, "usage"), "input_tokens")) == 7 ? NULL : "input_tokens", "%s", u->what);
        }
        json_decref(got);
        json_decref(content);
        sent_down_free(&s);
        free(stream);
        free(want);
    }
    all_right();
}

static void test_counts(void **state)
{
    const struct wire_format *f = format_of(CCP_FORMAT_ANTHROPIC);
    struct ccp_buf out;
    buf_init(&out, 1000);
    assert_true(f->write_count(12, true, &out));
    json_t *got = js_load(out.p, out.n);
    assert_int_equal(js_number(js_get(got, "input_tokens")), 12);
    json_decref(got);
    buf_release(&out);

    static const char *const bodies[] = {"{\"input_tokens\":14}", "{\"input_tokens\":-1}", "{\"totalTokens\":14}",
                                         "[]"};
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < 4; i++) {
        struct ccp_json *root;
        uint64_t tokens = 0;
        assert_int_equal(json_parse(&a, ccp_span_z(bodies[i]), &root, NULL), CCP_OK);
        assert_int_equal(f->read_count(root, &tokens), i == 0);
        assert_int_equal(tokens, i == 0 ? 14 : 0);
    }
    arena_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stream, begin_test),
        cmocka_unit_test_setup(test_whole, begin_test),
        cmocka_unit_test_setup(test_upstreams, begin_test),
        cmocka_unit_test_setup(test_counts, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
