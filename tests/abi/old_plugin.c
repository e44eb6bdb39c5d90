/*
 * A plugin as somebody built it against the first SDK: at least two elements in each list of its record, so that a
 * wrong stride shows, and an answer that tells what arrived of each. Compiled by test_abi.py, never by the product.
 */
#include <ccproxy/ccproxy.h>

#include <stdatomic.h>
#include <stdio.h>

struct item {
    struct ccp_span name;
    int64_t weight;
    struct ccp_tables parts;
};
struct part {
    struct ccp_span of;
    bool whole;
};
struct settings {
    int64_t first;
    struct ccp_span second;
    struct ccp_tables items;
    int mode;
};

static const struct ccp_config_row part_rows[] = {
    {"of", CCP_STRING, offsetof(struct part, of), .flags = CCP_ROW_REQUIRED},
    {"whole", CCP_BOOL, offsetof(struct part, whole), "true"},
    {.key = NULL},
};
static const struct ccp_config_row item_rows[] = {
    {"name", CCP_STRING, offsetof(struct item, name), .flags = CCP_ROW_REQUIRED},
    {"weight", CCP_INT, offsetof(struct item, weight), "1", 0, 9},
    {"parts", CCP_TABLES, offsetof(struct item, parts), .rows = part_rows, .row_size = sizeof(struct part)},
    {.key = NULL},
};
static const struct ccp_config_row rows[] = {
    {"first", CCP_INT, offsetof(struct settings, first), "3", 0, 10, .doc = "one"},
    {"second", CCP_STRING, offsetof(struct settings, second), "\"two\""},
    {"items", CCP_TABLES, offsetof(struct settings, items), .rows = item_rows, .row_size = sizeof(struct item)},
    {"mode", CCP_ENUM, offsetof(struct settings, mode), "\"slow\"", .choices = "slow|fast"},
    {.key = NULL},
};

static atomic_int started, completed, ticks, tocks;
static const struct ccp_plugin_env *env;

static void *begin(const struct ccp_plugin_env *e, struct ccp_span *why)
{
    env = e;
    return (void *)e;
}

static bool hear_start(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    started++;
    return true;
}
static bool hear_end(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    struct ccp_summary s;
    x->api->summary(x, &s, sizeof(s));
    completed += s.http_status == 200;
    return true;
}
static const char *const heard[] = {"custom.old.*", "custom.new", NULL};
static const struct ccp_hook hooks[] = {
    {"one", CCP_HEARS(REQUEST_STARTED), .on_event = hear_start},
    {"two", CCP_HEARS(REQUEST_COMPLETED) | CCP_HEARS(CUSTOM), 5, .on_event = hear_end, .custom = heard},
    {.name = NULL},
};

static void head_one(void *self, struct ccp_exchange *x, struct ccp_response_head *head)
{
    x->api->add_response_header(x, CCP_SPAN("x-old-one"), CCP_SPAN("1"));
}
static void head_two(void *self, struct ccp_exchange *x, struct ccp_response_head *head)
{
    x->api->add_response_header(x, CCP_SPAN("x-old-two"), CCP_SPAN("2"));
}
static const struct ccp_middleware middleware[] = {
    {"old-one", CCP_LAYER_OBSERVABILITY, 7, .on_head = head_one},
    {"old-two", CCP_LAYER_APPLICATION, 99, .on_head = head_two},
    {.name = NULL},
};

static enum ccp_verdict answer(struct ccp_exchange *x, const char *text)
{
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), ccp_span_z(text));
}

static enum ccp_verdict serve_settings(void *self, struct ccp_exchange *x)
{
    const struct settings *s = env->config;
    const struct item *items = s->items.v;
    char out[600];
    int n = snprintf(out, sizeof(out), "%d %.*s %d", (int)s->first, CCP_FMT(s->second), s->mode);
    for (size_t i = 0; i < s->items.n; i++) {
        const struct part *parts = items[i].parts.v;
        n += snprintf(out + n, sizeof(out) - (size_t)n, " %.*s=%d", CCP_FMT(items[i].name), (int)items[i].weight);
        for (size_t k = 0; k < items[i].parts.n; k++)
            n += snprintf(out + n, sizeof(out) - (size_t)n, "/%.*s:%d", CCP_FMT(parts[k].of), parts[k].whole);
    }
    return answer(x, out);
}
static enum ccp_verdict serve_counts(void *self, struct ccp_exchange *x)
{
    char out[100];
    snprintf(out, sizeof(out), "%d %d %d %d", started, completed, ticks, tocks);
    return answer(x, out);
}
static enum ccp_verdict serve_own(void *self, struct ccp_exchange *x)
{
    return answer(x, "own");
}
static const struct ccp_route routes[] = {
    {"GET", "/settings", NULL, CCP_ACCESS_PUBLIC, "t1", "s1", serve_settings},
    {"GET, POST", "/counts", NULL, CCP_ACCESS_PUBLIC, "t2", "s2", serve_counts},
    {"GET", "", "/old-own", CCP_ACCESS_PUBLIC, NULL, NULL, serve_own},
    {.methods = NULL},
};

