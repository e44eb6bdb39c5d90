/*
 * See names.h. An upstream name that cannot be the client's own is its legal beginning and a hash of the whole.
 */
#include <base/fault.h>
#include <format/names.h>

#define HASH_DIGITS 12

struct names *names_new(struct arena *a)
{
    struct names *n = CCP_FAULT("names.new") ? NULL : arena_zalloc(a, sizeof(*n));
    if (n == NULL)
        return NULL;
    n->a = a;
    map_init(&n->by_client, a);
    map_init(&n->by_wire, a);
    return n;
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool allowed(const struct name_rule *rule, char c)
{
    return letter(c) || (c >= '0' && c <= '9') || c == '-' ||
           (rule->also != NULL && c != '\0' && strchr(rule->also, c) != NULL);
}

static bool legal(const struct name_rule *rule, ctext name)
{
    bool ok = name.n != 0 && name.n <= rule->max && (!rule->letter_first || letter(name.p[0]));
    for (size_t i = 0; ok && i < name.n; i++)
        ok = allowed(rule, name.p[i]);
    return ok;
}

/* "ns__tool" as far as it is legal, and a hash: always the same for the same name. */
static ctext substitute(struct names *n, const struct name_rule *rule, ctext full)
{
    char *out = CCP_FAULT("names.substitute") ? NULL : arena_alloc(n->a, rule->max + 1);
    if (out == NULL)
        return (ctext){NULL, 0};
    size_t o = 0, room = rule->max - HASH_DIGITS - 1;
    if (rule->letter_first && (full.n == 0 || !letter(full.p[0])))
        out[o++] = '_';
    for (size_t i = 0; i < full.n && o < room; i++)
        out[o++] = allowed(rule, full.p[i]) ? full.p[i] : '_';
    out[o++] = '_';
    uint64_t hash = map_hash(0, full);
    for (int i = 0; i < HASH_DIGITS; i++, hash >>= 4)
        out[o++] = "0123456789abcdef"[hash & 15];
    return ccp_span_of(out, o);
}

static ctext join(struct names *n, ctext space, ctext client)
{
    struct ccp_span pieces[] = {space, CCP_SPAN("__"), client};
    if (space.n == 0)
        return client;
    return CCP_FAULT("names.join") ? (ctext){NULL, 0} : arena_cat(n->a, pieces, 3);
}

/* Clients tell tools apart by space and name: a key that no other pair has. */
static ctext key_of(struct names *n, ctext space, ctext client)
{
    struct ccp_span pieces[] = {space, CCP_SPAN("\"") /* cannot stand in a ctext bare */, client};
    if (space.n == 0)
        return client;
    return CCP_FAULT("names.key") ? (ctext){NULL, 0} : arena_cat(n->a, pieces, 3);
}

/* Names outlive the prompt they came from. */
static bool own(struct names *n, ctext *text)
{
    *text = CCP_FAULT("names.own") ? (ctext){NULL, 0} : arena_dup(n->a, *text);
    return text->p != NULL;
}

static struct name *add(struct names *n, const struct name_rule *rule, ctext key, struct name made)
{
    if (!own(n, &key) || !own(n, &made.client) || !own(n, &made.space))
        return NULL;
    ctext full = join(n, made.space, made.client);
    made.wire = full;
    if (full.p != NULL && (!legal(rule, full) || map_get(&n->by_wire, full) != NULL))
        made.wire = substitute(n, rule, full);
    struct name *entry = CCP_FAULT("names.entry") ? NULL : arena_alloc(n->a, sizeof(*entry));
    if (entry == NULL || made.wire.p == NULL)
        return NULL;
    *entry = made;
    return map_put(&n->by_client, key, entry) && map_put(&n->by_wire, made.wire, entry) ? entry : NULL;
}

ctext names_wire(struct names *n, const struct name_rule *rule, ctext space, ctext client, bool custom)
{
    ctext key = key_of(n, space, client);
    if (key.p == NULL)
        return key;
    struct name *entry = map_get(&n->by_client, key);
    if (entry == NULL)
        entry = add(n, rule, key, (struct name){.client = client, .space = space, .custom = custom});
    return entry != NULL ? entry->wire : (ctext){NULL, 0};
}

bool names_reserve(struct names *n, ctext wire)
{
    struct name *entry = CCP_FAULT("names.reserve") ? NULL : arena_alloc(n->a, sizeof(*entry));
    if (entry == NULL)
        return false;
    *entry = (struct name){.client = wire, .space = CCP_SPAN(""), .wire = wire};
    return map_put(&n->by_wire, wire, entry);
}

const struct name *names_client(const struct names *n, ctext wire)
{
    return map_get(&n->by_wire, wire);
}
