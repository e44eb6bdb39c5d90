/*
 * What the files of routes that ccproxy answers itself share: local.c decides which of them serves.
 */
#ifndef CHAIN_LOCAL_IMPL_H
#define CHAIN_LOCAL_IMPL_H

#include <base/buf.h>
#include <chain/exchange_impl.h>

#define LOCAL_JSON   CCP_SPAN("application/json")
#define LOCAL_HEALTH CCP_SPAN("application/health+json")

/* -- local.c -- */
bool local_is_get(const struct exchange *x); /* or HEAD */
/* Gives the text away as a whole answer that nobody keeps; releases it. */
enum ccp_verdict local_send(struct exchange *x, int status, struct ccp_span type, struct ccp_buf *out);
enum ccp_verdict local_only(struct exchange *x, const char *methods); /* 405 */
enum ccp_verdict local_not_found(struct exchange *x, struct ccp_span name);
/* ,"name":"text"; nothing at all for an empty text, or null. */
void local_text(struct ccp_buf *out, const char *name, struct ccp_span text);
void local_text_or_null(struct ccp_buf *out, const char *name, struct ccp_span text);

/* -- local_health.c -- */
enum ccp_verdict local_health(struct exchange *x);
struct auth_report local_login(const struct exchange *x, const struct provider *p);
/* ,"login":{...}: never more than what `auth status` says, and no token. */
void local_write_login(const struct provider *p, const struct auth_report *r, struct ccp_buf *out);

/* -- local_plugins.c, local_plugin.c, local_check.c -- */
/* Everything below /plugins; `rest` is what follows. */
enum ccp_verdict local_plugins(struct exchange *x, struct ccp_span rest);
/* "active", "disabled" or "failed", as it stands now: a tripped guard is a failure too. */
const char *local_plugin_state(const struct plugin_instance *p, struct ccp_span *why);
void local_write_plugin(const struct plugin_instance *p, struct ccp_buf *out); /* without the closing brace */
enum ccp_verdict local_plugin(struct exchange *x, const struct plugin_instance *p);
enum ccp_verdict local_plugin_health(struct exchange *x, const struct plugin_instance *p);

/* -- local_route.c -- */
enum ccp_verdict local_route(struct exchange *x, const struct route_entry *e);
/* What a plugin's function gave back: NEXT, WAIT and DONE must be true, else it counts as its failure and is one. */
enum ccp_verdict local_verdict(struct exchange *x, struct plugin_unit *u, const char *what, enum ccp_verdict verdict);
/* False: the plugin was disabled by its guard, and the exchange has failed with the reason. */
bool local_callable(struct exchange *x, struct plugin_unit *u, struct ccp_span plugin);

/* -- actions.c -- */
/* The action of this name, or NULL. */
const struct ccp_action *action_find(const struct plugin_instance *p, struct ccp_span name);
enum ccp_verdict action_run(struct exchange *x, const struct plugin_instance *p, const struct ccp_action *a);

/* -- admin.c -- */
enum ccp_verdict admin_serve(struct exchange *x, const struct plugin_instance *p, struct ccp_span verb);
/* May this exchange change the server? False: it has failed with 403. */
bool admin_allowed(struct exchange *x);

#endif
