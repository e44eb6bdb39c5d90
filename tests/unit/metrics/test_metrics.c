/*
 * The plugin metrics without a server: sets of labels and their limits, counting from many threads, the text of the
 * page in both forms, and the service for other plugins. tests/blackbox/test_metrics.py has a real Prometheus read it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <system-plugins/metrics/metrics_impl.h>

#include <base/clock.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct ccp_plugin ccp_plugin_metrics;

static bool no_figure(const struct ccp_plugin_env *env, const char *name, uint64_t *out)
{
    *out = 7;
    return strcmp(name, "log.dropped") == 0;
}

struct made {
    struct metrics_config config;
    struct ccp_api api;
    struct ccp_plugin_env env;
    struct metrics *m;
};

static void make(struct made *made, int64_t max_series)
{
    struct ccp_span why;
    *made = (struct made){.config = {.max_series = max_series, .label_models = true},
                          .api = {.size = sizeof(struct ccp_api), .figure = no_figure}};
    made->env = (struct ccp_plugin_env){&made->api, CCP_SPAN("metrics"), &made->config, NULL};
    made->m = ccp_plugin_metrics.open(&made->env, &why);
    assert_non_null(made->m);
}

static void end(struct made *made)
{
    ccp_plugin_metrics.close(made->m);
}

/* The whole page, NUL-terminated; *steps counts the pieces. */
static char *page_text(struct metrics *m, bool open_metrics, size_t *steps)
{
    struct page page;
    static char piece[PAGE_ROOM];
    char *all = NULL;
    size_t n = 0;
    page_begin(&page, m, open_metrics);
    process_read(&page.process);
    for (*steps = 0; !page.done; ++*steps) {
        size_t more = page_next(&page, piece);
        assert_true(more <= sizeof(piece));
        assert_true(more == 0 || piece[more - 1] == '\n');
        all = realloc(all, n + more + 1);
        memcpy(all + n, piece, more);
        n += more;
    }
    all[n] = '\0';
    return all;
}

static bool shows(struct metrics *m, bool open_metrics, const char *line)
{
    size_t steps;
    char *text = page_text(m, open_metrics, &steps);
    bool there = strstr(text, line) != NULL;
    if (!there)
        print_error("no \"%s\" in:\n%.6000s\n", line, text);
    free(text);
    return there;
}

static size_t request_set(struct metrics *m, const char *provider, const char *status)
{
    const struct ccp_span values[] = {ccp_span_z(provider), CCP_SPAN("gemini"), CCP_SPAN("generate"),
                                      ccp_span_z(status),   CCP_SPAN("ok"),     CCP_SPAN("")};
    return group_series(&m->groups[REQUESTS], values);
}

static size_t token_set(struct metrics *m, struct ccp_span model)
{
    const struct ccp_span values[] = {CCP_SPAN("chat"), CCP_SPAN("mock"), CCP_SPAN("mock"), model, model, CCP_SPAN("")};
    return group_series(&m->groups[MODELS], values);
}

/* -- labels -- */

static void sets_are_found_again(void **state)
{
    struct made made;
    make(&made, 1000);
    size_t a = request_set(made.m, "mock", "200"), b = request_set(made.m, "mock", "404");
    assert_int_not_equal(a, b);
    assert_int_equal(a, request_set(made.m, "mock", "200"));
    group_add(&made.m->groups[REQUESTS], a, 0, 41);
    group_add(&made.m->groups[REQUESTS], a, 0, 1);
    assert_true(shows(made.m, false,
                      "\nccproxy_requests_total{provider=\"mock\",format=\"gemini\",op=\"generate\",status=\"200\","
                      "outcome=\"ok\"} 42\n"));
    end(&made);
}

