/*
 * ccproxy version.
 */
#include <app/app.h>

#include <app/print.h>

static const struct arg_option *const options[] = {json_options, help_options, NULL};

static int run(struct cli *cli)
{
    if (args_has(&cli->args, "json"))
        return print_json(
            json_pack("{s:s, s:s, s:i}", "name", "ccproxy", "version", CCP_VERSION, "plugin_abi", CCP_ABI_MAJOR));
    puts("ccproxy " CCP_VERSION);
    return EXIT_OK;
}

const struct command command_version = {
    .name = "version", .operands = "", .summary = "print the version", .options = options, .run = run};
