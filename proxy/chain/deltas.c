/*
 * Middlewares that read the answer (ccp_middleware.on_delta): who wants to, what they are shown, and that each of them
 * sees an end for every beginning.
 *
 * The deltas are those of format/delta.h, put into the words of the SDK: text without JSON's escapes, proofs left out.
 * Where formats are crossed they come from the translation; else deltas_body.c makes them. A delta that cannot be shown
 * for want of memory ends the answer: a filter that is passed by is none.
 */
#include <base/fault.h>
#include <chain/deltas_impl.h>
#include <wire/json.h>

static void release(void *arg)
{
    struct deltas *d = arg;
    translation_release(&d->t);
    buf_release(&d->held);
    arena_end(&d->scratch);
}

/* -- who reads -- */

static bool readable(const struct exchange *x)
{
    return x->rt->reads_deltas && x->route.op == CCP_OP_GENERATE && x->route.format != CCP_FORMAT_NONE &&
           x->waiting_status >= 200 && x->waiting_status <= 299;
}

static bool may_read(const struct exchange *x, size_t i)
{
    const struct middleware_entry *m = &x->rt->chain[i];
    return m->m->on_delta != NULL && !run_passed_by(x, i) && unit_callable(m->unit);
}

static bool wants(struct exchange *x, const struct middleware_entry *m)
{
    if (m->m->wants_deltas == NULL)
        return true;
    uint64_t began = guard_begin(m->unit);
    bool yes = m->m->wants_deltas(m->self, &x->pub);
    guard_end(m->unit, m->m->name, began);
    return yes;
}

static struct deltas *make(struct exchange *x, size_t most)
{
    struct deltas *d = CCP_FAULT("deltas.open") ? NULL : arena_zalloc(&x->arena, sizeof(*d));
    if (d == NULL || (d->readers = arena_zalloc(&x->arena, most * sizeof(*d->readers))) == NULL)
        return NULL;
    arena_init(&d->scratch, &x->w->cache, (size_t)x->rt->settings.upstream.max_event_bytes * 4);
    if (!CCP_FAULT("deltas.defer") && arena_defer(&x->arena, release, d))
        return d;
    return NULL;
}

