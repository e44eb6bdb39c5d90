/*
 * The test of tally: requests are counted when observers were told, the route tells the number, and it is there again
 * when the plugin is opened anew.
 */
#include <ccproxy/testing.h>

extern const struct ccp_plugin ccp_plugin_tally;

int main(void)
{
    struct ccp_span why = CCP_SPAN("");
    struct ccp_test *t = ccp_test_open(&ccp_plugin_tally, NULL, &why);
    if (!CCP_CHECK(t != NULL))
        return ccp_test_result();

    ccp_test_request(t, "GET", "/health/live", NULL, NULL);
    ccp_test_request(t, "GET", "/no/such/path", NULL, NULL);
    ccp_test_flush_events(t);
    CCP_CHECK_TEXT(ccp_test_request(t, "GET", "/plugins/tally/count", NULL, NULL)->body, "{\"requests\":2}");
    CCP_CHECK_INT(ccp_test_request(t, "POST", "/plugins/tally/count", ":unix: 1", "{}")->status, 405);
    ccp_test_flush_events(t);
    CCP_CHECK(ccp_test_run_task(t, "save", &why));

    CCP_CHECK(ccp_test_reload(t, "[plugins.tally]\nenabled = false\n", &why));
    CCP_CHECK_INT(ccp_test_request(t, "GET", "/plugins/tally/count", NULL, NULL)->status, 404);
    CCP_CHECK(ccp_test_reload(t, NULL, &why));
    CCP_CHECK_TEXT(ccp_test_request(t, "GET", "/plugins/tally/count", NULL, NULL)->body, "{\"requests\":4}");
    ccp_test_close(t);
    return ccp_test_result();
}