/* Values that would break the page, or make two samples of one name and labels. */
static void hostile_values(void **state)
{
    static char longer[3][GROUP_VALUE + 40];
    struct made made;
    make(&made, 1000);
    size_t quoted = token_set(made.m, CCP_SPAN("a\"b\\c{d}=,"));
    group_observe(&made.m->groups[MODELS], quoted, MODELS_INPUT, 3);
    assert_true(shows(made.m, false, "gen_ai_request_model=\"a\\\"b\\\\c{d}=,\",gen_ai_response_model="));
    assert_int_equal(token_set(made.m, CCP_SPAN("line\nend\r\x01\x7f")), token_set(made.m, CCP_SPAN("line?end???")));
    assert_int_equal(token_set(made.m, CCP_SPAN("bad\xff\xc0\xaf\xed\xa0\x80")),
                     token_set(made.m, CCP_SPAN("bad??????")));
    assert_int_equal(token_set(made.m, ccp_span_of("a\0b", 3)), token_set(made.m, CCP_SPAN("a?b")));
    assert_int_not_equal(token_set(made.m, CCP_SPAN("\xc3\xa4")), token_set(made.m, CCP_SPAN("??")));
    for (size_t i = 0; i < 3; i++) {
        memset(longer[i], 'x', sizeof(longer[i]));
        longer[i][sizeof(longer[i]) - 1 - i] = '\0';
    }
    assert_int_equal(token_set(made.m, ccp_span_z(longer[0])), token_set(made.m, ccp_span_z(longer[2])));
    /* A character is not cut in two. */
    memcpy(longer[0] + GROUP_VALUE - 1, "\xc3\xa4", 3);
    size_t cut = token_set(made.m, ccp_span_z(longer[0]));
    assert_int_equal(made.m->groups[MODELS].series[cut].key[made.m->groups[MODELS].series[cut].key_n - 3], 'x');
    end(&made);
}

/* One client asks for a thousand times more models than there is room for. */
static void cardinality_is_bounded(void **state)
{
    struct made made;
    struct group *g;
    char model[64];
    make(&made, 50);
    g = &made.m->groups[MODELS];
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 50000; i++) {
        snprintf(model, sizeof(model), "model-%u", i);
        group_observe(g, token_set(made.m, ccp_span_z(model)), MODELS_INPUT, 5);
    }
    assert_int_equal(mallinfo2().uordblks, before);
    size_t sets = atomic_load(&g->count);
    assert_int_equal(sets, 1 + 50 + 1); /* the last resort, those with room, one "other" */
    assert_int_equal(atomic_load(&g->overflow), 50000 - 50);
    assert_true(shows(made.m, false, "gen_ai_request_model=\"model-49\""));
    assert_true(shows(made.m, false,
                      "gen_ai_client_token_usage_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"mock\","
                      "gen_ai_system=\"mock\",gen_ai_request_model=\"other\",gen_ai_response_model=\"other\","
                      "gen_ai_token_type=\"input\"} 49950\n"));
    assert_true(shows(made.m, false, "\nccproxy_series_overflow_total 49950\n"));
    for (unsigned i = 0; i < 500; i++) { /* labels that do not fold, either */
        const struct ccp_span values[] = {CCP_SPAN("chat"), ccp_span_z(model), ccp_span_z(model),
                                          CCP_SPAN("m"),    CCP_SPAN("m"),     CCP_SPAN("")};
        snprintf(model, sizeof(model), "provider-%u", i);
        group_add(g, group_series(g, values), MODELS_INPUT, 1);
    }
    assert_int_equal(atomic_load(&g->count), 50 + GROUP_OTHER);
    printf("figure MET-02 50,000 models with max_series = 50: %zu sets, the rest in \"other\", no memory more\n", sets);
    end(&made);
}

/* Long values may spend the text before the sets are spent: the rest is "other", nothing is lost. */
static void text_is_bounded(void **state)
{
    struct made made;
    char model[GROUP_VALUE + 1];
    make(&made, 300);
    struct group *g = &made.m->groups[MODELS];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(model, sizeof(model), "%u%0100u", i, 0);
        for (size_t k = 4; model[k] != '\0'; k++)
            model[k] = '"';
        group_observe(g, token_set(made.m, ccp_span_z(model)), MODELS_OUTPUT, 1);
    }
    uint64_t cells[GROUP_BOUNDS + 2], all = 0;
    for (size_t i = 0; i < atomic_load(&g->count); i++) {
        group_read(g, i, MODELS_OUTPUT, cells);
        all += cells[0];
    }
    assert_int_equal(all, 300);
    assert_true(g->text_n <= g->text_max);
    end(&made);
}

/* -- threads -- */

enum { THREADS = 6, ROUNDS = 20000 };

