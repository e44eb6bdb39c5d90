/*
 * Proof keys and states (RFC 7636; RFC 9700 sections 2.1.1 and 4.7): 256 random bits each, base64url without padding.
 *
 * Only S256 exists here: with "plain" whoever sees the authorization request could redeem the code.
 */
#include <auth/protocol.h>
#include <base/fault.h>
#include <base/secret.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

/* 32 bytes as 43 digits. */
static void encode(const unsigned char in[32], char out[PKCE_CHARS + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0;
    size_t o = 0;

    for (size_t i = 0; i < 32; i++) {
        bits = bits << 8 | in[i];
        for (have += 8; have >= 6; have -= 6)
            out[o++] = digits[bits >> (have - 6) & 63];
    }
    out[o++] = digits[bits << (6 - have) & 63];
    out[o] = '\0';
}

bool pkce_random(char out[PKCE_CHARS + 1])
{
    unsigned char raw[32];

    /* Up to 256 bytes come whole or not at all once the kernel's pool is ready (getrandom(2)). */
    bool good = !CCP_FAULT("pkce.random") && getrandom(raw, sizeof(raw), 0) == sizeof(raw);
    out[0] = '\0';
    if (good)
        encode(raw, out);
    secret_wipe(raw, sizeof(raw));
    return good;
}

void pkce_challenge(struct ccp_span verifier, char out[PKCE_CHARS + 1])
{
    unsigned char hash[32];

    out[0] = '\0';
    if (EVP_Digest(verifier.n != 0 ? verifier.p : "", verifier.n, hash, NULL, EVP_sha256(), NULL) == 1)
        encode(hash, out);
}

bool pkce_same(struct ccp_span a, struct ccp_span b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
