/*
 * The sealed text of a record: see seal_impl.h for its form.
 *
 * Cipher, costs and salt need no authentication of their own: changed, they give another key or another cipher, and
 * the tag does not fit.
 */
#include <auth/seal_impl.h>
#include <base/fault.h>
#include <base/secret.h>
#include <wire/base64.h>
#include <wire/json.h>

#include <openssl/evp.h>

enum { SEAL_VERSION = 1 };

enum { K_SEALED, K_CIPHER, K_KDF, K_N, K_R, K_P, K_SALT, K_NONCE, K_DATA, KEYS };

static const struct ccp_span keys[KEYS] = {
    CCP_LIT("ccproxy_sealed"), CCP_LIT("cipher"), CCP_LIT("kdf"),  CCP_LIT("n"), CCP_LIT("r"), CCP_LIT("p"),
    CCP_LIT("salt"),           CCP_LIT("nonce"),  CCP_LIT("data"),
};

bool seal_is_sealed(struct ccp_span text)
{
    struct ccp_span value;
    return json_scan(text, keys, &value, 1, NULL) == CCP_OK && value.p != NULL;
}

/* ---- AES-256-GCM ---- */

static bool begin(EVP_CIPHER_CTX *ctx, bool sealing, const unsigned char *key, const unsigned char *nonce,
                  struct ccp_span name)
{
    int n;
    return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, sealing) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, SEAL_NONCE, NULL) == 1 &&
           EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, sealing) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)name.p, (int)name.n) == 1;
}

/* to: room for plain.n + SEAL_TAG bytes. */
static bool encrypt(const unsigned char *key, const unsigned char *nonce, struct ccp_span name, struct ccp_span plain,
                    unsigned char *to)
{
    EVP_CIPHER_CTX *ctx = CCP_FAULT("seal.cipher") ? NULL : EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    bool ok = ctx != NULL && begin(ctx, true, key, nonce, name) &&
              EVP_CipherUpdate(ctx, to, &n, (const unsigned char *)plain.p, (int)plain.n) == 1 &&
              EVP_CipherFinal_ex(ctx, to + n, &rest) == 1 && (size_t)(n + rest) == plain.n &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, to + plain.n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* to: room for data.n - SEAL_TAG bytes; holds nothing true unless SEAL_OPENED. */
static enum seal_result decrypt(const unsigned char *key, const unsigned char *nonce, struct ccp_span name,
                                struct ccp_span data, unsigned char *to)
{
    EVP_CIPHER_CTX *ctx = CCP_FAULT("seal.cipher") ? NULL : EVP_CIPHER_CTX_new();
    unsigned char tag[SEAL_TAG];
    int n = 0, rest = 0;
    size_t plain = data.n - SEAL_TAG;
    memcpy(tag, data.p + plain, SEAL_TAG);
    if (ctx == NULL || !begin(ctx, false, key, nonce, name) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return SEAL_MEMORY;
    }
    bool ok = EVP_CipherUpdate(ctx, to, &n, (const unsigned char *)data.p, (int)plain) == 1 &&
              EVP_CipherFinal_ex(ctx, to + n, &rest) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok ? SEAL_OPENED : SEAL_REFUSED;
}

/* ---- writing ---- */

static bool add_base64(struct ccp_buf *out, const unsigned char *p, size_t n)
{
    size_t room = (n + 2) / 3 * 4 + 1; /* EVP_EncodeBlock ends its text with a NUL */
    if (out->failed || !buf_reserve(out, room))
        return false;
    out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->n, p, (int)n);
    return true;
}

static bool write_head(struct ccp_buf *out, const unsigned char *salt, const struct seal_cost *cost)
{
    buf_printf(out, "{\"ccproxy_sealed\":%d,\"cipher\":\"aes-256-gcm\",\"kdf\":", SEAL_VERSION);
    if (salt == NULL)
        return buf_addz(out, "\"none\"");
    return buf_printf(out, "\"scrypt\",\"n\":%u,\"r\":%u,\"p\":%u,\"salt\":\"", cost->n, cost->r, cost->p) &&
           add_base64(out, salt, SEAL_SALT) && buf_addz(out, "\"");
}

bool seal_close(struct seal *s, struct ccp_span name, struct ccp_span plain, struct ccp_buf *out)
{
    unsigned char key[SEAL_KEY], nonce[SEAL_NONCE], salt[SEAL_SALT];
    struct seal_cost cost = SEAL_COST;
    bool phrase = seal_has_passphrase(s);
    if (plain.n > RECORD_MAX || name.n > 1024 || !seal_random(nonce, sizeof(nonce)) ||
        (phrase && !seal_salt(s, salt, &cost)))
        return false;
    struct ccp_span salted = phrase ? ccp_span_of((const char *)salt, sizeof(salt)) : CCP_SPAN("");
    unsigned char *data = CCP_FAULT("seal.data") ? NULL : malloc(plain.n + SEAL_TAG);
    bool ok = data != NULL && seal_key(s, salted, &cost, key) && encrypt(key, nonce, name, plain, data);
    secret_wipe(key, sizeof(key));
    ok = ok && write_head(out, phrase ? salt : NULL, &cost) && buf_addz(out, ",\"nonce\":\"") &&
         add_base64(out, nonce, sizeof(nonce)) && buf_addz(out, "\",\"data\":\"") &&
         add_base64(out, data, plain.n + SEAL_TAG) && buf_addz(out, "\"}\n");
    free(data);
    return ok;
}

