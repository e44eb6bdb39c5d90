/*
 * What the programs about the executor share: a runtime of hooks without a configuration, units, waiting.
 */
#ifndef SUPPORT_EXECUTOR_H
#define SUPPORT_EXECUTOR_H

#include <plugin/executor_impl.h>

/* A runtime that nobody frees, with these hooks for every event they want. */
struct test_runtime {
    struct runtime rt;
    struct hook_entry entries[8];
    struct hook_entry *order[8];
    size_t n;
};
void test_runtime_init(struct test_runtime *t);
void test_runtime_hook(struct test_runtime *t, const struct ccp_hook *h, void *self, struct plugin_unit *u);

/* A unit of this manifest, attached; the caller unrefs it. `intervals` may be NULL. */
struct plugin_unit *test_unit(struct executor *e, const struct ccp_plugin *m, const struct ccp_map *intervals);
/* The same, disabled after so many failures. */
struct plugin_unit *test_unit_weak(struct executor *e, const struct ccp_plugin *m, unsigned failures);

/* Until check() holds, for `ms` at most. */
bool test_until(bool (*check)(void *arg), void *arg, uint64_t ms);
void test_sleep_ms(uint64_t ms);

#endif
