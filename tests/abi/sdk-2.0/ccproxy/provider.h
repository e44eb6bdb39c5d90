/*
 * A provider: what differs between upstreams, and nothing else.
 *
 * Keys shared by all providers (base_url, auth, api_key, headers, timeout, model_mappings, models, raw, ...)
 * are bound by the core; a provider that only differs in data needs no function at all.
 */
#ifndef CCPROXY_PROVIDER_H
#define CCPROXY_PROVIDER_H

#include "transport.h"

/* The bit of a format in ccp_provider.formats: CCP_SPEAKS(OPENAI_CHAT). */
#define CCP_SPEAKS(format) (1u << CCP_FORMAT_##format)

/* Verdict on an upstream's error answer (status >= 400, our own credential), given before any byte of it reached
 * the client. */
enum ccp_judgement {
    CCP_GIVE,              /* the client shall see it */
    CCP_RETRY,             /* the same request once more, three attempts in all */
    CCP_REFRESH_AND_RETRY, /* the credential was refused: refresh it if that is possible, else login_required */
    CCP_ERROR,             /* unusable: 502 in the client's format */
};

/* What a provider wants of a request's body beyond its format; applied by the core to generate calls, in order, after
 * translation if there was one. A body that already complies is sent byte for byte; where one must differ, everything
 * around the change keeps its bytes. Members stand at the top level. */
enum ccp_body_do {
    CCP_BODY_END,        /* behind the last rule */
    CCP_BODY_DROP,       /* goes; it may stay when it is exactly `value`. The client is told (x-ccproxy-dropped) */
    CCP_BODY_SET,        /* is always `value`; the client is told when it had asked for something else */
    CCP_BODY_DEFAULT,    /* is `value` where it is missing or null */
    CCP_BODY_REFUSE,     /* 400 with `value`, a text that goes on behind the member's name; null goes silently */
    CCP_BODY_LIST,       /* Responses' input: a string becomes the list with one user message that it stands for */
    CCP_BODY_DEVELOPER,  /* of a list of messages: the role "system" becomes "developer" */
    CCP_BODY_FORGET,     /* of a list of items, unless `store` is false: ids go, since nothing is stored that they could
                            name; references to stored items are refused. Stands before a rule that sets `store` */
    CCP_BODY_DROP_PARTS, /* of a list of messages: member `value` of their parts goes; the client is told */
};
struct ccp_body_rule {
    enum ccp_body_do what;
    const char *member;
    const char *value; /* JSON text, or as said above; may be NULL with DROP */
};

/* An upstream's model list where it is not simply its format's. */
struct ccp_model_list {
    const char *path;       /* below base_url: "/models" */
    const char *list;       /* member of the answer that holds the models: "data" */
    const char *id, *name;  /* members of a model; `name` may be missing there */
    const char *endpoints;  /* member of a model that lists the paths it is served at ("/responses"), or NULL */
    unsigned readers;       /* CCP_SPEAKS(...) of callers that get upstream's own bytes */
    const char *reader_key; /* the same for callers with this query parameter ("client_version"), or NULL */
};

/* The bit of a kind of call in ccp_provider.lacks: CCP_LACKS(EMBED). */
#define CCP_LACKS(op) (1u << CCP_OP_##op)

/* Static and const. The functions run on the exchange's worker and must not block; each may be NULL. */
struct ccp_provider {
    const char *label;    /* for people: "Anthropic API" */
    const char *prefix;   /* first path segment, "claude" */
    unsigned formats;     /* CCP_SPEAKS(...) | ... */
    const char *base_url; /* default, in the form the vendor's SDK takes */
    const char *api_key;  /* default of the row, "${ANTHROPIC_API_KEY:-}", or NULL: works without */
    const char *login;    /* name of the OAuth login, or NULL */
    bool keyless;         /* usable without any credential (mock) */
    struct ccp_header key_header[CCP_FORMAT_MAX]; /* per format: header name and value prefix for an API key */
    const struct ccp_header *headers; /* added when the client sent none of that name; ends with an empty name */

    /* The format to speak upstream; default: the client's if spoken, else the first one. */
    enum ccp_format (*choose)(void *self, struct ccp_exchange *x, enum ccp_format client, struct ccp_span model);
    /* Last word on the upstream request (URL, headers, body pieces); also on ccproxy's own requests for its model list,
     * which are a GET. */
    enum ccp_status (*prepare)(void *self, struct ccp_exchange *x, struct ccp_upstream_request *request);
    /* About an answer with a status of 400 and above to our own credential, before a byte of it reached the client;
     * NULL = the core's own judgement. */
    enum ccp_judgement (*judge)(void *self, struct ccp_exchange *x, int status, struct ccp_span first_bytes);
    const struct ccp_transport *transport; /* NULL = HTTP; called with the plugin's instance */
    /* Ids for the model list when the configuration names none and nothing may be asked upstream. */
    const char *const *models;

    /* Default of the setting: upstream is always asked for a stream, other clients get the collected answer. */
    bool stream_only;
    /* CCP_LACKS(...): calls it has no endpoint for, although its formats have. Token counts are estimated then; without
     * EMBED the older calls of the Chat family (/v1/embeddings, /v1/completions) are not offered. */
    unsigned lacks;
    const struct ccp_body_rule *body_rules[CCP_FORMAT_MAX]; /* by the format spoken upstream; NULL = none */
    const struct ccp_model_list *list;                      /* NULL = its format's own */
    /* Which format to speak depends on the model: list->endpoints tells. The client's own if the model is served in
     * it, else Responses, Messages, Chat; Chat when the list cannot be had. */
    bool choose_by_list;
    /* The client's headers that go upstream from translated requests too, in lower case, NULL-terminated; NULL = none
     */
    const char *const *keeps;
};

#endif
