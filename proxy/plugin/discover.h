/*
 * Plugins that are not built in: finding, trusting, describing and loading shared objects.
 *
 * Layout: <directory>/<name>/<name>.so beside plugin.json. Nothing of an object is run by the process that only wants
 * to know what it is: a child process with limits loads it once per content (SHA-256) and prints its manifest as JSON,
 * which is cached. What is loaded later is exactly the content that was hashed.
 */
#ifndef PLUGIN_DISCOVER_H
#define PLUGIN_DISCOVER_H

#include <base/arena.h>
#include <ccproxy/ccproxy.h>

/* A shared object that was found. All memory is the arena's. */
struct plugin_source {
    struct ccp_span path;              /* of the .so, NUL-terminated */
    char sha256[65];                   /* in hex; empty when it could not be read */
    char abi[12];                      /* version of the interface it was built for, "2.0"; empty when unknown */
    struct ccp_span refused;           /* why it may not be used, for people, with what to do; empty = it may */
    const struct ccp_plugin *manifest; /* what it declares, without any function; when refused as much as is known:
                                          at least name, version and summary are never NULL */
};

struct discover_options {
    const struct ccp_span *directories; /* NUL-terminated texts, searched in order; the first of a name wins */
    size_t directory_count;
    size_t named;                 /* the first so many were named by the operator: a missing one is worth a warning */
    const struct ccp_list *allow; /* SHA-256 texts; NULL or empty = any */
    struct ccp_span cache;        /* folder for described manifests; empty = none */
    uint64_t probe_ms;            /* time for the child */
    void (*warn)(void *self, struct ccp_span text); /* a folder that cannot be used; may be NULL */
    void *self;
};

/* Everything in the directories, refused ones too, in the order of directories and names. Never fails: what cannot be
 * read is reported by `warn` or as a refused source. Returns the number; NULL memory = 0. */
size_t discover_plugins(const struct discover_options *o, struct arena *a, struct plugin_source **out);
/* One file by name (`plugins check FILE.so`): the same checks, plugin.json beside it if there is one. */
void discover_file(const struct discover_options *o, const char *path, struct arena *a, struct plugin_source *out);

/* What a manifest declares as a JSON object, in the member names of <ccproxy/plugin.h>; functions are `true` where they
 * are known. p = NULL: no memory. */
struct ccp_span discover_manifest_json(const struct ccp_plugin *m, struct arena *a);

/* An object in memory. Loading runs the object's constructors. `manifest` is in this core's layout whatever SDK it was
 * built with, and lives until object_unload. NULL: `why`. */
struct shared_object;
struct shared_object *object_load(const struct plugin_source *source, const struct ccp_plugin **manifest, char *why,
                                  size_t max);
void object_unload(struct shared_object *o); /* NULL is fine */

/* What the child process of discovery does, instead of being ccproxy: loads the object behind descriptor `fd`, prints
 * its manifest to standard output and returns the exit code. main() calls it before anything else. */
int discover_probe_main(int argc, char **argv);
/* Is this process that child? (argv[1] is the word that only discovery uses.) */
bool discover_is_probe(int argc, char **argv);

#endif
