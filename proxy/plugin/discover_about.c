/*
 * plugin.json: what the author of an object says it is. It guards against a build that was copied by half or put into
 * the wrong folder, not against malice: who can write the object can write this too.
 */
#include <plugin/discover_impl.h>
#include <plugin/trusted_impl.h>

#include <base/fault.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { ABOUT_MAX = 65536 };

static json_t *parse(int fd, const char *at, char *why, size_t max)
{
    char *text = CCP_FAULT("plugin.about") ? NULL : malloc(ABOUT_MAX + 1);
    json_error_t error = {.line = 0};
    json_t *v = NULL;
    size_t n = 0;
    ssize_t got = 0;
    if (text == NULL) {
        snprintf(why, max, "out of memory");
        return NULL;
    }
    while (n <= ABOUT_MAX && ((got = read(fd, text + n, ABOUT_MAX + 1 - n)) > 0 || (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t)got : 0;
    if (got < 0)
        snprintf(why, max, "%s/plugin.json: %s", at, strerror(errno));
    else if (n > ABOUT_MAX)
        snprintf(why, max, "%s/plugin.json is larger than 64 KiB", at);
    else if ((v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error)) == NULL || !json_is_object(v))
        snprintf(why, max, "%s/plugin.json:%d: is not a JSON object%s%.80s", at, error.line > 0 ? error.line : 1,
                 v == NULL ? ": " : "", v == NULL ? error.text : "");
    free(text);
    if (json_is_object(v))
        return v;
    json_decref(v);
    return NULL;
}

static bool member(const json_t *v, const char *key, char *out, size_t size, const char *at, char *why, size_t max)
{
    const json_t *text = json_object_get(v, key);
    size_t n = json_string_length(text);
    if (!json_is_string(text) || n == 0 || n >= size) {
        snprintf(why, max, "%s/plugin.json: \"%s\" is missing or not a text: the SDK's CMake function writes the file",
                 at, key);
        return false;
    }
    snprintf(out, size, "%s", json_string_value(text));
    return true;
}

bool about_read(int folder, const char *at, const char *name, struct about *out, bool *missing, char *why, size_t max)
{
    char called[OBJECT_NAME_MAX + 1] = "";
    int fd;
    enum trusted_result r = trusted_below(folder, at, "plugin.json", false, &fd, why, max);
    *out = (struct about){"", "", ""};
    *missing = r == TRUSTED_MISSING;
    if (*missing)
        snprintf(why, max,
                 "%s/plugin.json is missing: the SDK's CMake function writes it, with name, version, abi and sha256 "
                 "(ccproxy plugins check FILE.so prints them)",
                 at);
    json_t *v = r == TRUSTED_OK ? parse(fd, at, why, max) : NULL;
    if (r == TRUSTED_OK)
        close(fd);
    if (v == NULL)
        return false;
    bool ok = member(v, "name", called, sizeof(called), at, why, max) &&
              member(v, "version", out->version, sizeof(out->version), at, why, max) &&
              member(v, "abi", out->abi, sizeof(out->abi), at, why, max) &&
              member(v, "sha256", out->sha256, sizeof(out->sha256), at, why, max);
    json_decref(v);
    if (ok && strcmp(called, name) != 0) {
        snprintf(why, max,
                 "%s/plugin.json is about \"%s\", not about %s: rename the folder and the file, or correct it", at,
                 called, name);
        return false;
    }
    return ok;
}

bool about_fits_sum(const struct about *about, const char *name, const char *sum, char *why, size_t max)
{
    if (strcasecmp(about->sha256, sum) == 0)
        return true;
    snprintf(why, max,
             "plugin.json says that the SHA-256 of %s.so begins with %.12s, but it is %s: install both files of one "
             "build, or correct sha256",
             name, about->sha256, sum);
    return false;
}

bool about_fits_manifest(const struct about *about, const struct ccp_plugin *m, unsigned major, unsigned minor,
                         char *why, size_t max)
{
    char abi[16];
    snprintf(abi, sizeof(abi), "%u.%u", major, minor);
    if (strcmp(about->version, m->version) != 0)
        snprintf(why, max, "plugin.json says version %s, the object is version %s: install both files of one build",
                 about->version, m->version);
    else if (strcmp(about->abi, abi) != 0)
        snprintf(why, max, "plugin.json says plugin interface %s, the object has %s: install both files of one build",
                 about->abi, abi);
    else
        return true;
    return false;
}
