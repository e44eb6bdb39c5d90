/*
 * Inside of the runtime: what its files share.
 */
#ifndef PLUGIN_RUNTIME_IMPL_H
#define PLUGIN_RUNTIME_IMPL_H

#include <plugin/runtime.h>

const struct ccp_provider *compat_provider(enum ccp_format format);

/* Settings of a plugin stand in front of its own config struct; both are bound by one composed section. */
#define PROVIDER_PART ((sizeof(struct provider_settings) + 15) / 16 * 16)
#define SWITCH_PART   16

/* Makes the section of one plugin (rows composed in the configuration's arena) and its zeroed target. False
 * when memory ends. */
bool section_of_plugin(struct config *c, const struct ccp_plugin *m, struct config_section *out);
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

#endif
