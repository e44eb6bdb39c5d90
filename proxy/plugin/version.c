/*
 * Versions of plugins and of ccproxy: numbers separated by dots, compared part by part.
 */
#include <plugin/runtime.h>

/* Reads the next number and its dot; false = not one. */
static bool next_part(struct ccp_span *s, unsigned long *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9' && n < 9; n++)
        *out = *out * 10 + (unsigned long)(s->p[n] - '0');
    if (n == 0)
        return false;
    *s = ccp_span_skip(*s, n);
    if (s->n == 0)
        return true;
    if (s->p[0] != '.' || s->n == 1)
        return false;
    *s = ccp_span_skip(*s, 1);
    return true;
}

static bool compare(struct ccp_span a, struct ccp_span b, int *order)
{
    *order = 0;
    if (a.n == 0 || b.n == 0)
        return false;
    while (a.n != 0 || b.n != 0) {
        unsigned long x = 0, y = 0;
        if ((a.n != 0 && !next_part(&a, &x)) || (b.n != 0 && !next_part(&b, &y)))
            return false;
        if (*order == 0 && x != y)
            *order = x < y ? -1 : 1;
    }
    return true;
}

bool version_fits(const char *have, struct ccp_span want)
{
    static const struct {
        const char *sign;
        bool less, same, more;
    } signs[] = {{">=", false, true, true}, {"<=", true, true, false}, {">", false, false, true},
                 {"<", true, false, false}, {"=", false, true, false}, {"", false, true, true}};
    int order;
    size_t i = 0;
    want = ccp_span_trim(want);
    if (want.n == 0)
        return true;
    while (!ccp_span_starts(want, ccp_span_z(signs[i].sign)))
        i++;
    if (!compare(ccp_span_z(have), ccp_span_trim(ccp_span_skip(want, strlen(signs[i].sign))), &order))
        return false;
    return order < 0 ? signs[i].less : order > 0 ? signs[i].more : signs[i].same;
}
