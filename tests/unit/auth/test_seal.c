/*
 * Encryption of records: what was sealed opens with the same key and name and with nothing else, no nonce is used
 * twice, scrypt runs once per salt, and a file cannot ask for more work than its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/seal_impl.h>
#include <base/clock.h>
#include <base/fault.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME  CCP_SPAN("claude-api.default")
#define PLAIN CCP_SPAN("{\"version\":1,\"access_token\":\"secretword\"}\n")

static char folder[] = "/tmp/ccp-seal-XXXXXX";

static const char *file(const char *name, const void *bytes, size_t n, mode_t mode)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static struct seal *with_key(const void *bytes, size_t n)
{
    struct store_error e;
    return seal_open_key(file("key", bytes, n, 0600), &e);
}

static struct seal *with_phrase(const char *phrase)
{
    struct store_error e;
    return seal_open_passphrase(file("phrase", phrase, strlen(phrase), 0600), &e);
}

static struct ccp_buf closed(struct seal *s)
{
    struct ccp_buf out;
    buf_init(&out, 4096);
    assert_true(seal_close(s, NAME, PLAIN, &out));
    return out;
}

static enum seal_result opens(struct seal *s, struct ccp_span name, struct ccp_span text)
{
    struct ccp_buf out;
    buf_init(&out, RECORD_MAX + 1);
    enum seal_result result = seal_open(s, name, text, &out);
    assert_true(result == SEAL_OPENED ? ccp_span_eq(buf_span(&out), PLAIN) : out.n == 0);
    assert_true(result == SEAL_OPENED || out.p == NULL || memmem(out.p, out.cap, "secretword", 10) == NULL);
    buf_release(&out);
    return result;
}

#define HEX "000102030405060708090a0B0c0d0e0f101112131415161718191a1b1c1d1e1F"

static void keys_of_three_forms_are_one(void **state)
{
    unsigned char raw[32], base64[64];
    char spaced[80];
    for (int i = 0; i < 32; i++)
        raw[i] = (unsigned char)i;
    EVP_EncodeBlock(base64, raw, 32);
    snprintf(spaced, sizeof(spaced), "%s\r\n", HEX);
    struct seal *all[] = {with_key(raw, 32), with_key(HEX, 64), with_key(spaced, 66), with_key(base64, 44),
                          with_key(base64, 43)};
    struct ccp_buf text = closed(all[0]);
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(all[i]);
        assert_int_equal(opens(all[i], NAME, buf_span(&text)), SEAL_OPENED);
    }
    for (size_t i = 0; i < 5; i++)
        seal_free(all[i]);
    buf_release(&text);
    assert_null(with_key(raw, 31));
    assert_null(with_key(HEX "0", 65));
    assert_null(with_key("", 0));
    assert_null(with_key("zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 64));
    memset(raw, 'a', 32);
    assert_null(with_key(raw, 32));
}

static void key_files_of_others_are_refused(void **state)
{
    struct store_error e;
    const unsigned modes[] = {0644, 0640, 0604, 0660, 0602, 04600};
    for (size_t i = 0; i < 6; i++) {
        assert_null(seal_open_key(file("loose", HEX, 64, modes[i]), &e));
        assert_int_equal(e.status, STORE_UNSAFE);
        assert_null(strstr(e.text, "0001020304"));
    }
    setenv("CREDENTIALS_DIRECTORY", folder, 1); /* systemd's access list shows as the group's */
    struct seal *s = seal_open_key(file("loose", HEX, 64, 0440), &e);
    assert_non_null(s);
    seal_free(s);
    assert_null(seal_open_key(file("loose", HEX, 64, 0444), &e));
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(seal_open_key("/nonexistent/key", &e));
    assert_int_equal(e.status, STORE_SEALED);
    assert_null(seal_open_key(folder, &e));
    assert_null(with_phrase(""));
    assert_null(with_phrase("\nsecond"));
}

