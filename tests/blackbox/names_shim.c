/*
 * A getaddrinfo that answers as a file says, preloaded into the server under test (names.py builds and drives it).
 *
 * NAMES_FILE: one "name words" line per name; words are addresses, "nxdomain", "servfail", "empty" and "wait:SECONDS".
 * It is read at each call, so an answer can change while the server runs. NAMES_LOG: "thread name" per call. Numbers in
 * any notation go to the real function; any other name does not exist, so that no test asks a real name server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static void note(const char *node)
{
    char thread[17] = "";
    const char *path = getenv("NAMES_LOG");
    FILE *log = path != NULL ? fopen(path, "a") : NULL;

    if (log == NULL)
        return;
    prctl(PR_GET_NAME, thread);
    fprintf(log, "%s %s\n", thread, node);
    fclose(log);
}

/* The words after the name, or NULL. */
static const char *row(const char *node, char *line, int size)
{
    const char *path = getenv("NAMES_FILE");
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    size_t n = strlen(node);
    const char *found = NULL;

    while (file != NULL && found == NULL && fgets(line, size, file) != NULL)
        if (strncmp(line, node, n) == 0 && line[n] == ' ')
            found = line + n + 1;
    if (file != NULL)
        fclose(file);
    return found;
}

/* One block per entry, as the real freeaddrinfo wants it. */
static struct addrinfo *entry(const char *text)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in6));
    struct sockaddr_in *v4 = (void *)(a + 1);
    struct sockaddr_in6 *v6 = (void *)(a + 1);

    a->ai_addr = (void *)(a + 1);
    a->ai_socktype = SOCK_STREAM;
    a->ai_protocol = IPPROTO_TCP;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = a->ai_family = AF_INET;
        a->ai_addrlen = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = a->ai_family = AF_INET6;
        a->ai_addrlen = sizeof(*v6);
    } else {
        abort(); /* the test's mistake */
    }
    return a;
}

static int play(char *words, struct addrinfo **out)
{
    char *rest = NULL;

    for (char *word = strtok_r(words, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
        if (strncmp(word, "wait:", 5) == 0) {
            struct timespec pause = {.tv_sec = atoi(word + 5)};
            nanosleep(&pause, NULL);
        } else if (strcmp(word, "nxdomain") == 0) {
            return EAI_NONAME;
        } else if (strcmp(word, "servfail") == 0) {
            return EAI_AGAIN;
        } else if (strcmp(word, "empty") != 0) {
            *out = entry(word);
            out = &(*out)->ai_next;
        }
    }
    return 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    char line[1024];

    if (node == NULL || (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0))
        return real(node, service, hints, out);
    note(node);
    const char *words = row(node, line, sizeof(line));
    *out = NULL;
    if (words != NULL)
        return play(line + (words - line), out);
    if (strspn(node, "0123456789abcdefABCDEFxX.:") == strlen(node))
        return real(node, service, hints, out);
    return EAI_NONAME;
}
