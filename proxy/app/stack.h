/*
 * The call stack of another thread, as text, without that thread's help.
 */
#ifndef APP_STACK_H
#define APP_STACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Installs the handler of STACK_SIGNAL and loads what the unwinder needs. Once, before the first stack_of. */
bool stack_prepare(void);
/* Writes "ccproxy+0x1f20 libc.so.6+0x3c0 ..." (innermost first, offsets as addr2line -e takes them) and a NUL. Waits up
 * to half a second for the thread. False = it did not answer, `out` says so. One caller at a time; takes no lock and no
 * memory, so that the thread may be stuck anywhere. */
bool stack_of(pthread_t thread, char *out, size_t max);

#endif
