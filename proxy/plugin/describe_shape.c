/*
 * The table of describe_impl.h. A member that is added to a struct of the SDK gets its line here, at the end of its
 * struct; what is not listed is neither copied from nor shown of a record.
 */
#include <plugin/describe_impl.h>

#include <stdio.h>

#define F(member, kind)                                                                                                \
    {                                                                                                                  \
#member, FIELD_##kind, offsetof(T, member), NULL                                                               \
    }
#define OF(member, kind, sub)                                                                                          \
    {                                                                                                                  \
#member, FIELD_##kind, offsetof(T, member), &shape_##sub                                                       \
    }
#define SHAPE(id, label, ...)                                                                                          \
    static const struct field fields_##id[] = {__VA_ARGS__, {NULL}};                                                   \
    static const struct shape shape_##id = {label, sizeof(T), offsetof(struct ccp_sizes, id), fields_##id}

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "FIELD_UINT64 is used for both");
_Static_assert(sizeof(enum ccp_type) == sizeof(int), "FIELD_INT is used for enumerations");

static const struct shape shape_config_row;

#define T struct ccp_config_row
static const struct field fields_config_row[] = {
    F(key, TEXT),        F(type, INT),     F(offset, UINT64), F(def, TEXT), F(min, INT64),
    F(max, INT64),       F(choices, TEXT), F(flags, UINT),    F(doc, TEXT), OF(rows, LIST, config_row),
    F(row_size, UINT64), {NULL},
};
static const struct shape shape_config_row = {"setting", sizeof(T), offsetof(struct ccp_sizes, config_row),
                                              fields_config_row};
#undef T
#define T struct ccp_body_rule
SHAPE(body_rule, "rule", F(what, INT), F(member, TEXT), F(value, TEXT));
#undef T
#define T struct ccp_model_list
SHAPE(model_list, "model list", F(path, TEXT), F(list, TEXT), F(id, TEXT), F(name, TEXT), F(endpoints, TEXT),
      F(readers, UINT), F(reader_key, TEXT));
#undef T
#define T struct ccp_transport
SHAPE(transport, "transport", F(start, CALL), F(cancel, CALL), F(pause, CALL), F(resume, CALL));
#undef T
#define T struct ccp_provider
SHAPE(provider, "provider", F(label, TEXT), F(prefix, TEXT), F(formats, UINT), F(base_url, TEXT), F(api_key, TEXT),
      F(login, TEXT), F(keyless, BOOL), F(key_header, PAIRS), F(headers, HEADERS), F(choose, CALL), F(prepare, CALL),
      F(judge, CALL), OF(transport, ONE, transport), F(models, TEXTS), F(stream_only, BOOL), F(lacks, UINT),
      OF(body_rules, LISTS, body_rule), OF(list, ONE, model_list), F(choose_by_list, BOOL), F(keeps, TEXTS));
#undef T
#define T struct ccp_middleware
SHAPE(middleware, "middleware", F(name, TEXT), F(layer, INT), F(order, INT), F(on_request, CALL), F(on_head, CALL),
      F(open_stage, CALL), F(on_end, CALL), F(on_delta, CALL), F(wants_deltas, CALL), F(flags, UINT));
#undef T
#define T struct ccp_hook
SHAPE(hook, "hook", F(name, TEXT), F(events, UINT64), F(order, INT), F(on_event, CALL), F(observe, CALL),
      F(custom, TEXTS), F(flags, UINT));
#undef T
#define T struct ccp_route
SHAPE(route, "route", F(methods, TEXT), F(path, TEXT), F(prefix, TEXT), F(access, INT), F(tag, TEXT), F(summary, TEXT),
      F(serve, CALL));
#undef T
#define T struct ccp_action
SHAPE(action, "action", F(name, TEXT), F(summary, TEXT), F(input, TEXT), F(run, CALL));
#undef T
#define T struct ccp_task
SHAPE(task, "task", F(name, TEXT), F(summary, TEXT), F(interval_ms, UINT64), F(first_ms, UINT64), F(jitter_ms, UINT64),
      F(backoff_max_ms, UINT64), F(off, BOOL), F(run, CALL));
#undef T
#define T struct ccp_service
SHAPE(service, "service", F(name, TEXT), F(functions, CALL));
#undef T
#define T struct ccp_option
SHAPE(option, "option", F(name, TEXT), F(value, TEXT), F(help, TEXT));
#undef T
#define T struct ccp_flag
SHAPE(flag, "flag", F(name, TEXT), F(value, TEXT), F(key, TEXT), F(help, TEXT));
#undef T
#define T struct ccp_command
SHAPE(command, "command", F(name, TEXT), F(operands, TEXT), F(summary, TEXT), F(details, TEXT),
      OF(options, LIST, option), F(least, UINT64), F(most, UINT64), F(json, BOOL), F(opens, BOOL), F(run, CALL));
