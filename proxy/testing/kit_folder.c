/*
 * A folder that is HOME while a test is open, so that neither the user's configuration nor their plugins, logins or
 * state files are read or written.
 */
#include <testing/kit_impl.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[KIT_ENV_NAMES] = {"HOME",           "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
                                                 "XDG_STATE_HOME", "STATE_DIRECTORY", "CACHE_DIRECTORY"};
static const char *const below[KIT_ENV_NAMES] = {"", "/config", "/cache", "/state", NULL, NULL};

bool kit_folder_make(struct ccp_test *t)
{
    snprintf(t->folder, sizeof(t->folder), "/tmp/ccproxy-testing-XXXXXX");
    if (mkdtemp(t->folder) == NULL)
        return false;
    for (int i = 0; i < KIT_ENV_NAMES; i++) {
        const char *old = getenv(names[i]);
        char path[96];
        t->env[i] = old != NULL ? strdup(old) : NULL;
        snprintf(path, sizeof(path), "%s%s", t->folder, below[i] != NULL ? below[i] : "");
        if (below[i] != NULL)
            setenv(names[i], path, 1);
        else
            unsetenv(names[i]);
    }
    return true;
}

static int erase(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    return remove(path);
}

void kit_folder_remove(struct ccp_test *t)
{
    if (t->folder[0] == '\0')
        return;
    nftw(t->folder, erase, 16, FTW_DEPTH | FTW_PHYS);
    for (int i = 0; i < KIT_ENV_NAMES; i++) {
        if (t->env[i] != NULL)
            setenv(names[i], t->env[i], 1);
        else
            unsetenv(names[i]);
        free(t->env[i]);
    }
}

const char *ccp_test_folder(struct ccp_test *t)
{
    return t->folder;
}
