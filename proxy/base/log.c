/*
 * The log: formatting and rings. See log.h; log_sink.c has the thread, log_file.c the descriptor, log_limit.c counts
 * the lines of each kind.
 *
 * Each thread that logs owns one ring of bytes with one writer (the thread) and one reader (the log thread), so
 * no line waits for another and nothing locks. A record is a struct log_mark and the line. What does not fit is
 * dropped and counted.
 */
#include <base/clock.h>
#include <base/log.h>
#include <base/log_impl.h>

#include <unistd.h>

/* The log is the one service every area may call, down to the signal handling of main: its state is global. */
struct log_state log_global = {.level = CCP_LOG_INFO, .fd = STDERR_FILENO, .wake_fd = -1};
static __thread struct log_ring *own_ring;
static __thread unsigned own_run;

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

bool log_enabled(enum ccp_log_level level)
{
    return (int)level >= atomic_load_explicit(&log_global.level, memory_order_relaxed);
}

enum log_format log_current_format(void)
{
    return (enum log_format)atomic_load_explicit(&log_global.format, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load(&log_global.dropped);
}

static struct log_ring *ring_of_thread(void)
{
    unsigned current = atomic_load(&log_global.run);
    if (own_run != current) {
        own_ring = NULL; /* log_stop has freed it */
        own_run = current;
    }
    if (own_ring == NULL && (own_ring = calloc(1, sizeof(*own_ring))) != NULL) {
        struct log_ring *head = atomic_load(&log_global.rings);
        do
            own_ring->next = head;
        while (!atomic_compare_exchange_weak(&log_global.rings, &head, own_ring));
    }
    return own_ring;
}

static void ring_copy_in(struct log_ring *r, size_t at, const char *p, size_t n)
{
    size_t first = LOG_RING - at % LOG_RING;
    if (first > n)
        first = n;
    memcpy(r->bytes + at % LOG_RING, p, first);
    memcpy(r->bytes, p + first, n - first);
}

static bool ring_push(struct log_ring *r, const struct log_mark *mark, const char *bytes)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (mark->n + sizeof(*mark) > LOG_RING - (head - tail))
        return false;
    ring_copy_in(r, head, (const char *)mark, sizeof(*mark));
    ring_copy_in(r, head + sizeof(*mark), bytes, mark->n);
    atomic_store_explicit(&r->head, head + sizeof(*mark) + mark->n, memory_order_seq_cst);
    return true;
}

void log_wake(void)
{
    if (atomic_exchange(&log_global.asleep, 0)) {
        uint64_t one = 1;
        ssize_t written = write(log_global.wake_fd, &one, sizeof(one));
        (void)written; /* a full counter means that it is awake already */
    }
}

static bool running(void)
{
    return atomic_load_explicit(&log_global.running, memory_order_acquire);
}

static void put(const struct log_mark *mark, const char *bytes)
{
    if (!running()) {
        log_sink_direct(ccp_span_of(bytes, mark->written));
        return;
    }
    struct log_ring *r = ring_of_thread();
    if (r == NULL || !ring_push(r, mark, bytes))
        atomic_fetch_add_explicit(&log_global.dropped, 1, memory_order_relaxed);
    else
        log_wake();
}

/* C1 controls, line and paragraph separators, bidirectional marks, overrides and isolates, the byte order mark */
static bool deceives(const unsigned char *p)
{
    if (p[0] == 0xc2 || p[0] == 0xd8)
        return p[0] == 0xc2 ? p[1] < 0xa0 : p[1] == 0x9c;
    if (p[0] == 0xe2 && p[1] == 0x80)
        return (p[2] >= 0xa8 && p[2] <= 0xae) || p[2] == 0x8e || p[2] == 0x8f;
    return (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9) ||
           (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf);
}

/* Length of the valid UTF-8 sequence at p, 0 = none. Line separators count as control. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return deceives(p) ? 0 : want;
}

size_t log_escape(char *out, size_t max, struct ccp_span s, bool json)
{
    size_t o = 0;
    for (size_t i = 0; i < s.n && o + 7 < max;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c >= 0x80 ? utf8_length((const unsigned char *)s.p + i, s.n - i) : 1;
        if (n > 1) {
            memcpy(out + o, s.p + i, n);
            o += n;
            i += n;
            continue;
        }
        if (json && (c == '"' || c == '\\'))
            out[o++] = '\\', out[o++] = (char)c;
        else if (c >= 0x20 && c < 0x7f)
            out[o++] = (char)c;
        else
            o += (size_t)snprintf(out + o, 7, json ? "\\u%04x" : "\\x%02x", c);
        i++;
    }
    return o;
}

static size_t stamp(char *out, size_t max, uint64_t us)
{
    time_t seconds = (time_t)(us / 1000000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, max, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, max - n, ".%03uZ", (unsigned)(us / 1000u % 1000u));
}

/* Before and behind `who` and the text in a line. */
#define JSON_LINE "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":\"%.*s\"}\n"
#define JSON_WHO  (sizeof("{\"time\":\"\",\"level\":\"\",\"area\":\"") - 1)
#define JSON_TEXT (sizeof("\",\"message\":\"") - 1)

