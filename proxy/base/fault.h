/*
 * Fault points: named places where a test build can make a fallible call fail.
 *
 *     if (CCP_FAULT("upstream.start") || (t = malloc(n)) == NULL) ...
 *
 * Armed by CCPROXY_FAULT="name:3,other:*" (fail the third time, always). The point "alloc" stands before every
 * malloc, calloc, realloc, strdup, strndup and operator new that our own objects call (fault_alloc.c).
 * A test that wants to arm points in a running process maps the file that CCP_FAULT_PANEL names, see fault.c.
 * Compiled out (constant false) unless CCP_FAULTS is defined, which release builds never do.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

#ifdef CCP_FAULTS
bool fault_hit(const char *name);
void fault_arm(const char *spec); /* NULL disarms; counts begin again */
void fault_block(void);           /* holds the calling thread up for CCP_FAULT_BLOCK milliseconds */
#define CCP_FAULT(name) fault_hit(name)
/* A point that stands for "this call does not come back for a while". */
#define CCP_FAULT_BLOCK(name)                                                                                          \
    do {                                                                                                               \
        if (fault_hit(name))                                                                                           \
            fault_block();                                                                                             \
    } while (0)
#else
#define CCP_FAULT(name)       false
#define CCP_FAULT_BLOCK(name) ((void)0)
#endif

#endif
