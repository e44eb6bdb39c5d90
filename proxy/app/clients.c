/*
 * Clients as data: see clients.h. Base URLs have the form that each vendor's client takes: Anthropic's and Google's
 * without a version, OpenAI's with /v1.
 */
#include <app/app.h>
#include <app/clients.h>

const struct client clients[] = {
    {"claude", "Claude Code", "claude_api", CCP_FORMAT_ANTHROPIC, "", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN",
     "ANTHROPIC_CUSTOM_HEADERS"},
    {"codex", "Codex", "openai", CCP_FORMAT_OPENAI_RESPONSES, "/v1", NULL, "CCPROXY_TOKEN", .plan = "codex"},
    {"openai", "OpenAI SDK", "openai", CCP_FORMAT_OPENAI_CHAT, "/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY",
     .plan = "codex"},
    {"anthropic", "Anthropic SDK", "claude_api", CCP_FORMAT_ANTHROPIC, "", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"},
    {"gemini", "Gemini CLI, SDK", "gemini", CCP_FORMAT_GEMINI, "", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"},
    {.name = NULL},
};

const struct client *client_find(const char *name)
{
    for (const struct client *c = clients; c->name != NULL; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

struct provider *client_provider(struct runtime *rt, const struct client *client, const char *wanted)
{
    struct provider *p = NULL;
    if (wanted != NULL) {
        p = runtime_provider(rt, ccp_span_z(wanted));
        return p != NULL ? p : runtime_prefix(rt, ccp_span_z(wanted));
    }
    struct provider *plan = client->plan != NULL ? runtime_provider(rt, ccp_span_z(client->plan)) : NULL;
    p = runtime_provider(rt, ccp_span_z(client->provider));
    if (plan != NULL && plan->enabled && credentials_stored(rt, plan) && (p == NULL || !credentials_stored(rt, p)))
        return plan;
    if (p != NULL && p->enabled)
        return p;
    for (size_t i = 0; i < rt->provider_count; i++)
        if (rt->providers[i].enabled && (rt->providers[i].formats & (1u << client->format)) != 0)
            return &rt->providers[i];
    for (size_t i = 0; i < rt->provider_count; i++) /* any other is translated */
        if (rt->providers[i].enabled)
            return &rt->providers[i];
    return NULL;
}

bool client_base(char *out, size_t max, const char *url, const struct provider *p, const struct client *client)
{
    int n = snprintf(out, max, "%s/%.*s%s", url, CCP_FMT(p->prefix), client->suffix);
    return n > 0 && (size_t)n < max;
}

bool client_needs_key(const struct settings *s)
{
    return s->security.auth_token != NULL || s->security.keys.n != 0;
}