static void *count_some(void *arg)
{
    struct metrics *m = arg;
    char model[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(model, sizeof(model), "m%u", i % 97);
        group_observe(&m->groups[MODELS], token_set(m, ccp_span_z(model)), MODELS_EACH, 60000);
        group_add(&m->groups[REQUESTS], request_set(m, "mock", "200"), 0, 1);
        group_add(&m->groups[SERVER], 0, SERVER_STREAMS, i % 2 ? (uint64_t)-1 : 1);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct made made;
    pthread_t threads[THREADS];
    size_t steps;
    make(&made, 1000);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_some, made.m), 0);
    for (unsigned i = 0; i < 20; i++) /* read while they count */
        free(page_text(made.m, false, &steps));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t cells[GROUP_BOUNDS + 2], all = 0;
    struct group *g = &made.m->groups[MODELS];
    assert_int_equal(atomic_load(&g->count), 1 + 97);
    for (size_t i = 0; i < atomic_load(&g->count); i++) {
        group_read(g, i, MODELS_EACH, cells);
        all += cells[3]; /* 0.05 < 0.06 <= 0.075 */
    }
    assert_int_equal(all, THREADS * ROUNDS);
    group_read(&made.m->groups[REQUESTS], request_set(made.m, "mock", "200"), 0, cells);
    assert_int_equal(cells[0], THREADS * ROUNDS);
    assert_true(shows(made.m, false, "\nccproxy_open_streams 0\n"));
    end(&made);
}

/* -- the page -- */

static void histograms(void **state)
{
    struct made made;
    make(&made, 1000);
    struct group *g = &made.m->groups[PROVIDERS];
    const struct ccp_span mock = CCP_SPAN("mock");
    size_t series = group_series(g, &mock);
    static const uint64_t values[] = {0, 50, 51, 100000, 99999999};
    for (size_t i = 0; i < 5; i++)
        group_observe(g, series, PROVIDERS_OVERHEAD, values[i]);
    assert_true(shows(made.m, false, "\n# TYPE ccproxy_overhead_seconds histogram\n"));
    assert_true(shows(made.m, false,
                      "\nccproxy_overhead_seconds_bucket{provider=\"mock\",le=\"0.00005\"} 2\n"
                      "ccproxy_overhead_seconds_bucket{provider=\"mock\",le=\"0.0001\"} 3\n"));
    assert_true(shows(made.m, false, "{provider=\"mock\",le=\"0.1\"} 4\n"));
    assert_true(shows(made.m, false,
                      "{provider=\"mock\",le=\"5.0\"} 4\n"
                      "ccproxy_overhead_seconds_bucket{provider=\"mock\",le=\"+Inf\"} 5\n"
                      "ccproxy_overhead_seconds_sum{provider=\"mock\"} 100.1001\n"
                      "ccproxy_overhead_seconds_count{provider=\"mock\"} 5\n"));
    end(&made);
}

static void two_forms(void **state)
{
    struct made made;
    size_t steps;
    make(&made, 1000);
    group_add(&made.m->groups[REQUESTS], request_set(made.m, "mock", "200"), 0, 1);
    group_add(&made.m->groups[SERVER], 0, SERVER_STREAMS, (uint64_t)-3);
    assert_true(shows(made.m, false, "# TYPE ccproxy_requests_total counter\n"));
    assert_true(shows(made.m, true, "# TYPE ccproxy_requests counter\n"));
    assert_true(shows(made.m, true, "ccproxy_requests_total{"));
    assert_true(shows(made.m, false, "\nccproxy_open_streams -3\n"));
    assert_true(shows(made.m, false, "\nccproxy_log_lines_dropped_total 7\n"));
    char *text = page_text(made.m, true, &steps);
    size_t n = strlen(text);
    assert_string_equal(text + n - 6, "# EOF\n");
    assert_null(strstr(text, "ccproxy_memory_bytes")); /* the core does not tell it */
    assert_null(strstr(text, "\n\n"));
    for (char *help = strstr(text, "# HELP "); help != NULL; help = strstr(help + 1, "# HELP "))
        assert_null(memchr(help, '"', strcspn(help, "\n"))); /* OpenMetrics would want it escaped, Prometheus not */
    free(text);
    text = page_text(made.m, false, &steps);
    assert_null(strstr(text, "# EOF"));
    assert_non_null(strstr(text, "\nprocess_open_fds "));
    assert_non_null(strstr(text, "\nprocess_start_time_seconds 1"));
    free(text);
    end(&made);
}

/* Every family stands once, with its samples behind its head. */
static void families_stand_once(void **state)
{
    struct made made;
    size_t steps, heads = 0;
    make(&made, 1000);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        size_t series = token_set(made.m, ccp_span_z(names[i]));
        for (size_t k = 0; k < made.m->groups[MODELS].metric_count; k++)
            group_observe(&made.m->groups[MODELS], series, k, 10);
    }
    char *text = page_text(made.m, false, &steps), *line = text;
    size_t room = strlen(text) + 1;
    char *seen = calloc(1, room);
    for (char *next; line != NULL && *line != '\0'; line = next) {
        next = strchr(line, '\n');
        *next++ = '\0';
        if (strncmp(line, "# TYPE ", 7) != 0)
            continue;
        char *name = line + 6; /* with the blank before it */
        *strchr(name + 1, ' ') = '\0';
        assert_null(strstr(seen, name));
        size_t at = strlen(seen);
        snprintf(seen + at, room - at, "%s\n ", name);
        heads++;
    }
    assert_true(heads > 15);
    free(seen);
    free(text);
    end(&made);
}

