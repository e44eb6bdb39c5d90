/*
 * Fitting a body to its provider: the rules of struct ccp_body_rule, applied to generate calls.
 *
 * A scan without memory decides first whether anything must differ; mostly nothing does, and the client's bytes go up
 * as they are, since prompt caches live on them. Else the tree is edited and written with everything untouched as it
 * came. Nothing here knows a provider or a member by name. What goes is told by prompt_drop, like losses of
 * translation.
 */
#include <base/assert.h>
#include <base/fault.h>
#include <chain/crossing_impl.h>
#include <wire/json.h>

enum { MOST_RULES = 32 };

static bool contains_quoted(struct ccp_span in, const char *word)
{
    size_t n = strlen(word);
    const char *at = in.p, *end = in.p + in.n;
    while ((at = memmem(at, (size_t)(end - at), word, n)) != NULL) {
        if (at != in.p && at[-1] == '"' && at + n != end && at[n] == '"')
            return true;
        at += n;
    }
    return false;
}

/* Would this rule change a body whose member is `v` (p = NULL: it has none)? May say yes too often, never too seldom.
 */
static bool concerns(const struct ccp_body_rule *r, struct ccp_span v)
{
    switch (r->what) {
    case CCP_BODY_DROP:
        return v.p != NULL && !(r->value != NULL && ccp_span_is(v, r->value));
    case CCP_BODY_SET:
        return v.p == NULL || !ccp_span_is(v, r->value);
    case CCP_BODY_DEFAULT:
        return v.p == NULL || ccp_span_is(v, "null");
    case CCP_BODY_REFUSE:
        return v.p != NULL;
    case CCP_BODY_LIST:
        return v.p != NULL && v.p[0] == '"';
    case CCP_BODY_DEVELOPER:
        return v.p != NULL && contains_quoted(v, "system");
    case CCP_BODY_DROP_PARTS:
        return v.p != NULL && contains_quoted(v, r->value);
    default: /* FORGET: only together with the rule that sets `store` */
        return false;
    }
}

enum ccp_status fit_look(const struct ccp_body_rule *rules, struct ccp_span body, bool *needed,
                         struct ccp_json_error *error)
{
    struct ccp_span keys[MOST_RULES], values[MOST_RULES];
    size_t key_of[MOST_RULES], n = 0;
    *needed = false;
    for (size_t i = 0; rules[i].what != CCP_BODY_END; i++) {
        CCP_ASSERT(i < MOST_RULES);
        for (key_of[i] = 0; key_of[i] < n; key_of[i]++)
            if (ccp_span_is(keys[key_of[i]], rules[i].member))
                break;
        if (key_of[i] == n)
            keys[n++] = ccp_span_z(rules[i].member);
    }
    enum ccp_status status = json_scan(body, keys, values, n, error);
    for (size_t i = 0; status == CCP_OK && !*needed && rules[i].what != CCP_BODY_END; i++)
        *needed = concerns(&rules[i], values[key_of[i]]);
    return status;
}

/* -- the rules, on a tree -- */

static bool is_null(const struct ccp_json *v)
{
    return v == NULL || v->type == CCP_JSON_NULL;
}

/* The client's own word for what upstream calls `member`. */
static const char *word(const struct prompt *p, const char *member)
{
    for (const struct field *f = format_of(p->to.format)->fields; f->name != NULL; f++)
        if (strcmp(f->name, member) == 0 && p->param_names[f->param] != NULL)
            return p->param_names[f->param];
    return member;
}

static bool set(struct prompt *p, struct ccp_json *root, const struct ccp_body_rule *r)
{
    struct ccp_json *value = CCP_FAULT("fit.set") ? NULL : json_raw(p->a, ccp_span_z(r->value));
    return (value != NULL && json_set(p->a, root, r->member, value)) || prompt_no_memory(p);
}

static bool make_list(struct prompt *p, struct ccp_json *root, const char *member, const struct ccp_json *text)
{
    struct ccp_span pieces[] = {
        CCP_SPAN("[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"), text->raw,
        CCP_SPAN("}]}]")};
    struct ccp_span list = CCP_FAULT("fit.list") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, 3);
    struct ccp_json *value = list.p != NULL ? json_raw(p->a, list) : NULL;
    return (value != NULL && json_set(p->a, root, member, value)) || prompt_no_memory(p);
}

