/*
 * Actions of plugins: POST /plugins/<name>/<action>. The core reads the input and sees that it fits the schema, so a
 * plugin's function starts from a tree it can trust.
 */
#include <base/clock.h>
#include <chain/local_impl.h>
#include <wire/json.h>
#include <wire/schema.h>

const struct ccp_action *action_find(const struct plugin_instance *p, struct ccp_span name)
{
    for (const struct ccp_action *a = p->manifest->actions; a != NULL && a->name != NULL; a++)
        if (ccp_span_is(name, a->name))
            return a;
    return NULL;
}

/* The input as a tree that lives as long as the exchange; NULL = failed. No body is {}. */
static struct ccp_json *read_input(struct exchange *x)
{
    struct ccp_json *root = NULL;
    struct ccp_json_error e;
    if (!body_decode(x))
        return NULL;
    if (x->body.n == 0)
        x->body = CCP_SPAN("{}");
    enum ccp_status status = json_parse(&x->arena, x->body, &root, &e);
    if (status == CCP_OK)
        return root;
    if (status == CCP_OVERLOADED)
        exchange_fail(x, status, "out of memory");
    else
        exchange_fail(x, CCP_BAD_JSON, "the request body is not valid JSON: %s at line %zu, column %zu (byte %zu)",
                      e.what, e.line, e.column, e.offset);
    return NULL;
}

static bool input_fits(struct exchange *x, const struct ccp_action *a, const struct ccp_json *input)
{
    struct ccp_json *schema;
    struct schema_fault fault;
    const char *text = a->input != NULL ? a->input : "{\"type\": \"object\", \"additionalProperties\": false}";
    enum ccp_status status = json_parse(&x->arena, ccp_span_z(text), &schema, NULL);
    if (status != CCP_OK) /* it was checked when the plugin was */
        exchange_fail(x, status == CCP_OVERLOADED ? status : CCP_INTERNAL, "the action's schema cannot be read");
    else if (!schema_fits(&x->arena, schema, input, &fault))
        exchange_fail(x, fault.no_memory ? CCP_OVERLOADED : CCP_BAD_REQUEST, "%s: %s",
                      fault.no_memory ? "input" : fault.path, fault.no_memory ? "out of memory" : fault.what);
    return x->status == CCP_OK;
}

enum ccp_verdict action_run(struct exchange *x, const struct plugin_instance *p, const struct ccp_action *a)
{
    if (!ccp_span_is(x->req.method, "POST"))
        return local_only(x, "POST");
    if (p->unit == NULL) {
        exchange_fail(x, CCP_NOT_FOUND, "plugin %s is not running: %s", p->manifest->name,
                      p->state == PLUGIN_DISABLED ? "it is disabled" : "it has failed, see /plugins/status");
        return CCP_FAILED;
    }
    if (!local_callable(x, p->unit, ccp_span_z(p->manifest->name)))
        return CCP_FAILED;
    const struct ccp_json *input = read_input(x);
    if (input == NULL || !input_fits(x, a, input))
        return CCP_FAILED;
    uint64_t began = guard_begin(p->unit);
    enum ccp_verdict verdict = a->run(p->unit->self, &x->pub, input);
    guard_end(p->unit, a->name, began);
    return local_verdict(x, p->unit, a->name, verdict);
}
