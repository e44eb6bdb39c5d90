/*
 * A provider: what differs between upstreams, and nothing else.
 *
 * Keys shared by all providers (base_url, auth, api_key, headers, timeout, model_mappings, models, raw, ...)
 * are bound by the core; a provider that only differs in data needs no function at all.
 */
#ifndef CCPROXY_PROVIDER_H
#define CCPROXY_PROVIDER_H

#include "transport.h"

#define CCP_SPEAKS(format) (1u << CCP_FORMAT_##format)

/* Verdict on an upstream's error answer (status >= 400, our own credential), given before any byte of it reached
 * the client. */
enum ccp_judgement {
    CCP_GIVE,              /* the client shall see it */
    CCP_RETRY,             /* the same request once more, three attempts in all */
    CCP_REFRESH_AND_RETRY, /* the credential was refused: refresh it if that is possible, else login_required */
    CCP_ERROR,             /* unusable: 502 in the client's format */
};

struct ccp_choice {
    enum ccp_format format;
};

struct ccp_provider {
    const char *label;    /* for people: "Anthropic API" */
    const char *prefix;   /* first path segment, "claude" */
    unsigned formats;     /* CCP_SPEAKS(...) | ... */
    const char *base_url; /* default, in the form the vendor's SDK takes */
    const char *api_key;  /* default of the row, "${ANTHROPIC_API_KEY:-}", or NULL: works without */
    const char *login;    /* name of the OAuth login, or NULL */
    bool keyless;         /* usable without any credential (mock) */
    struct ccp_header key_header[CCP_FORMAT_COUNT]; /* per format: header name and value prefix for an API key */
    const struct ccp_header *headers; /* added when the client sent none of that name; ends with an empty name */

    /* The format to speak upstream; default: the client's if spoken, else the first one. */
    struct ccp_choice (*choose)(void *self, struct ccp_exchange *x, enum ccp_format client, struct ccp_span model);
    /* Last word on the upstream request (URL, headers, body pieces). */
    enum ccp_status (*prepare)(void *self, struct ccp_exchange *x, struct ccp_upstream_request *request);
    enum ccp_judgement (*judge)(void *self, struct ccp_exchange *x, int status, struct ccp_span first_bytes);
    const struct ccp_transport *transport; /* NULL = HTTP; called with the plugin's instance */
    /* Ids for the model list when the configuration names none and nothing may be asked upstream. */
    const char *const *models;
};

#endif
