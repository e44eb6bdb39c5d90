/*
 * words: a middleware that reads answers. It counts their words and ends an answer that holds a forbidden one, in
 * whatever format the client and the upstream speak: [plugins.words] forbidden = ["swordfish"]
 *
 * A word may come in several fragments, so the unfinished one is kept with the exchange.
 */
#include <ccproxy/ccproxy.h>

#include <ctype.h>
#include <stddef.h>

struct words_config {
    struct ccp_list forbidden;
};

struct answer {
    size_t words, n; /* n: letters of the unfinished word */
    char word[64];   /* the first of them */
};

static void *open_words(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    return (void *)env; /* all the state there is belongs to exchanges */
}

/* A word is complete; true if it is forbidden. */
static bool finish(struct answer *a, const struct ccp_list *forbidden)
{
    bool hit = false;
    for (size_t i = 0; i < forbidden->n && a->n <= sizeof(a->word); i++)
        hit = hit || ccp_span_ieq(forbidden->v[i], ccp_span_of(a->word, a->n));
    a->words += a->n != 0;
    a->n = 0;
    return hit;
}

static bool on_delta(void *self, struct ccp_exchange *x, const struct ccp_delta *delta)
{
    const struct ccp_plugin_env *env = self;
    const struct words_config *config = env->config;
    void **slot = env->api->slot(x, env);
    bool ends = delta->type == CCP_DELTA_CLOSE, hit = false;
    if (delta->part != CCP_PART_TEXT || (delta->type != CCP_DELTA_TEXT && !ends) || slot == NULL)
        return true;
    if (*slot == NULL && (*slot = env->api->alloc(x, sizeof(struct answer))) != NULL)
        memset(*slot, 0, sizeof(struct answer));
    struct answer *a = *slot;
    for (size_t i = 0; a != NULL && i < delta->text.n + ends && !hit; i++) {
        unsigned char c = i < delta->text.n ? (unsigned char)delta->text.p[i] : ' ';
        if (isspace(c) || ispunct(c))
            hit = finish(a, &config->forbidden);
        else if (++a->n <= sizeof(a->word))
            a->word[a->n - 1] = (char)c;
    }
    return !hit || env->api->fail(x, CCP_FORBIDDEN, "the answer holds a word that is not allowed here") != CCP_FAILED;
}

static void on_end(void *self, struct ccp_exchange *x)
{
    const struct ccp_plugin_env *env = self;
    void **slot = env->api->slot(x, env);
    if (slot != NULL && *slot != NULL)
        env->api->log(env, CCP_LOG_INFO, "an answer of %zu words", ((struct answer *)*slot)->words);
}

static const struct ccp_config_row rows[] = {
    {"forbidden", CCP_LIST, offsetof(struct words_config, forbidden), "[]", .doc = "words that end an answer"},
    {.key = NULL},
};
static const struct ccp_middleware middleware[] = {
    {.name = "words", .layer = CCP_LAYER_TRANSFORMATION, .on_delta = on_delta, .on_end = on_end},
    {.name = NULL},
};
/* clang-format off */
CCP_PLUGIN(words) = {CCP_ABI_HERE, .name = "words", .version = CCP_PLUGIN_VERSION, .kind = CCP_PLUGIN_SYSTEM,
    .summary = "counts the words of answers, forbids some", .config = rows, .config_size = sizeof(struct words_config),
    .middleware = middleware, .open = open_words};
