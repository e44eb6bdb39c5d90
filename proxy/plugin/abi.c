/*
 * The ABI guard: may a plugin's record be read at all? A refusal says which part differs.
 */
#include <plugin/runtime.h>

const char *abi_refusal(const struct ccp_abi *abi)
{
    if (abi->magic != CCP_ABI_MAGIC)
        return "it does not start with a ccproxy plugin record";
    if (abi->major != CCP_ABI_MAJOR)
        return "it was built for another major version of the plugin interface";
    if (abi->minor > CCP_ABI_MINOR)
        return "it was built for a newer minor version of the plugin interface";
    if (abi->size > sizeof(struct ccp_plugin) || abi->size < sizeof(struct ccp_abi))
        return "its record has an unexpected size";
    return NULL;
}