/* A thousand sets of all token histograms: more than 80,000 lines. No step may hold up a worker. */
static void speed(void **state)
{
    struct made made;
    static char piece[PAGE_ROOM];
    char model[32];
    make(&made, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(model, sizeof(model), "vendor-model-%u", i);
        size_t series = token_set(made.m, ccp_span_z(model));
        for (size_t k = 0; k < made.m->groups[MODELS].metric_count; k++)
            group_observe(&made.m->groups[MODELS], series, k, 1000 * i);
    }
    struct page page;
    page_begin(&page, made.m, false);
    uint64_t longest = 0, all = 0, bytes = 0, steps = 0;
    while (!page.done) {
        uint64_t began = clock_us();
        bytes += page_next(&page, piece);
        uint64_t took = clock_us() - began;
        longest = took > longest ? took : longest;
        all += took;
        steps++;
    }
    assert_true(bytes > 10000000);
    printf("figure MET-03 1,000 models, %llu MB: %llu ms in %llu steps, the longest %llu us\n",
           (unsigned long long)bytes / 1000000, (unsigned long long)all / 1000, (unsigned long long)steps,
           (unsigned long long)longest);
    end(&made);
}

/* -- the service -- */

static const char *const cache_labels[] = {"store", NULL};
static const uint64_t cache_bounds[] = {10, 100};

static void other_plugins(void **state)
{
    struct made made;
    struct ccp_span why = {NULL, 0};
    const struct ccp_span memory = CCP_SPAN("memory"), disk = CCP_SPAN("disk");
    make(&made, 20);
    const struct ccp_metrics *api = ccp_plugin_metrics.provides[0].functions;
    struct ccp_metric_family f = {sizeof(f), CCP_METRIC_COUNTER, "cache_hits", "Hits.", cache_labels};
    struct ccp_metric *hits = api->family(made.m, &f, &why);
    assert_non_null(hits);
    api->add(hits, &memory, 2);
    api->add(hits, &disk, 0);
    api->set(hits, &memory, 99);
    api->observe(hits, &memory, 99);
    assert_ptr_equal(api->family(made.m, &f, &why), hits);
    f = (struct ccp_metric_family){sizeof(f), CCP_METRIC_GAUGE, "cache_bytes", "Size.", NULL};
    struct ccp_metric *bytes = api->family(made.m, &f, &why);
    api->set(bytes, NULL, 70);
    api->set(bytes, NULL, -5);
    f = (struct ccp_metric_family){
        sizeof(f), CCP_METRIC_HISTOGRAM, "cache_seconds", "Time.", cache_labels, cache_bounds, 2, 3};
    struct ccp_metric *times = api->family(made.m, &f, &why);
    api->observe(times, &memory, 11);
    assert_true(shows(made.m, false,
                      "# HELP cache_hits_total Hits.\n# TYPE cache_hits_total counter\n"
                      "cache_hits_total{store=\"memory\"} 2\ncache_hits_total{store=\"disk\"} 0\n"));
    assert_true(shows(made.m, false, "\ncache_bytes -5\n"));
    assert_true(shows(made.m, true,
                      "\ncache_seconds_bucket{store=\"memory\",le=\"0.01\"} 0\n"
                      "cache_seconds_bucket{store=\"memory\",le=\"0.1\"} 1\n"
                      "cache_seconds_bucket{store=\"memory\",le=\"+Inf\"} 1\n"
                      "cache_seconds_sum{store=\"memory\"} 0.011\n"));
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        const struct ccp_span value = ccp_span_z(name);
        api->add(hits, &value, 1);
    }
    assert_true(shows(made.m, false, "\ncache_hits_total{store=\"other\"} 82\n"));
    end(&made);
}

/* Names, labels and values as long as can be, and every byte of them escaped: the set that is begun just before a step
 * is full must still find room, wherever it stands. */
