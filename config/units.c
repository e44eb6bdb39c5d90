/*
 * Sizes ("32MiB", "1 KiB/s") and durations ("500ms", "10s", "1h30m"): text to number and back.
 *
 * Fractions are exact where the result is a whole number of bytes or milliseconds, else rounded down; what does not
 * fit is refused. Showing uses the largest unit that divides, so that what is shown reads back as the same number.
 */
#include <config/config_impl.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},          {"K", 1 << 10},           {"KB", 1000},        {"KiB", 1 << 10},   {"M", 1 << 20},
    {"MB", 1000000},   {"MiB", 1 << 20},         {"G", 1ull << 30},   {"GB", 1000000000}, {"GiB", 1ull << 30},
    {"T", 1ull << 40}, {"TB", 1000000000000ull}, {"TiB", 1ull << 40}, {NULL, 0},
};
static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static bool digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* Reads "12.5" as 12500000000 / 10^9. */
static bool read_number(struct ccp_span *text, unsigned __int128 *nano)
{
    unsigned __int128 v = 0;
    size_t i = 0, whole, fraction = 0;
    for (; i < text->n && digit(text->p[i]) && i < 20; i++)
        v = v * 10 + (unsigned)(text->p[i] - '0');
    whole = i;
    if (whole == 0)
        return false;
    if (i + 1 < text->n && text->p[i] == '.' && digit(text->p[i + 1]))
        for (i++; i < text->n && digit(text->p[i]) && fraction < 9; i++, fraction++)
            v = v * 10 + (unsigned)(text->p[i] - '0');
    if (i < text->n && digit(text->p[i]))
        return false; /* too long to mean anything */
    for (; fraction < 9; fraction++)
        v *= 10;
    *nano = v;
    *text = ccp_span_skip(*text, i);
    return true;
}

static uint64_t read_unit(struct ccp_span *text, const struct unit *units)
{
    size_t n = 0;
    while (n < text->n && ((text->p[n] | 32) >= 'a' && (text->p[n] | 32) <= 'z'))
        n++;
    for (const struct unit *u = units; u->name != NULL; u++)
        if (ccp_span_ieq(ccp_span_of(text->p, n), ccp_span_z(u->name))) {
            *text = ccp_span_skip(*text, n);
            return u->factor;
        }
    return 0;
}

static bool add_part(uint64_t *total, unsigned __int128 nano, uint64_t factor)
{
    unsigned __int128 v = nano / 1000000000u * factor + nano % 1000000000u * factor / 1000000000u;
    if (v > INT64_MAX || v + *total > INT64_MAX)
        return false;
    *total += (uint64_t)v;
    return true;
}

const char *units_size(struct ccp_span text, uint64_t *out)
{
    static const char expected[] = "expected a size such as 65536, \"64KiB\" or \"32MiB\"";
    unsigned __int128 nano;
    uint64_t factor = 1, total = 0;
    text = ccp_span_trim(text);
    if (!read_number(&text, &nano))
        return expected;
    text = ccp_span_trim(text);
    if (ccp_span_ends(text, CCP_SPAN("/s")))
        text.n -= 2;
    text = ccp_span_trim(text);
    if (text.n != 0 && ((factor = read_unit(&text, size_units)) == 0 || text.n != 0))
        return expected;
    if (!add_part(&total, nano, factor))
        return "too large";
    *out = total;
    return NULL;
}

const char *units_duration(struct ccp_span text, uint64_t *out)
{
    static const char expected[] = "expected a duration such as 30, \"500ms\", \"10s\", \"5m\" or \"1h\"";
    unsigned __int128 nano;
    uint64_t total = 0;
    text = ccp_span_trim(text);
    for (bool first = true; first || text.n != 0; first = false) {
        uint64_t factor = 1000;
        if (!read_number(&text, &nano))
            return expected;
        text = ccp_span_trim(text);
        if (text.n == 0 && !first)
            return expected; /* "1h30": thirty what? */
        if (text.n != 0 && (factor = read_unit(&text, time_units)) == 0)
            return expected;
        if (!add_part(&total, nano, factor))
            return "too long";
        text = ccp_span_trim(text);
    }
    *out = total;
    return NULL;
}

const char *config_duration(struct ccp_span text, uint64_t *ms)
{
    return units_duration(text, ms);
}

static struct ccp_span show(uint64_t v, const struct unit *units, size_t count, char *room, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (v != 0 && v % units[i].factor == 0) {
            int len = snprintf(room, n, "%llu%s", (unsigned long long)(v / units[i].factor), units[i].name);
            return ccp_span_of(room, (size_t)len);
        }
    return CCP_SPAN("0");
}

struct ccp_span units_show_size(uint64_t bytes, char *room, size_t n)
{
    static const struct unit units[] = {{"GiB", 1ull << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};
    return show(bytes, units, 4, room, n);
}

struct ccp_span units_show_duration(uint64_t ms, char *room, size_t n)
{
    static const struct unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    return ms == 0 ? CCP_SPAN("0s") : show(ms, units, 4, room, n);
}
