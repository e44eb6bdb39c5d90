/*
 * The fault point "alloc" for the one C++ file of the project (see fault_alloc.c): operator new throws as it would
 * when memory ends.
 */
#ifdef CCP_FAULTS
#include <cstddef>
#include <new>

extern "C" {
bool fault_hit(const char *name);
void *__real__Znwm(std::size_t n);
void *__wrap__Znwm(std::size_t n);

void *__wrap__Znwm(std::size_t n)
{
    if (fault_hit("alloc"))
        throw std::bad_alloc();
    return __real__Znwm(n);
}
}
#endif
