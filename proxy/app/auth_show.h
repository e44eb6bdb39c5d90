/*
 * What a login says and asks while it runs: the events of auth/login.h on this process's streams.
 */
#ifndef APP_AUTH_SHOW_H
#define APP_AUTH_SHOW_H

#include <app/terminal.h>
#include <auth/login.h>

struct auth_show {
    char *const *environ;
    struct spinner spinner;
    const char *awaited; /* text beside the spinner */
    bool asked;          /* the code is asked for at once (LOGIN_PASTE) */
    uint64_t end_ms;     /* clock_ms() from which nothing is read any more */
    bool typing;         /* a line on the terminal is taken while the browser is waited for */
};

/* `show` lives as long as the events are used. */
struct login_events auth_show_events(struct auth_show *show);
void auth_show_end(struct auth_show *show);

#endif
