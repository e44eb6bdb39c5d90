/*
 * Opening files that code is loaded from: nobody but root and the server's own user may have been able to change them.
 *
 * Checked is what was opened, never a name: every step goes through the descriptor of the step before.
 */
#ifndef PLUGIN_TRUSTED_H
#define PLUGIN_TRUSTED_H

#include <stdbool.h>
#include <stddef.h>

enum trusted_result { TRUSTED_OK, TRUSTED_MISSING, TRUSTED_REFUSED };

/* Opens a folder for reading. The way to it may hold symbolic links, which are resolved first; then every folder from
 * "/" on must be owned by root or by us and writable by its owner only, except that those above the last one may be
 * root's own with the sticky bit. *resolved (malloc) is its path without links. Otherwise `why` says what is wrong and
 * what to do. *fd is close-on-exec. */
enum trusted_result trusted_folder(const char *path, int *fd, char **resolved, char *why, size_t max);
/* A folder or a regular file directly inside: no symbolic link, owner and mode as above. `at` is the folder's path, for
 * texts. */
enum trusted_result trusted_below(int folder, const char *at, const char *name, bool directory, int *fd, char *why,
                                  size_t max);

#endif
