/*
 * Embeddings: a unit vector that depends on the text alone. Equal texts have equal vectors; nothing else is
 * promised, near texts are not near.
 *
 * OpenAI's /v1/embeddings (text, list of texts, tokens, lists of tokens; float or base64) and Gemini's
 * embedContent and batchEmbedContents. One call writes one vector, so that a long list needs the memory of one.
 */
#include "mock.h"

#include <inttypes.h>

#define DIMENSIONS     256
#define DIMENSIONS_MAX 4096
#define INPUTS_MAX     2048

static bool is_gemini(const struct mock_ask *ask)
{
    return ask->target.format == CCP_FORMAT_GEMINI;
}

static bool is_type(const struct ccp_json *v, enum ccp_json_type type)
{
    return v != NULL && v->type == type;
}

/* The list of inputs, or NULL when the request has just one. */
static const struct ccp_json *list_of(const struct mock_ask *ask)
{
    const struct ccp_json *v = ccp_json_get(ask->root, is_gemini(ask) ? "requests" : "input");
    if (is_gemini(ask))
        return ask->target.call == MOCK_EMBED_BATCH && is_type(v, CCP_JSON_ARRAY) ? v : NULL;
    /* a list of numbers is one input: its tokens */
    return is_type(v, CCP_JSON_ARRAY) && !is_type(v->child, CCP_JSON_NUMBER) ? v : NULL;
}

static const struct ccp_json *item_of(const struct mock_ask *ask, size_t item)
{
    const struct ccp_json *list = list_of(ask);
    if (list == NULL)
        return is_gemini(ask) ? ask->root : ccp_json_get(ask->root, "input");
    const struct ccp_json *v = list->child;
    while (item-- > 0 && v != NULL)
        v = v->next;
    return v;
}

static bool is_input(const struct mock_ask *ask, const struct ccp_json *v)
{
    if (is_gemini(ask))
        return is_type(ccp_json_get(ccp_json_get(v, "content"), "parts"), CCP_JSON_ARRAY);
    return is_type(v, CCP_JSON_STRING) || (is_type(v, CCP_JSON_ARRAY) && is_type(v->child, CCP_JSON_NUMBER));
}

static uint64_t tokens_of(const struct ccp_json *v)
{
    return v->type == CCP_JSON_STRING ? mock_estimate(mock_text_length(v)) : v->count;
}

static uint64_t dimensions_of(const struct mock_ask *ask, const struct ccp_json *v)
{
    const struct ccp_json *n =
        ccp_json_get(is_gemini(ask) ? v : ask->root, is_gemini(ask) ? "outputDimensionality" : "dimensions");
    return n != NULL ? mock_json_count(n) : DIMENSIONS;
}

const char *mock_embed_check(struct mock_ask *ask, size_t *items)
{
    const struct ccp_json *list = list_of(ask);
    const struct ccp_json *v = item_of(ask, 0);
    *items = list != NULL ? list->count : 1;
    if (*items == 0 || *items > INPUTS_MAX)
        return "embeddings: between 1 and 2048 inputs are allowed";
    for (size_t i = 0; i < *items; i++, v = v->next) {
        uint64_t dimensions = dimensions_of(ask, v);
        if (!is_input(ask, v))
            return "embeddings: an input is missing or is not a text";
        if (dimensions == 0 || dimensions > DIMENSIONS_MAX)
            return "embeddings: between 1 and 4096 dimensions are allowed";
        if (!is_gemini(ask))
            ask->text_bytes += tokens_of(v) * 4;
    }
    return NULL;
}

static uint64_t fnv(uint64_t h, struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h;
}

/* Escapes are undone first: the same text has the same vector however it is spelled. */
static uint64_t fnv_text(struct mock_play *play, uint64_t h, const struct ccp_json *string)
{
    struct ccp_span text = play->ask.x->api->json_text(play->ask.x, string);
    play->out.failed |= text.p == NULL;
    return text.p != NULL ? fnv(h, text) : h;
}

