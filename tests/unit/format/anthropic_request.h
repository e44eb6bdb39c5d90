/*
 * Requests on their way to and from Anthropic Messages, as tables: what a client sends, what upstream gets, what is
 * listed as dropped, why it is refused. Bodies are written with ' for ".
 */
#ifndef UNIT_FORMAT_ANTHROPIC_REQUEST_H
#define UNIT_FORMAT_ANTHROPIC_REQUEST_H

#include "js.h"
#include "wire.h"

static inline char *quoted(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return copy;
}

struct request {
    const char *what;
    int from, to;
    const char *model, *body;
    const char *sent;    /* the whole body upstream gets, or NULL: not looked at */
    const char *dropped; /* NULL: nothing */
    const char *error;   /* the beginning of the reason for 400, or NULL */
    bool compatible;
};

static inline const char *problem_of(const struct request *r, const struct sent_up *s)
{
    static char text[2000];
    if (r->error != NULL || !s->ok) {
        const char *want = r->error != NULL ? r->error : "to be accepted";
        bool same = !s->ok && r->error != NULL && strncmp(s->error, want, strlen(want)) == 0;
        snprintf(text, sizeof(text), "wanted \"%s\", got \"%s\"", want, s->ok ? s->body.p : s->error);
        return same ? NULL : text;
    }
    if (strcmp(s->dropped, r->dropped != NULL ? r->dropped : "") != 0) {
        snprintf(text, sizeof(text), "dropped \"%s\"", s->dropped);
        return text;
    }
    if (r->sent == NULL)
        return NULL;
    char *want = quoted(r->sent);
    json_t *a = js_load(s->body.p, s->body.n), *b = js_load(want, strlen(want));
    const char *diff = a == NULL || b == NULL ? js_error() : js_diff(a, b);
    if (diff != NULL)
        snprintf(text, sizeof(text), "%s in %.1500s", diff, s->body.p);
    json_decref(a);
    json_decref(b);
    free(want);
    return diff != NULL ? text : NULL;
}

static inline void check_requests(const struct request *r, size_t n)
{
    for (; n != 0; n--, r++) {
        char *body = quoted(r->body);
        struct asked how = {.from = r->from,
                            .to = r->to,
                            .model = r->model != NULL ? r->model : "claude-opus-4-8",
                            .provider = r->to == A ? "anthropic" : NULL,
                            .compatible = r->compatible};
        struct sent_up s = send_up(&how, body, strlen(body));
        judge(problem_of(r, &s), "%s", r->what);
        sent_up_free(&s);
        free(body);
    }
    all_right();
}
#define CHECK(table) check_requests(table, sizeof(table) / sizeof((table)[0]))

#define USER             "'messages':[{'role':'user','content':'q'}]"
#define SENT_USER        "'messages':[{'role':'user','content':[{'type':'text','text':'q'}]}]"
#define SAMPLING         "'temperature':0.5,'top_p':0.9,"
#define G_USER           "'contents':[{'role':'user','parts':[{'text':'q'}]}]"
#define WITH(model, max) "'model':'" model "','max_tokens':" max ","
#define ADAPTIVE(effort) "'thinking':{'type':'adaptive'},'output_config':{'effort':'" effort "'},"
#define TOOLS_C          "'tools':[{'type':'function','function':{'name':'f'}}],"
#define SENT_F           "'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}],"
#define STEP_C                                                                                                         \
    "'messages':[{'role':'user','content':'q'},{'role':'assistant','content':null,'tool_calls':[{'id':'c1',"           \
    "'type':'function','function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c1','content':'r'}]"
#define SENT_STEP(thinking)                                                                                            \
    "'messages':[{'role':'user','content':[{'type':'text','text':'q'}]},{'role':'assistant','content':[" thinking      \
    "{'type':'tool_use','id':'c1','name':'f','input':{}}]},{'role':'user','content':[{'type':'tool_result',"           \
    "'tool_use_id':'c1','content':'r'}]}]"
#define SIGNED  "{'type':'thinking','thinking':'t','signature':'c2ln'},"
#define TOOL_A  "'tools':[{'name':'f','input_schema':{'type':'object'}}],"
#define TEXT(t) "{'type':'text','text':'" t "'}"
#define SCHEMA_C(schema)                                                                                               \
    "'response_format':{'type':'json_schema','json_schema':{'name':'n','strict':true,'schema':" schema "}},"
#define SENT_FORMAT(schema) "'output_config':{'format':{'type':'json_schema','schema':" schema "}},"
#define MAX                 "'max_tokens':9,"

#endif