static void each_changed_byte_is_refused(void **state)
{
    struct seal *s = with_key(HEX, 64), *other = with_phrase("phrase FIXTURE\nrest");
    struct ccp_buf text = closed(s), sealed = closed(other);
    size_t refused = 0;
    assert_true(seal_is_sealed(buf_span(&text)) && !seal_is_sealed(PLAIN) && !seal_is_sealed(CCP_SPAN("x")));
    assert_null(memmem(text.p, text.n, "secretword", 10));
    for (size_t i = 0; i + 3 < text.n; i++) { /* not what ends the line */
        char was = text.p[i];
        text.p[i] = (char)(was == 'A' ? 'B' : 'A');
        enum seal_result result = opens(s, NAME, buf_span(&text));
        assert_true(result == SEAL_REFUSED || result == SEAL_BROKEN);
        refused += result != SEAL_OPENED;
        text.p[i] = was;
    }
    for (size_t n = 0; n + 2 < text.n; n++)
        assert_true(opens(s, NAME, ccp_span_of(text.p, n)) != SEAL_OPENED);
    assert_int_equal(opens(s, CCP_SPAN("claude-api.other"), buf_span(&text)), SEAL_REFUSED);
    assert_int_equal(opens(s, NAME, buf_span(&sealed)), SEAL_REFUSED);
    assert_int_equal(opens(other, NAME, buf_span(&text)), SEAL_REFUSED);
    assert_int_equal(opens(other, NAME, buf_span(&sealed)), SEAL_OPENED);
    printf("figure CRD-09 each of %zu bytes changed, another name, another key: refused\n", refused);
    buf_release(&text);
    buf_release(&sealed);
    seal_free(s);
    seal_free(other);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void no_nonce_twice(void **state)
{
    enum { SAVES = 100000 };
    char(*nonces)[16] = malloc(SAVES * sizeof(*nonces));
    struct seal *s = with_key(HEX, 64);
    size_t twice = 0;
    for (size_t i = 0; i < SAVES; i++) {
        struct ccp_buf text = closed(s);
        const char *at = memmem(text.p, text.n, "\"nonce\":\"", 9);
        assert_non_null(at);
        memcpy(nonces[i], at + 9, 16);
        buf_release(&text);
    }
    qsort(nonces, SAVES, sizeof(*nonces), by_bytes);
    for (size_t i = 1; i < SAVES; i++)
        twice += memcmp(nonces[i - 1], nonces[i], 16) == 0;
    assert_int_equal(twice, 0);
    printf("figure CRD-09 %d saves: %zu nonces repeated\n", SAVES, twice);
    free(nonces);
    seal_free(s);
}

static void scrypt_runs_once_per_salt(void **state)
{
    struct seal *s = with_phrase("phrase FIXTURE"), *reader = with_phrase("phrase FIXTURE\r\nmore");
    uint64_t begun = clock_us();
    struct ccp_buf first = closed(s);
    uint64_t once = clock_us() - begun;
    begun = clock_us();
    for (int i = 0; i < 100; i++) {
        struct ccp_buf text = closed(s);
        assert_non_null(memmem(text.p, text.n, memmem(first.p, first.n, "\"salt\"", 6), 33));
        assert_int_equal(opens(reader, NAME, buf_span(&text)), SEAL_OPENED);
        buf_release(&text);
    }
    uint64_t hundred = clock_us() - begun;
    assert_true(hundred < once * 20);        /* the reader's one derivation is among them */
    struct ccp_buf adopted = closed(reader); /* a salt that was read is written with */
    assert_non_null(memmem(adopted.p, adopted.n, memmem(first.p, first.n, "\"salt\"", 6), 33));
    buf_release(&adopted);
    buf_release(&first);
    seal_free(s);
    seal_free(reader);
}

static void costs_are_bounded(void **state)
{
    static const char *const costs[] = {"\"n\":1073741824,\"r\":8,\"p\":1", "\"n\":32767,\"r\":8,\"p\":1",
                                        "\"n\":2,\"r\":8,\"p\":1",          "\"n\":32768,\"r\":800,\"p\":1",
                                        "\"n\":32768,\"r\":8,\"p\":5",      "\"n\":32768,\"r\":8,\"p\":0",
                                        "\"n\":262144,\"r\":8,\"p\":1",     "\"n\":99999999999,\"r\":8,\"p\":1",
                                        "\"n\":-1,\"r\":8,\"p\":1",         "\"r\":8,\"p\":1"};
    struct seal *s = with_phrase("phrase FIXTURE");
    uint64_t begun = clock_us();
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        char text[512];
        snprintf(
            text, sizeof(text),
            "{\"ccproxy_sealed\":1,\"cipher\":\"aes-256-gcm\",\"kdf\":\"scrypt\",%s,\"salt\":"
            "\"AAAAAAAAAAAAAAAAAAAAAA==\",\"nonce\":\"AAAAAAAAAAAAAAAA\",\"data\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
            costs[i]);
        assert_int_equal(opens(s, NAME, ccp_span_z(text)), SEAL_BROKEN);
    }
    assert_true(clock_us() - begun < 500000); /* no work was done */
    assert_int_equal(opens(s, NAME, CCP_SPAN("{\"ccproxy_sealed\":2}")), SEAL_NEWER);
    assert_int_equal(opens(s, NAME, CCP_SPAN("{\"ccproxy_sealed\":0}")), SEAL_BROKEN);
    seal_free(s);
}

static void failures_are_clean(void **state)
{
#ifdef CCP_FAULTS
    static const char *const points[] = {"seal.random", "seal.cipher", "seal.data", "buf.reserve"};
    struct seal *s = with_key(HEX, 64);
    struct ccp_buf text = closed(s), out;
    for (size_t i = 0; i < 4; i++) {
        char spec[32];
        snprintf(spec, sizeof(spec), "%s:1", points[i]);
        buf_init(&out, 4096);
        fault_arm(spec);
        assert_false(seal_close(s, NAME, PLAIN, &out));
        fault_arm(NULL);
        buf_release(&out);
    }
    fault_arm("seal.cipher:1");
    assert_int_equal(opens(s, NAME, buf_span(&text)), SEAL_MEMORY);
    fault_arm("base64.decode:2");
    assert_int_equal(opens(s, NAME, buf_span(&text)), SEAL_MEMORY);
    fault_arm("seal.new:1");
    assert_null(with_key(HEX, 64));
    fault_arm("secret.new:1");
    assert_null(with_key(HEX, 64));
    fault_arm(NULL);
    buf_release(&text);
    seal_free(s);
#else
    skip();
#endif
}

static int make_folder(void **state)
{
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    static const char *const names[] = {"key", "phrase", "loose"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_three_forms_are_one),  cmocka_unit_test(key_files_of_others_are_refused),
        cmocka_unit_test(each_changed_byte_is_refused), cmocka_unit_test(no_nonce_twice),
        cmocka_unit_test(scrypt_runs_once_per_salt),    cmocka_unit_test(costs_are_bounded),
        cmocka_unit_test(failures_are_clean),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
