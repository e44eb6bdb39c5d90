/*
 * The ABI guard: may a plugin's record be read at all? A refusal says which part differs, and names both versions.
 */
#include <plugin/runtime.h>

const char *abi_refusal(const struct ccp_abi *abi)
{
    /* The text depends on the record; callers copy it at once. Each thread has its own. */
    static _Thread_local char text[200];
    if (abi->magic != CCP_ABI_MAGIC)
        return "it does not start with a ccproxy plugin record: its abi must be CCP_ABI_HERE";
    if (abi->major != CCP_ABI_MAJOR || abi->minor > CCP_ABI_MINOR) {
        snprintf(text, sizeof(text), "it was built for plugin interface %d.%d, this ccproxy has %d.%d (%s): %s",
                 abi->major, abi->minor, CCP_ABI_MAJOR, CCP_ABI_MINOR,
                 abi->major != CCP_ABI_MAJOR ? "another major version" : "an older minor version",
                 abi->major < CCP_ABI_MAJOR ? "rebuild it against this SDK" : "update ccproxy, or rebuild the plugin");
        return text;
    }
    if (abi->size > sizeof(struct ccp_plugin) || abi->size < sizeof(struct ccp_abi)) {
        snprintf(text, sizeof(text), "its record has an unexpected size, %u bytes of at most %zu: rebuild it",
                 abi->size, sizeof(struct ccp_plugin));
        return text;
    }
    return NULL;
}
