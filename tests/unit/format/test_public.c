/*
 * What vendors really answered: recordings, if CCPROXY_EXTRA_FIXTURES names a folder with them. Each is read without
 * an error, and its texts, arguments and usage reach a client of each format, and from there the next one.
 *
 * What a recording says is read by this file's own readers, which know the recordings' odd members and nothing else.
 */
#include "expect.h"
#include "recording.h"
#include "wire.h"

/* Not of the four formats, or no answer at all. */
static const char *const others[] = {
    "amazon-bedrock-converse", /* a format of its own */
    "openai-other",            /* embeddings, image API */
    "openai-python",           /* signatures of requests */
    "google-429-retry-info",   /* error bodies: tests of failure_read have their like */
    "reasoning-model-legacy",
    "openai-error.1.json",
    "parallel-tool-call-wrapper.1.chunks.txt", /* two of its events lack their last brace */
};

static bool skipped(const char *path)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strstr(path, others[i]) != NULL)
            return true;
    return false;
}

static struct answer judged(const struct sent_down *s, const struct answered *how)
{
    if (how->stream)
        return answer_of_stream(how->to, s->body.p, s->body.n);
    return s->broken ? answer_of_error(how->to, s->body.p, s->body.n) : answer_of_whole(how->to, s->body.p, s->body.n);
}

/* From the recording to a client, and on to clients of the other formats, as if proxies stood in a row. */
static void through(const char *path, const struct recording *r, int to, bool stream)
{
    struct answered how = {.from = r->format, .to = to, .from_stream = r->stream, .stream = stream};
    struct sent_down s = send_down(&how, r->body.p, r->body.n);
    struct answer a = judged(&s, &how);
    const char *problem = compare_recorded(&a, r, to);
    judge(problem, "%s to %s%s", path, format_names[to], stream ? " stream" : "");
    for (int next = 0; problem == NULL && !s.broken && next < FORMATS; next++) {
        struct answered onward = {.from = to, .to = next, .from_stream = stream, .stream = !stream};
        struct sent_down t = send_down(&onward, s.body.p, s.body.n);
        struct answer b = judged(&t, &onward);
        judge(compare_recorded(&b, r, next), "%s to %s to %s", path, format_names[to], format_names[next]);
        answer_free(&b);
        sent_down_free(&t);
    }
    answer_free(&a);
    sent_down_free(&s);
}

static unsigned play(const char *path)
{
    bool more = true;
    unsigned nth = 0;
    for (; more; nth++) {
        struct recording r = recording_of(path, nth);
        judge(r.problem, "%s", path);
        for (int i = 0; r.problem == NULL && i < 8; i++)
            through(path, &r, i >> 1, i & 1);
        more = r.more;
        recording_free(&r);
    }
    return nth;
}

static unsigned walk(const char *folder)
{
    unsigned played = 0;
    char **names = files_in(folder, "");
    for (char **name = names; *name != NULL; name++) {
        char path[700];
        snprintf(path, sizeof(path), "%s/%s", folder, *name);
        char **inner = files_in(path, "");
        if (*inner != NULL)
            played += walk(path);
        else if (!skipped(path))
            played += play(path);
        names_free(inner);
    }
    names_free(names);
    return played;
}

static void recordings(void **state)
{
    const char *folder = getenv("CCPROXY_EXTRA_FIXTURES");
    if (folder == NULL || folder[0] == '\0') {
        print_message("CCPROXY_EXTRA_FIXTURES is not set: no recorded answers to play\n");
        skip();
    }
    unsigned played = walk(folder);
    print_message("%u recordings\n", played);
    assert_true(played != 0);
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(recordings, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
