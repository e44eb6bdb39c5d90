/*
 * Taking a plugin's record over: into this core's layout, and judged.
 */
#ifndef PLUGIN_ADOPT_H
#define PLUGIN_ADOPT_H

#include <base/arena.h>
#include <ccproxy/plugin.h>

/* Copies the record and every struct and list that it points to, as large as they were where it was built, into this
 * core's layout; what its SDK did not have is zero. Texts, functions and what they point to stay the object's. The
 * record must be honest: that is what the child process is for. False with a text. */
bool adopt_record(const struct ccp_plugin *record, struct arena *a, const struct ccp_plugin **out, char *why,
                  size_t max);
/* Is what the record (in this core's layout) says sound in itself? `called` is the file's name without its end. With
 * `functions` false those are not there and not asked for. False with a text that names the member. */
bool adopt_check(const struct ccp_plugin *m, const char *called, bool functions, char *why, size_t max);
/* The same for its settings rows alone. */
bool adopt_check_rows(const struct ccp_plugin *m, char *why, size_t max);
/* Are its defaults and settings fit to be bound? Binds them once to an empty configuration, which `empty` is the path
 * of. Only where nothing else is bound: in the child process. */
bool adopt_check_settings(const struct ccp_plugin *m, const char *empty, char *why, size_t max);

#endif
