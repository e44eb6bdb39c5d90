/*
 * ccproxy config show, check, example, path and generate-token. None of them starts anything.
 */
#include <app/app.h>

#include <app/example.h>
#include <app/print.h>
#include <app/state.h>
#include <base/secret.h>

#include <errno.h>
#include <sys/random.h>

#define TEXT_MAX (16u << 20)

static const struct arg_option *const loading[] = {config_options, serve_options, json_options, help_options, NULL};
static const struct arg_option *const plain[] = {help_options, NULL};

static int print_text(struct ccp_buf *text, bool fine)
{
    if (fine)
        fwrite(text->p, 1, text->n, stdout);
    buf_release(text);
    return fine ? EXIT_OK : complain(EXIT_FAILED, "out of memory");
}

static int show(struct cli *cli)
{
    struct ccp_buf text;
    size_t n = 0;
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    buf_init(&text, TEXT_MAX);
    struct config_section *sections = runtime_sections(rt, &n);
    bool fine = sections != NULL && config_show(rt->config, sections, n, args_has(&cli->args, "json"), &text);
    int code = print_text(&text, fine);
    runtime_unref(rt);
    return code;
}

static void collect(void *arg, bool warning, struct ccp_span text)
{
    json_t *fault = json_pack("{s:b, s:o}", "warning", warning, "text", json_span(text));
    json_array_append_new(arg, fault);
}

static int check(struct cli *cli)
{
    bool json = args_has(&cli->args, "json");
    const char *file = cli->args.operand_n != 0 ? cli->args.operands[0] : NULL;
    json_t *faults = json_array();
    struct runtime *rt = load_runtime(cli, file, json ? collect : load_print, faults);
    bool fine = rt != NULL;
    runtime_unref(rt);
    if (json) {
        int code = print_json(json_pack("{s:b, s:o}", "ok", fine, "faults", faults));
        return fine ? code : EXIT_CONFIG;
    }
    json_decref(faults);
    if (fine)
        puts("ok");
    return fine ? EXIT_OK : EXIT_CONFIG;
}

static int example(struct cli *cli)
{
    struct ccp_buf text;
    (void)cli;
    buf_init(&text, TEXT_MAX);
    return print_text(&text, example_text(&text));
}

static int path_json(const struct runtime *rt, const struct ccp_span *places, size_t n)
{
    json_t *searched = json_array();
    struct ccp_span file = config_file(rt->config);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(searched, json_span(places[i]));
    struct ccp_span state = config_state(rt->config);
    return print_json(json_pack("{s:o, s:b, s:o, s:o}", "state", state.n != 0 ? json_span(state) : json_null(), "file",
                                file.n != 0 ? json_span(file) : json_null(), "trusted", !config_untrusted(rt->config),
                                "searched", searched));
}

static void path_text(const struct runtime *rt, const struct ccp_span *places, size_t n)
{
    struct ccp_span file = config_file(rt->config);
    printf("%.*s\n", CCP_FMT(file.n != 0 ? file : CCP_SPAN("none: defaults, environment and flags only")));
    if (config_untrusted(rt->config))
        puts("  (from the current folder: not trusted with logins; --config trusts it)");
    if (config_state(rt->config).n != 0)
        printf("settings changed while ccproxy ran: %.*s\n", CCP_FMT(config_state(rt->config)));
    puts("searched, first found wins:");
    for (size_t i = 0; i < n; i++)
        printf("  %.*s\n", CCP_FMT(places[i]));
}

static int path(struct cli *cli)
{
    struct ccp_span places[16];
    const char *named = args_get(&cli->args, "config");
    struct state state;
    state_place(&state);
    struct config *c = config_load(&(struct config_source){.file = named,
                                                           .environ = cli->vault.environ,
                                                           .cwd_allowed = true,
                                                           .state_path = state.path[0] != '\0' ? state.path : NULL});
    state_release(&state);
    struct runtime *rt = c != NULL ? runtime_bind(c) : NULL; /* faults do not change the path */
    if (rt == NULL)
        return complain(EXIT_FAILED, "out of memory");
    size_t n = 1;
    places[0] = ccp_span_z(named);
    if (named == NULL)
        n = config_search(places, 16, config_arena(rt->config), true);
    int code = EXIT_OK;
    if (args_has(&cli->args, "json"))
        code = path_json(rt, places, n);
    else
        path_text(rt, places, n);
    runtime_unref(rt);
    return code;
}

static int token(struct cli *cli)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[33] = {0}; /* 32 and a zero to fill the last group */
    char text[45];
    (void)cli;
    if (getrandom(bytes, 32, 0) != 32)
        return complain(EXIT_FAILED, "no random numbers: %s", strerror(errno));
    for (int i = 0; i < 11; i++) {
        unsigned group = (unsigned)bytes[3 * i] << 16 | (unsigned)bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
        for (int k = 0; k < 4; k++)
            text[4 * i + k] = digits[group >> (18 - 6 * k) & 63];
    }
    text[43] = '\0'; /* 256 bits are 43 digits (RFC 4648 section 5, no padding) */
    puts(text);
    secret_wipe(bytes, sizeof(bytes));
    secret_wipe(text, sizeof(text));
    return EXIT_OK;
}

const struct command command_config_show = {.name = "config show",
                                            .operands = "",
                                            .summary = "effective values and where each came from; secrets masked",
                                            .options = loading,
                                            .cwd = true,
                                            .run = show};

const struct command command_config_check = {
    .name = "config check",
    .operands = "[FILE]",
    .summary = "report every fault of the configuration",
    .details = "Prints \"ok\" and exits with 0, or prints all faults and exits with 78.",
    .options = loading,
    .most = 1,
    .cwd = true,
    .run = check};

const struct command command_config_example = {.name = "config example",
                                               .operands = "",
                                               .summary = "a commented configuration file with every key",
                                               .options = plain,
                                               .run = example};

static const struct arg_option *const with_path[] = {config_options, json_options, help_options, NULL};

const struct command command_config_path = {.name = "config path",
                                            .operands = "",
                                            .summary = "which file is used, and where files are looked for",
                                            .options = with_path,
                                            .cwd = true,
                                            .run = path};

const struct command command_config_token = {.name = "config generate-token",
                                             .operands = "",
                                             .summary = "a random key for security.auth_token",
                                             .options = plain,
                                             .run = token};
