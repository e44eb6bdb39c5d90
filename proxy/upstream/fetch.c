/*
 * The blocking variant for the command line and for logins: one request, one answer in memory.
 *
 * Same easy-handle options, address rules and trust as a transfer; no loop, no pool, no connection reuse. So a request
 * leaves once at most, and whether it left at all is known: who sends a token that works once has to know.
 */
#include <upstream/upstream_impl.h>

#include <base/clock.h>
#include <base/fault.h>

struct fetch {
    struct call call;
    struct head head;
    struct ccp_buf *out;
    uint64_t seen_ms, awake_ms; /* when the limits were looked at last; time that counts for them */
    const char *why;            /* what we found wrong */
    bool timed_out, too_large;
};

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    enum head_result result = head_line(&f->head, ccp_span_of(p, size * n));

    if (result == HEAD_MORE || result == HEAD_COMPLETE)
        return size * n;
    f->why = "the answer has a malformed or too large head";
    return CURL_WRITEFUNC_ERROR;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;

    if (buf_add(f->out, ccp_span_of(p, size * n)))
        return size * n;
    /* The buffer says `failed` for memory, too; only what does not fit was really too much. */
    f->too_large = size * n > f->out->max - f->out->n;
    f->why = f->too_large ? "the answer is too large" : "out of memory";
    return CURL_WRITEFUNC_ERROR;
}

static long as_long(uint64_t n)
{
    return (long)(n < INT32_MAX ? n : INT32_MAX);
}

static bool apply(struct fetch *f, CURL *easy)
{
    const struct ccp_upstream_limits *limits = &f->call.request->limits;

    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    if (limits->idle_ms != 0) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, as_long((limits->idle_ms + 999) / 1000));
    }
    return call_apply(&f->call, easy) &&
           (f->call.unix_socket == NULL ||
            curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, f->call.unix_socket) == CURLE_OK);
}

/* curl has one code for every limit; before a connection was used it was the connect timeout. */
static const char *timeout_phrase(const struct fetch *f)
{
    return f->call.sends == 0 ? "no connection in time" : "the answer did not arrive in time";
}

enum { TURN_MS = 1000 };

/* Which limit has run out, or NULL. Only time in which this process ran counts: one that was stopped (a signal, a
 * frozen container) finds the answer waiting in its socket, and must not throw a token away that exists only there.
 * curl's own CURLOPT_TIMEOUT_MS looks at the clock before it looks at the socket. */
static const char *over_limit(struct fetch *f)
{
    const struct ccp_upstream_limits *limits = &f->call.request->limits;
    uint64_t now = clock_ms(), gap = now - f->seen_ms;

    f->seen_ms = now;
    f->awake_ms += gap <= 2 * TURN_MS ? gap : 0;
    if (limits->total_ms != 0 && f->awake_ms >= limits->total_ms)
        return timeout_phrase(f);
    if (limits->first_byte_ms != 0 && !f->head.complete && f->awake_ms >= limits->first_byte_ms)
        return "no answer within the first byte timeout";
    return NULL;
}

static int next_look_ms(const struct fetch *f)
{
    const struct ccp_upstream_limits *limits = &f->call.request->limits;
    uint64_t wait = TURN_MS;

    if (limits->total_ms != 0 && limits->total_ms - f->awake_ms < wait)
        wait = limits->total_ms - f->awake_ms;
    if (limits->first_byte_ms != 0 && !f->head.complete && limits->first_byte_ms - f->awake_ms < wait)
        wait = limits->first_byte_ms - f->awake_ms;
    return (int)wait;
}

/* curl_easy_perform, but that our limits are looked at after the socket. */
static CURLcode drive(struct fetch *f, CURLM *multi)
{
    int running = 1, left;

    f->seen_ms = clock_ms();
    for (;;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        if (running == 0)
            break;
        f->why = over_limit(f);
        f->timed_out = f->why != NULL;
        if (f->timed_out)
            return CURLE_OPERATION_TIMEDOUT;
        if (curl_multi_poll(multi, NULL, 0, next_look_ms(f), NULL) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
    }
    CURLMsg *end = curl_multi_info_read(multi, &left);
    return end != NULL && end->msg == CURLMSG_DONE ? end->data.result : CURLE_OUT_OF_MEMORY;
}

static CURLcode run(struct fetch *f, CURL *easy)
{
    CURLM *multi = CCP_FAULT("fetch.multi") ? NULL : curl_multi_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (multi != NULL && curl_multi_add_handle(multi, easy) == CURLM_OK) {
        code = drive(f, multi);
        curl_multi_remove_handle(multi, easy);
    }
    curl_multi_cleanup(multi);
    return code;
}

static const char *judge(struct fetch *f, CURL *easy, CURLcode code)
{
    f->timed_out |= code == CURLE_OPERATION_TIMEDOUT;
    if (f->why != NULL)
        return f->why;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return timeout_phrase(f);
    if (code != CURLE_OK)
        return failure_phrase(&f->call, easy, code, f->head.complete);
    return f->head.complete ? NULL : "no final answer";
}

#define RETRY_AFTER_MAX_S (366 * 24 * 3600) /* beyond is no answer to anybody */

static void read_retry_after(CURL *easy, struct upstream_answer *answer)
{
    curl_off_t seconds = 0;

    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0 &&
        seconds <= RETRY_AFTER_MAX_S)
        answer->retry_after_ms = (uint64_t)seconds * 1000;
}

