/*
 * The estimate of tokens: each weight, by itself and in a whole prompt, and that it cannot overflow or be led astray.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/translate.h>
#include <stdlib.h>

#define ALONE (3 + 4) /* a prompt with one turn and nothing in it */

static uint64_t of_part(struct part *part)
{
    struct turn turn = {.role = ROLE_USER, .parts = part, .last = part};
    struct prompt p = {.turns = &turn};
    return prompt_estimate(&p) - ALONE;
}

static uint64_t of_text(struct ccp_span text)
{
    return of_part(&(struct part){.kind = PART_TEXT, .text = text});
}

static void scripts(void **state)
{
    (void)state;
    static const struct {
        struct ccp_span text;
        uint64_t tokens;
    } texts[] = {
        {CCP_LIT(""), 0},
        {CCP_LIT("a"), 1},
        {CCP_LIT("abcd"), 1},
        {CCP_LIT("abcde"), 2},
        {CCP_LIT("The quick brown fox jumps over the lazy dog."), 11},
        {CCP_LIT("\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"), 3}, /* 6 Cyrillic letters */
        {CCP_LIT("\xe4\xb8\xad\xe6\x96\x87"), 2},                         /* 2 Chinese signs */
        {CCP_LIT("\xf0\x9f\x98\x80"), 2},                                 /* an emoji */
        /* The same, escaped. */
        {CCP_LIT("\\n\\n\\n\\n"), 1},
        {CCP_LIT("\\u0041\\u0042\\u0043\\u0044"), 1},
        {CCP_LIT("\\u043f\\u0440"), 1},
        {CCP_LIT("\\u4e2d\\u6587"), 2},
        {CCP_LIT("\\ud83d\\ude00"), 2},
        {CCP_LIT("\\uD83D\\uDE00"), 2},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(of_text(texts[i].text), texts[i].tokens);
}

/* A ctext is valid by contract; one that is cut must not be read beyond its end all the same. */
static void cut_escapes(void **state)
{
    (void)state;
    static const char text[] = "\\u00e9";
    for (size_t n = 0; n <= 6; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        char *tight = n != 0 ? realloc(copy, n) : copy;
        assert_true(of_text(ccp_span_of(tight, n)) <= 2);
        free(tight);
    }
}

static void media_prices(void **state)
{
    (void)state;
    static const struct {
        enum part_kind kind;
        enum media_source source;
        size_t base64;
        uint64_t tokens;
    } prices[] = {
        {PART_IMAGE, MEDIA_BASE64, 4000000, 1600},
        {PART_IMAGE, MEDIA_URL, 40, 1600},
        {PART_DOCUMENT, MEDIA_BASE64, 0, 1500},
        {PART_DOCUMENT, MEDIA_BASE64, 1 << 20, 1500 + 12288},
        {PART_DOCUMENT, MEDIA_URL, 40, 3000},
        {PART_DOCUMENT, MEDIA_FILE_ID, 20, 3000},
        {PART_AUDIO, MEDIA_BASE64, 400000, 50 + 600},
        {PART_VIDEO, MEDIA_BASE64, 400000, 300 + 300},
        {PART_VIDEO, MEDIA_URL, 40, 3000},
    };
    for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++) {
        /* Only the length is looked at. */
        struct part part = {.kind = prices[i].kind, .source = prices[i].source, .data = {"", prices[i].base64}};
        assert_int_equal(of_part(&part), prices[i].tokens);
    }
    struct part text = {
        .kind = PART_DOCUMENT, .source = MEDIA_TEXT, .data = CCP_SPAN("eight ch"), .title = CCP_SPAN("four")};
    assert_int_equal(of_part(&text), 3);
}

static void whole_prompt(void **state)
{
    (void)state;
    struct ccp_json schema = {.raw = CCP_SPAN("{\"type\":\"object\"}..."), .type = CCP_JSON_OBJECT}; /* 20 bytes */
    struct tool tool = {.name = CCP_SPAN("read"), .description = CCP_SPAN("reads it"), .schema = &schema};
    struct tool bare = {.next = &tool, .kind = TOOL_WEB_SEARCH};
    struct part shown = {.kind = PART_IMAGE, .source = MEDIA_URL};
    struct part inner = {.next = &shown, .kind = PART_TEXT, .text = CCP_SPAN("twelve bytes")};
    struct part result = {.kind = PART_RESULT, .parts = &inner, .id = CCP_SPAN("call_1"), .name = CCP_SPAN("read")};
    struct part call = {.kind = PART_CALL,
                        .id = CCP_SPAN("call_1"),
                        .name = CCP_SPAN("read"),
                        .args = {CCP_SPAN("{\"path\":1}  "), false}};
    struct part thought = {.next = &call,
                           .kind = PART_THINKING,
                           .text = CCP_SPAN("hmm."),
                           .proof = {PROOF_SIGNATURE, CCP_SPAN(""), CCP_SPAN("a long signature that counts nothing")}};
    struct turn third = {.role = ROLE_USER, .parts = &result};
    struct turn second = {.next = &third, .role = ROLE_ASSISTANT, .parts = &thought};
    struct turn first = {.next = &second, .role = ROLE_SYSTEM};
    struct prompt p = {.turns = &first, .tools = &bare, .output.schema = &schema};
    uint64_t want = 3 + 3 * 4 /* turns */ + 1 /* thought */ + 10 + 1 + 3 /* call */ + 10 + 3 + 1600 /* result */ + 12 +
                    12 + 1 + 2 + 5 /* tools */ + 5 /* output */;
    assert_int_equal(prompt_estimate(&p), want);
    assert_int_equal(prompt_estimate(&p), want);
    struct prompt nothing = {0};
    assert_int_equal(prompt_estimate(&nothing), 3);
}

/* More text never counts less: what a client sees of a growing conversation only grows. */
static void monotonous(void **state)
{
    (void)state;
    static char text[4096];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 2654435761u >> 13);
    uint64_t before = 0;
    for (size_t n = 0; n < sizeof(text); n++) {
        uint64_t now = of_text(ccp_span_of(text, n));
        assert_true(now + 1 >= before); /* the escape at the end may still change what it is */
        before = now;
    }
    assert_true(before > sizeof(text) / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts),      cmocka_unit_test(cut_escapes), cmocka_unit_test(media_prices),
        cmocka_unit_test(whole_prompt), cmocka_unit_test(monotonous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
