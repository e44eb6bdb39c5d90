/*
 * Names before connections: what a transfer has to look up before it may start, and how curl is told the answer.
 *
 * With these addresses at hand curl starts no resolver thread of its own: CURLOPT_RESOLVE puts them into the cache
 * of the transfer's multi, where they replace those of an earlier transfer ("+": they age like any other). Literal
 * addresses and localhost need nothing, curl knows them. The lookup's time counts against the connect timeout.
 * Nobody's place among the requests of a host is taken while a name is looked up.
 */
#include <upstream/upstream_impl.h>

#include <arpa/inet.h>
#include <base/fault.h>
#include <netinet/in.h>

enum { PIN_BYTES = RESOLVE_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3) + 16 };

static bool needs_no_lookup(struct ccp_span host)
{
    return url_is_ip(host) || url_is_localhost(host);
}

/* ---- for curl ------------------------------------------------------------------------------------------ */

/* "+host:port:address,address"; NULL = no memory. */
static char *pin_text(const struct target *target)
{
    size_t size = target->host.n + PIN_BYTES;
    char *text = CCP_FAULT("upstream.pin") ? NULL : malloc(size), address[INET6_ADDRSTRLEN];

    if (text == NULL)
        return NULL;
    size_t at = (size_t)snprintf(text, size, "+%.*s:%u:", CCP_FMT(target->host), (unsigned)target->port);
    for (size_t i = 0; i < target->found->n; i++) {
        const struct sockaddr_storage *a = &target->found->v[i].addr;
        bool v6 = a->ss_family == AF_INET6;
        const void *raw = v6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
                             : (const void *)&((const struct sockaddr_in *)a)->sin_addr;
        if (inet_ntop(a->ss_family, raw, address, sizeof(address)) != NULL)
            at += (size_t)snprintf(text + at, size - at, v6 ? "%s[%s]" : "%s%s", i != 0 ? "," : "", address);
    }
    return text;
}

bool call_pin(struct call *c, CURL *easy)
{
    struct curl_slist *list = NULL;

    for (size_t i = 0; i < c->target_n; i++) {
        struct target *target = &c->targets[i];
        if (target->found == NULL)
            continue;
        if (target->pin.data == NULL && (target->pin.data = pin_text(target)) == NULL)
            return false;
        target->pin.next = list;
        list = &target->pin;
    }
    return curl_easy_setopt(easy, CURLOPT_RESOLVE, list) == CURLE_OK;
}

void call_unpin(struct call *c)
{
    for (size_t i = 0; i < c->target_n; i++) {
        addresses_unref(c->targets[i].found);
        free(c->targets[i].pin.data);
        c->targets[i].found = NULL;
        c->targets[i].pin.data = NULL;
    }
}

/* ---- of a transfer -------------------------------------------------------------------------------------- */

static void on_found(struct name_wait *wait, struct addresses *found, const char *why)
{
    struct curl_transfer *c = LINK_OWNER(wait, struct curl_transfer, name);

    c->call.targets[c->looked_up++].found = found;
    c->lookup_why = why;
    link_append(&c->t.u->starting, &c->t.queue); /* goes on, or fails, in the loop task */
    upstream_wake(c->t.u);
}

static void on_late(struct loop_timer *timer)
{
    curl_lookup_late(LINK_OWNER(timer, struct curl_transfer, connect));
}

/* The clock of the connect timeout starts with the first name that is not known at once. */
static bool begin_waiting(struct curl_transfer *c)
{
    uint64_t limit = c->t.request->limits.connect_ms;

    if (c->lookup_began == 0)
        c->lookup_began = c->t.u->loop->now_ms;
    c->connect.fire = on_late;
    return c->connect.slot != 0 || limit == 0 || loop_timer_set(c->t.u->loop, &c->connect, limit);
}

static const char *look_up(struct curl_transfer *c, bool *waits)
{
    struct target *target = &c->call.targets[c->looked_up];
    const char *why = NULL;

    switch (host_names_find(c->t.u->names, target->host, &c->name, &target->found, &why)) {
    case NAME_WAIT:
        *waits = true;
        return begin_waiting(c) ? NULL : "out of memory";
    case NAME_FAILED:
        return why;
    case NAME_FOUND:
        break;
    }
    c->looked_up++;
    return NULL;
}

const char *transfer_lookup(struct curl_transfer *c, bool *waits)
{
    const char *why = c->lookup_why;

    *waits = false;
    c->name.done = on_found;
    while (why == NULL && !*waits && c->t.u->names != NULL && c->looked_up < c->call.target_n) {
        if (needs_no_lookup(c->call.targets[c->looked_up].host))
            c->looked_up++;
        else
            why = look_up(c, waits);
    }
    if (why != NULL || *waits)
        return why;
    loop_timer_stop(c->t.u->loop, &c->connect);
    if (c->lookup_began != 0 && c->call.lookup_ms == 0)
        c->call.lookup_ms = c->t.u->loop->now_ms - c->lookup_began;
    return NULL;
}