static void perform(struct fetch *f, struct upstream_answer *answer)
{
    CURL *easy = easy_new();

    answer->why = "out of memory";
    if (easy == NULL)
        return;
    if (apply(f, easy)) {
        answer->why = judge(f, easy, run(f, easy));
        read_retry_after(easy, answer);
    }
    curl_easy_cleanup(easy);
}

/* RFC 9110 section 5.6.7. Nothing is said when it is none, as for a server without a clock. */
static void read_date(struct ccp_span value, struct upstream_answer *answer)
{
    char text[64];
    time_t date;

    if (value.n >= sizeof(text))
        return;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    date = curl_getdate(text, NULL);
    answer->date = date > 0 ? date : 0;
}

/* The media type alone, in lower case; empty when there is none or it is longer than any that is known. Date and what
 * is left of a limit, too. */
static void read_fields(const struct head *head, struct upstream_answer *answer)
{
    struct ccp_header *fields = malloc((head_count(head) + 1) * sizeof(*fields));

    if (fields == NULL)
        return;
    head_fields(head, fields);
    for (size_t i = 0; i < head_count(head); i++) {
        if (ccp_span_is(fields[i].name, "date"))
            read_date(fields[i].value, answer);
        if (ccp_span_is(fields[i].name, "x-ratelimit-remaining"))
            answer->used_up = ccp_span_is(ccp_span_trim(fields[i].value), "0");
        struct ccp_span type = ccp_span_trim(ccp_span_of(fields[i].value.p, ccp_span_find(fields[i].value, ';')));
        if (!ccp_span_is(fields[i].name, "content-type") || type.n >= sizeof(answer->content_type))
            continue;
        for (size_t k = 0; k < type.n; k++)
            answer->content_type[k] = type.p[k] >= 'A' && type.p[k] <= 'Z' ? (char)(type.p[k] | 0x20) : type.p[k];
        answer->content_type[type.n] = '\0';
    }
    free(fields);
}

/* The default store is loaded only when a certificate has to be checked. */
static const char *find_trust(struct fetch *f, struct trust **own)
{
    const char *why = NULL;

    *own = NULL;
    f->call.trust = (struct trust *)(uintptr_t)f->call.request->trust;
    if (f->call.trust == NULL && ccp_span_ieq(f->call.url.scheme, CCP_SPAN("https")))
        f->call.trust = *own = trust_load(NULL, &why);
    return why;
}

/* OpenSSL's words for a certificate that was refused: what the operator has to look for. */
static void read_detail(const struct fetch *f, struct upstream_answer *answer)
{
    size_t n = 0;

    if (answer->why == NULL || strcmp(answer->why, "TLS verification failed") != 0)
        return;
    for (; n < sizeof(answer->detail) - 1 && f->call.error[n] != '\0'; n++)
        answer->detail[n] = f->call.error[n] >= 0x20 && f->call.error[n] < 0x7f ? f->call.error[n] : '?';
    answer->detail[n] = '\0';
}

bool upstream_fetch(const char *unix_socket, const struct ccp_upstream_request *request, struct ccp_buf *out,
                    struct upstream_answer *answer)
{
    struct fetch f = {.call.unix_socket = unix_socket, .out = out};
    struct trust *own = NULL;

    *answer = (struct upstream_answer){.status = 0};
    head_init(&f.head);
    answer->why = call_init(&f.call, request);
    if (answer->why == NULL)
        answer->why = find_trust(&f, &own);
    if (answer->why == NULL)
        perform(&f, answer);
    trust_unref(own);
    answer->sent = f.call.sends != 0;
    answer->status = f.head.complete ? f.head.status : 0;
    answer->timed_out = f.timed_out;
    answer->too_large = f.too_large;
    read_fields(&f.head, answer);
    read_detail(&f, answer);
    call_release(&f.call);
    head_release(&f.head);
    return answer->why == NULL;
}
