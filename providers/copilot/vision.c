/*
 * Is there an image in the request? Upstream wants to be told in a header (wire reference E.6).
 *
 * A search for a "type" member with one of the formats' names of an image part. Text cannot pretend to be one: inside a
 * JSON string quotes are escaped. Nothing is parsed; bodies are large, and images rare.
 */
#include "copilot.h"

#include <string.h>

static bool white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Does `"type" :` stand in front of `at`? */
static bool is_type(const char *begin, const char *at)
{
    static const char name[] = "\"type\"";
    while (at != begin && white(at[-1]))
        at--;
    if (at == begin || *--at != ':')
        return false;
    while (at != begin && white(at[-1]))
        at--;
    return (size_t)(at - begin) >= sizeof(name) - 1 && memcmp(at - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
}

static bool has(struct ccp_span body, const char *word)
{
    const char *at = body.p, *end = body.p + body.n;
    size_t n = strlen(word);
    while (at != NULL && (at = memmem(at, (size_t)(end - at), word, n)) != NULL) {
        if (is_type(body.p, at))
            return true;
        at += n;
    }
    return false;
}

bool copilot_has_image(const struct ccp_upstream_request *request)
{
    static const char *const words[] = {"\"image_url\"", "\"input_image\"", "\"image\""};
    for (size_t i = 0; i < request->body_pieces; i++)
        for (size_t k = 0; request->body[i].n != 0 && k < sizeof(words) / sizeof(words[0]); k++)
            if (has(request->body[i], words[k]))
                return true;
    return false;
}
