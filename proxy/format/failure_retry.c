/*
 * When to try again: the vendors' many ways to say so, as milliseconds from now.
 */
#include <base/clock.h>
#include <format/failure_impl.h>

#include <stdio.h>
#include <time.h>

#define RETRY_MAX_MS ((uint64_t)366 * 24 * 3600 * 1000) /* beyond is no answer to anybody */

const struct ccp_header *failure_header(const struct ccp_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (ccp_span_ieq(headers[i].name, ccp_span_z(name)))
            return &headers[i];
    return NULL;
}

static uint64_t sane(uint64_t ms)
{
    return ms <= RETRY_MAX_MS ? ms : 0;
}

/* A decimal number in millionths, what lies below them rounded up. *s goes behind it. False: none, or too large. */
static bool millionths(struct ccp_span *s, uint64_t *out)
{
    uint64_t value = 0, scale = 1000000;
    size_t digits = 0;
    bool fraction = false, rest = false;
    for (; s->n != 0; *s = ccp_span_skip(*s, 1)) {
        char c = s->p[0];
        if (c == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        digits++;
        if (!fraction) {
            value = value * 10 + (uint64_t)(c - '0') * scale;
            if (value > (uint64_t)1000000000000 * 1000000)
                return false;
        } else if (scale > 1) {
            scale /= 10;
            value += (uint64_t)(c - '0') * scale;
        } else {
            rest = rest || c != '0';
        }
    }
    *out = value + rest;
    return digits != 0;
}

/* Milliseconds of one number with its unit, rounded up. */
static bool piece(struct ccp_span *s, uint64_t *ms)
{
    static const struct {
        struct ccp_span unit;
        uint64_t times, by; /* ms = millionths * times / by */
    } units[] = {{CCP_LIT("ms"), 1, 1000000},
                 {CCP_LIT("s"), 1, 1000},
                 {CCP_LIT("m"), 60, 1000},
                 {CCP_LIT("h"), 3600, 1000},
                 {CCP_LIT("d"), 86400, 1000}};
    uint64_t value;
    if (!millionths(s, &value))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (ccp_span_starts(*s, units[i].unit)) {
            *s = ccp_span_skip(*s, units[i].unit.n);
            *ms =
                value > UINT64_MAX / 86400 - 1 ? UINT64_MAX : (value * units[i].times + units[i].by - 1) / units[i].by;
            return true;
        }
    *ms = (value + 999) / 1000;
    return s->n == 0;
}

uint64_t failure_duration_ms(struct ccp_span text)
{
    uint64_t total = 0;
    text = ccp_span_trim(text);
    while (text.n != 0) {
        uint64_t ms;
        if (!piece(&text, &ms) || ms > RETRY_MAX_MS)
            return 0;
        total += ms;
        if (total > RETRY_MAX_MS)
            return 0;
    }
    return total;
}

static uint64_t until(uint64_t unix_ms)
{
    uint64_t now = clock_unix_us() / 1000;
    return unix_ms > now ? sane(unix_ms - now) : 0;
}

/* Unix seconds, as text. */
static uint64_t until_unix(struct ccp_span text)
{
    uint64_t value;
    text = ccp_span_trim(text);
    return millionths(&text, &value) && text.n == 0 ? until(value / 1000) : 0;
}

/* RFC 9110 5.6.7: IMF-fixdate is the only form that is still sent. */
static uint64_t until_date(struct ccp_span text)
{
    char copy[40];
    struct tm tm = {0};
    text = ccp_span_trim(text);
    if (text.n == 0 || text.n >= sizeof(copy))
        return 0;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    time_t at = end != NULL && *end == '\0' ? timegm(&tm) : -1;
    return at > 0 ? until((uint64_t)at * 1000) : 0;
}

/* OpenAI's two limits: the one that is spent counts; when neither says so, the one that is free again first. */
static uint64_t by_rate_limit(const struct ccp_header *headers, size_t n)
{
    static const char *const names[][2] = {
        {"x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"},
        {"x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"},
    };
    uint64_t spent = 0, other = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct ccp_header *reset = failure_header(headers, n, names[i][0]);
        const struct ccp_header *left = failure_header(headers, n, names[i][1]);
        uint64_t ms = reset != NULL ? failure_duration_ms(reset->value) : 0;
        if (left != NULL && ccp_span_is(left->value, "0"))
            spent = ms > spent ? ms : spent;
        else if (ms != 0 && (other == 0 || ms < other))
            other = ms;
    }
    return spent != 0 ? spent : other;
}

uint64_t failure_retry_of_headers(const struct ccp_header *headers, size_t n, bool limited)
{
    const struct ccp_header *h = failure_header(headers, n, "retry-after-ms");
    uint64_t value, ms = 0;
    struct ccp_span text = h != NULL ? ccp_span_trim(h->value) : CCP_SPAN("");
    if (h != NULL && millionths(&text, &value) && text.n == 0)
        ms = sane((value + 999999) / 1000000);
    h = failure_header(headers, n, "retry-after");
    if (ms == 0 && h != NULL)
        ms = failure_duration_ms(h->value);
    if (ms == 0 && h != NULL)
        ms = until_date(h->value);
    if (ms == 0 && limited)
        ms = by_rate_limit(headers, n);
    h = failure_header(headers, n, "anthropic-ratelimit-unified-reset");
    return ms == 0 && limited && h != NULL ? until_unix(h->value) : ms;
}

static struct ccp_span scalar(const struct ccp_json *v)
{
    if (v != NULL && v->type == CCP_JSON_NUMBER)
        return v->raw;
    return ccp_json_inner(v);
}

uint64_t failure_retry_of_json(const struct ccp_json *error)
{
    uint64_t ms = failure_duration_ms(scalar(ccp_json_get(error, "resets_in_seconds")));
    if (ms == 0)
        ms = until_unix(scalar(ccp_json_get(error, "resets_at")));
    const struct ccp_json *details = ccp_json_get(error, "details");
    if (details != NULL && details->type == CCP_JSON_ARRAY)
        for (const struct ccp_json *d = details->child; ms == 0 && d != NULL; d = d->next)
            ms = failure_duration_ms(scalar(ccp_json_get(d, "retryDelay")));
    return ms;
}