static void longest_sets(void **state)
{
    static char labels[GROUP_LABELS - 1][65], value[GROUP_VALUE + 1], name[65];
    static const char *names[GROUP_LABELS];
    static char piece[PAGE_ROOM];
    struct ccp_span values[GROUP_LABELS - 1], why;
    uint64_t bounds[GROUP_BOUNDS];
    struct made made;
    size_t largest = 0;
    make(&made, 1000);
    const struct ccp_metrics *api = ccp_plugin_metrics.provides[0].functions;
    struct ccp_metric_family f = {sizeof(f), CCP_METRIC_COUNTER, "filler", "x", cache_labels};
    struct ccp_metric *filler = api->family(made.m, &f, &why);
    memset(value, '"', GROUP_VALUE);
    memset(name, 'n', 64);
    for (size_t i = 0; i < GROUP_LABELS - 1; i++) {
        memset(labels[i], 'a' + (int)i, 64);
        names[i] = labels[i];
        values[i] = ccp_span_z(value);
    }
    for (size_t i = 0; i < GROUP_BOUNDS; i++)
        bounds[i] = UINT64_MAX - GROUP_BOUNDS + i;
    f = (struct ccp_metric_family){sizeof(f), CCP_METRIC_HISTOGRAM, name, "x", names, bounds, GROUP_BOUNDS, 9};
    struct ccp_metric *longest = api->family(made.m, &f, &why);
    assert_non_null(longest);
    api->observe(longest, values, UINT64_MAX);
    for (unsigned i = 0; i < 800; i++) {
        char text[GROUP_VALUE];
        snprintf(text, sizeof(text), "%0100u", i);
        const struct ccp_span one = ccp_span_z(text);
        api->add(filler, &one, 1);
        struct page page;
        page_begin(&page, made.m, false);
        while (!page.done) {
            size_t n = page_next(&page, piece);
            largest = n > largest ? n : largest;
        }
    }
    assert_in_range(largest, 2 * PAGE_STEP + 1, PAGE_ROOM);
    end(&made);
}

static void refused_families(void **state)
{
    static const char *const twice[] = {"a", "a", NULL}, *const le[] = {"le", NULL}, *const bad[] = {"A-b", NULL},
                             *const nine[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", NULL};
    static const uint64_t falling[] = {10, 10};
    const struct ccp_metric_family all[] = {
        {8, CCP_METRIC_COUNTER, "x_small", "x"},
        {sizeof(all[0]), (enum ccp_metric_kind)9, "x_kind", "x"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "", "x"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "Upper", "x"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "ccproxy_mine", "x"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_total", "x"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_help", "two\nlines"},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_help", NULL},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_help", "a \"b\""},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_labels", "x", twice},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_labels", "x", le},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_labels", "x", bad},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_labels", "x", nine},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_bounds", "x", NULL, cache_bounds, 2},
        {sizeof(all[0]), CCP_METRIC_HISTOGRAM, "x_bounds", "x", NULL, NULL, 0},
        {sizeof(all[0]), CCP_METRIC_HISTOGRAM, "x_bounds", "x", NULL, falling, 2},
        {sizeof(all[0]), CCP_METRIC_COUNTER, "x_decimals", "x", NULL, NULL, 0, 10},
        {sizeof(all[0]), CCP_METRIC_GAUGE, "taken", "x", NULL},
    };
    struct made made;
    struct ccp_span why = {NULL, 0};
    make(&made, 20);
    const struct ccp_metrics *api = ccp_plugin_metrics.provides[0].functions;
    struct ccp_metric_family f = {sizeof(f), CCP_METRIC_COUNTER, "taken", "x"};
    assert_non_null(api->family(made.m, &f, &why));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        why.n = 0;
        if (api->family(made.m, &all[i], &why) != NULL || why.n == 0)
            fail_msg("description %zu was taken", i);
    }
    api->add(NULL, NULL, 1);
    char name[16];
    f.name = name;
    for (unsigned i = 1; i < METRICS_EXTRA; i++) {
        snprintf(name, sizeof(name), "family_%u", i);
        assert_non_null(api->family(made.m, &f, &why));
    }
    f.name = "one_more";
    assert_null(api->family(made.m, &f, &why));
    assert_string_equal(why.p, "too many families");
    end(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_found_again),
        cmocka_unit_test(hostile_values),
        cmocka_unit_test(cardinality_is_bounded),
        cmocka_unit_test(text_is_bounded),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(histograms),
        cmocka_unit_test(two_forms),
        cmocka_unit_test(families_stand_once),
        cmocka_unit_test(speed),
        cmocka_unit_test(other_plugins),
        cmocka_unit_test(longest_sets),
        cmocka_unit_test(refused_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
