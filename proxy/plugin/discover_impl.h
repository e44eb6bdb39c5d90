/*
 * What the files of discovery share.
 */
#ifndef PLUGIN_DISCOVER_IMPL_H
#define PLUGIN_DISCOVER_IMPL_H

#include <plugin/discover.h>
#include <plugin/object_impl.h>

#include <jansson.h>

enum { DISCOVER_WHY = 1024 };

/* plugin.json, as far as it was there and sound. */
struct about {
    char version[33], abi[16], sha256[OBJECT_SUM];
};

/* discover_about.c: reads plugin.json in `folder`. The members that are there are in *out also when it is refused.
 * *missing: there is no such file, which is a refusal like others. False: `why`. */
bool about_read(int folder, const char *at, const char *name, struct about *out, bool *missing, char *why, size_t max);
/* Does it say of the object what the object is? `sum` is the content's; after the description also its version and
 * interface. */
bool about_fits_sum(const struct about *about, const char *name, const char *sum, char *why, size_t max);
bool about_fits_manifest(const struct about *about, const struct ccp_plugin *m, unsigned major, unsigned minor,
                         char *why, size_t max);

/* discover_cache.c: descriptions by the sum of what they describe. Neither fails: a cache that cannot be used is none.
 */
json_t *cache_load(struct ccp_span folder, const char *sum, const char *name);
void cache_store(struct ccp_span folder, const char *sum, const char *name, const json_t *answer);

/* discover_describe.c: what the object behind `fd` declares, from the cache or by asking. False: `why`; *manifest may
 * be set all the same. */
bool describe_object(const struct discover_options *o, int fd, const char *sum, const char *name, struct arena *a,
                     const struct ccp_plugin **manifest, unsigned abi[2], char *why, size_t max);

#endif
