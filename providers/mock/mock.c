/*
 * The mock provider: works offline, answers the same request with the same bytes, speaks all four formats.
 *
 * This file is its manifest. What it says is in answer.c, how it looks on the wire in write_*.c, when it is
 * said in play.c and transfer.c; README.md lists the models and the settings.
 */
#include "mock.h"

#include <stdlib.h>

#define AT(member) offsetof(struct mock_config, member)

static const struct ccp_config_row rows[] = {
    {.key = "format",
     .type = CCP_ENUM,
     .offset = AT(format),
     .def = "\"any\"",
     .choices = "any|anthropic|openai-chat|openai-responses|gemini",
     .doc = "what it speaks; any = the client's own format, else clients of other formats are translated"},
    {.key = "first_token_delay",
     .type = CCP_DURATION,
     .offset = AT(first_token_delay),
     .def = "0",
     .max = 3600000,
     .doc = "wait before the first token"},
    {.key = "tokens_per_second",
     .type = CCP_DOUBLE,
     .offset = AT(tokens_per_second),
     .def = "0",
     .max = 1000000,
     .doc = "speed of the answer; 0 = as fast as it goes"},
    {.key = "error_rate",
     .type = CCP_INT,
     .offset = AT(error_rate),
     .def = "0",
     .max = 100,
     .doc = "percentage of calls that fail with 500, spread evenly"},
    {.key = "rate_limit_every",
     .type = CCP_INT,
     .offset = AT(rate_limit_every),
     .def = "0",
     .max = 1000000000,
     .doc = "every n-th call is refused with 429; 0 = none"},
    {.key = "rate_limit_retry_after",
     .type = CCP_DURATION,
     .offset = AT(rate_limit_retry_after),
     .def = "\"1s\"",
     .max = 3600000,
     .doc = "retry-after of these refusals, in whole seconds"},
    {.key = NULL},
};

static const char *const models[] = {"mock-echo",  "mock-lorem", "mock-tool",      "mock-think",
                                     "mock-embed", "mock-cut",   "mock-error-500", NULL};

static enum ccp_format choose(void *self, struct ccp_exchange *x, enum ccp_format client, struct ccp_span model)
{
    const struct mock *mock = self;
    (void)x;
    (void)model;
    return mock->config->format == 0 ? client : (enum ccp_format)(mock->config->format - 1);
}

static const struct ccp_provider provider = {
    .label = "Mock (built in)",
    .prefix = "mock",
    .formats = CCP_SPEAKS(ANTHROPIC) | CCP_SPEAKS(OPENAI_CHAT) | CCP_SPEAKS(OPENAI_RESPONSES) | CCP_SPEAKS(GEMINI),
    .base_url = "http://mock.invalid", /* never connected to; only the path is read */
    .keyless = true,
    .choose = choose,
    .transport = &mock_transport,
    .models = models,
};

static void *open_mock(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    struct mock *mock = calloc(1, sizeof(*mock));
    if (mock == NULL) {
        *why = CCP_SPAN("out of memory");
        return NULL;
    }
    mock->config = env->config;
    return mock;
}

static enum ccp_health check(void *self, struct ccp_span *why)
{
    (void)self;
    *why = CCP_SPAN("built in, needs no network");
    return CCP_HEALTH_PASS;
}

static void close_mock(void *self)
{
    free(self);
}

CCP_PLUGIN(mock) = {
    CCP_ABI_HERE,
    .name = "mock",
    .version = "1.0",
    .summary = "Answers offline and always alike: for trying out, for demos and as a test double",
    .kind = CCP_PLUGIN_PROVIDER,
    .config = rows,
    .config_size = sizeof(struct mock_config),
    .provider = &provider,
    .open = open_mock,
    .check = check,
    .close = close_mock,
};
