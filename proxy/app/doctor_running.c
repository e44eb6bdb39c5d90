/*
 * doctor: a ccproxy that is running already. What it says of itself is data of another program: checked for its shape
 * and shown escaped.
 */
#include <app/doctor.h>

#include <app/ask.h>
#include <upstream/upstream.h>

static json_t *ask_json(const struct question *q, const char *path)
{
    struct ccp_buf text;
    const char *why = NULL;
    json_t *value = NULL;
    buf_init(&text, ASK_ANSWER_MAX);
    if (ask(q, path, &text, &why) != 0 && text.n != 0)
        value = json_loadb(text.p, text.n, 0, NULL);
    buf_release(&text);
    return value;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* ", login claude-api (default) ready, until 2026-11-21T10:00:00Z", or nothing. */
static const char *login_of(struct doctor *d, const json_t *check)
{
    const json_t *login = json_object_get(check, "login");
    const char *account = text_of(login, "account"), *until = text_of(login, "expires_at");
    if (login == NULL)
        return "";
    return doctor_text(d, ", login %.64s%s%.64s%s %.20s%s%.30s", text_of(login, "name"), *account != '\0' ? " (" : "",
                       account, *account != '\0' ? ")" : "", text_of(login, "state"), *until != '\0' ? ", until " : "",
                       until);
}

/* "provider:claude_api": {"status": "fail", "output": "run: ccproxy auth login claude-api", "login": {...}} */
static void tell_check(struct doctor *d, const char *name, const json_t *check)
{
    const char *status = text_of(check, "status"), *output = text_of(check, "output");
    const char *text = doctor_text(d, "it says %.100s: %.20s%s%s%.300s", name, status, login_of(d, check),
                                   *output != '\0' ? ", " : "", output);
    if (strcmp(status, "pass") == 0)
        doctor_ok(d, "%s", text);
    else
        doctor_warn(d, NULL, "%s", text);
}

static void tell_health(struct doctor *d, const struct question *q)
{
    const char *name;
    json_t *list, *check;
    size_t i;
    json_t *health = ask_json(q, "/health/ready"), *checks = json_object_get(health, "checks");
    const char *status = text_of(health, "status");
    if (strcmp(status, "fail") == 0)
        doctor_fail(d, EXIT_FAILED, "ccproxy status, and the server's log", "it says that it can serve nobody");
    else if (!json_is_object(checks))
        doctor_warn(d, "name the server's configuration with --config",
                    "it does not tell more: the configuration holds no key of this server");
    json_object_foreach(checks, name, list)
    {
        json_array_foreach(list, i, check)
        {
            tell_check(d, name, check);
        }
    }
    json_decref(health);
}

bool doctor_running(struct doctor *d, const char *where, bool unix_socket, bool whole)
{
    const struct settings *s = &d->rt->settings;
    struct question q = {.key = NULL}; /* shown only to who says that it is a ccproxy */
    if (unix_socket) {
        q.address.unix_socket = where;
        snprintf(q.address.url, sizeof(q.address.url), "http://localhost");
    } else {
        address_bound(ccp_span_z(where), s->server.tls_cert.n != 0, &q.address);
    }
    ask_trust(&q, &s->server);
    json_t *alive = ask_json(&q, "/health/live");
    bool ours = strcmp(text_of(alive, "name"), "ccproxy") == 0;
    if (ours)
        doctor_ok(d, "%s%s: a ccproxy %.40s is running here", unix_socket ? "unix socket " : "", where,
                  text_of(alive, "version"));
    q.key = ask_key(&s->security);
    if (ours && whole)
        tell_health(d, &q);
    json_decref(alive);
    trust_unref(q.trust);
    return ours;
}
