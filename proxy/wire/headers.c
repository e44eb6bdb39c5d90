/*
 * Which header fields stay on their hop, and which may travel (RFC 9110 section 7.6.1).
 *
 * Pure functions of names. Each set is a switch over the length, so a name costs at most a few short compares.
 * Nothing here knows a provider; credentials are named so that the caller can replace them, not removed here.
 */
#include <wire/headers.h>
#include <wire/scan_impl.h>

#define IS(name, lit) (memcmp((name).p, lit, sizeof(lit) - 1) == 0) /* the length is known to be right */

struct ccp_span headers_get(const struct ccp_header *h, size_t n, struct ccp_span name)
{
    for (size_t i = 0; i < n; i++)
        if (ccp_span_eq(h[i].name, name))
            return h[i].value;
    return (struct ccp_span){NULL, 0};
}

static bool always_hop_by_hop(struct ccp_span name)
{
    switch (name.n) {
    case 2:
        return IS(name, "te");
    case 7:
        return IS(name, "trailer") || IS(name, "upgrade");
    case 10:
        return IS(name, "connection") || IS(name, "keep-alive");
    case 14:
        return IS(name, "http2-settings");
    case 16:
        return IS(name, "proxy-connection");
    case 17:
        return IS(name, "transfer-encoding");
    case 18:
        return IS(name, "proxy-authenticate");
    case 19:
        return IS(name, "proxy-authorization");
    default:
        return false;
    }
}

bool headers_credential(struct ccp_span name)
{
    switch (name.n) {
    case 6:
        return IS(name, "cookie");
    case 7:
        return IS(name, "api-key");
    case 9:
        return IS(name, "x-api-key");
    case 10:
        return IS(name, "set-cookie");
    case 13:
        return IS(name, "authorization");
    case 14:
        return IS(name, "x-goog-api-key");
    case 15:
        return IS(name, "x-ccproxy-token");
    case 19:
        return IS(name, "proxy-authorization");
    default:
        return false;
    }
}

/* One word of a name, between '-' and '_'. "tokens" is none: anthropic-ratelimit-tokens-limit is a number. */
static bool telling(struct ccp_span word)
{
    static const char *const ends[] = {"token",     "secret",  "key",        "password",    "passwd", "pwd",
                                       "cookie",    "cookie2", "credential", "credentials", "auth",   "authorization",
                                       "signature", "jwt",     "assertion",  "passphrase"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t n = strlen(ends[i]);
        if (word.n >= n && strncasecmp(word.p + word.n - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

bool headers_secret(struct ccp_span name)
{
    if (ccp_span_ieq(name, CCP_SPAN("idempotency-key")) || ccp_span_ieq(name, CCP_SPAN("sec-websocket-key")))
        return false;
    while (name.n != 0) {
        size_t dash = ccp_span_find(name, '-'), line = ccp_span_find(name, '_'), n = dash < line ? dash : line;
        if (telling(ccp_span_of(name.p, n)))
            return true;
        name = ccp_span_skip(name, n + 1);
    }
    return false;
}

/* Does Connection (a comma list, any case) name this field? */
static bool named_by(struct ccp_span connection, struct ccp_span name)
{
    while (connection.n != 0) {
        size_t comma = ccp_span_find(connection, ',');
        if (ccp_span_ieq(ccp_span_trim(ccp_span_of(connection.p, comma)), name))
            return true;
        connection = ccp_span_skip(connection, comma + 1);
    }
    return false;
}

bool headers_hop_by_hop(struct ccp_span name, struct ccp_span connection)
{
    if (always_hop_by_hop(name))
        return true;
    if (connection.n == 0 || headers_credential(name) || ccp_span_eq(name, CCP_SPAN("host")) ||
        ccp_span_starts(name, CCP_SPAN("content-")))
        return false;
    return named_by(connection, name);
}

/* Fields that tell about the hops and addresses before this one. */
static bool traces_client(struct ccp_span name)
{
    switch (name.n) {
    case 3:
        return IS(name, "via");
    case 9:
        return IS(name, "forwarded") || IS(name, "x-real-ip");
    case 11:
        return IS(name, "x-client-ip");
    case 14:
        return IS(name, "true-client-ip");
    case 19:
        return IS(name, "x-cluster-client-ip");
    default:
        return false;
    }
}

static bool request_only_ours(struct ccp_span name)
{
    switch (name.n) {
    case 4:
        return IS(name, "host");
    case 6:
        return IS(name, "cookie") || IS(name, "expect");
    case 7:
        return IS(name, "cookie2");
    case 14:
        return IS(name, "content-length");
    case 15:
        return IS(name, "accept-encoding");
    default:
        return false;
    }
}

static bool response_only_ours(struct ccp_span name)
{
    switch (name.n) {
    case 4:
        return IS(name, "date");
    case 6:
        return IS(name, "server");
    case 7:
        return IS(name, "alt-svc");
    case 10:
        return IS(name, "set-cookie");
    case 11:
        return IS(name, "set-cookie2"); /* RFC 2965; some programs still read it */
    case 14:
        return IS(name, "content-length");
    case 15:
        return IS(name, "clear-site-data");
    case 25:
        return IS(name, "strict-transport-security");
    default:
        return false;
    }
}

bool headers_forward_request(struct ccp_span name)
{
    if (name.n == 0 || name.p[0] == ':' || always_hop_by_hop(name) || traces_client(name) || request_only_ours(name))
        return false;
    return !ccp_span_starts(name, CCP_SPAN("x-forwarded")) && !ccp_span_starts(name, CCP_SPAN("cf-")) &&
           !ccp_span_starts(name, CCP_SPAN("x-ccproxy-"));
}

bool headers_forward_response(struct ccp_span name)
{
    if (name.n == 0 || name.p[0] == ':' || always_hop_by_hop(name) || response_only_ours(name))
        return false;
    return !ccp_span_starts(name, CCP_SPAN("access-control-")) && !ccp_span_starts(name, CCP_SPAN("x-ccproxy-"));
}

bool headers_value_ok(struct ccp_span value)
{
    if (value.n == 0)
        return true; /* perhaps without a pointer */
    const char *end = value.p + value.n;
    for (const char *p = value.p; (p = scan_control(p, end)) != end; p++)
        if (*p != '\t')
            return false;
    return true;
}

enum { TOKEN = 1, UPPER = 2 }; /* UPPER: a token character, but not of a lower-case name */
static const uint8_t token_chars[256] = {
    ['0' ... '9'] = TOKEN, ['A' ... 'Z'] = UPPER, ['a' ... 'z'] = TOKEN, ['!'] = TOKEN, ['#' ... '\''] = TOKEN,
    ['*' ... '+'] = TOKEN, ['-' ... '.'] = TOKEN, ['^' ... '`'] = TOKEN, ['|'] = TOKEN, ['~'] = TOKEN,
};

bool headers_name_ok(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (token_chars[(unsigned char)name.p[i]] != TOKEN)
            return false;
    return name.n != 0;
}

bool headers_token_ok(struct ccp_span token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token_chars[(unsigned char)token.p[i]] == 0)
            return false;
    return token.n != 0;
}
