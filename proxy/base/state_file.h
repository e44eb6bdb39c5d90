/*
 * Files that ccproxy keeps over restarts, below one folder of its own: what plugins remember, settings changed while
 * it ran. Not credentials: those have a store with locks and encryption (auth/store.h).
 *
 * Each file is replaced as a whole and synced: a crash at any moment leaves the old content or the new one. Folders
 * and files that somebody else owns or may write are refused, never repaired. Root (before it becomes server.user, or
 * in a command) takes the home's owner for its own: it reads what belongs to that user, and what it makes belongs to
 * that user. Nothing is cached; any thread, BLOCKS.
 */
#ifndef BASE_STATE_FILE_H
#define BASE_STATE_FILE_H

#include <base/buf.h>
#include <limits.h>

#define STATE_WHY 320 /* room that is enough for each text below; they hold paths, no content */

/* Where it all is: the first of $STATE_DIRECTORY (systemd's, a list with ':'), else $XDG_STATE_HOME/ccproxy, else
 * $HOME/.local/state/ccproxy. Nothing is made or looked at. False: no such variable holds an absolute path. */
bool state_home(char out[PATH_MAX], char why[STATE_WHY]);
/* A plain file name: [A-Za-z0-9._-], no leading dot, at most 200 bytes. */
bool state_name_ok(struct ccp_span name);
/* Opens a folder below the home, "" = the home itself, "plugins/access_log": each name as state_name_ok. What is
 * missing is made (0700 from the home on, 0755 above it). -1 with a text: not a folder, a link, another owner than this
 * process, writable by others, or the system's error. The caller closes it. */
int state_open(const char *below, char why[STATE_WHY]);
/* The whole content, at most `max` bytes, into *out (initialised here; the caller releases it whatever comes back).
 * A file that is not there: true and *missing. False with a text: larger, unsafe, or unreadable. */
bool state_read(int folder, const char *name, size_t max, struct ccp_buf *out, bool *missing, char why[STATE_WHY]);
/* Replaces or makes the file (0600), synced with its folder. False with a text; the old content is still there then,
 * but for a failed sync of the folder, after which either may be. */
bool state_write(int folder, const char *name, struct ccp_span content, char why[STATE_WHY]);
/* Removes it; fine if it is not there. */
bool state_remove(int folder, const char *name, char why[STATE_WHY]);

#endif
