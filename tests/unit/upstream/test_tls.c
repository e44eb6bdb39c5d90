/* Certificates: refused when unknown, accepted through ca_file, never shared between different trusts. */
#include "harness.h"

#include <base/fault.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

static char ca_file[64];
static SSL_CTX *tls;

static X509 *self_signed(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    char san[64];

    snprintf(san, sizeof(san), "DNS:%s", name);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static int setup_group(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = self_signed(key, "localhost");

    snprintf(ca_file, sizeof(ca_file), "/tmp/ccp-ca-XXXXXX");
    int fd = mkstemp(ca_file);
    FILE *f = fdopen(fd, "w");
    PEM_write_X509(f, x);
    fclose(f);
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(tls, x);
    SSL_CTX_use_PrivateKey(tls, key);
    X509_free(x);
    EVP_PKEY_free(key);
    return group_setup(state);
}

static int teardown_group(void **state)
{
    SSL_CTX_free(tls);
    unlink(ca_file);
    return group_teardown(state);
}

static struct trust *load(const char *file)
{
    const char *why = NULL;
    struct trust *t = trust_load(file, &why);

    assert_null(why);
    assert_non_null(t);
    return t;
}

static void unknown_is_refused_and_ca_file_accepted(void **state)
{
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file), *empty = NULL;
    const char *why;
    struct owner o;

    empty = trust_load(NULL, &why); /* NULL on a machine without a bundle: then nothing is trusted at all */
    struct worker *w = worker_new((struct upstream_options){0}, empty);
    owner_init(&o, w, "https", "localhost", server->port, "/hello?secret");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "TLS verification failed: self"));
    assert_null(strstr(o.why, "secret"));
    o.dones = 0;
    o.request.trust = known;
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(ccp_span_is(buf_span(&o.body), "hello"));
    /* The connection made under `known` is idle now; a request with the default trust must not use it. */
    o.dones = o.heads = 0;
    o.request.trust = NULL;
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    /* A reload: the store goes away while a request under it waits to start. */
    o.dones = o.heads = 0;
    upstream_reconfigure(w->u, 0, known);
    trust_unref(known);
    trust_unref(empty);
    owner_start(&o);
    upstream_reconfigure(w->u, 0, NULL);
    owner_finish(&o);
    assert_int_equal(o.result, CCP_OK);
    owner_release(&o);
    worker_free(w);
    server_stop(server);
}

static void the_name_is_checked(void **state)
{
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file);
    struct worker *w = worker_new((struct upstream_options){0}, known);
    struct owner o;

    owner_init(&o, w, "https", "127.0.0.1", server->port, "/hello");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "TLS verification failed"));
    worker_free(w);
    trust_unref(known);
    server_stop(server);
}

static void large_bodies_and_reuse_over_tls(void **state)
{
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file);
    struct worker *w = worker_new((struct upstream_options){0}, known);

    for (int i = 0; i < 3; i++) {
        struct owner o;
        owner_init(&o, w, "https", "localhost", server->port, "/big/3000000");
        o.check_pattern = true;
        o.pause_each = i == 1;
        owner_start(&o);
        while (o.dones == 0) {
            if (o.t->paused)
                upstream_transport.resume(w->u, o.t);
            worker_turn(w);
        }
        assert_int_equal(o.result, CCP_OK);
        assert_int_equal(o.bytes, 3000000);
        owner_release(&o);
    }
    assert_int_equal(server_connections(server), 1);
    struct owner o;
    struct ccp_buf out;
    struct upstream_answer answer;
    buf_init(&out, 1024);
    owner_init(&o, w, "https", "localhost", server->port, "/hello");
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_string_equal(answer.why, "TLS verification failed");
    o.request.trust = known;
    assert_true(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_int_equal(answer.status, 200);
    buf_release(&out);
    worker_free(w);
    trust_unref(known);
    server_stop(server);
}

