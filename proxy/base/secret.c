/*
 * Secrets: see secret.h. Each lives in its own pages (mlock, MADV_DONTDUMP), which is generous with memory and
 * right for the handful a server holds. A refused mlock (RLIMIT_MEMLOCK) is not an error: the pages are still
 * kept out of dumps and wiped.
 */
#include <base/fault.h>
#include <base/secret.h>

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

struct ccp_secret {
    atomic_uint refs;
    size_t mapped, n;
    char bytes[];
};

void secret_wipe(void *p, size_t n)
{
    if (n != 0)
        explicit_bzero(p, n);
}

struct ccp_secret *secret_new(struct ccp_span bytes)
{
    if (bytes.n > 64 * 1024 || CCP_FAULT("secret.new"))
        return NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (sizeof(struct ccp_secret) + bytes.n + page - 1) / page * page;
    struct ccp_secret *s = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return NULL;
    madvise(s, mapped, MADV_DONTDUMP);
    mlock(s, mapped);
    atomic_init(&s->refs, 1);
    s->mapped = mapped;
    s->n = bytes.n;
    if (bytes.n != 0)
        memcpy(s->bytes, bytes.p, bytes.n);
    return s;
}

struct ccp_secret *secret_ref(struct ccp_secret *s)
{
    if (s != NULL)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void secret_unref(struct ccp_secret *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    size_t mapped = s->mapped;
    secret_wipe(s, mapped);
    munmap(s, mapped);
}

struct ccp_span secret_reveal(const struct ccp_secret *s)
{
    return s != NULL ? (struct ccp_span){s->bytes, s->n} : (struct ccp_span){"", 0};
}

bool secret_equals(const struct ccp_secret *s, struct ccp_span candidate)
{
    if (s == NULL || s->n != candidate.n)
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < s->n; i++)
        difference |= (unsigned char)(s->bytes[i] ^ candidate.p[i]);
    /* The compiler must not turn the loop into an early exit. */
    __asm__ volatile("" : "+r"(difference));
    return difference == 0;
}