/* ---- reading ---- */

struct sealed {
    struct ccp_span salt, nonce, data; /* bytes */
    struct seal_cost cost;
};

static bool small_number(struct ccp_span raw, uint32_t *out)
{
    uint32_t n = 0;
    if (raw.n == 0 || raw.n > 8)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] < '0' || raw.p[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(raw.p[i] - '0');
    }
    *out = n;
    return true;
}

static enum seal_result bytes_of(struct arena *a, struct ccp_span raw, size_t least, size_t most, struct ccp_span *out)
{
    if (raw.n < 2 || raw.p[0] != '"')
        return SEAL_BROKEN;
    struct ccp_span text = ccp_span_of(raw.p + 1, raw.n - 2);
    enum ccp_status status = base64_decode(a, text, out);
    if (status == CCP_OVERLOADED)
        return SEAL_MEMORY;
    if (status != CCP_OK || out->n < least || out->n > most)
        return SEAL_BROKEN;
    /* Only as we write it: a byte that may be changed unnoticed has no place here. */
    struct ccp_buf again;
    buf_init(&again, text.n + 1);
    bool same = add_base64(&again, (const unsigned char *)out->p, out->n) && ccp_span_eq(buf_span(&again), text);
    enum seal_result result = again.failed ? SEAL_MEMORY : same ? SEAL_OPENED : SEAL_BROKEN;
    buf_release(&again);
    return result;
}

/* At most four times the work and the memory of what seal_close asks for. */
static bool cost_ok(const struct seal_cost *c)
{
    return c->n >= 1u << 14 && c->n <= 1u << 17 && (c->n & (c->n - 1)) == 0 && c->r == 8 && c->p >= 1 &&
           (uint64_t)c->n * c->p <= 1u << 17;
}

static enum seal_result read_kdf(struct arena *a, const struct ccp_span *v, struct sealed *out)
{
    out->salt = CCP_SPAN("");
    if (ccp_span_is(v[K_KDF], "\"none\""))
        return SEAL_OPENED;
    if (!ccp_span_is(v[K_KDF], "\"scrypt\"") || !small_number(v[K_N], &out->cost.n) ||
        !small_number(v[K_R], &out->cost.r) || !small_number(v[K_P], &out->cost.p) || !cost_ok(&out->cost))
        return SEAL_BROKEN;
    return bytes_of(a, v[K_SALT], SEAL_SALT, SEAL_SALT, &out->salt);
}

static enum seal_result read_sealed(struct arena *a, struct ccp_span text, struct sealed *out)
{
    struct ccp_span v[KEYS];
    uint32_t version;
    if (json_scan(text, keys, v, KEYS, NULL) != CCP_OK || !small_number(v[K_SEALED], &version) || version == 0)
        return SEAL_BROKEN;
    if (version > SEAL_VERSION)
        return SEAL_NEWER;
    if (!ccp_span_is(v[K_CIPHER], "\"aes-256-gcm\""))
        return SEAL_BROKEN;
    enum seal_result result = read_kdf(a, v, out);
    if (result == SEAL_OPENED)
        result = bytes_of(a, v[K_NONCE], SEAL_NONCE, SEAL_NONCE, &out->nonce);
    if (result == SEAL_OPENED)
        result = bytes_of(a, v[K_DATA], SEAL_TAG, RECORD_MAX + SEAL_TAG, &out->data);
    return result;
}

static enum seal_result open_sealed(struct seal *s, struct ccp_span name, const struct sealed *in, struct ccp_buf *out)
{
    unsigned char key[SEAL_KEY];
    size_t plain = in->data.n - SEAL_TAG;
    if (seal_has_passphrase(s) != (in->salt.n != 0))
        return SEAL_REFUSED;
    if (!buf_reserve(out, plain + 1))
        return SEAL_MEMORY;
    if (!seal_key(s, in->salt, &in->cost, key))
        return SEAL_MEMORY;
    unsigned char *to = (unsigned char *)out->p + out->n;
    enum seal_result result = decrypt(key, (const unsigned char *)in->nonce.p, name, in->data, to);
    secret_wipe(key, sizeof(key));
    if (result == SEAL_OPENED)
        out->n += plain;
    else
        secret_wipe(to, plain); /* what came out before the tag was seen to be wrong */
    return result;
}

enum seal_result seal_open(struct seal *s, struct ccp_span name, struct ccp_span text, struct ccp_buf *out)
{
    struct arena a;
    struct sealed sealed = {.cost = {0, 0, 0}};
    arena_init(&a, NULL, 8 * RECORD_MAX);
    enum seal_result result = read_sealed(&a, text, &sealed);
    if (result == SEAL_OPENED)
        result = open_sealed(s, name, &sealed, out);
    arena_end(&a);
    return result;
}
