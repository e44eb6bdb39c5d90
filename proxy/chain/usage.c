/*
 * Token counts of answers, for hooks that ask for them (CCP_HOOK_USAGE). An answer that crosses formats brings them
 * with its deltas; one that passes is looked through on its way (usage_scan.h), by its bytes as the upstream sent them.
 * Nobody asks: nothing is done.
 */
#include <base/fault.h>
#include <chain/crossing_impl.h>
#include <chain/usage_scan.h>
#include <wire/headers.h>

static bool tells_usage(const struct exchange *x)
{
    enum ccp_op op = x->route.op;
    return x->attempts != 0 && (op == CCP_OP_GENERATE || op == CCP_OP_EMBED || op == CCP_OP_FAMILY) &&
           x->spoken < CCP_FORMAT_COUNT && x->head.status >= 200 && x->head.status < 300 &&
           x->waiting_coding == CODING_IDENTITY;
}

static bool is_json(const struct exchange *x)
{
    struct ccp_span type = headers_get(x->head.headers, x->head.count, CCP_SPAN("content-type"));
    return type.n >= 16 && ccp_span_ieq(ccp_span_of(type.p, 16), CCP_SPAN("application/json"));
}

void usage_open(struct exchange *x)
{
    if (!x->rt->reads_usage || x->crossing != NULL || !tells_usage(x) || (!x->sse && !is_json(x)))
        return;
    /* Without memory the counts stay unknown; the answer itself is not at stake. */
    x->usage = CCP_FAULT("usage.open") ? NULL : arena_alloc(&x->arena, sizeof(*x->usage));
    if (x->usage != NULL)
        usage_scan_init(x->usage, x->spoken, x->sse, &x->arena);
}

struct ccp_usage usage_of(const struct exchange *x)
{
    struct usage u = {.known = false};
    if (x->usage != NULL)
        u = usage_scan_sum(x->usage);
    else if (x->rt->reads_usage && crossing_answers(x) && x->crossing->t.from != NULL)
        u = x->crossing->t.deltas.usage;
    return (struct ccp_usage){.known = u.known,
                              .input = u.input,
                              .cache_read = u.cache_read,
                              .cache_write = u.cache_write,
                              .cache_write_1h = u.cache_write_1h,
                              .output = u.output,
                              .reasoning = u.reasoning};
}
