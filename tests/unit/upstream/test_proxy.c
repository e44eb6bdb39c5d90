/* Whom a request connects to, and what that takes: proxies, the hosts that go past them, literals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <upstream/upstream_impl.h>

static void no_proxy_lists(void **state)
{
    static const struct {
        const char *host, *list;
        bool bypassed;
    } rows[] = {
        {"api.example.com", "", false},
        {"api.example.com", "*", true},
        {"api.example.com", "example.com", true},
        {"api.example.com", ".example.com", true},
        {"api.example.com.", "example.com", true},
        {"API.example.com", "other,Example.COM.", true},
        {"notexample.com", "example.com", false},
        {"example.com", "api.example.com", false},
        {"example.com", "a b,example.com", true},
        {"example.com", ",,. ,", false},
        {"10.1.2.3", "10.0.0.0/8", true},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.0/23", true},
        {"10.1.4.3", "10.1.2.0/23", false},
        {"10.1.2.3", "10.1.2.0/33", false},
        {"10.1.2.3", "10.1.2.0/x", false},
        {"110.1.2.3", "10.1.2.3", false},
        {"1.2.3", "2.3", true},
        {"::1", "::1", true},
        {"2001:db8::5", "2001:db8::/32", true},
        {"2001:db9::5", "2001:db8::/32", false},
        {"::ffff:10.1.2.3", "10.0.0.0/8", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (proxy_bypassed(ccp_span_z(rows[i].host), ccp_span_z(rows[i].list)) != rows[i].bypassed)
            fail_msg("%s against \"%s\"", rows[i].host, rows[i].list);
}

static void targets_of_a_request(void **state)
{
    static const struct {
        const char *url, *proxy, *no_proxy, *targets;
        bool written, literal; /* request.literal_host; what comes out */
    } rows[] = {
        {"https://api.example/v1", "", "", "api.example:443", false, false},
        {"http://10.0.0.1:81/v1", "", "", "10.0.0.1:81", true, true},
        {"http://10.0.0.1:81/v1", "", "", "10.0.0.1:81", false, false},
        {"https://api.example", "http://proxy.example:3128", "", "proxy.example:3128", false, false},
        {"https://api.example", "http://127.0.0.1:3128/", "", "127.0.0.1:3128", true, true},
        {"https://api.example", "http://127.0.0.1:3128", "example", "api.example:443", true, false},
        {"http://127.0.0.1:81", "http://proxy.example", "127.0.0.1", "127.0.0.1:81", false, true},
        {"https://api.example", "https://proxy.example", "", "proxy.example:443", false, false},
        {"https://api.example", "http://127.0.0.1", "", "127.0.0.1:1080", false, false},
        {"https://api.example", "http://[::1]", "", "::1:1080", true, true},
        {"https://api.example", "socks5h://127.0.0.1", "", "127.0.0.1:1080", true, true},
        {"https://api.example", "socks5://proxy.example:9", "", "proxy.example:9 api.example:443", false, false},
        {"https://api.example", "ftp://proxy.example:9", "", "", true, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ccp_upstream_request r = {.url = ccp_span_z(rows[i].url),
                                         .proxy = ccp_span_z(rows[i].proxy),
                                         .no_proxy = ccp_span_z(rows[i].no_proxy),
                                         .literal_host = rows[i].written};
        struct call c = {.request = &r};
        char text[200] = "";
        size_t n = 0;
        assert_null(url_parse(r.url, &c.url));
        call_find_targets(&c);
        for (size_t k = 0; k < c.target_n; k++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s:%u", k != 0 ? " " : "",
                                  CCP_FMT(c.targets[k].host), (unsigned)c.targets[k].port);
        if (strcmp(text, rows[i].targets) != 0 || c.literal_host != rows[i].literal)
            fail_msg("%s over \"%s\": %s, %s", rows[i].url, rows[i].proxy, text, c.literal_host ? "literal" : "name");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_proxy_lists),
        cmocka_unit_test(targets_of_a_request),
    };
    return cmocka_run_group_tests_name("upstream/proxy", tests, NULL, NULL);
}
