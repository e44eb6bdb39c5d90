/*
 * The built-in plugins: one line per id in the build's list (builtin.def), nothing else to edit.
 */
#include <plugin/runtime.h>

#define X(id) extern const struct ccp_plugin ccp_plugin_##id;
#include "builtin.def"
#undef X

static const struct ccp_plugin *const builtin[] = {
#define X(id) &ccp_plugin_##id,
#include "builtin.def"
#undef X
    NULL,
};

const struct ccp_plugin *const *registry_builtin(void)
{
    return builtin;
}