static uint64_t seed_of(struct mock_play *play, const struct ccp_json *v)
{
    const struct mock_ask *ask = &play->ask;
    uint64_t h = 0xcbf29ce484222325u;
    if (!is_gemini(ask) && v->type == CCP_JSON_STRING)
        return fnv_text(play, h, v);
    if (!is_gemini(ask)) {
        for (const struct ccp_json *n = v->child; n != NULL; n = n->next)
            h = fnv(fnv(h, n->raw), CCP_SPAN(","));
        return h;
    }
    const struct ccp_json *parts = ccp_json_get(ccp_json_get(v, "content"), "parts");
    for (const struct ccp_json *p = parts->child; p != NULL; p = p->next) {
        const struct ccp_json *text = ccp_json_get(p, "text");
        if (is_type(text, CCP_JSON_STRING))
            h = fnv_text(play, h, text);
    }
    return h;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Newton's way, so that no maths library is needed; x > 0. */
static double square_root(double x)
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 64; i++)
        r = (r + x / r) / 2;
    return r;
}

static void make_vector(uint64_t seed, float *v, size_t n)
{
    double sum = 0;
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++) {
        v[i] = (float)((double)(next_random(&state) >> 11) / 4503599627370496.0 - 1.0); /* 53 bits to [-1, 1) */
        sum += (double)v[i] * v[i];
    }
    double scale = sum > 0 ? 1 / square_root(sum) : 0;
    for (size_t i = 0; i < n; i++)
        v[i] = scale != 0 ? (float)(v[i] * scale) : i == 0;
}

static void put_numbers(struct mock_out *out, const float *v, size_t n)
{
    mock_putz(out, "[");
    for (size_t i = 0; i < n; i++)
        mock_putf(out, "%s%.9g", i != 0 ? "," : "", (double)v[i]);
    mock_putz(out, "]");
}

/* Base64 of little-endian floats, four bytes each. */
static void put_base64(struct mock_out *out, const float *v, size_t n)
{
    unsigned char bytes[4 * DIMENSIONS_MAX];
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof(bits));
        for (size_t k = 0; k < 4; k++)
            bytes[4 * i + k] = (unsigned char)(bits >> (8 * k));
    }
    mock_putz(out, "\"");
    mock_base64(out, bytes, 4 * n);
    mock_putz(out, "\"");
}

static void put_openai(struct mock_play *play, size_t item, size_t items, const float *v, size_t n)
{
    struct mock_out *out = &play->out;
    const struct ccp_json *encoding = ccp_json_get(play->ask.root, "encoding_format");
    uint64_t tokens = play->ask.text_bytes / 4;
    mock_putz(out, item == 0 ? "{\"object\":\"list\",\"data\":[" : ",");
    mock_putf(out, "{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", item);
    if (ccp_span_is(ccp_json_inner(encoding), "base64"))
        put_base64(out, v, n);
    else
        put_numbers(out, v, n);
    mock_putz(out, "}");
    if (item + 1 != items)
        return;
    mock_putz(out, "],\"model\":");
    mock_quote(out, play->ask.model);
    mock_putf(out, ",\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}}", tokens, tokens);
}

static void put_gemini(struct mock_play *play, size_t item, size_t items, const float *v, size_t n)
{
    bool batch = play->ask.target.call == MOCK_EMBED_BATCH;
    if (item == 0)
        mock_putz(&play->out, batch ? "{\"embeddings\":[" : "{\"embedding\":");
    mock_putz(&play->out, item != 0 ? ",{\"values\":" : "{\"values\":");
    put_numbers(&play->out, v, n);
    mock_putz(&play->out, "}");
    if (item + 1 == items)
        mock_putz(&play->out, batch ? "]}" : "}");
}

void mock_embed_write(struct mock_play *play, size_t item, size_t items)
{
    float v[DIMENSIONS_MAX];
    const struct ccp_json *input = item_of(&play->ask, item);
    size_t n = (size_t)dimensions_of(&play->ask, input);
    make_vector(seed_of(play, input), v, n);
    if (is_gemini(&play->ask))
        put_gemini(play, item, items, v, n);
    else
        put_openai(play, item, items, v, n);
}
