/*
 * The test of parrot: its own format, a translated one, a slow client, and a client that leaves.
 */
#include <ccproxy/testing.h>

extern const struct ccp_plugin ccp_plugin_parrot;

#define JSON "content-type: application/json"
#define ASK  "{\"model\":\"parrot\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

int main(void)
{
    struct ccp_span why = CCP_SPAN("");
    struct ccp_test *t = ccp_test_open(&ccp_plugin_parrot, NULL, &why);
    if (!CCP_CHECK(t != NULL))
        return ccp_test_result();

    struct ccp_test_response *r = ccp_test_request(t, "POST", "/parrot/v1/chat/completions", JSON, ASK);
    CCP_CHECK_INT(r->status, 200);
    CCP_CHECK_HAS(r->body, "\"content\":\"polly wants a cracker\"");
    CCP_CHECK_TEXT(ccp_test_header(r, "x-ccproxy-provider"), "parrot");

    r = ccp_test_request(t, "POST", "/parrot/v1/messages", JSON, ASK);
    CCP_CHECK_INT(r->status, 200);
    CCP_CHECK_HAS(r->body, "\"type\":\"text\",\"text\":\"polly wants a cracker\"");

    r = ccp_test_begin(t, "POST", "/parrot/v1/chat/completions", JSON, ASK);
    ccp_test_slow(t, r, true);
    ccp_test_advance(t, 50);
    ccp_test_slow(t, r, false);
    ccp_test_finish(t, r);
    CCP_CHECK(r->whole);

    r = ccp_test_begin(t, "POST", "/parrot/v1/chat/completions", JSON, ASK);
    ccp_test_leave(t, r);
    CCP_CHECK(r->over && !r->whole);
    CCP_CHECK(ccp_test_saw(r, "request.failed"));
    CCP_CHECK_INT(ccp_test_sent_count(t), 0); /* it has a transport of its own */
    ccp_test_close(t);
    return ccp_test_result();
}
