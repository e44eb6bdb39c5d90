/*
 * Fault points: see fault.h. One lock guards all of it; a test build may be slow here.
 *
 * The panel is a file of PANEL_BYTES that a test and the process both map: the test writes `spec`, then raises
 * `generation`; the next point that is passed arms it, says so in `taken`, and counts from there. `fired` counts
 * the failures since then, `seen` holds every name that was passed, with how often since the start.
 */
#include <base/fault.h>

#ifdef CCP_FAULTS
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_POINTS  16
#define PANEL_BYTES 16384
#define PANEL_NAMES ((PANEL_BYTES - 128) / 48)

struct point {
    char name[48];
    long nth; /* 0 = always */
    long seen;
};

struct panel {
    atomic_uint generation, taken, fired, names;
    char spec[112];
    struct {
        char name[44];
        atomic_uint passed;
    } seen[PANEL_NAMES];
};

/* Global: a point is passed anywhere, and nobody can hand it anything. */
static struct point points[MAX_POINTS];
static int armed;
static struct panel *panel;
static atomic_bool idle; /* nothing armed and no panel: the usual case costs one load */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void arm(const char *spec)
{
    armed = 0;
    while (spec != NULL && *spec != '\0' && armed < MAX_POINTS) {
        size_t n = strcspn(spec, ":,");
        struct point *p = &points[armed];
        if (n == 0 || n >= sizeof(p->name))
            break;
        memcpy(p->name, spec, n);
        p->name[n] = '\0';
        p->nth = spec[n] == ':' && spec[n + 1] != '*' ? strtol(spec + n + 1, NULL, 10) : 0;
        p->seen = 0;
        armed++;
        spec += strcspn(spec, ",");
        spec += *spec == ',';
    }
    atomic_store(&idle, armed == 0 && panel == NULL);
}

static void open_panel(const char *path)
{
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, PANEL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    panel = p != MAP_FAILED && lseek(fd, 0, SEEK_END) >= PANEL_BYTES ? p : NULL;
    close(fd);
}

static void begin(void)
{
    open_panel(getenv("CCP_FAULT_PANEL"));
    if (armed == 0)
        arm(getenv("CCPROXY_FAULT"));
}

void fault_arm(const char *spec)
{
    pthread_mutex_lock(&lock);
    arm(spec);
    pthread_mutex_unlock(&lock);
}

static void follow_panel(const char *name)
{
    unsigned wanted = atomic_load(&panel->generation), n = atomic_load(&panel->names), i = 0;
    if (wanted != atomic_load(&panel->taken)) {
        arm(panel->spec);
        atomic_store(&panel->fired, 0);
        atomic_store(&panel->taken, wanted);
    }
    while (i < n && strcmp(panel->seen[i].name, name) != 0)
        i++;
    if (i == n && n < PANEL_NAMES && strlen(name) < sizeof(panel->seen[i].name)) {
        memcpy(panel->seen[i].name, name, strlen(name) + 1);
        atomic_store(&panel->names, n + 1);
    }
    if (i < PANEL_NAMES)
        atomic_fetch_add(&panel->seen[i].passed, 1);
}

static bool hit(const char *name)
{
    bool fails = false;
    if (panel != NULL)
        follow_panel(name);
    for (int i = 0; i < armed; i++)
        if (strcmp(points[i].name, name) == 0) {
            points[i].seen++;
            fails = points[i].nth == 0 || points[i].nth == points[i].seen;
            break;
        }
    if (fails && panel != NULL)
        atomic_fetch_add(&panel->fired, 1);
    return fails;
}

bool fault_hit(const char *name)
{
    pthread_once(&once, begin);
    if (atomic_load_explicit(&idle, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&lock);
    bool fails = hit(name);
    pthread_mutex_unlock(&lock);
    return fails;
}

/* A signal that interrupts the sleep does not end it. */
void fault_block(void)
{
    const char *text = getenv("CCP_FAULT_BLOCK");
    long ms = text != NULL ? strtol(text, NULL, 10) : 5000;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        continue;
}
#endif
