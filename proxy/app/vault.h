/*
 * The environment, with its secrets moved to a safe place.
 *
 * The system keeps a process's first environment where other programs of the same user can read it
 * (/proc/PID/environ), and it is inherited by every child. At start each value whose name says that it may be a
 * secret moves into locked memory and is overwritten in place. A reload reads the configuration again and needs the
 * same values, so the vault keeps the environment as it was.
 */
#ifndef APP_VAULT_H
#define APP_VAULT_H

#include <stdbool.h>
#include <stddef.h>

struct ccp_secret;

struct vault {
    char **environ; /* as it was; NULL-terminated */
    struct ccp_secret **secrets;
    size_t secret_n;
};

/* False = no memory; nothing was overwritten then. `environ` must outlive the vault. */
bool vault_open(struct vault *v, char **environ);
void vault_close(struct vault *v);

#endif
