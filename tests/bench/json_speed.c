/*
 * How fast the request path reads JSON: bytes per second of the validating scan that finds `model` and `stream` (all
 * that a same-format request goes through) and of the parser that builds a tree (what a hook asks for).
 *
 *     json_speed FILE...      one line for each: bytes, scan and parse in MB/s (10^6), best of several passes
 *
 * The lab compiles it with the sources of proxy/base and proxy/wire. The best pass is printed: noise only slows down.
 */
#include <base/arena.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wire/json.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct ccp_span read_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0)
        exit(2);
    size_t size = (size_t)ftell(in);
    char *text = malloc(size + 1);
    rewind(in);
    if (text == NULL || fread(text, 1, size, in) != size)
        exit(2);
    fclose(in);
    return (struct ccp_span){text, size};
}

static void scan(struct ccp_span text)
{
    const struct ccp_span keys[2] = {{"model", 5}, {"stream", 6}};
    struct ccp_span values[2];
    if (json_scan(text, keys, values, 2, NULL) != CCP_OK || values[0].p == NULL)
        exit(3);
}

static void parse(struct ccp_span text)
{
    struct ccp_json *root;
    struct arena a;
    arena_init(&a, NULL, 0);
    if (json_parse(&a, text, &root, NULL) != CCP_OK)
        exit(4);
    arena_end(&a);
}

/* MB/s of the best of 20 passes over at least 2 MB each. */
static double speed(void (*pass)(struct ccp_span), struct ccp_span text)
{
    size_t times = text.n < 2000000 ? 2000000 / text.n + 1 : 1;
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        double from = seconds();
        for (size_t k = 0; k < times; k++)
            pass(text);
        double took = seconds() - from;
        best = took < best ? took : best;
    }
    return (double)(text.n * times) / best / 1e6;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct ccp_span text = read_file(argv[i]);
        printf("%zu %.0f %.0f\n", text.n, speed(scan, text), speed(parse, text));
        free((char *)text.p);
    }
    return 0;
}
