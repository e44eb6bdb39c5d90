/*
 * The copy of an event that waits for observers: one allocation that holds the records and all texts.
 *
 * Two passes over the same list of spans: one adds up, one copies. Headers whose value may be a credential are not
 * copied, bodies only up to EVENT_BODY_MAX.
 */
#include <plugin/executor_impl.h>

#include <base/fault.h>
#include <wire/headers.h>

#include <stdlib.h>

/* The texts of an event beside its headers. */
enum { TEXTS = 16 };

static size_t texts_of(struct ccp_event_info *i, struct ccp_moment *m, struct ccp_summary *s, struct ccp_span **out)
{
    struct ccp_span *all[] = {&i->dotted,   &i->source,   &i->request_id,   &i->method,         &i->path,  &i->peer,
                              &i->key_name, &i->provider, &i->client_model, &i->upstream_model, &m->bytes, &m->name,
                              &m->text,     &m->account,  &s->error,        &i->upstream_url};
    _Static_assert(sizeof(all) / sizeof(all[0]) == TEXTS, "a text is missing");
    memcpy(out, all, sizeof(all));
    return TEXTS;
}

static struct ccp_span place(char **at, struct ccp_span s)
{
    if (s.n == 0)
        return (struct ccp_span){"", 0};
    memcpy(*at, s.p, s.n);
    s.p = *at;
    *at += s.n;
    return s;
}

static size_t size_of(struct event *draft, size_t *headers)
{
    struct ccp_span *texts[TEXTS];
    size_t n = sizeof(struct event);
    texts_of(&draft->info, &draft->moment, &draft->summary, texts);
    for (size_t i = 0; i < TEXTS; i++)
        n += texts[i]->n;
    *headers = 0;
    for (size_t i = 0; i < draft->moment.header_count; i++) {
        const struct ccp_header *h = &draft->moment.headers[i];
        if (headers_secret(h->name))
            continue;
        n += sizeof(*h) + h->name.n + h->value.n;
        ++*headers;
    }
    return n;
}

static void fill(struct event *event, size_t headers)
{
    struct ccp_span *texts[TEXTS];
    const struct ccp_header *from = event->moment.headers;
    size_t n = event->moment.header_count, k = 0;
    struct ccp_header *to = (struct ccp_header *)(event + 1);
    char *at = (char *)(to + headers);
    for (size_t i = 0; i < n; i++)
        if (!headers_secret(from[i].name)) {
            struct ccp_span name = place(&at, from[i].name);
            to[k++] = (struct ccp_header){name, place(&at, from[i].value)};
        }
    event->moment.headers = k != 0 ? to : NULL;
    event->moment.header_count = k;
    texts_of(&event->info, &event->moment, &event->summary, texts);
    for (size_t i = 0; i < TEXTS; i++)
        *texts[i] = place(&at, *texts[i]);
}

/* Reads what the record's maker knew of, the rest is zero. */
static void take(void *out, size_t size, const void *in, size_t known)
{
    if (in != NULL)
        memcpy(out, in, known < size ? known : size);
}

struct event *event_copy(const struct ccp_event_info *info)
{
    size_t headers;
    struct event draft = {.next = NULL};
    take(&draft.info, sizeof(draft.info), info, info->size);
    if (info->moment != NULL)
        take(&draft.moment, sizeof(draft.moment), info->moment, info->moment->size);
    take(&draft.summary, sizeof(draft.summary), info->summary, sizeof(draft.summary));
    if (draft.moment.bytes.n > EVENT_BODY_MAX)
        draft.moment.bytes.n = EVENT_BODY_MAX;
    draft.bytes = size_of(&draft, &headers);
    struct event *event = CCP_FAULT("executor.event") ? NULL : malloc(draft.bytes);
    if (event == NULL)
        return NULL;
    memcpy((void *)event, &draft, sizeof(draft));
    atomic_init(&event->next, NULL);
    atomic_init(&event->refs, 1);
    event->info.size = sizeof(event->info);
    event->moment.size = sizeof(event->moment);
    event->moment.request = NULL;
    fill(event, headers);
    event->info.moment = &event->moment;
    event->info.summary = info->summary != NULL ? &event->summary : NULL;
    return event;
}

void event_unref(struct event *event)
{
    if (event != NULL && atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) == 1)
        free(event);
}
