/*
 * Runs every .case file: client request, expected upstream request, upstream's bytes, expected client bytes, events.
 *
 * Each is replayed with the upstream's body whole, byte by byte, at random cuts and with a client that pauses; the
 * outcome must be the same. Then the client leaves at every early moment, and (with fault points) each allocation
 * fails once: then only the rules of the contract and the sanitizers judge. A part of a path as argument selects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/log.h>
#include <testing/case_judge.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT FIXTURES "/../.."

static void one_case(void **state)
{
    char text[4000];
    if (!case_judge_file(*state, FIXTURES, NULL, text, sizeof(text)))
        fail_msg("%s: %s", (const char *)*state, text);
}

int main(int argc, char **argv)
{
    glob_t found = {0};
    struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    log_configure(&quiet);
    glob(ROOT "/tests/case/*.case", 0, NULL, &found);
    glob(ROOT "/providers/*/cases/*.case", GLOB_APPEND, NULL, &found);
    struct CMUnitTest *tests = calloc(found.gl_pathc + 1, sizeof(*tests));
    size_t n = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (argc < 2 || strstr(found.gl_pathv[i], argv[1]) != NULL)
            tests[n++] =
                (struct CMUnitTest){strrchr(found.gl_pathv[i], '/') + 1, one_case, NULL, NULL, found.gl_pathv[i]};
    if (n == 0) {
        fprintf(stderr, "no case matches\n");
        return 1;
    }
    int failed = _cmocka_run_group_tests("cases", tests, n, NULL, NULL);
    free(tests);
    globfree(&found);
    return failed;
}
