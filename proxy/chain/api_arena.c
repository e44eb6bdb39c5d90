/*
 * Arenas for plugins that have no exchange at hand: tasks, observers, work. And quoting, which serves both.
 */
#include <chain/api_impl.h>

#include <base/fault.h>
#include <wire/json.h>

#include <stdlib.h>

struct ccp_arena *api_arena_new(size_t max)
{
    struct ccp_arena *a = CCP_FAULT("api.arena") ? NULL : malloc(sizeof(*a));
    if (a != NULL)
        arena_init(&a->arena, NULL, max);
    return a;
}

void api_arena_free(struct ccp_arena *a)
{
    if (a != NULL)
        arena_end(&a->arena);
    free(a);
}

void *api_arena_alloc(struct ccp_arena *a, size_t n)
{
    return arena_alloc(&a->arena, n);
}

struct ccp_span api_arena_print(struct ccp_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span s = arena_vprintf(&a->arena, fmt, ap);
    va_end(ap);
    return s;
}

enum ccp_status api_arena_json_parse(struct ccp_arena *a, struct ccp_span text, struct ccp_json **root,
                                     struct ccp_json_error *error)
{
    return json_parse(&a->arena, text, root, error);
}

struct ccp_span api_arena_json_text(struct ccp_arena *a, const struct ccp_json *string)
{
    return json_text(&a->arena, string->raw);
}

struct ccp_span api_json_quote(struct ccp_exchange *x, struct ccp_arena *a, struct ccp_span text)
{
    return json_quote(x != NULL ? &exchange_of(x)->arena : &a->arena, text);
}
