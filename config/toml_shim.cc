/*
 * TOML text to C nodes, by toml++. The only C++ of the product.
 *
 * It only parses and walks; what a value means is decided in C. Nothing may be thrown out of toml_read, and a
 * syntax error must never quote the document: a token typed without quotes would end up in a log.
 */
#include "toml_impl.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

extern "C" void secret_wipe(void *p, size_t n);

namespace
{

struct too_deep {
    toml::source_position at;
};

struct walk {
    toml_add *add;
    void *context;
};

void visit(const walk &w, void *parent, std::string_view key, toml::source_position at, toml::node &node, int depth);

void visit_table(const walk &w, void *self, toml::table &table, int depth)
{
    struct member {
        const toml::key *key;
        toml::node *node;
    };
    std::vector<member> members;
    for (auto &&[key, node] : table)
        members.push_back({&key, &node});
    std::sort(members.begin(), members.end(),
              [](const member &a, const member &b) { return a.key->source().begin < b.key->source().begin; });
    for (auto &m : members)
        visit(w, self, m.key->str(), m.key->source().begin, *m.node, depth + 1);
}

void visit(const walk &w, void *parent, std::string_view key, toml::source_position at, toml::node &node, int depth)
{
    if (depth > TOML_MAX_DEPTH)
        throw too_deep{at};
    toml_item item{};
    item.key = key.data();
    item.key_n = key.size();
    item.line = at.line;
    item.column = at.column;
    item.kind = TOML_DATE;
    if (node.is_table())
        item.kind = TOML_TABLE;
    else if (node.is_array())
        item.kind = TOML_ARRAY;
    else if (auto *s = node.as_string()) {
        item.kind = TOML_STRING;
        item.text = s->get().data();
        item.text_n = s->get().size();
    } else if (auto *i = node.as_integer()) {
        item.kind = TOML_INT;
        item.integer = i->get();
    } else if (auto *f = node.as_floating_point()) {
        item.kind = TOML_FLOAT;
        item.real = f->get();
    } else if (auto *b = node.as_boolean()) {
        item.kind = TOML_BOOL;
        item.integer = b->get();
    }
    void *self = w.add(w.context, parent, &item);
    if (self == nullptr)
        throw std::bad_alloc();
    if (auto *table = node.as_table())
        visit_table(w, self, *table, depth);
    else if (auto *array = node.as_array())
        for (auto &element : *array)
            visit(w, self, {}, element.source().begin, element, depth + 1);
}

void wipe(toml::node &node)
{
    if (auto *s = node.as_string())
        secret_wipe(s->get().data(), s->get().size());
    else if (auto *table = node.as_table())
        for (auto &&[key, child] : *table)
            wipe(child);
    else if (auto *array = node.as_array())
        for (auto &child : *array)
            wipe(child);
}

/* Overwrites the strings of a document on every way out. */
struct wiped {
    toml::table table;
    ~wiped()
    {
        wipe(table);
    }
};

/* The parser's sentence without what it quotes from a value. Names of keys that stand twice may stay. */
std::string sentence(std::string_view what)
{
    constexpr std::string_view opening = "Error while parsing ";
    std::string out = "in ";
    if (what.substr(0, opening.size()) == opening)
        what.remove_prefix(opening.size());
    else
        out.clear();
    bool keys = what.find("cannot redefine existing") != std::string_view::npos;
    size_t i = 0;
    while (i < what.size()) {
        size_t open = what.find('\'', i);
        size_t close = open == what.npos ? what.npos : what.find('\'', open + 1);
        if (close == what.npos || keys) {
            out += keys ? what.substr(i) : what.substr(i, open == what.npos ? open : open - i);
            break;
        }
        out += what.substr(i, open - i);
        /* a single character or escape helps to find the place; anything longer is dropped */
        out += close - open <= 3 ? what.substr(open, close - open + 1) : std::string_view("something else");
        i = close + 1;
    }
    return out;
}

toml_result refuse(toml_error *error, std::string_view what, toml::source_position at)
{
    std::snprintf(error->what, sizeof error->what, "%.*s", (int)what.size(), what.data());
    error->line = at.line;
    error->column = at.column;
    return TOML_SYNTAX;
}

} // namespace

extern "C" toml_result toml_read(const char *text, size_t n, toml_add *add, void *context, void *root,
                                 toml_error *error)
{
    try {
        wiped document{toml::parse(std::string_view(text, n))};
        visit_table({add, context}, root, document.table, 0);
        return TOML_OK;
    } catch (const toml::parse_error &e) {
        try {
            return refuse(error, sentence(e.description()), e.source().begin);
        } catch (...) {
            return TOML_NO_MEMORY;
        }
    } catch (const too_deep &e) {
        return refuse(error, "nested too deep", e.at);
    } catch (const std::bad_alloc &) {
        return TOML_NO_MEMORY;
    } catch (const std::exception &) {
        return refuse(error, "not valid TOML", {1, 1});
    } catch (...) {
        return refuse(error, "not valid TOML", {1, 1});
    }
}
