/*
 * Requests that change the server: who may make them, and the exchange's side of a job. See admin.h.
 */
#include <chain/admin.h>

#include <base/fault.h>
#include <base/secret.h>
#include <chain/local_impl.h>
#include <wire/json.h>

enum { BODY_MAX = 1024 * 1024, ANSWER_MAX = 4 * 1024 * 1024 };

void chain_worker_set_admin(struct chain_worker *w, const struct admin_port *port)
{
    w->admin = port;
}

bool admin_allowed(struct exchange *x)
{
    if (!x->admin)
        exchange_fail(x, CCP_FORBIDDEN,
                      "changes need an admin key (security.keys with admin = true), or the unix socket while there is "
                      "none");
    return x->admin;
}

/* -- jobs -- */

static struct admin_job *job_new(const struct exchange *x, enum admin_verb verb, const char *plugin,
                                 struct ccp_span text)
{
    size_t name = strlen(plugin);
    struct admin_job *job = CCP_FAULT("admin.job") ? NULL : calloc(1, sizeof(*job) + name + 1 + text.n);
    if (job == NULL)
        return NULL;
    char *at = memcpy((char *)(job + 1), plugin, name + 1);
    job->plugin = ccp_span_of(at, name);
    if (text.n != 0)
        memcpy(at + name + 1, text.p, text.n);
    job->text = ccp_span_of(at + name + 1, text.n);
    job->verb = verb;
    job->worker = x->w->number;
    buf_init(&job->answer, ANSWER_MAX);
    return job;
}

void admin_drop(struct admin_job *job)
{
    if (job->text.n != 0)
        secret_wipe((char *)job->text.p, job->text.n); /* settings may be secrets */
    buf_release(&job->answer);
    free(job);
}

/* The exchange is over before its answer came. */
static void forget(void *arg)
{
    struct admin_job *job = arg;
    job->x = NULL;
}

void admin_answered(void *arg)
{
    struct admin_job *job = arg;
    struct exchange *x = job->x;
    if (x != NULL)
        x->park_cancel = NULL;
    if (x != NULL && x->state == X_PARKED) { /* else it was aborted in this turn */
        if (job->answer.failed || job->status == 0) {
            exchange_fail(x, CCP_OVERLOADED, "out of memory");
            answer_failure(x);
        } else {
            if (job->status == 503)
                answer_header(x, CCP_SPAN("retry-after"), CCP_SPAN("2"));
            answer_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
            answer_whole(x, job->status, LOCAL_JSON, buf_span(&job->answer));
        }
    }
    admin_drop(job);
}

static enum ccp_verdict submit(struct exchange *x, enum admin_verb verb, const struct plugin_instance *p,
                               struct ccp_span text)
{
    struct admin_job *job = NULL;
    if (x->w->draining && verb != ADMIN_SHOW)
        exchange_fail(x, CCP_SHUTTING_DOWN, "ccproxy is shutting down");
    else if (x->w->admin == NULL)
        exchange_fail(x, CCP_OVERLOADED, "this server cannot be changed");
    else if ((job = job_new(x, verb, p->manifest->name, text)) == NULL)
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
    if (job == NULL)
        return CCP_FAILED;
    job->x = x; /* before it is handed over; only this thread looks at it */
    if (!x->w->admin->submit(x->w->admin->self, job)) {
        admin_drop(job);
        exchange_fail(x, CCP_OVERLOADED, "too many changes wait already; try again");
        return CCP_FAILED;
    }
    x->pub.api->park(&x->pub, forget, job);
    exchange_state(x, X_PARKED);
    return CCP_WAIT;
}

/* -- requests -- */

/* The body of a change: a JSON object of a reasonable size. */
static bool read_changes(struct exchange *x)
{
    struct ccp_json *root;
    struct ccp_json_error e;
    if (!body_decode(x))
        return false;
    enum ccp_status status = x->body.n > BODY_MAX ? CCP_TOO_LARGE : json_parse(&x->work, x->body, &root, &e);
    if (status == CCP_TOO_LARGE)
        exchange_fail(x, status, "settings are 1 MiB at most");
    else if (status == CCP_OVERLOADED)
        exchange_fail(x, status, "out of memory");
    else if (status != CCP_OK)
        exchange_fail(x, CCP_BAD_JSON, "the request body is not valid JSON: %s at line %zu, column %zu (byte %zu)",
                      e.what, e.line, e.column, e.offset);
    else if (root->type != CCP_JSON_OBJECT)
        exchange_fail(x, CCP_BAD_REQUEST, "the request body is not an object: {\"key\": value}");
    return x->status == CCP_OK;
}

static const struct {
    const char *word;
    enum admin_verb verb;
} verbs[] = {
    {"enable", ADMIN_ENABLE}, {"disable", ADMIN_DISABLE}, {"restart", ADMIN_RESTART}, {"reload", ADMIN_RELOAD}};

enum ccp_verdict admin_serve(struct exchange *x, const struct plugin_instance *p, struct ccp_span word)
{
    bool post = ccp_span_is(x->req.method, "POST");
    if (ccp_span_is(word, "config")) {
        if (local_is_get(x))
            return submit(x, ADMIN_SHOW, p, CCP_SPAN(""));
        if (!post)
            return local_only(x, "GET, HEAD, POST");
        return read_changes(x) ? submit(x, ADMIN_CONFIG, p, x->body) : CCP_FAILED;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (ccp_span_is(word, verbs[i].word))
            return post ? submit(x, verbs[i].verb, p, CCP_SPAN("")) : local_only(x, "POST");
    return local_not_found(x, word);
}
