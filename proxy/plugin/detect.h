/*
 * Finding the vendor's own program on this machine by looking at files; nothing is ever run.
 *
 * Found once per configuration and kept in the plugin's instance: requests only read it.
 */
#ifndef PLUGIN_DETECT_H
#define PLUGIN_DETECT_H

#include <base/arena.h>
#include <ccproxy/plugin.h>

/* Either may be empty: not found, or found without a version beside it. NUL-terminated, in the arena. */
struct detection {
    struct ccp_span path, version;
};

/* Looks for program->name in `path_list` (the value of PATH; NULL = none). The version is that of the npm package it
 * belongs to (package.json above the file that the name leads to, of that package's name), else the nearest folder or
 * file on the way there that is named like a version ("versions/2.1.197", "Cellar/codex/0.169.0/bin"). May block on
 * slow disks: not for workers. */
struct detection detect_program(struct arena *a, const struct ccp_program *program, const char *path_list);

#endif
