/*
 * See tree.h. Recursive descent; the depth is bounded so that the stack is.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>

struct grammar_tree_block {
    struct grammar_tree_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

struct parser {
    struct tree *tree;
    const char *p, *end, *what;
    unsigned depth;
};

void *grammar_tree_memory(struct tree *t, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    struct grammar_tree_block *b = t->blocks;
    if (b == NULL || b->size - b->used < n) {
        size_t size = n > 16384 ? n : 16384;
        b = malloc(sizeof(*b) + size);
        if (b == NULL)
            abort();
        *b = (struct grammar_tree_block){t->blocks, 0, size};
        t->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += n;
    return memset(p, 0, n);
}

void grammar_tree_release(struct tree *t)
{
    while (t->blocks != NULL) {
        struct grammar_tree_block *b = t->blocks;
        t->blocks = b->next;
        free(b);
    }
}

static bool fail(struct parser *p, const char *what)
{
    if (p->what == NULL)
        p->what = what;
    return false;
}

static void space(struct parser *p)
{
    while (p->p < p->end && (*p->p == ' ' || *p->p == '\t' || *p->p == '\n' || *p->p == '\r'))
        p->p++;
}

static bool eat(struct parser *p, char c)
{
    if (p->p == p->end || *p->p != c)
        return false;
    p->p++;
    return true;
}

/* -- strings -- */

static bool hex4(struct parser *p, unsigned *out)
{
    *out = 0;
    if (p->end - p->p < 4)
        return fail(p, "a \\u escape is cut");
    for (int i = 0; i < 4; i++) {
        char c = *p->p++;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return fail(p, "a \\u escape has a letter that is no digit");
        *out = *out * 16 + (unsigned)digit;
    }
    return true;
}

static char *put_code_point(char *at, unsigned c)
{
    if (c < 0x80) {
        *at++ = (char)c;
    } else if (c < 0x800) {
        *at++ = (char)(0xc0 | c >> 6);
        *at++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *at++ = (char)(0xe0 | c >> 12);
        *at++ = (char)(0x80 | (c >> 6 & 63));
        *at++ = (char)(0x80 | (c & 63));
    } else {
        *at++ = (char)(0xf0 | c >> 18);
        *at++ = (char)(0x80 | (c >> 12 & 63));
        *at++ = (char)(0x80 | (c >> 6 & 63));
        *at++ = (char)(0x80 | (c & 63));
    }
    return at;
}