static size_t format_at(char *out, size_t max, const char *who, struct ccp_span text, struct log_mark *mark)
{
    char safe[3072], when[40];
    const char *level = level_names[mark->level];
    bool json = log_current_format() == LOG_JSON;
    size_t safe_n = log_escape(safe, sizeof(safe), text, json), when_n = stamp(when, sizeof(when), mark->unix_us);
    int n = json ? snprintf(out, max, JSON_LINE, when, level, who, (int)safe_n, safe)
                 : snprintf(out, max, "%s %-5s %s: %.*s\n", when, level, who, (int)safe_n, safe);
    size_t written = (size_t)n < max ? (size_t)n : max - 1;
    size_t who_n = strlen(who), who_at = when_n + (json ? JSON_WHO + strlen(level) : 7);
    size_t text_at = who_at + who_n + (json ? JSON_TEXT : 2);
    bool whole = text_at + safe_n < written;
    mark->n = mark->written = (uint32_t)written;
    mark->who_at = (uint16_t)who_at;
    mark->who_n = (uint16_t)(whole ? who_n : 0);
    mark->text_at = (uint16_t)text_at;
    mark->text_n = (uint16_t)(whole ? safe_n : 0);
    mark->json = json;
    return written;
}

size_t log_format(char *out, size_t max, enum ccp_log_level level, const char *who, struct ccp_span text)
{
    struct log_mark mark = {.level = (uint8_t)level, .unix_us = clock_unix_us()};
    return format_at(out, max, who, text, &mark);
}

bool log_room(const char *who, struct ccp_span kind)
{
    return !running() || log_limit_pass(ccp_span_z(who), kind, clock_unix_us() / 1000000u);
}

static void write_text(struct log_mark mark, const char *who, const char *fmt, va_list ap)
{
    char text[2048], line[LOG_LINE_MAX];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    format_at(line, sizeof(line), who, ccp_span_of(text, length), &mark);
    put(&mark, line);
}

/* Debug lines are asked for by name and come whole. The limit and the stamp mean the same second. */
void log_vwrite(enum ccp_log_level level, const char *who, const char *fmt, va_list ap)
{
    uint64_t us = clock_unix_us();
    if (!log_enabled(level) || level >= CCP_LOG_OFF)
        return;
    if (level == CCP_LOG_DEBUG || !running() || log_limit_pass(ccp_span_z(who), ccp_span_z(fmt), us / 1000000u))
        write_text((struct log_mark){.level = (uint8_t)level, .unix_us = us}, who, fmt, ap);
}

void log_write(enum ccp_log_level level, const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vwrite(level, who, fmt, ap);
    va_end(ap);
}

void log_bulk(enum ccp_log_level level, const char *who, const char *fmt, ...)
{
    va_list ap;
    if (!log_enabled(level) || level >= CCP_LOG_OFF)
        return;
    va_start(ap, fmt);
    write_text((struct log_mark){.level = (uint8_t)level, .bulk = true, .unix_us = clock_unix_us()}, who, fmt, ap);
    va_end(ap);
}

void log_line(const char *who, struct ccp_span line)
{
    char copy[8192 + 256];
    size_t who_n = strlen(who);
    who_n = who_n < 255 ? who_n : 255;
    if (line.n >= 8192)
        line.n = 8191;
    memcpy(copy, line.p, line.n);
    copy[line.n] = '\n';
    memcpy(copy + line.n + 1, who, who_n);
    struct log_mark mark = {.n = (uint32_t)(line.n + 1 + who_n),
                            .written = (uint32_t)(line.n + 1),
                            .who_at = (uint16_t)(line.n + 1),
                            .who_n = (uint16_t)who_n,
                            .text_n = (uint16_t)line.n,
                            .level = CCP_LOG_INFO,
                            .unix_us = log_tap_is_wanted() ? clock_unix_us() : 0};
    put(&mark, copy);
}
