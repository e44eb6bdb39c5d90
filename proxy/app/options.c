/*
 * The options that commands share. An option with a configuration key in its last column is nothing but a shorter
 * spelling of --set.
 */
#include <app/app.h>

const struct arg_option help_options[] = {
    {"help", 'h', ARG_FLAG, NULL, "print this help", NULL},
    {.name = NULL},
};

const struct arg_option json_options[] = {
    {"json", 0, ARG_FLAG, NULL, "print JSON", NULL},
    {.name = NULL},
};

const struct arg_option config_options[] = {
    {"config", 'c', ARG_VALUE, "FILE", "configuration file instead of the usual places", NULL},
    {"set", 0, ARG_SET, "KEY=VALUE", "set any configuration key, such as server.http2=false", NULL},
    {.name = NULL},
};

const struct arg_option serve_options[] = {
    {"host", 0, ARG_VALUE, "HOST", "address or name to listen on; several with commas", "server.host"},
    {"port", 'p', ARG_VALUE, "PORT", "port to listen on; 0 picks a free one", "server.port"},
    {"workers", 0, ARG_VALUE, "N", "worker threads; 0 = one per core", "server.workers"},
    {"log-level", 0, ARG_VALUE, "LEVEL", "debug, info, warn, error, off", "logging.level"},
    {"log-file", 0, ARG_VALUE, "FILE", "append the log to FILE", "logging.file"},
    {"auth-token", 0, ARG_SECRET, "TOKEN", "key that clients must present", "security.auth_token"},
    {"enable-plugin", 0, ARG_LIST, "NAME", "run this plugin; may be repeated", NULL},
    {"disable-plugin", 0, ARG_LIST, "NAME", "leave this plugin out; may be repeated", NULL},
    {.name = NULL},
};