/* Reads a request of `want` body bytes slowly through a small window, and answers. */
struct sink {
    int listener;
    size_t want, got;
    bool same;
};

static void *sink_main(void *arg)
{
    struct sink *s = arg;
    static char piece[50000];
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    SSL *ssl = SSL_new(tls);
    int fd = accept(s->listener, NULL, NULL), n, have = 0;
    char *end = NULL;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1)
        while (end == NULL && (n = SSL_read(ssl, piece + have, (int)sizeof(piece) - 1 - have)) > 0) {
            piece[have += n] = 0;
            end = strstr(piece, "\r\n\r\n");
        }
    s->same = end != NULL;
    for (char *p = end != NULL ? end + 4 : piece; s->same;) {
        for (; p < piece + have; p++, s->got++)
            s->same = s->same && *p == body_byte(s->got);
        if (s->got >= s->want || (have = SSL_read(ssl, p = piece, sizeof(piece))) <= 0)
            break;
        if (s->got % 5 == 0)
            usleep(2000);
    }
    (void)SSL_write(ssl, answer, sizeof(answer) - 1);
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void large_requests_over_tls(void **state)
{
    enum { N = 6 << 20 };
    static const size_t first[] = {1, 1000, 16000, 16384, 40000, N - 5};
    char *body = malloc(N);
    struct trust *known = load(ca_file);
    struct worker *w = worker_new((struct upstream_options){0}, known);

    for (size_t i = 0; i < N; i++)
        body[i] = body_byte(i);
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        struct sink s = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .want = N};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int small = 8192;
        pthread_t thread;
        struct owner o;

        setsockopt(s.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        assert_int_equal(bind(s.listener, (struct sockaddr *)&a, len), 0);
        assert_int_equal(getsockname(s.listener, (struct sockaddr *)&a, &len), 0);
        assert_int_equal(listen(s.listener, 4), 0);
        assert_int_equal(pthread_create(&thread, NULL, sink_main, &s), 0);
        owner_init(&o, w, "https", "localhost", ntohs(a.sin_port), "/");
        o.request.method = CCP_SPAN("POST");
        o.request.body[0] = ccp_span_of(body, first[i]);
        o.request.body[1] = ccp_span_of(body + first[i], N - 3 - first[i]);
        o.request.body[2] = ccp_span_of(body + N - 3, 3);
        o.request.body_pieces = 3;
        owner_run(&o);
        pthread_join(thread, NULL);
        close(s.listener);
        if (o.result != CCP_OK)
            fail_msg("%zu: %s", first[i], o.why);
        assert_int_equal(s.got, N);
        assert_true(s.same);
        owner_release(&o);
    }
    free(body);
    worker_free(w);
    trust_unref(known);
}

/* Another connection to the same host resumes; one under other trust, or after a reload, does not. */
static void sessions_are_resumed_under_the_same_trust_only(void **state)
{
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file), *other = load(ca_file);
    struct worker *w = worker_new((struct upstream_options){0}, known);
    static const char *const paths[] = {"/last", "/last", "/last", "/stall"};
    struct trust *const trusts[] = {known, known, other, known};
    static const bool resumed[] = {false, true, false, false};

    for (size_t i = 0; i < 4 && !over_curl; i++) {
        struct owner o;
        if (i == 3)
            upstream_reconfigure(w->u, 0, known);
        size_t before = atomic_load(&server->resumed);
        owner_init(&o, w, "https", "localhost", server->port, paths[i]);
        o.request.trust = trusts[i];
        owner_start(&o);
        if (i == 3) {
            worker_run_ms(w, 100);
            upstream_transport.cancel(w->u, o.t);
        } else {
            owner_finish(&o);
            assert_int_equal(o.result, CCP_OK);
        }
        assert_int_equal(atomic_load(&server->resumed) - before, resumed[i]);
        owner_release(&o);
    }
    worker_free(w);
    trust_unref(known);
    trust_unref(other);
    server_stop(server);
}

