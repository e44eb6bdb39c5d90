/*
 * Asking a running server: see ask.h.
 */
#include <app/ask.h>

#include <ccproxy/transport.h>
#include <upstream/upstream.h>

#include <stdio.h>

const struct ccp_secret *ask_key(const struct security_settings *s)
{
    const struct security_key *keys = s->keys.v;
    for (size_t i = 0; s->auth_token == NULL && i < s->keys.n; i++)
        if (keys[i].admin)
            return keys[i].token;
    return s->auth_token != NULL ? s->auth_token : s->keys.n != 0 ? keys[0].token : NULL;
}

void ask_trust(struct question *q, const struct server_settings *s)
{
    const char *why;
    bool tls = strncmp(q->address.url, "https:", 6) == 0;
    q->trust = tls && s->tls_cert.n != 0 ? trust_load(s->tls_cert.p, &why) : NULL;
}

const struct ccp_secret *ask_admin_key(const struct security_settings *s)
{
    const struct security_key *keys = s->keys.v;
    for (size_t i = 0; i < s->keys.n; i++)
        if (keys[i].admin)
            return keys[i].token;
    return NULL;
}

static int send_question(const struct question *q, const char *method, const char *path, struct ccp_buf *out,
                         const char **why)
{
    char url[400];
    struct ccp_header headers[] = {{CCP_SPAN("accept"), CCP_SPAN("application/json")}};
    snprintf(url, sizeof(url), "%s%s", q->address.url, path);
    struct ccp_upstream_request request = {
        .method = ccp_span_z(method),
        .url = ccp_span_z(url),
        .headers = headers,
        .header_count = 1,
        .credential = q->key,
        .credential_header = CCP_SPAN("x-ccproxy-token"),
        .credential_prefix = CCP_SPAN(""),
        .limits = {.connect_ms = 3000,
                   .first_byte_ms = method[0] == 'G' ? 5000 : 60000,
                   .idle_ms = 5000,
                   .total_ms = method[0] == 'G' ? 10000 : 60000},
        .allow_private = true,
        .literal_host = true,
        .trust = q->trust,
    };
    struct upstream_answer answer;
    bool whole = upstream_fetch(q->address.unix_socket, &request, out, &answer);
    *why = answer.why;
    return whole ? answer.status : 0;
}

int ask(const struct question *q, const char *path, struct ccp_buf *out, const char **why)
{
    return send_question(q, "GET", path, out, why);
}

int ask_post(const struct question *q, const char *path, struct ccp_buf *out, const char **why)
{
    return send_question(q, "POST", path, out, why);
}
