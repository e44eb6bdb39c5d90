/*
 * The fault point "alloc": every allocation that our own objects ask for.
 *
 * Test builds link with --wrap, which turns each call of malloc, calloc, realloc, strdup, strndup and vasprintf in an
 * object of this project into a call of the functions below. What libraries allocate for themselves never comes
 * here: h2o ends the process when memory ends, and nothing of ours can change that. Operator new: fault_new.cc.
 */
#include <base/fault.h>

#ifdef CCP_FAULTS
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

/* Names that the linker makes; see --wrap in ld(1). */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static bool refused(void)
{
    if (!CCP_FAULT("alloc"))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refused() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return refused() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return refused() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
    return refused() ? -1 : __real_vasprintf(out, fmt, ap);
}
#endif
