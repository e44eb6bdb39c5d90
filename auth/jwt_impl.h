/*
 * Inside of jwt_*.c: keys of a key set. Apart from protocol_impl.h because only these two files know OpenSSL's types.
 */
#ifndef AUTH_JWT_IMPL_H
#define AUTH_JWT_IMPL_H

#include <auth/protocol_impl.h>

#include <openssl/evp.h>

/* The public key of one JWK that is known to be of this type ("RSA", "EC", "OKP"); NULL = not one that can be used, or
 * no memory. EVP_PKEY_free by the caller. */
EVP_PKEY *jwt_key(struct arena *a, const struct ccp_json *jwk, const char *type);

#endif
