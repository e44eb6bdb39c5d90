/* The address table, one row per kind and per edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <upstream/address_impl.h>

enum { PUBLIC, PRIVATE, LINK }; /* LINK: link-local or disguised, a literal alone does not allow it */

static const struct {
    const char *text;
    int kind;
} rows[] = {
    {"1.1.1.1", PUBLIC},
    {"8.8.8.8", PUBLIC},
    {"9.255.255.255", PUBLIC},
    {"10.0.0.0", PRIVATE},
    {"10.255.255.255", PRIVATE},
    {"11.0.0.0", PUBLIC},
    {"0.0.0.0", PRIVATE},
    {"0.1.2.3", PRIVATE},
    {"100.63.255.255", PUBLIC},
    {"100.64.0.0", PRIVATE},
    {"100.127.255.255", PRIVATE},
    {"100.128.0.0", PUBLIC},
    {"126.255.255.255", PUBLIC},
    {"127.0.0.1", PRIVATE},
    {"127.255.255.255", PRIVATE},
    {"169.253.255.255", PUBLIC},
    {"169.254.0.0", LINK},
    {"169.254.169.254", LINK},
    {"169.255.0.0", PUBLIC},
    {"172.15.255.255", PUBLIC},
    {"172.16.0.0", PRIVATE},
    {"172.31.255.255", PRIVATE},
    {"172.32.0.0", PUBLIC},
    {"192.167.255.255", PUBLIC},
    {"192.168.0.0", PRIVATE},
    {"192.169.0.0", PUBLIC},
    {"192.0.0.8", PRIVATE},
    {"198.17.255.255", PUBLIC},
    {"198.18.0.0", PRIVATE},
    {"198.20.0.0", PUBLIC},
    {"223.255.255.255", PUBLIC},
    {"224.0.0.1", PRIVATE},
    {"239.255.255.255", PRIVATE},
    {"255.255.255.255", PRIVATE},
    {"::", LINK},
    {"::1", PRIVATE},
    {"::7f00:1", LINK},
    {"::ffff:127.0.0.1", LINK},
    {"::ffff:8.8.8.8", PUBLIC},
    {"::ffff:169.254.1.1", LINK},
    {"::ffff:10.1.1.1", LINK},
    {"64:ff9b::7f00:1", LINK},
    {"64:ff9b::808:808", PUBLIC},
    {"64:ff9b:1::1", PRIVATE},
    {"64:ff9b::a9fe:a9fe", LINK},
    {"2002:7f00:1::", LINK},
    {"2002:808:808::", PUBLIC},
    {"2606:4700::1", PUBLIC},
    {"fbff::1", PUBLIC},
    {"fc00::", PRIVATE},
    {"fdff:ffff::1", PRIVATE},
    {"fe00::1", PUBLIC},
    {"fe80::1", LINK},
    {"febf:ffff::1", LINK},
    {"fec0::1", PRIVATE},
    {"ff02::1", PRIVATE},
    {"ffff::1", PRIVATE},
};

static void each_address_has_its_kind(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_storage a = {0};
        struct sockaddr *sa = (struct sockaddr *)&a;
        int kind = rows[i].kind;
        if (inet_pton(AF_INET, rows[i].text, &((struct sockaddr_in *)sa)->sin_addr) == 1) {
            a.ss_family = AF_INET;
        } else {
            a.ss_family = AF_INET6;
            assert_int_equal(inet_pton(AF_INET6, rows[i].text, &((struct sockaddr_in6 *)sa)->sin6_addr), 1);
        }
        if (upstream_address_allowed(sa, false, false) != (kind == PUBLIC) ||
            upstream_address_allowed(sa, false, true) != (kind != LINK) || !upstream_address_allowed(sa, true, false) ||
            !upstream_address_allowed(sa, true, true))
            fail_msg("%s", rows[i].text);
    }
}

static void other_families_are_refused(void **state)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};

    assert_false(upstream_address_allowed((const struct sockaddr *)&u, true, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_its_kind),
        cmocka_unit_test(other_families_are_refused),
    };
    return cmocka_run_group_tests_name("upstream/address", tests, NULL, NULL);
}
