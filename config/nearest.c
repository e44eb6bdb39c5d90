/*
 * "Did you mean": the known name that is closest to what was written.
 *
 * Edit distance with swapped neighbours counted once; case does not count, nor does '-' for '_'. Long names are not
 * compared at all, so the cost is bounded.
 */
#include <config/config_impl.h>

#define NAME_MAX_LENGTH 48

static char fold(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch + 'a' - 'A') : ch == '-' ? '_' : ch;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t distance(struct ccp_span a, struct ccp_span b)
{
    size_t rows[3][NAME_MAX_LENGTH + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = fold(a.p[i - 1]), y = fold(b.p[j - 1]);
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b.p[j - 2]) && fold(a.p[i - 2]) == y && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.n];
}

const char *config_nearest(struct ccp_span name, const char *const *known, size_t n)
{
    const char *best = NULL;
    size_t limit = name.n <= 3 ? 1 : name.n <= 7 ? 2 : 3, best_distance = limit + 1;
    if (name.n > NAME_MAX_LENGTH)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct ccp_span candidate = ccp_span_z(known[i]);
        if (candidate.n > NAME_MAX_LENGTH || candidate.n > name.n + limit || name.n > candidate.n + limit)
            continue;
        size_t d = distance(name, candidate);
        if (d < best_distance && d < (candidate.n > name.n ? candidate.n : name.n)) {
            best = known[i];
            best_distance = d;
        }
    }
    return best;
}
