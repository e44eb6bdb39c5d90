/*
 * See generate.h.
 */
#include "generate.h"
#include "wire.h"

static const struct {
    const char *p;
    size_t n;
} pieces[] = {
#define P(text)                                                                                                        \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
    P("hello "),           P("\"quoted\""),  P("back\\slash"),  P("\n"),      P("\t"),         P("\r\n"),
    P("\xf0\x9f\x98\x80"), P("\xc3\xa9"),    P("\xe2\x80\xa8"), P("a\0b"),    P("\x01\x1f"),   P("</script>"),
    P("{\"a\":1}"),        P("data: x\n\n"), P("[DONE]"),       P("\\u0041"), P("%s%n"),       P("\x7f"),
    P("\xef\xbf\xbd"),     P("/path/to"),    P("line\nbreak"),  P("word"),    P("Error here"), P("\xf4\x8f\xbf\xbf"),
#undef P
};

/* Begins and ends with a letter: a text of blanks only is nothing to some formats. */
static json_t *some_text(uint32_t *seed)
{
    char text[400] = "t";
    size_t n = 1;
    for (uint32_t i = rnd_below(seed, 8); i != 0; i--) {
        size_t k = rnd_below(seed, sizeof(pieces) / sizeof(pieces[0]));
        memcpy(text + n, pieces[k].p, pieces[k].n);
        n += pieces[k].n;
    }
    text[n++] = (char)('a' + rnd_below(seed, 26));
    return json_stringn(text, n);
}

static json_t *some_value(uint32_t *seed, unsigned depth)
{
    static const char *const numbers[] = {"#0",    "#-0",  "#12345678901234567890", "#1e-06",
                                          "#2.50", "#-17", "#9007199254740993",     "#1E+400"};
    uint32_t kind = rnd_below(seed, depth < 3 ? 7 : 5);
    if (kind < 2)
        return some_text(seed);
    if (kind == 2)
        return json_string(numbers[rnd_below(seed, 8)]);
    if (kind < 5)
        return kind == 3 ? json_boolean(rnd_below(seed, 2)) : json_null();
    json_t *all = kind == 5 ? json_array() : json_object();
    for (uint32_t i = rnd_below(seed, 4); i != 0; i--) {
        char key[32];
        snprintf(key, sizeof(key), "k\xc3\xa9y \"%u", (unsigned)i);
        if (kind == 5)
            json_array_append_new(all, some_value(seed, depth + 1));
        else
            json_object_set_new(all, key, some_value(seed, depth + 1));
    }
    return all;
}

static json_t *some_arguments(uint32_t *seed)
{
    json_t *all = json_object();
    static const char *const keys[] = {"city", "deep", "n", "\xf0\x9f\x98\x80"};
    for (uint32_t i = rnd_below(seed, 4); i != 0; i--)
        json_object_set_new(all, keys[i], some_value(seed, 0));
    return all;
}

static json_t *add_part(json_t *parts, const char *kind)
{
    json_t *part = json_object();
    json_object_set_new(part, "kind", json_string(kind));
    json_array_append_new(parts, part);
    return part;
}

static void add_text(json_t *parts, uint32_t *seed)
{
    json_object_set_new(add_part(parts, "text"), "text", some_text(seed));
}

static void add_image(json_t *parts, uint32_t *seed, bool url)
{
    static const char *const mimes[] = {"image/png", "image/jpeg", "image/webp", "image/gif"};
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char data[64] = "";
    json_t *part = add_part(parts, "image");
    if (url) {
        snprintf(data, sizeof(data), "https://example.com/%u/cat.png?a=1&b=2", (unsigned)rnd_below(seed, 1000));
        json_object_set_new(part, "url", json_string(data));
        return;
    }
    for (size_t i = 0; i < 4 * (1 + rnd_below(seed, 12)); i++)
        data[i] = digits[rnd_below(seed, 64)];
    json_object_set_new(part, "mime", json_string(mimes[rnd_below(seed, 4)]));
    json_object_set_new(part, "data", json_string(data));
}

static json_t *add_turn(json_t *turns, const char *role)
{
    json_t *turn = json_object(), *parts = json_array();
    json_object_set_new(turn, "role", json_string(role));
    json_object_set_new(turn, "parts", parts);
    json_array_append_new(turns, turn);
    return parts;
}

