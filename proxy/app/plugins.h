/*
 * What the plugin commands share.
 */
#ifndef APP_PLUGINS_H
#define APP_PLUGINS_H

#include <app/app.h>

/* By name; NULL = none, and the nearest name was printed. */
struct plugin_instance *plugins_find(struct runtime *rt, const char *name);
const char *plugins_kind(const struct ccp_plugin *m);       /* "provider" */
const char *plugins_state(const struct plugin_instance *p); /* "active" */
/* plugins_decide.c: is the plugin on (or off) although `enabled` was just set otherwise? True: `why` names the key that
 * decides, and where it stands. */
bool plugins_decided_otherwise(struct runtime *rt, const struct plugin_instance *p, bool on, char *why, size_t max);

#endif
