/*
 * Fault points: see fault.h. The table of armed points is written before threads start (environment) or by a
 * single-threaded test; counters are atomic.
 */
#include <base/fault.h>

#ifdef CCP_FAULTS
#include <pthread.h>
#include <stdatomic.h>

#define MAX_POINTS 16

struct point {
    char name[48];
    long nth; /* 0 = always */
    atomic_long seen;
};

static struct point points[MAX_POINTS];
static int armed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void fault_arm(const char *spec)
{
    armed = 0;
    while (spec != NULL && *spec != '\0' && armed < MAX_POINTS) {
        size_t n = strcspn(spec, ":,");
        struct point *p = &points[armed];
        if (n == 0 || n >= sizeof(p->name))
            return;
        memcpy(p->name, spec, n);
        p->name[n] = '\0';
        p->nth = spec[n] == ':' && spec[n + 1] != '*' ? strtol(spec + n + 1, NULL, 10) : 0;
        atomic_store(&p->seen, 0);
        armed++;
        spec += strcspn(spec, ",");
        spec += *spec == ',';
    }
}

static void arm_from_environment(void)
{
    if (armed == 0)
        fault_arm(getenv("CCPROXY_FAULT"));
}

bool fault_hit(const char *name)
{
    pthread_once(&once, arm_from_environment);
    for (int i = 0; i < armed; i++)
        if (strcmp(points[i].name, name) == 0) {
            long seen = atomic_fetch_add(&points[i].seen, 1) + 1;
            return points[i].nth == 0 || points[i].nth == seen;
        }
    return false;
}
#endif
