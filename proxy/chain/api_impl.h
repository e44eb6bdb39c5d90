/*
 * The functions behind struct ccp_api that do not stand in api.c: one block for each file. What they do is documented
 * at the table's members.
 */
#ifndef CHAIN_API_IMPL_H
#define CHAIN_API_IMPL_H

#include <chain/exchange_impl.h>

/* api_state.c */
void **api_slot(struct ccp_exchange *x, const struct ccp_plugin_env *env);
struct ccp_span api_route_rest(struct ccp_exchange *x);
bool api_is_admin(struct ccp_exchange *x);
struct ccp_span api_query_get(struct ccp_exchange *x, struct ccp_span name);
const void *api_service(const struct ccp_plugin_env *env, const char *name, void **self);

/* api_work.c */
bool api_work(const struct ccp_plugin_env *env, struct ccp_exchange *x, void (*fn)(void *arg),
              void (*then)(void *arg, struct ccp_exchange *x), void *arg);
bool api_emit(const struct ccp_plugin_env *env, struct ccp_exchange *x, const char *name, struct ccp_span json);
bool api_heard(const struct ccp_plugin_env *env, enum ccp_event event);

/* api_arena.c */
struct ccp_arena {
    struct arena arena;
};
struct ccp_arena *api_arena_new(size_t max);
void api_arena_free(struct ccp_arena *a);
void *api_arena_alloc(struct ccp_arena *a, size_t n);
struct ccp_span api_arena_print(struct ccp_arena *a, const char *fmt, ...);
enum ccp_status api_arena_json_parse(struct ccp_arena *a, struct ccp_span text, struct ccp_json **root,
                                     struct ccp_json_error *error);
struct ccp_span api_arena_json_text(struct ccp_arena *a, const struct ccp_json *string);
struct ccp_span api_json_quote(struct ccp_exchange *x, struct ccp_arena *a, struct ccp_span text);

/* api_fetch.c, api_run.c, api_state_file.c, api_figure.c */
bool api_fetch(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_fetch *what,
               struct ccp_fetched *out, size_t out_size);
bool api_run(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_run *what, struct ccp_ran *out,
             size_t out_size);
bool api_state_read(const struct ccp_plugin_env *env, const char *file, size_t max, struct ccp_arena *a,
                    struct ccp_span *out, struct ccp_span *why);
bool api_state_write(const struct ccp_plugin_env *env, const char *file, struct ccp_span bytes, struct ccp_span *why);
struct ccp_span api_state_folder(const struct ccp_plugin_env *env, struct ccp_span *why);
bool api_figure(const struct ccp_plugin_env *env, const char *name, uint64_t *out);

/* stream.c, stream_read.c */
enum ccp_verdict api_stream_open(struct ccp_exchange *x, int status, struct ccp_span content_type,
                                 const struct ccp_stream_events *events, void *arg);
enum ccp_push api_stream_write(struct ccp_exchange *x, struct ccp_span bytes);
enum ccp_push api_stream_event(struct ccp_exchange *x, struct ccp_span name, struct ccp_span id, struct ccp_span data);
void api_stream_end(struct ccp_exchange *x);
struct ccp_sse_reader *api_sse_reader(struct ccp_exchange *x, size_t max_event,
                                      bool (*on_event)(void *arg, struct ccp_span name, struct ccp_span data),
                                      void *arg);
bool api_sse_feed(struct ccp_sse_reader *reader, struct ccp_span bytes);

/* api_upstream.c, redact.c */
bool api_set_upstream_header(struct ccp_exchange *x, struct ccp_upstream_request *request, struct ccp_span name,
                             struct ccp_span value);
bool api_header_is_secret(struct ccp_span name);
struct ccp_span api_authority(struct ccp_exchange *x);
size_t api_redact(struct ccp_exchange *x, char *bytes, size_t n);

#endif
