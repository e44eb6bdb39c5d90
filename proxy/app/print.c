/*
 * Printing for commands: see print.h.
 */
#include <app/print.h>

#include <app/app.h>

json_t *json_span(struct ccp_span s)
{
    json_t *text = json_stringn(s.n != 0 ? s.p : "", s.n);
    return text != NULL ? text : json_string("");
}

int print_json(json_t *value)
{
    if (value == NULL || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) != 0) {
        json_decref(value);
        return complain(EXIT_FAILED, "could not print JSON");
    }
    json_decref(value);
    putchar('\n');
    return EXIT_OK;
}
