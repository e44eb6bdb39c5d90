/*
 * Assertions stay on in every build. They state what must be true by construction and never judge input.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

_Noreturn void ccp_assert_failed(const char *file, int line, const char *what);

#define CCP_ASSERT(condition)                                                                                          \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                                         \
            ccp_assert_failed(__FILE__, __LINE__, #condition);                                                         \
    } while (0)

#endif
