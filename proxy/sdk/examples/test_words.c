/*
 * The test of words: an answer is counted, a forbidden word ends it, also one that comes in pieces and in a stream.
 */
#include <ccproxy/testing.h>

extern const struct ccp_plugin ccp_plugin_words;

#define KEY "[plugins.claude_api]\napi_key = \"sk-example\"\n"
#define ASK "{\"model\":\"claude-x\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define ANSWER(text)                                                                                                   \
    "{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[{\"type\":"         \
    "\"text\","                                                                                                        \
    "\"text\":\"" text "\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}"
#define JSON "content-type: application/json"

static struct ccp_test_response *ask(struct ccp_test *t, const char *body, size_t piece)
{
    ccp_test_answer(t, &(struct ccp_test_answer){.headers = JSON, .body = body, .piece = piece});
    return ccp_test_request(t, "POST", "/claude/v1/messages", JSON, ASK);
}

int main(void)
{
    struct ccp_span why;
    struct ccp_test *t = ccp_test_open(&ccp_plugin_words, KEY "[plugins.words]\nforbidden = [\"swordfish\"]\n", &why);
    if (!CCP_CHECK(t != NULL))
        return ccp_test_result();

    struct ccp_test_response *r = ask(t, ANSWER("one two, three"), 0);
    CCP_CHECK_INT(r->status, 200);
    CCP_CHECK_TEXT(r->body, ANSWER("one two, three")); /* read, and yet byte for byte */
    CCP_CHECK_HAS(ccp_test_log(t), "an answer of 3 words");

    for (size_t piece = 0; piece < 40; piece++) {
        r = ask(t, ANSWER("the password is SwordFish."), piece);
        CCP_CHECK_INT(r->status, 403);
        CCP_CHECK_LACKS(r->body, "SwordFish");
        CCP_CHECK(ccp_test_saw(r, "request.failed"));
    }
    CCP_CHECK_INT(ask(t, ANSWER("swordfishing is fine"), 7)->status, 200);
    ccp_test_close(t);

    t = ccp_test_open(&ccp_plugin_words, "[plugins.words]\nforbidden = 3\n", &why);
    CCP_CHECK(t == NULL);
    CCP_CHECK_HAS(why, "ccproxy.toml:2: plugins.words.forbidden");
    return ccp_test_result();
}