static void make_developer(struct ccp_json *list)
{
    for (struct ccp_json *item = list->child; item != NULL; item = item->next) {
        struct ccp_json *role = ccp_json_get(item, "role");
        if (ccp_span_is(ccp_json_inner(role), "system"))
            role->raw = CCP_SPAN("\"developer\"");
    }
}

/* Items whose id only names what was stored; of others it is a part. */
static bool id_is_a_name(const struct ccp_json *item)
{
    static const char *const types[] = {"",
                                        "message",
                                        "reasoning",
                                        "function_call",
                                        "function_call_output",
                                        "custom_tool_call",
                                        "custom_tool_call_output",
                                        "web_search_call"};
    struct ccp_span type = ccp_json_inner(ccp_json_get(item, "type"));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (ccp_span_is(type, types[i]))
            return true;
    return false;
}

static bool is_reference(const struct ccp_json *item)
{
    const struct ccp_json *type = ccp_json_get(item, "type");
    return ccp_span_is(ccp_json_inner(type), "item_reference") ||
           (is_null(type) && ccp_json_get(item, "id") != NULL && ccp_json_get(item, "role") == NULL);
}

static bool forget(struct prompt *p, const struct ccp_json *root, const char *member, struct ccp_json *list)
{
    const struct ccp_json *store = ccp_json_get(root, "store");
    if (store != NULL && store->type == CCP_JSON_FALSE)
        return true;
    size_t i = 0;
    for (struct ccp_json *item = list->child; item != NULL; item = item->next, i++) {
        if (is_reference(item))
            return prompt_fail(p,
                               "%s[%zu]: this provider stores nothing, so an item of an earlier answer cannot be "
                               "referred to; send it whole, with store = false and encrypted reasoning",
                               member, i);
        if (id_is_a_name(item))
            json_remove(item, "id");
    }
    return true;
}

static void drop_parts(struct prompt *p, struct ccp_json *list, const char *name)
{
    bool found = false;
    for (struct ccp_json *item = list->child; item != NULL; item = item->next)
        for (struct ccp_json *m = item->child; m != NULL; m = m->next)
            for (struct ccp_json *part = m->type == CCP_JSON_ARRAY ? m->child : NULL; part != NULL; part = part->next)
                found |= json_remove(part, name);
    if (found)
        prompt_drop(p, name);
}

static bool apply(struct prompt *p, struct ccp_json *root, const struct ccp_body_rule *r)
{
    struct ccp_json *v = ccp_json_get(root, r->member);
    bool list = v != NULL && v->type == CCP_JSON_ARRAY;
    switch (r->what) {
    case CCP_BODY_DROP:
        if (v == NULL || (r->value != NULL && ccp_span_is(v->raw, r->value)))
            return true;
        if (!is_null(v))
            prompt_drop(p, word(p, r->member));
        json_remove(root, r->member);
        return true;
    case CCP_BODY_SET:
        if (v != NULL && ccp_span_is(v->raw, r->value))
            return true;
        if (!is_null(v))
            prompt_drop(p, word(p, r->member));
        return set(p, root, r);
    case CCP_BODY_DEFAULT:
        return !is_null(v) || set(p, root, r);
    case CCP_BODY_REFUSE:
        if (!is_null(v))
            return prompt_fail(p, "%s: %s", r->member, r->value);
        json_remove(root, r->member);
        return true;
    case CCP_BODY_LIST:
        return v == NULL || v->type != CCP_JSON_STRING || make_list(p, root, r->member, v);
    case CCP_BODY_DEVELOPER:
        if (list)
            make_developer(v);
        return true;
    case CCP_BODY_FORGET:
        return !list || forget(p, root, r->member, v);
    case CCP_BODY_DROP_PARTS:
        if (list)
            drop_parts(p, v, r->value);
        return true;
    case CCP_BODY_END:
        break;
    }
    return true;
}

bool fit_tree(const struct ccp_body_rule *rules, struct prompt *p, struct ccp_json *root)
{
    for (; rules != NULL && rules->what != CCP_BODY_END; rules++)
        if (!apply(p, root, rules))
            return false;
    return p->status == CCP_OK;
}
