/*
 * See collect.h.
 */
#include <base/fault.h>
#include <format/collect.h>
#include <stdlib.h>
#include <wire/json.h>

void collect_init(struct collect *c, size_t max)
{
    *c = (struct collect){.max = max};
    buf_init(&c->id, max);
    buf_init(&c->model, max);
    buf_init(&c->sequence, max);
}

void collect_release(struct collect *c)
{
    while (c->first != NULL) {
        struct collected *part = c->first;
        c->first = part->next;
        buf_release(&part->id);
        buf_release(&part->name);
        buf_release(&part->space);
        buf_release(&part->text);
        buf_release(&part->proof);
        buf_release(&part->origin);
        free(part);
    }
    c->last = NULL;
    buf_release(&c->id);
    buf_release(&c->model);
    buf_release(&c->sequence);
}

static bool take(struct collect *c, struct ccp_buf *b, struct ccp_span text)
{
    c->full = c->full || text.n > c->max - c->held;
    if (c->full || !buf_add(b, text))
        return false;
    c->held += text.n;
    return true;
}

static bool set(struct collect *c, struct ccp_buf *b, struct ccp_span text)
{
    c->held -= b->n;
    b->n = 0;
    return take(c, b, text);
}

static bool take_proof(struct collect *c, const struct proof *proof)
{
    struct collected *part = c->last;
    if (proof->kind == PROOF_NONE || part == NULL)
        return true;
    part->proof_kind = proof->kind;
    return set(c, &part->proof, proof->text) && set(c, &part->origin, proof->origin);
}

static bool open_part(struct collect *c, const struct delta *d)
{
    struct collected *part = CCP_FAULT("collect.part") ? NULL : calloc(1, sizeof(*part));
    if (part == NULL)
        return false;
    part->kind = d->kind;
    part->custom = d->custom;
    struct ccp_buf *all[] = {&part->id, &part->name, &part->space, &part->text, &part->proof, &part->origin};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_init(all[i], c->max);
    if (c->last != NULL)
        c->last->next = part;
    else
        c->first = part;
    c->last = part;
    return take(c, &part->id, d->id) && take(c, &part->name, d->name) && take(c, &part->space, d->space) &&
           take_proof(c, &d->proof);
}

bool collect_put(struct collect *c, const struct delta *d)
{
    switch (d->type) {
    case DELTA_START:
        if (d->usage != NULL)
            c->usage = *d->usage;
        return set(c, &c->id, d->id) && set(c, &c->model, d->model);
    case DELTA_OPEN:
        return open_part(c, d);
    case DELTA_TEXT:
        return c->last == NULL || take(c, &c->last->text, d->text);
    case DELTA_PROOF:
        return take_proof(c, &d->proof);
    case DELTA_CLOSE:
        if (c->last != NULL)
            c->last->closed = true;
        return true;
    case DELTA_STOP:
        c->stop = d->stop;
        if (d->usage != NULL)
            c->usage = *d->usage;
        return set(c, &c->sequence, d->stop_sequence);
    case DELTA_ERROR:
        return true;
    }
    return true;
}

static bool blank(struct ccp_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (memchr(" \t\r\n", text.p[i], 4) == NULL)
            return false;
    return true;
}

struct ccp_span collect_arguments(struct arena *a, const struct collected *call, bool *good)
{
    struct ccp_span text = buf_span(&call->text), json = text;
    const char *before = "{\"input\":\"", *after = "\"}";
    *good = true;
    if (!call->custom) {
        json = CCP_FAULT("collect.arguments") ? (struct ccp_span){NULL, 0} : json_unescape(a, text);
        if (json.p == NULL && text.n != 0)
            return (struct ccp_span){NULL, 0};
        if (blank(json))
            return CCP_SPAN("{}");
        size_t i = 0;
        while (memchr(" \t\r\n", json.p[i], 4) != NULL)
            i++;
        if (json.p[i] == '{' && json_scan(json, NULL, NULL, 0, NULL) == CCP_OK)
            return json;
        *good = false;
        before = "{\"_raw\":\"";
    }
    struct ccp_span pieces[] = {ccp_span_z(before), text, ccp_span_z(after)};
    return CCP_FAULT("collect.wrap") ? (struct ccp_span){NULL, 0} : arena_cat(a, pieces, 3);
}
