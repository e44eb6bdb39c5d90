/*
 * A failed assertion: says where, then aborts. No log machinery, which may be what is broken.
 */
#include <base/assert.h>

void ccp_assert_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "ccproxy: assertion failed: %s (%s:%d)\n", what, file, line);
    abort();
}
