/*
 * The fixtures of tests/fixtures/auth as JSON.
 */
#ifndef TEST_AUTH_FIXTURE_H
#define TEST_AUTH_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include <wire/json.h>

static struct ccp_json *fixture(struct arena *a, const char *name)
{
    char path[512];
    struct ccp_json *root;

    snprintf(path, sizeof(path), FIXTURES "/auth/%s", name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        abort();
    char *text = arena_alloc(a, 65536);
    size_t n = fread(text, 1, 65536, f);
    fclose(f);
    if (json_parse(a, ccp_span_of(text, n), &root, NULL) != CCP_OK)
        abort();
    return root;
}

static inline struct ccp_span fixture_text(struct arena *a, const struct ccp_json *object, const char *key)
{
    const struct ccp_json *value = ccp_json_get(object, key);
    return value != NULL && value->type == CCP_JSON_STRING ? json_text(a, value->raw) : CCP_SPAN("");
}

#endif
