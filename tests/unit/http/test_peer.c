/*
 * Addresses of peers and networks of trusted proxies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <http/http_impl.h>

#include <arpa/inet.h>

static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (void *)&a;
    struct sockaddr_in6 *v6 = (void *)&a;
    if (strchr(text, ':') != NULL) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return a;
}

static void addresses_print(void **state)
{
    static const struct {
        const char *text, *printed;
        bool loopback;
    } cases[] = {{"127.0.0.1", "127.0.0.1:80", true},
                 {"10.1.2.3", "10.1.2.3:80", false},
                 {"::1", "[::1]:80", true},
                 {"2001:db8::2", "[2001:db8::2]:80", false},
                 {"::ffff:127.3.2.1", "127.3.2.1:80", true}};
    for (size_t i = 0; i < 5; i++) {
        struct sockaddr_storage a = address(cases[i].text, 80);
        char out[HTTP_PEER_TEXT];
        assert_int_equal(peer_print(out, sizeof(out), (struct sockaddr *)&a), strlen(cases[i].printed));
        assert_string_equal(out, cases[i].printed);
        assert_int_equal(peer_is_loopback((struct sockaddr *)&a), cases[i].loopback);
    }
}

static void networks_match(void **state)
{
    static const struct {
        const char *net, *address;
        bool in;
    } cases[] = {{"10.0.0.0/8", "10.255.0.1", true},
                 {"10.0.0.0/8", "11.0.0.1", false},
                 {"10.0.0.0/8", "::1", false},
                 {"192.168.4.0/22", "192.168.7.255", true},
                 {"192.168.4.0/22", "192.168.8.0", false},
                 {"127.0.0.1", "127.0.0.1", true},
                 {"127.0.0.1", "127.0.0.2", false},
                 {"0.0.0.0/0", "8.8.8.8", true},
                 {"10.0.0.0/8", "::ffff:10.0.0.1", true},
                 {"fd00::/8", "fd12::1", true},
                 {"fd00::/8", "fe00::1", false},
                 {"::1", "::1", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer_net net;
        struct sockaddr_storage a = address(cases[i].address, 1);
        assert_true(peer_net_parse(ccp_span_z(cases[i].net), &net));
        if (peer_trusted(&net, 1, (struct sockaddr *)&a) != cases[i].in)
            fail_msg("%s in %s", cases[i].address, cases[i].net);
        assert_false(peer_trusted(&net, 1, NULL));
    }
}

static void broken_networks_are_refused(void **state)
{
    static const char *const bad[] = {"",          "/8",         "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/x",
                                      "10.0.0/8",  "::1/129",    "localhost",   "10.0.0.0/-1", "10.0.0.0/8/8",
                                      "1.2.3.4.5", "10.0.0.0/ 8"};
    struct peer_net net;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (peer_net_parse(ccp_span_z(bad[i]), &net))
            fail_msg("accepted: %s", bad[i]);
    assert_true(peer_net_parse(CCP_SPAN("unix"), &net));
    assert_true(peer_trusted(&net, 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_print),
        cmocka_unit_test(networks_match),
        cmocka_unit_test(broken_networks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
