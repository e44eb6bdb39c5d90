/*
 * The process's memory as the system sees it: how large it is, how the C library's allocator is set up, and giving
 * back what is free. The budget (budget.h) counts what is held; this is about pages.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Sets the allocator up for `workers` threads that allocate much. Main thread, before they start. */
void memory_tune(size_t workers);
/* Gives free pages back to the system; takes milliseconds after a burst and holds up other threads' allocations
 * meanwhile. Any thread. */
void memory_trim(void);
/* The part of it that each thread has to do for itself, and how often memory_trim was called. */
void memory_trim_thread(void);
unsigned memory_trims(void);
/* Lets go of the pages of program and libraries that are the same as in their files: start-up reads much that serving
 * never needs again. What is needed comes back from the page cache. */
void memory_drop_code(void);

uint64_t memory_resident(void); /* bytes; 0 = unknown */
uint64_t memory_mapped(void);

#endif
