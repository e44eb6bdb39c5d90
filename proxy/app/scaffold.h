/*
 * The templates of `plugins scaffold`, as the build put them into the program: the files below app/scaffold, one table
 * (CMakeLists.txt writes it). In texts and paths stand @NAME@ (in paths NAME), @ID@, @UPPER@ and @ABI@.
 */
#ifndef APP_SCAFFOLD_H
#define APP_SCAFFOLD_H

#include <stddef.h>

struct scaffold_file {
    const char *kind; /* "system", "provider" or "both" */
    const char *path; /* "tests/test_NAME.c" */
    const char *text; /* not NUL-terminated */
    size_t n;
};

extern const struct scaffold_file scaffold_files[]; /* ends with a NULL kind */

#endif
