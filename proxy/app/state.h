/*
 * The file of settings that were changed while ccproxy ran: plugins.toml in the state folder. The server and
 * `plugins enable|disable` write it, every command reads it with the configuration.
 */
#ifndef APP_STATE_H
#define APP_STATE_H

#include <base/buf.h>
#include <base/state_file.h>

struct state {
    char path[PATH_MAX + 16]; /* of the file; empty: this machine has no place for it */
    struct ccp_buf text;      /* may hold secrets: state_release wipes it */
    bool there;               /* false: there is no such file */
    int folder;               /* held for a change, or -1 */
    char why[STATE_WHY + 160];
};

/* Only says where the file stands. */
void state_place(struct state *s);
/* Reads it. Without a file, or a place for one, the text is empty. False: it is there, but not to be used; `why` says
 * why and what to do. Release it in both cases. */
bool state_load_text(struct state *s);
/* The same for a change: makes the folder, and keeps every other process from changing the file until the release.
 * False also when another one does just now; *busy then. */
bool state_hold(struct state *s, bool *busy);
/* Replaces the file that is held. False with `why`; the old one is still there. */
bool state_keep(struct state *s, struct ccp_span text);
/* Puts back what state_hold found. */
bool state_undo(struct state *s);
void state_release(struct state *s);

#endif
