/*
 * Helpers of the configuration's tests: a snapshot from text, variables and flags, and looking for faults.
 */
#ifndef TEST_CONFIG_SUPPORT_H
#define TEST_CONFIG_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <config/config.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char support_dir[64];
static char support_file[96];

static inline int support_setup(void **state)
{
    (void)state;
    snprintf(support_dir, sizeof(support_dir), "/tmp/ccp_config_XXXXXX");
    assert_non_null(mkdtemp(support_dir));
    snprintf(support_file, sizeof(support_file), "%s/c.toml", support_dir);
    return 0;
}

static inline int support_teardown(void **state)
{
    (void)state;
    unlink(support_file);
    return rmdir(support_dir);
}

static inline void support_write(const char *path, const void *bytes, size_t n, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Loads `text` as the file; env and sets are NULL-terminated arrays or NULL. */
static inline struct config *support_load(const char *text, char **env, const char *const *sets)
{
    support_write(support_file, text, strlen(text), 0600);
    struct config_source source = {.file = support_file, .environ = env, .sets = sets};
    struct config *c = config_load(&source);
    assert_non_null(c);
    return c;
}

static inline bool support_contains(struct ccp_span hay, const char *needle)
{
    return memmem(hay.p, hay.n, needle, strlen(needle)) != NULL;
}

static inline void support_print_faults(struct config *c)
{
    size_t n;
    const struct config_fault *f = config_faults(c, &n);
    for (size_t i = 0; i < n; i++)
        print_message("  fault: %.*s%s\n", CCP_FMT(f[i].text), f[i].warning ? " (warning)" : "");
}

static inline bool support_has_fault(struct config *c, const char *part)
{
    size_t n;
    const struct config_fault *f = config_faults(c, &n);
    for (size_t i = 0; i < n; i++)
        if (support_contains(f[i].text, part))
            return true;
    return false;
}

#define assert_fault(c, part)                                                                                          \
    do {                                                                                                               \
        if (!support_has_fault(c, part)) {                                                                             \
            support_print_faults(c);                                                                                   \
            fail_msg("no fault with: %s", part);                                                                       \
        }                                                                                                              \
    } while (0)

#define assert_ok(c)                                                                                                   \
    do {                                                                                                               \
        if (!config_ok(c)) {                                                                                           \
            support_print_faults(c);                                                                                   \
            fail_msg("unexpected faults");                                                                             \
        }                                                                                                              \
    } while (0)

static inline size_t support_fault_count(struct config *c)
{
    size_t n;
    config_faults(c, &n);
    return n;
}

#define assert_span(s, z)                                                                                              \
    do {                                                                                                               \
        struct ccp_span got_ = (s);                                                                                    \
        if (!ccp_span_is(got_, z))                                                                                     \
            fail_msg("got \"%.*s\", wanted \"%s\"", CCP_FMT(got_), z);                                                 \
    } while (0)

#define ENV(...)  ((char *[]){__VA_ARGS__, NULL})
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