#undef T
#define T struct ccp_program
SHAPE(program, "program", F(name, TEXT), F(package, TEXT));
#undef T
#define T struct ccp_oauth_file
SHAPE(oauth_file, "file", F(owner, TEXT), F(folder_env, TEXT), F(folder, TEXT), F(name, TEXT), F(access_token, TEXT),
      F(refresh_token, TEXT), F(id_token, TEXT), F(scopes, TEXT), F(expires_ms, TEXT), F(updated, TEXT), F(plan, TEXT),
      F(account_id, TEXT));
#undef T
#define T struct ccp_oauth_provider
SHAPE(oauth_provider, "login", F(name, TEXT), F(aliases, TEXTS), F(label, TEXT), F(note, TEXT), F(consent, TEXT),
      F(terms, TEXT), F(flags, UINT), F(issuer, TEXT), F(authorize_url, TEXT), F(token_url, TEXT), F(revoke_url, TEXT),
      F(device_url, TEXT), F(session_url, TEXT), F(client_id, TEXT), F(client_secret, TEXT), F(scopes, TEXT),
      F(refresh_scopes, TEXT), F(authorize_extra, TEXT), F(redirect_host, TEXT), F(redirect_path, TEXT),
      F(ports, PORTS), F(paste_redirect, TEXT), F(session_scheme, TEXT), OF(file, ONE, oauth_file), F(read_token, CALL),
      F(device_request, CALL), F(device_answer, CALL), F(read_session, CALL));
#undef T

/* Without `abi`, which is handled by itself. */
#define T struct ccp_plugin
static const struct field fields_plugin[] = {
    F(name, TEXT),
    F(version, TEXT),
    F(summary, TEXT),
    F(kind, INT),
    F(needs, TEXTS),
    OF(config, LIST, config_row),
    F(config_size, UINT64),
    OF(provider, ONE, provider),
    OF(middleware, LIST, middleware),
    OF(hooks, LIST, hook),
    OF(routes, LIST, route),
    F(open, CALL),
    F(check, CALL),
    F(close, CALL),
    OF(oauth, ONE, oauth_provider),
    OF(program, ONE, program),
    F(core, TEXT),
    F(after, TEXTS),
    OF(provides, LIST, service),
    F(requires, TEXTS),
    F(uses, TEXTS),
    OF(tasks, LIST, task),
    OF(actions, LIST, action),
    OF(commands, LIST, command),
    OF(auth_commands, LIST, command),
    OF(flags, LIST, flag),
    F(aliases, TEXTS),
    F(off, BOOL),
    {NULL},
};
const struct shape shape_plugin = {"plugin", sizeof(T), 0, fields_plugin};
#undef T

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    for (const unsigned char *p = bytes; n-- != 0; p++)
        h = (h ^ *p) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static uint64_t mix_shape(uint64_t h, const struct shape *s, unsigned depth)
{
    h = mix(h, &s->size, sizeof(s->size));
    for (const struct field *f = s->fields; f->name != NULL; f++) {
        h = mix(h, f->name, strlen(f->name) + 1);
        h = mix(h, &f->type, sizeof(f->type));
        if (f->of != NULL && f->of != s && depth < DESCRIBE_DEPTH_MAX)
            h = mix_shape(h, f->of, depth + 1);
    }
    return h;
}

uint64_t describe_fingerprint(void)
{
    return mix_shape(0xcbf29ce484222325u, &shape_plugin, 0);
}

/* -- places -- */

static int print_place(const struct place *p, char *out, size_t max)
{
    if (p == NULL || max == 0)
        return 0;
    int n = print_place(p->up, out, max);
    if (n < 0 || (size_t)n >= max)
        return n;
    const char *dot = n != 0 ? "." : "";
    return n + (p->index == SIZE_MAX ? snprintf(out + n, max - (size_t)n, "%s%s", dot, p->name)
                                     : snprintf(out + n, max - (size_t)n, "%s%s[%zu]", dot, p->name, p->index));
}

bool place_say(const struct place *place, char *why, size_t max, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    int n = print_place(place, why, max);
    if (n >= 0 && (size_t)n < max)
        snprintf(why + n, max - (size_t)n, "%s%s", n != 0 ? ": " : "", text);
    return false;
}
