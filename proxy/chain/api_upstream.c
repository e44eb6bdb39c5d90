/*
 * The upstream request in the hands of hooks (provider.request.prepared), and what those who write requests down need
 * to know about credentials.
 *
 * A hook may set headers; whatever it does, what leaves is still a request of ours: headers that may travel, pieces
 * that exist, and the credential that the core put in.
 */
#include <base/fault.h>
#include <chain/api_impl.h>
#include <wire/headers.h>

static bool may_be_set(const struct ccp_upstream_request *r, struct ccp_span name, struct ccp_span value)
{
    return headers_name_ok(name) && headers_value_ok(value) && headers_forward_request(name) &&
           !headers_credential(name) && !(r->credential != NULL && ccp_span_eq(name, r->credential_header));
}

bool api_set_upstream_header(struct ccp_exchange *pub, struct ccp_upstream_request *r, struct ccp_span name,
                             struct ccp_span value)
{
    struct exchange *x = exchange_of(pub);
    bool removes = value.p == NULL;
    if (r != &x->up || x->attempts != 0 || x->state != X_UPSTREAM || !may_be_set(r, name, value))
        return false;
    struct ccp_header *h =
        CCP_FAULT("upstream.header") ? NULL : arena_alloc(&x->arena, (r->header_count + 1) * sizeof(struct ccp_header));
    struct ccp_span pieces[] = {name, value}, both = arena_cat(&x->arena, pieces, removes ? 1 : 2);
    size_t n = 0;
    if (h == NULL || both.p == NULL)
        return false;
    for (size_t i = 0; i < r->header_count; i++)
        if (!ccp_span_eq(r->headers[i].name, name))
            h[n++] = r->headers[i];
    if (!removes)
        h[n++] = (struct ccp_header){ccp_span_of(both.p, name.n), ccp_span_skip(both, name.n)};
    r->headers = h;
    r->header_count = n;
    return true;
}

bool api_header_is_secret(struct ccp_span name)
{
    return headers_secret(name) || headers_credential(name);
}

struct ccp_span api_authority(struct ccp_exchange *x)
{
    return exchange_of(x)->req.authority;
}

/* Headers and pieces can be replaced without set_upstream_header, too. Those that were there before may stand. */
static bool is_sound(const struct ccp_upstream_request *r, const struct ccp_upstream_request *before)
{
    if (r->body_pieces > sizeof(r->body) / sizeof(r->body[0]) || (r->header_count != 0 && r->headers == NULL))
        return false;
    for (size_t i = 0; r->headers != before->headers && i < r->header_count; i++) {
        struct ccp_span name = r->headers[i].name, value = r->headers[i].value;
        bool was_there = headers_get(before->headers, before->header_count, name).p != NULL;
        if (!headers_name_ok(name) || !headers_value_ok(value) || (!was_there && !may_be_set(before, name, value)))
            return false;
    }
    return true;
}

bool attempt_offer(struct exchange *x)
{
    struct ccp_upstream_request before = x->up;
    hooks_say(x, CCP_EVENT_PROVIDER_REQUEST_PREPARED,
              &(struct ccp_moment){.size = sizeof(struct ccp_moment), .request = &x->up});
    bool sound = is_sound(&x->up, &before);
    struct ccp_upstream_request after = x->up;
    x->up = before;
    if (!sound) {
        exchange_fail(x, CCP_INTERNAL, "a plugin made a request of this that may not be sent");
        return false;
    }
    x->up.headers = after.headers;
    x->up.header_count = after.header_count;
    memcpy(x->up.body, after.body, sizeof(x->up.body));
    x->up.body_pieces = after.body_pieces;
    return true;
}