bool deltas_open(struct exchange *x)
{
    size_t most = 0;
    if (!readable(x))
        return true;
    for (size_t i = 0; i < x->entered; i++)
        most += may_read(x, i);
    if (most == 0)
        return true;
    struct deltas *d = make(x, most);
    if (d == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    for (size_t i = x->entered; i-- != 0 && d->reader_n < most;)
        if (may_read(x, i) && wants(x, &x->rt->chain[i]))
            d->readers[d->reader_n++].m = &x->rt->chain[i];
    x->deltas = d->reader_n != 0 ? d : NULL;
    return true;
}

/* -- in the words of the SDK -- */

static enum ccp_part part_of(enum part_kind kind)
{
    switch (kind) {
    case PART_THINKING:
        return CCP_PART_THINKING;
    case PART_REFUSAL:
        return CCP_PART_REFUSAL;
    case PART_CALL:
        return CCP_PART_TOOL_CALL;
    default:
        return CCP_PART_TEXT;
    }
}

static enum ccp_stop stop_of(enum stop stop)
{
    switch (stop) {
    case STOP_NONE:
        return CCP_STOP_NONE;
    case STOP_END:
        return CCP_STOP_END;
    case STOP_SEQUENCE:
        return CCP_STOP_SEQUENCE;
    case STOP_LENGTH:
    case STOP_CONTEXT:
        return CCP_STOP_LENGTH;
    case STOP_TOOL:
        return CCP_STOP_TOOL;
    case STOP_REFUSAL:
        return CCP_STOP_REFUSAL;
    default:
        return CCP_STOP_OTHER;
    }
}

static enum ccp_delta_type type_of(enum delta_type type)
{
    switch (type) {
    case DELTA_START:
        return CCP_DELTA_START;
    case DELTA_OPEN:
        return CCP_DELTA_OPEN;
    case DELTA_TEXT:
        return CCP_DELTA_TEXT;
    case DELTA_CLOSE:
        return CCP_DELTA_CLOSE;
    case DELTA_STOP:
        return CCP_DELTA_STOP;
    default:
        return CCP_DELTA_ERROR;
    }
}

static bool plain(struct arena *a, ctext from, struct ccp_span *to)
{
    *to = from.n != 0 && CCP_FAULT("deltas.text") ? (struct ccp_span){NULL, 0} : json_unescape(a, from);
    if (to->p == NULL)
        *to = CCP_SPAN("");
    return from.n == 0 || to->n != 0;
}

/* False: no memory. `usage` is room for what `out` points to. */
static bool express(struct deltas *r, const struct delta *d, struct ccp_delta *out, struct ccp_usage *usage)
{
    struct arena *a = &r->scratch;
    *out = (struct ccp_delta){.type = type_of(d->type), .stop = stop_of(d->stop)};
    if (d->type == DELTA_OPEN)
        r->parts++;
    if (d->type == DELTA_OPEN || d->type == DELTA_TEXT || d->type == DELTA_CLOSE) {
        out->part = part_of(d->kind);
        out->index = r->parts - 1;
    }
    if (d->type == DELTA_STOP && d->usage != NULL && d->usage->known) {
        const struct usage *u = d->usage;
        *usage = (struct ccp_usage){true,      u->input,    u->cache_read, u->cache_write, u->cache_write_1h,
                                    u->output, u->reasoning};
        out->usage = usage;
    }
    if (d->type == DELTA_ERROR) { /* told in any case */
        plain(a, d->failure->message, &out->text);
        return true;
    }
    return plain(a, d->id, &out->id) && plain(a, d->name, &out->name) && plain(a, d->model, &out->model) &&
           plain(a, d->text, &out->text);
}

/* -- showing -- */

static bool show(struct exchange *x, struct delta_reader *r, const struct ccp_delta *d)
{
    const struct middleware_entry *m = r->m;
    if (r->ended || !unit_callable(m->unit))
        return true;
    r->started = r->started || d->type == CCP_DELTA_START;
    r->ended = d->type == CCP_DELTA_STOP || d->type == CCP_DELTA_ERROR;
    uint64_t began = guard_begin(m->unit);
    bool goes_on = m->m->on_delta(m->self, &x->pub, d);
    guard_end(m->unit, m->m->name, began);
    return goes_on || d->type == CCP_DELTA_ERROR;
}

static void show_error(struct exchange *x, struct ccp_span why)
{
    struct ccp_delta d = {.type = CCP_DELTA_ERROR, .text = why};
    for (size_t i = 0; i < x->deltas->reader_n; i++)
        if (x->deltas->readers[i].started)
            show(x, &x->deltas->readers[i], &d);
}

static bool show_all(struct exchange *x, const struct ccp_delta *d)
{
    struct deltas *r = x->deltas;
    for (size_t i = 0; i < r->reader_n; i++)
        if (!show(x, &r->readers[i], d)) {
            r->refused = true;
            exchange_fail(x, CCP_INTERNAL, "middleware %s ended the answer without saying why",
                          r->readers[i].m->m->name);
            return false;
        }
    return true;
}

bool deltas_put(void *self, const struct delta *d)
{
    struct exchange *x = self;
    struct deltas *r = x->deltas;
    struct ccp_delta out;
    struct ccp_usage usage;
    if (d->type == DELTA_PROOF)
        return true;
    struct arena_mark mark = arena_mark(&r->scratch);
    bool goes_on = true;
    if (!express(r, d, &out, &usage)) {
        r->refused = true;
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        goes_on = false;
    } else if (r->refused) { /* of what was refused only the end is shown, to those who saw its beginning */
        if (d->type == DELTA_ERROR)
            show_error(x, out.text);
    } else {
        goes_on = show_all(x, &out);
    }
    arena_rewind(&r->scratch, mark);
    return goes_on;
}

void deltas_close(struct exchange *x)
{
    if (x->deltas == NULL)
        return;
    show_error(x, x->status != CCP_OK ? x->error
                  : x->complete       ? CCP_SPAN("the answer could not be read to its end")
                                      : CCP_SPAN("the client went away"));
}

/* -- the head -- */

static void patience_fire(struct loop_timer *timer)
{
    struct exchange *x = (struct exchange *)((char *)timer - offsetof(struct exchange, keepalive));
    if (x->state == X_UPSTREAM && !x->head_sent)
        x->deltas->open_head(x);
}

void deltas_hold_head(struct exchange *x, void (*open)(struct exchange *x))
{
    uint64_t interval = x->rt->settings.server.keepalive_interval;
    x->deltas->open_head = open;
    if (interval == 0)
        return;
    x->keepalive.fire = patience_fire;
    loop_timer_set(x->w->loop, &x->keepalive, interval);
}
