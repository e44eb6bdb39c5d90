/*
 * The process as /proc tells it, under the names that every Prometheus client library uses.
 */
#include "metrics_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A small file as a whole, NUL-terminated. */
static bool slurp(const char *path, char *out, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, max - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

/* Field number `index` (from 3, as proc(5) counts) of a stat line; the name before them may contain anything. */
static uint64_t field(const char *stat, int index)
{
    const char *p = strrchr(stat, ')');
    for (int i = 2; p != NULL && i < index; i++)
        p = strchr(p + 1, ' ');
    return p != NULL ? strtoull(p + 1, NULL, 10) : 0;
}

static uint64_t boot_unix_us(void)
{
    struct timespec now, since;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || clock_gettime(CLOCK_BOOTTIME, &since) != 0)
        return 0;
    return (uint64_t)((now.tv_sec - since.tv_sec) * 1000000 + (now.tv_nsec - since.tv_nsec) / 1000);
}

static void read_stat(struct process_figures *p)
{
    char stat[1024];
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    if (ticks <= 0 || page <= 0 || !slurp("/proc/self/stat", stat, sizeof(stat)))
        return;
    p->virtual = field(stat, 23);
    p->resident = field(stat, 24) * (uint64_t)page;
    p->start_unix_us = boot_unix_us() + field(stat, 22) * 1000000 / (uint64_t)ticks;
    p->has_memory = true;
}

/* Kernels since 6.2 tell the number as the folder's size; before, the entries have to be counted. */
static bool count_fds(uint64_t *out)
{
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0) {
        *out = (uint64_t)st.st_size;
        return true;
    }
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return false;
    uint64_t n = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    *out = n - 1; /* the one it is read by */
    return true;
}

void process_read(struct process_figures *p)
{
    struct rusage usage;
    struct rlimit limit;
    *p = (struct process_figures){.has_cpu = getrusage(RUSAGE_SELF, &usage) == 0};
    if (p->has_cpu)
        p->cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    read_stat(p);
    p->has_fds = count_fds(&p->fds);
    p->has_max_fds = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    if (p->has_max_fds)
        p->max_fds = limit.rlim_cur;
}
