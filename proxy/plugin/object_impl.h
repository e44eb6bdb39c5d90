/*
 * The content of a shared object, frozen in memory: what was hashed is what is described and what is loaded.
 */
#ifndef PLUGIN_OBJECT_H
#define PLUGIN_OBJECT_H

#include <ccproxy/plugin.h>

enum {
    OBJECT_MAX = 64 << 20, /* bytes of a shared object */
    OBJECT_SUM = 65,       /* SHA-256 in hex and NUL */
    OBJECT_NAME_MAX = 64,
};

/* Copies the file behind `file` into sealed memory; nobody can change it afterwards, and changing or truncating the
 * file touches nothing that is loaded. Returns a close-on-exec descriptor, or -1 with a text. `name` is for people who
 * read /proc/<pid>/maps. */
int object_freeze(int file, const char *name, char sum[OBJECT_SUM], char *why, size_t max);
/* Loads it and finds the record of plugin `name`. *handle is for dlclose; NULL with a text when it cannot be used (then
 * it is not loaded any more). The descriptor's number must stay taken until it is unloaded: the dynamic linker knows
 * loaded objects by name, and this one's name is the number. */
const struct ccp_plugin *object_open(int fd, const char *name, void **handle, char *why, size_t max);
/* A name that a plugin may have: [a-z][a-z0-9_-]{0,63}. */
bool object_name_ok(struct ccp_span name);

#endif
