/*
 * Fault points: named places where a test build can make a fallible call fail.
 *
 *     if (CCP_FAULT("upstream.start") || (t = malloc(n)) == NULL) ...
 *
 * Armed by CCPROXY_FAULT="name:3,other:*" (fail the third time, always); counts every point that was passed.
 * Compiled out (constant false) unless CCP_FAULTS is defined, which release builds never do.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

#ifdef CCP_FAULTS
bool fault_hit(const char *name);
void fault_arm(const char *spec); /* NULL disarms */
#define CCP_FAULT(name) fault_hit(name)
#else
#define CCP_FAULT(name) false
#endif

#endif
