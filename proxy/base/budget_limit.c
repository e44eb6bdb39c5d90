/*
 * How much memory this process may have when nobody said: the least of what cgroups, RLIMIT_AS and the machine
 * allow. Files that are missing or say nothing sensible count as no limit.
 */
#include <base/budget.h>

#include <base/memory.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define AUTOMATIC_PERCENT 80
#define PATH_SIZE         1024

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number in a file; UINT64_MAX = no such file, "max", nonsense, or v1's way to say "none". */
static uint64_t number_in(const char *path)
{
    char text[64], *end;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return UINT64_MAX;
    bool got = fgets(text, sizeof(text), f) != NULL;
    fclose(f);
    if (!got || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    return errno != 0 || end == text || n == 0 || n >= (uint64_t)INT64_MAX / 2 ? UINT64_MAX : n;
}

/* The group's own limit and those of the groups it is in. In a container the group's path may lie outside of what is
 * mounted; the mount's root is then the container's own group, so it is always asked too. */
static uint64_t limit_of(const char *mount, const char *group, const char *file)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    uint64_t min = UINT64_MAX;
    if (snprintf(folder, sizeof(folder), "%s", group) >= (int)sizeof(folder))
        folder[0] = '\0';
    for (;;) {
        if (snprintf(path, sizeof(path), "%s%s/%s", mount, folder, file) < (int)sizeof(path))
            min = least(min, number_in(path));
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            return min;
        *slash = '\0';
    }
}

/* "0::/a/b" is v2; "9:memory:/a/b" is v1, where the controllers are a list. Cuts the line. */
static uint64_t limit_of_line(const char *mount, char *line)
{
    char v1[PATH_SIZE];
    char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    line[strcspn(line, "\n")] = '\0';
    if (group == NULL)
        return UINT64_MAX;
    *group = '\0';
    if (controllers[1] == '\0')
        return limit_of(mount, group + 1, "memory.max");
    if (strcmp(controllers + 1, "memory") != 0 || snprintf(v1, sizeof(v1), "%s/memory", mount) >= (int)sizeof(v1))
        return UINT64_MAX;
    return limit_of(v1, group + 1, "memory.limit_in_bytes");
}

uint64_t budget_cgroup_limit(const char *mount, const char *membership)
{
    char line[PATH_SIZE];
    uint64_t min = UINT64_MAX;
    FILE *f = fopen(membership, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        min = least(min, limit_of_line(mount, line));
    if (f != NULL)
        fclose(f);
    return min;
}

/* Libraries, stacks and the allocator's reserves are address space as well, and stay. */
static uint64_t address_space(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    uint64_t mapped = memory_mapped();
    return memory_resident() + (r.rlim_cur > mapped ? r.rlim_cur - mapped : 0);
}

uint64_t budget_automatic(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t n = least(machine, budget_cgroup_limit("/sys/fs/cgroup", "/proc/self/cgroup"));
    return least(n, address_space()) / 100 * AUTOMATIC_PERCENT;
}