static void add_call(json_t *parts, uint32_t *seed, unsigned serial)
{
    static const char *const prefixes[] = {"toolu_01", "call_", "fc-", "x"};
    static const char *const names[] = {"get_weather", "read_file", "Bash", "mcp__server__tool-x"};
    json_t *part = add_part(parts, "call");
    char id[64];
    snprintf(id, sizeof(id), "%s%08x%u", prefixes[rnd_below(seed, 4)], (unsigned)rnd(seed), serial);
    json_object_set_new(part, "id", json_string(id));
    json_object_set_new(part, "name", json_string(names[rnd_below(seed, 4)]));
    json_object_set_new(part, "arguments", some_arguments(seed));
}

/* An error is one plain text: formats without a flag for it say it in words in front. */
static void add_result(json_t *parts, const json_t *call, uint32_t *seed)
{
    json_t *part = add_part(parts, "result"), *inner = json_array();
    bool failed = rnd_below(seed, 6) == 0;
    json_object_set(part, "id", js_get(call, "id"));
    json_object_set(part, "name", js_get(call, "name"));
    json_object_set_new(part, "parts", inner);
    if (failed)
        json_object_set_new(part, "failed", json_true());
    uint32_t kind = failed ? 1 : rnd_below(seed, 5);
    if (kind == 0) {
        json_t *value = some_arguments(seed);
        json_object_set_new(value, "always", json_string("there"));
        json_object_set_new(add_part(inner, "text"), "text", json_text_of(value));
        json_decref(value);
        return;
    }
    add_text(inner, seed);
    if (kind == 2)
        add_text(inner, seed);
    if (kind == 3)
        add_image(inner, seed, false);
}

static void add_step(json_t *turns, uint32_t *seed, unsigned *serial)
{
    json_t *said = add_turn(turns, "assistant");
    uint32_t calls = rnd_below(seed, 4);
    if (calls == 0 || rnd_below(seed, 2))
        add_text(said, seed);
    for (uint32_t i = 0; i < calls; i++)
        add_call(said, seed, (*serial)++);
    json_t *next = add_turn(turns, "user");
    for (size_t i = 0; i < json_array_size(said); i++)
        if (js_is(js_get(js_at(said, i), "kind"), "call"))
            add_result(next, js_at(said, i), seed);
    for (uint32_t i = calls == 0 ? 1 + rnd_below(seed, 2) : rnd_below(seed, 2); i != 0; i--)
        add_text(next, seed);
    if (rnd_below(seed, 4) == 0)
        add_image(next, seed, rnd_below(seed, 2));
}

static void add_tools(json_t *neutral, uint32_t *seed)
{
    static const char *const names[] = {"get_weather", "read_file", "Bash", "mcp__server__tool-x"};
    json_t *tools = json_array();
    for (uint32_t i = 0; i < 4; i++) {
        json_t *schema = json_pack("{s:s,s:{s:{s:s,s:O}},s:[s],s:b}", "type", "object", "properties", "city", "type",
                                   "string", "description", json_null(), "required", "city", "additionalProperties", 0);
        json_t *tool = json_object();
        json_object_set_new(js_get(js_get(schema, "properties"), "city"), "description", some_text(seed));
        json_object_set_new(tool, "name", json_string(names[i]));
        json_object_set_new(tool, "description", some_text(seed));
        json_object_set_new(tool, "schema", schema);
        json_array_append_new(tools, tool);
    }
    json_object_set_new(neutral, "tools", tools);
}

json_t *conversation(uint32_t *seed, unsigned steps)
{
    json_t *neutral = json_object(), *turns = json_array();
    unsigned serial = 0;
    char max[16];
    snprintf(max, sizeof(max), "#%u", 100 + (unsigned)rnd_below(seed, 4000));
    json_object_set_new(neutral, "max", json_string(max));
    if (rnd_below(seed, 3) != 0)
        json_object_set_new(neutral, "system", some_text(seed));
    add_tools(neutral, seed);
    json_t *first = add_turn(turns, "user");
    add_text(first, seed);
    if (rnd_below(seed, 3) == 0)
        add_image(first, seed, rnd_below(seed, 2));
    if (rnd_below(seed, 3) == 0)
        add_text(first, seed);
    for (unsigned i = 0; i < steps; i++)
        add_step(turns, seed, &serial);
    json_object_set_new(neutral, "turns", turns);
    return neutral;
}
