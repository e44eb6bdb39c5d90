/*
 * What a provider's own functions are given: the login's texts, and ways to read JSON and to remember facts.
 */
#include <auth/protocol_impl.h>

static struct oauth_call *of(const struct ccp_oauth_call *call)
{
    return (struct oauth_call *)(uintptr_t)call;
}

static struct ccp_span call_text(const struct ccp_oauth_call *call, const struct ccp_json *string)
{
    return oauth_text(of(call)->arena, string);
}

static struct ccp_span call_printf(const struct ccp_oauth_call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    struct ccp_span text = arena_vprintf(of(call)->arena, fmt, ap);
    va_end(ap);
    return text;
}

static bool name_ok(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '_')
            return false;
    return name.n != 0 && name.n <= 64;
}

/* The place of the fact of this name, or of one more; NULL: there are too many. */
static struct record_fact *place(struct record_token *t, struct ccp_span name)
{
    for (size_t i = 0; i < t->fact_count; i++)
        if (ccp_span_eq(t->facts[i].name, name))
            return &t->facts[i];
    return t->fact_count < RECORD_FACTS ? &t->facts[t->fact_count] : NULL;
}

static void call_fact(const struct ccp_oauth_call *call, const char *name, struct ccp_span value)
{
    struct oauth_token *to = of(call)->facts;
    struct ccp_span key = ccp_span_z(name);

    if (to == NULL || !name_ok(key) || value.n == 0 || value.n > OAUTH_FACT_MAX || !oauth_printable(value))
        return;
    struct record_fact *at = place(&to->token, key), copy;
    if (at == NULL)
        return;
    copy = (struct record_fact){arena_dup(&to->arena, key), arena_dup(&to->arena, value)};
    if (copy.name.p == NULL || copy.value.p == NULL)
        return;
    *at = copy;
    if (at == &to->token.facts[to->token.fact_count])
        to->token.fact_count++;
}

void oauth_call_init(struct oauth_call *c, const struct oauth_provider *p, struct arena *a, struct oauth_token *facts)
{
    *c = (struct oauth_call){
        .call = {.client_id = p->client_id,
                 .issuer = p->issuer,
                 .token_url = p->token_url,
                 .device_url = p->device_url,
                 .text = call_text,
                 .number = oauth_integer,
                 .print = call_printf,
                 .fact = call_fact},
        .arena = a,
        .facts = facts,
    };
}
