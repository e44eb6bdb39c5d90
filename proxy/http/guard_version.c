/*
 * Which libh2o this process runs with. Distributions patch h2o without changing anything that a program can ask
 * at run time: H2O_LIBRARY_VERSION is what we were compiled against, and the soname stays. So the build records the
 * package's version together with the build id of the library it saw. The build id of the library that is mapped
 * now tells whether it is that one; if not, the package database is asked, which costs a few milliseconds.
 *
 * This only warns: whether the guard works is proven by guard_selftest.c, not by a number.
 */
#include <http/guard_impl.h>

#include <base/log.h>
#include <http/http.h>

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#define KNOWN   "2.2.5+dfsg2-7" /* and what begins with it: +deb12u1, +b1 */
#define PACKAGE "Package: libh2o-evloop0.13\n"

struct search {
    uintptr_t address; /* something inside of the library */
    char id[2 * 64 + 1];
};

static void print_hex(char *out, size_t max, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n && 2 * i + 2 < max; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void read_notes(struct search *s, const char *at, size_t n)
{
    while (n >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        size_t name = (note->n_namesz + 3u) & ~3u, whole = sizeof(*note) + name + ((note->n_descsz + 3u) & ~3u);
        if (whole > n)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(at + sizeof(*note), "GNU", 4) == 0)
            print_hex(s->id, sizeof(s->id), (const unsigned char *)at + sizeof(*note) + name, note->n_descsz);
        at += whole;
        n -= whole;
    }
}

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *s = arg;
    bool inside = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + h->p_vaddr;
        inside = inside || (h->p_type == PT_LOAD && s->address >= start && s->address - start < h->p_memsz);
    }
    for (int i = 0; inside && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            read_notes(s, (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, info->dlpi_phdr[i].p_memsz);
    return inside;
}

/* From the package database; empty = not there. */
static void installed_version(char *out, size_t max)
{
    char line[512];
    bool ours = false;
    FILE *f = fopen("/var/lib/dpkg/status", "re");
    out[0] = '\0';
    while (f != NULL && out[0] == '\0' && fgets(line, sizeof(line), f) != NULL) {
        if (strcmp(line, PACKAGE) == 0 || line[0] == '\n')
            ours = line[0] != '\n';
        else if (ours && strncmp(line, "Version: ", 9) == 0)
            snprintf(out, max, "%.*s", (int)strcspn(line + 9, "\n"), line + 9);
    }
    if (f != NULL)
        fclose(f);
}

bool guard_version_known(const char *version)
{
    return strncmp(version, KNOWN, sizeof(KNOWN) - 1) == 0 && strchr("+~.", version[sizeof(KNOWN) - 1]) != NULL;
}

bool http_guard_version(char text[HTTP_ERRBUF])
{
    char version[128] = CCP_H2O_PACKAGE;
    struct search s = {.address = (uintptr_t)dlsym(RTLD_NEXT, "h2o_http2_decode_frame")};
    dl_iterate_phdr(look_at, &s);
    if (strcmp(s.id, CCP_H2O_BUILD_ID) != 0)
        installed_version(version, sizeof(version));
    bool known = guard_version_known(version);
    if (known)
        snprintf(text, HTTP_ERRBUF, "libh2o-evloop %s", version);
    else
        snprintf(text, HTTP_ERRBUF,
                 "libh2o-evloop %s (build id %s) is not one this guard was written for, which is " KNOWN
                 "; its self-test passed",
                 version[0] != '\0' ? version : "of unknown version", s.id[0] != '\0' ? s.id : "unknown");
    return known;
}

void guard_version_check(void)
{
    char text[HTTP_ERRBUF];
    if (!http_guard_version(text))
        log_warn("http", "%s", text);
}
