/*
 * Values as TOML text, on one line. What is written here reads back as the same value: `expands` says whether the
 * reader will look for ${NAME} (the file), or take every string as it is (the state).
 */
#include <config/config_impl.h>

static bool write_string(struct ccp_buf *out, struct ccp_span s, bool expands)
{
    buf_addz(out, "\"");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '"' || ch == '\\')
            buf_printf(out, "\\%c", ch);
        else if (expands && ch == '$' && i + 1 < s.n && s.p[i + 1] == '{')
            buf_addz(out, "$$"); /* not to be expanded again */
        else if (ch < 0x20 || ch == 0x7f)
            buf_printf(out, "\\u%04x", ch);
        else
            buf_add(out, ccp_span_of(s.p + i, 1));
    }
    return buf_addz(out, "\"");
}

bool toml_write_key(struct ccp_buf *out, struct ccp_span key)
{
    bool bare = key.n != 0;
    for (size_t i = 0; i < key.n; i++) {
        char ch = key.p[i], low = (char)(ch | 32);
        bare = bare && ((low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-');
    }
    return bare ? buf_add(out, key) : write_string(out, key, false);
}

static bool write_object(struct ccp_buf *out, const json_t *value, bool expands)
{
    const char *key, *comma = "";
    json_t *m;
    buf_addz(out, "{");
    json_object_foreach((json_t *)value, key, m)
    {
        buf_printf(out, "%s ", comma);
        toml_write_key(out, ccp_span_z(key));
        buf_addz(out, " = ");
        toml_write(out, m, expands);
        comma = ",";
    }
    return buf_addz(out, comma[0] != '\0' ? " }" : "}");
}

static bool write_array(struct ccp_buf *out, const json_t *value, bool expands)
{
    size_t i;
    json_t *m;
    buf_addz(out, "[");
    json_array_foreach(value, i, m)
    {
        buf_addz(out, i != 0 ? ", " : "");
        toml_write(out, m, expands);
    }
    return buf_addz(out, "]");
}

static bool write_real(struct ccp_buf *out, double v)
{
    char room[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(room, sizeof(room), "%.*g", digits, v);
        if (strtod(room, NULL) == v)
            break;
    }
    buf_add(out, ccp_span_of(room, (size_t)n));
    return strpbrk(room, ".en") != NULL || buf_addz(out, ".0");
}

bool toml_write(struct ccp_buf *out, const json_t *value, bool expands)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(out, value, expands);
    case JSON_ARRAY:
        return write_array(out, value, expands);
    case JSON_STRING:
        return write_string(out, ccp_span_of(json_string_value(value), json_string_length(value)), expands);
    case JSON_INTEGER:
        return buf_printf(out, "%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        return write_real(out, json_real_value(value));
    default:
        return buf_addz(out, json_is_true(value) ? "true" : "false");
    }
}