static bool escape(struct parser *p, char **at)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    unsigned c, low;
    if (p->p == p->end)
        return fail(p, "an escape is cut");
    char letter = *p->p++;
    if (letter != 'u') {
        const char *hit = letter != '\0' ? strchr(from, letter) : NULL;
        if (hit == NULL)
            return fail(p, "unknown escape");
        *(*at)++ = to[hit - from];
        return true;
    }
    if (!hex4(p, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00 && p->end - p->p >= 6 && p->p[0] == '\\' && p->p[1] == 'u') {
        const char *before = p->p;
        p->p += 2;
        if (!hex4(p, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            p->p = before;
    }
    *at = put_code_point(*at, c);
    return true;
}

/* Copies one UTF-8 sequence; shortest forms only, no surrogates, nothing beyond U+10FFFF. */
static bool utf8(struct parser *p, char **at)
{
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)*p->p;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    unsigned c = more == 3 ? first & 7u : more == 2 ? first & 15u : first & 31u;
    if (more == 0 || first > 0xf4 || p->end - p->p <= more)
        return fail(p, "not UTF-8");
    for (int i = 1; i <= more; i++) {
        unsigned char next = (unsigned char)p->p[i];
        if ((next & 0xc0) != 0x80)
            return fail(p, "not UTF-8");
        c = c << 6 | (next & 63u);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return fail(p, "not UTF-8");
    memcpy(*at, p->p, (size_t)more + 1);
    *at += more + 1;
    p->p += more + 1;
    return true;
}

static bool string(struct parser *p, struct ccp_span *out)
{
    const char *quote = p->p;
    if (!eat(p, '"'))
        return fail(p, "a string was expected");
    while (quote + 1 < p->end && *++quote != '"')
        quote += *quote == '\\';
    char *text = grammar_tree_memory(p->tree, (size_t)(quote - p->p) + 1), *at = text;
    while (p->p < p->end && *p->p != '"') {
        bool ok = true;
        if ((unsigned char)*p->p < 0x20)
            return fail(p, "a control character inside a string");
        if (*p->p == '\\')
            p->p++, ok = escape(p, &at);
        else if ((unsigned char)*p->p < 0x80)
            *at++ = *p->p++;
        else
            ok = utf8(p, &at);
        if (!ok)
            return false;
    }
    *out = ccp_span_of(text, (size_t)(at - text));
    return eat(p, '"') || fail(p, "a string without an end");
}

/* -- the rest -- */

static size_t digits(struct parser *p)
{
    const char *from = p->p;
    while (p->p < p->end && *p->p >= '0' && *p->p <= '9')
        p->p++;
    return (size_t)(p->p - from);
}

static bool number(struct parser *p, struct node *n)
{
    char copy[400];
    const char *from = p->p;
    eat(p, '-');
    const char *first = p->p;
    size_t whole = digits(p);
    if (whole == 0 || (whole > 1 && *first == '0'))
        return fail(p, "not a number");
    if (eat(p, '.') && digits(p) == 0)
        return fail(p, "a number without digits behind the point");
    if (eat(p, 'e') || eat(p, 'E')) {
        if (!eat(p, '+'))
            eat(p, '-');
        if (digits(p) == 0)
            return fail(p, "a number without digits in its exponent");
    }
    size_t length = (size_t)(p->p - from);
    length = length < sizeof(copy) ? length : sizeof(copy) - 1;
    memcpy(copy, from, length);
    copy[length] = '\0';
    n->number = strtod(copy, NULL);
    n->type = n->number >= -9e15 && n->number <= 9e15 && n->number == (double)(long long)n->number ? INTEGER : REAL;
    return true;
}

static bool word(struct parser *p, const char *word, struct node *n, enum node_type type)
{
    size_t length = strlen(word);
    if ((size_t)(p->end - p->p) < length || memcmp(p->p, word, length) != 0)
        return fail(p, "a value was expected");
    p->p += length;
    n->type = type;
    n->truth = *word == 't';
    return true;
}

static bool value(struct parser *p, struct node *n);

static bool container(struct parser *p, struct node *n, char closing)
{
    struct node **link = &n->child;
    p->p++;
    n->type = closing == '}' ? OBJECT : ARRAY;
    if (++p->depth > TREE_DEPTH)
        return fail(p, "too deep");
    space(p);
    if (eat(p, closing))
        return p->depth--, true;
    do {
        struct node *child = *link = grammar_tree_memory(p->tree, sizeof(*child));
        link = &child->next;
        n->count++;
        space(p);
        if (closing == '}') {
            if (!string(p, &child->key))
                return false;
            space(p);
            if (!eat(p, ':'))
                return fail(p, "a colon was expected");
            space(p);
        }
        if (!value(p, child))
            return false;
        space(p);
    } while (eat(p, ','));
    p->depth--;
    return eat(p, closing) || fail(p, "a comma or the end of a list was expected");
}

static bool value(struct parser *p, struct node *n)
{
    if (p->p == p->end)
        return fail(p, "a value was expected");
    switch (*p->p) {
    case '{':
        return container(p, n, '}');
    case '[':
        return container(p, n, ']');
    case '"':
        n->type = STRING;
        return string(p, &n->text);
    case 't':
        return word(p, "true", n, BOOLEAN);
    case 'f':
        return word(p, "false", n, BOOLEAN);
    case 'n':
        return word(p, "null", n, NIL);
    default:
        return number(p, n);
    }
}

struct node *grammar_tree_read(struct tree *t, struct ccp_span text, const char **what)
{
    struct parser p = {.tree = t, .p = text.p, .end = text.p + text.n};
    struct node *root = grammar_tree_memory(t, sizeof(*root));
    space(&p);
    bool ok = value(&p, root);
    space(&p);
    if (ok && p.p != p.end)
        ok = fail(&p, "something stands behind the value");
    *what = p.what;
    return ok ? root : NULL;
}

const struct node *grammar_tree_get(const struct node *object, const char *key)
{
    for (const struct node *m = object != NULL && object->type == OBJECT ? object->child : NULL; m != NULL; m = m->next)
        if (ccp_span_is(m->key, key))
            return m;
    return NULL;
}

static bool same_members(const struct node *a, const struct node *b)
{
    const struct node *beside = b->child; /* mostly in the same order */
    for (const struct node *m = a->child; m != NULL; m = m->next, beside = beside != NULL ? beside->next : NULL) {
        const struct node *other = beside;
        if (other == NULL || !ccp_span_eq(other->key, m->key))
            for (other = b->child; other != NULL && !ccp_span_eq(other->key, m->key);)
                other = other->next;
        if (other == NULL || !grammar_tree_equal(m, other))
            return false;
    }
    return true;
}

bool grammar_tree_equal(const struct node *a, const struct node *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->type != b->type || a->count != b->count || a->truth != b->truth || a->number != b->number ||
        !ccp_span_eq(a->text, b->text))
        return false;
    if (a->type == OBJECT)
        return same_members(a, b);
    const struct node *y = b->child;
    for (const struct node *x = a->child; x != NULL; x = x->next, y = y->next)
        if (!grammar_tree_equal(x, y))
            return false;
    return true;
}
