/*
 * The call stack of another thread: see stack.h.
 *
 * A signal makes the thread walk its own stack and leave the addresses here. The state says whose turn it is, so that a
 * handler that runs late finds nobody waiting and touches nothing. In between the handler calls backtrace() only,
 * which needs no lock once its library is loaded (glibc 2.35 and later find unwind data by _dl_find_object).
 */
#include <app/stack.h>

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STACK_SIGNAL (SIGRTMIN + 1)
#define MOST         40
#define OWN_FRAMES   2 /* the handler and the kernel's return */
#define STEPS        100
#define STEP_NS      5000000

enum { IDLE, ASKED, TAKING, TAKEN };

/* Global: a signal handler has no other way to its data. */
static atomic_int state;
static void *frames[MOST];
static int frame_n;

static void on_signal(int number)
{
    int saved = errno, asked = ASKED;
    if (atomic_compare_exchange_strong(&state, &asked, TAKING)) {
        frame_n = backtrace(frames, MOST);
        atomic_store(&state, TAKEN);
    }
    errno = saved;
}

bool stack_prepare(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    void *load[2];
    backtrace(load, 2);
    sigemptyset(&action.sa_mask);
    return sigaction(STACK_SIGNAL, &action, NULL) == 0;
}

static bool wait_until_taken(void)
{
    struct timespec step = {.tv_nsec = STEP_NS};
    for (int i = 0; i < STEPS; i++) {
        if (atomic_load(&state) == TAKEN)
            return true;
        nanosleep(&step, NULL);
    }
    int asked = ASKED; /* a handler that has begun keeps the frames: then there is no further stack, ever */
    atomic_compare_exchange_strong(&state, &asked, IDLE);
    return false;
}

/* A return address lies behind its call; one byte back lies within it. */
static int print_frame(char *out, size_t max, void *at, bool interrupted)
{
    struct dl_find_object found;
    uintptr_t address = (uintptr_t)at - !interrupted;
    if (_dl_find_object((void *)address, &found) != 0)
        return snprintf(out, max, "0x%lx ", (unsigned long)address);
    const char *name = found.dlfo_link_map->l_name;
    const char *slash = strrchr(name, '/');
    name = *name == '\0' ? "ccproxy" : slash != NULL ? slash + 1 : name;
    return snprintf(out, max, "%s+0x%lx ", name, (unsigned long)(address - found.dlfo_link_map->l_addr));
}

static void print_frames(char *out, size_t max)
{
    size_t n = 0;
    *out = '\0';
    for (int i = OWN_FRAMES; i < frame_n && n < max; i++) {
        int one = print_frame(out + n, max - n, frames[i], i == OWN_FRAMES);
        if (one < 0 || (size_t)one >= max - n)
            break;
        n += (size_t)one;
    }
    out[n < max ? n : max - 1] = '\0';
    if (n != 0 && n < max)
        out[n - 1] = '\0'; /* the last blank */
}

bool stack_of(pthread_t thread, char *out, size_t max)
{
    int idle = IDLE;
    snprintf(out, max, "(the thread does not answer)");
    if (!atomic_compare_exchange_strong(&state, &idle, ASKED))
        return false;
    if (pthread_kill(thread, STACK_SIGNAL) != 0) {
        atomic_store(&state, IDLE);
        return false;
    }
    if (!wait_until_taken())
        return false;
    print_frames(out, max);
    atomic_store(&state, IDLE);
    return true;
}
