/*
 * Inside of the runtime: what its files share.
 */
#ifndef PLUGIN_RUNTIME_IMPL_H
#define PLUGIN_RUNTIME_IMPL_H

#include <plugin/runtime.h>

const struct ccp_provider *compat_provider(enum ccp_format format);

/* A plugin's section is bound as a whole: what all plugins have, what all providers have, then its own struct. */
#define SWITCH_PART   ((sizeof(struct plugin_switch) + 15) / 16 * 16)
#define PROVIDER_PART ((sizeof(struct provider_settings) + 15) / 16 * 16)

/* Makes the section of one plugin at `path` (rows composed in the configuration's arena) and its zeroed target. False
 * when memory ends. */
bool section_of_plugin(struct config *c, const char *path, const struct ccp_plugin *m, struct config_section *out);
/* Same for a [providers.<name>] block. */
bool section_of_block(struct config *c, struct ccp_span name, struct config_section *out);

/* Fills rt->providers from plugins and blocks, after binding. */
bool providers_resolve(struct runtime *rt);
/* Loads what costs time: own trust stores. */
bool providers_load_trust(struct runtime *rt, struct ccp_span *why);

/* Logins: bound before the providers are resolved; what providers say of them afterwards (origins, proxies). */
bool logins_bind(struct runtime *rt);
void logins_finish(struct runtime *rt);
bool logins_load_trust(struct runtime *rt, struct ccp_span *why);
bool section_of_login(struct config *c, struct ccp_span name, struct config_section *out);

/* Faults for names and prefixes that are taken or reserved. */
void providers_check_names(struct runtime *rt);
/* Is this one of the first path segments that the core keeps for itself? */
bool name_is_reserved(struct ccp_span s);

/* instances.c: all plugins there are, bound to their settings. False = no memory. */
bool plugins_bind(struct runtime *rt);
/* tasks.c: faults for what is wrong with the setting `tasks`. */
void tasks_check(struct runtime *rt, const struct plugin_instance *p);
/* conflicts.c: what shared objects may not declare, because it is taken; fails the instance. After providers_resolve.
 */
void plugins_check(struct runtime *rt);
/* Marks as failed, as a fault of the configuration if the plugin is required, else as a warning. */
void plugin_fail(struct runtime *rt, struct plugin_instance *p, struct ccp_span why);
/* open.c. False: a required plugin could not be opened, or no memory; *why. */
bool plugins_open(struct runtime *rt, const struct runtime_host *host, struct ccp_span *why);
/* Its plugin cannot be used: requests to it get the reason. */
void provider_without_plugin(struct runtime *rt, struct provider *p, struct ccp_span why);
/* assemble.c: chain, hooks and routes of the open plugins. False = no memory. */
bool runtime_assemble(struct runtime *rt, const struct runtime_core *core);

#endif