/* Without a length only close_notify tells a whole body from a cut one. */
static void an_end_without_close_notify_is_a_cut(void **state)
{
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file);
    struct worker *w = worker_new((struct upstream_options){0}, known);
    static const char *const paths[] = {"/to-the-end", "/to-the-cut"};

    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        owner_init(&o, w, "https", "localhost", server->port, paths[i]);
        owner_run(&o);
        assert_int_equal(o.result, i == 0 || over_curl ? CCP_OK : CCP_UPSTREAM); /* curl does not mind */
        assert_true(ccp_span_is(buf_span(&o.body), "all of it"));
        if (i == 1 && !over_curl)
            assert_non_null(strstr(o.why, "closed in the middle of the answer"));
        owner_release(&o);
    }
    worker_free(w);
    trust_unref(known);
    server_stop(server);
}

#ifdef CCP_FAULTS
static void failing_tls_calls_end_cleanly(void **state)
{
    static const char *const points[] = {"upstream.tls:1", "upstream.handshake:1", "upstream.tls_read:1",
                                         "upstream.tls_write:1"};
    struct server *server = server_start(tls);
    struct trust *known = load(ca_file);
    const char *why;

    for (size_t i = 0; i < 4 && !over_curl; i++) {
        struct worker *w = worker_new((struct upstream_options){0}, known);
        struct owner o;
        owner_init(&o, w, "https", "localhost", server->port, "/hello");
        fault_arm(points[i]);
        owner_run(&o);
        fault_arm(NULL);
        if (o.result == CCP_OK)
            fail_msg("%s: did not fail", points[i]);
        o.dones = o.heads = 0;
        owner_run(&o);
        assert_int_equal(o.result, CCP_OK);
        owner_release(&o);
        worker_free(w);
    }
    fault_arm("upstream.tls_context:1");
    assert_null(trust_load(ca_file, &why));
    fault_arm(NULL);
    assert_string_equal(why, "out of memory");
    trust_unref(known);
    server_stop(server);
}
#endif

static void bad_ca_files_are_named(void **state)
{
    char file[] = "/tmp/ccp-ca-XXXXXX";
    const char *why = NULL;
    int fd = mkstemp(file);

    assert_null(trust_load("/nonexistent/ca.pem", &why));
    assert_string_equal(why, "the CA file cannot be read");
    assert_null(trust_load(file, &why));
    assert_string_equal(why, "the CA file holds no PEM certificate");
    assert_true(write(fd, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 60) > 0);
    assert_null(trust_load(file, &why));
    assert_string_equal(why, "the CA file holds a malformed certificate");
    assert_int_equal(ERR_peek_error(), 0);
    close(fd);
    unlink(file);
}

static void the_environment_has_no_say(void **state)
{
    struct server *server = server_start(tls);
    struct worker *w = worker_new((struct upstream_options){0}, NULL);
    struct owner o;

    setenv("SSL_CERT_FILE", ca_file, 1);
    setenv("CURL_CA_BUNDLE", ca_file, 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    owner_init(&o, w, "https", "localhost", server->port, "/hello");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "TLS verification failed"));
    unsetenv("SSL_CERT_FILE");
    unsetenv("CURL_CA_BUNDLE");
    unsetenv("https_proxy");
    worker_free(w);
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_is_refused_and_ca_file_accepted),
        cmocka_unit_test(the_name_is_checked),
        cmocka_unit_test(large_bodies_and_reuse_over_tls),
        cmocka_unit_test(large_requests_over_tls),
        cmocka_unit_test(sessions_are_resumed_under_the_same_trust_only),
        cmocka_unit_test(an_end_without_close_notify_is_a_cut),
#ifdef CCP_FAULTS
        cmocka_unit_test(failing_tls_calls_end_cleanly),
#endif
        cmocka_unit_test(bad_ca_files_are_named),
        cmocka_unit_test(the_environment_has_no_say),
    };
    return RUN_WITH_BOTH("upstream/tls", tests, setup_group, teardown_group);
}