static bool tick(void *self, struct ccp_span *why)
{
    ticks++;
    return true;
}
static bool tock(void *self, struct ccp_span *why)
{
    tocks++;
    return true;
}
static const struct ccp_task tasks[] = {
    {"tick", "often", 30, 10, 0, 0, false, tick},
    {"tock", "once in a while", 40, 20, 1, 400, false, tock},
    {.name = NULL},
};

static const struct ccp_service provides[] = {{"old/1", &middleware}, {"old/2", &tasks}, {.name = NULL}};

static enum ccp_verdict run_one(void *self, struct ccp_exchange *x, const struct ccp_json *input)
{
    return answer(x, "one");
}
static enum ccp_verdict run_two(void *self, struct ccp_exchange *x, const struct ccp_json *input)
{
    return answer(x, "two");
}
static const struct ccp_action actions[] = {
    {"one", "first", NULL, run_one},
    {"two", "second", "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}", run_two},
    {.name = NULL},
};

static int command(const struct ccp_cli *cli)
{
    cli->print(cli, "%s\n", cli->operand_count == 1 ? cli->operands[0] : "none");
    return 0;
}
static const struct ccp_option options[] = {{"to", "N", "how far"}, {"all", NULL, "everything"}, {.name = NULL}};
static const struct ccp_command commands[] = {
    {"oldcmd", "", "first", NULL, options, 0, 0, true, false, command},
    {"oldcmd echo", "TEXT", "second", "more", NULL, 1, 1, false, false, command},
    {.name = NULL},
};
static const struct ccp_flag flags[] = {
    {"old-first", "N", "first", "one"}, {"old-mode", "MODE", "mode", "two"}, {.name = NULL}};

static const struct ccp_body_rule rules[] = {
    {CCP_BODY_DROP, "logit_bias"},
    {CCP_BODY_SET, "store", "false"},
    {CCP_BODY_DEFAULT, "user", "\"old\""},
    {CCP_BODY_END},
};
static const struct ccp_header added[] = {
    {CCP_LIT("x-vendor"), CCP_LIT("old")}, {CCP_LIT("x-vendor-two"), CCP_LIT("older")}, {{NULL, 0}, {NULL, 0}}};
static const char *const models[] = {"old-1", "old-2", NULL};
static const struct ccp_provider provider = {
    .label = "Old",
    .prefix = "old",
    .formats = CCP_SPEAKS(OPENAI_CHAT),
    .base_url = "http://127.0.0.1:9/v1",
    .api_key = "k",
    .key_header = {[CCP_FORMAT_OPENAI_CHAT] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")}},
    .headers = added,
    .models = models,
    .body_rules = {[CCP_FORMAT_OPENAI_CHAT] = rules},
};
static const uint16_t ports[] = {1455, 1457, 0};
static const char *const login_names[] = {"older", "oldest", NULL};
static const struct ccp_oauth_file file = {
    .owner = "Old", .folder = ".old", .name = "auth.json", .access_token = "a.b", .account_id = "a.id"};
static const struct ccp_oauth_provider login = {.name = "old",
                                                .aliases = login_names,
                                                .label = "Old login",
                                                .flags = CCP_OAUTH_BROWSER | CCP_OAUTH_REFRESH,
                                                .authorize_url = "https://login.example/authorize",
                                                .token_url = "https://login.example/token",
                                                .client_id = "c",
                                                .ports = ports,
                                                .file = &file};
static const struct ccp_program program = {"oldprogram", "@old/program"};
static const char *const after[] = {"access_log", "mock >= 0.1", NULL}, *const names[] = {"old_name", NULL};

CCP_PLUGIN(old) = {
    CCP_ABI_HERE,
    .name = "old",
    .version = "1.0.0",
    .summary = "built against the first SDK",
    .kind = CCP_PLUGIN_PROVIDER,
    .config = rows,
    .config_size = sizeof(struct settings),
    .provider = &provider,
    .middleware = middleware,
    .hooks = hooks,
    .routes = routes,
    .open = begin,
    .oauth = &login,
    .program = &program,
    .core = ">= 0.1",
    .after = after,
    .provides = provides,
    .tasks = tasks,
    .actions = actions,
    .commands = commands,
    .flags = flags,
    .aliases = names,
};
