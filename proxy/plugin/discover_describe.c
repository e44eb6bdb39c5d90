/*
 * What an object declares: from the cache, else from a child process that loads it.
 *
 * Kept is only what can be used. A refusal is asked for again at each look, since its reason may go away by itself (a
 * library that is not installed yet, a machine that was too slow); it costs one short process, or the whole time limit
 * for an object that does not return.
 */
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/discover_impl.h>
#include <plugin/probe_impl.h>

static bool abi_of(const json_t *answer, unsigned abi[2])
{
    static const char *const keys[] = {"major", "minor"};
    for (int i = 0; i < 2; i++) {
        const json_t *v = json_object_get(json_object_get(answer, "abi"), keys[i]);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT16_MAX)
            return false;
        abi[i] = (unsigned)json_integer_value(v);
    }
    return true;
}

/* The child judged the record itself; what is read here is judged again, for it may come from a file. */
static bool understand(const json_t *answer, const char *name, struct arena *a, const struct ccp_plugin **manifest,
                       unsigned abi[2], char *why, size_t max)
{
    const json_t *refused = json_object_get(answer, "refused");
    if (json_is_string(refused)) {
        snprintf(why, max, "%s", json_string_value(refused));
        return false;
    }
    snprintf(why, max, "its description cannot be understood");
    return abi_of(answer, abi) && describe_read(json_object_get(answer, "manifest"), a, manifest, why, max) &&
           adopt_check(*manifest, name, false, why, max);
}

bool describe_object(const struct discover_options *o, int fd, const char *sum, const char *name, struct arena *a,
                     const struct ccp_plugin **manifest, unsigned abi[2], char *why, size_t max)
{
    json_t *answer = cache_load(o->cache, sum, name);
    bool ok = answer != NULL && understand(answer, name, a, manifest, abi, why, max);
    bool kept = ok;
    if (!kept) {
        json_decref(answer);
        if (probe_run(fd, name, o->probe_ms, &answer, why, max) != PROBE_TOLD)
            return false;
        ok = understand(answer, name, a, manifest, abi, why, max);
        if (ok)
            cache_store(o->cache, sum, name, answer);
    }
    json_decref(answer);
    return ok;
}
