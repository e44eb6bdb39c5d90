/*
 * The pages of the loopback listener: static HTML without scripts, pictures or anything from elsewhere.
 *
 * They repeat nothing of a request but a server's error text, escaped; never a code or a state. The policy forbids all
 * loading and allows one style by its hash, so that even text that slips through escaping could do nothing.
 */
#include <auth/callback_impl.h>

#include <base/buf.h>
#include <base/log.h>

#define STYLE                                                                                                          \
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;"        \
    "padding:0 1.5rem}h1{font-size:1.4rem}blockquote{margin:1rem 0;padding:.5rem 1rem;border-left:3px solid;"          \
    "overflow-wrap:anywhere}"
/* SHA-256 of STYLE; the black-box test computes it again. */
#define STYLE_HASH "sha256-5wnDzVu7jXPNMB0q7o4W2AURbQPOmjb3H2ctfXd7YTA="

#define COMMON                                                                                                         \
    "Cache-Control: no-store\r\n"                                                                                      \
    "Referrer-Policy: no-referrer\r\n"                                                                                 \
    "Content-Security-Policy: default-src 'none'; style-src '" STYLE_HASH "'; base-uri 'none'; form-action 'none'; "   \
    "frame-ancestors 'none'\r\n"                                                                                       \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "Connection: close\r\n"

struct page {
    const char *title, *text;
    char note[CALLBACK_NOTE_MAX * 6 + 64]; /* ready HTML */
};

struct refusal {
    int status;
    const char *reason, *title, *text;
};

static const struct refusal refusals[] = {
    {400, "Bad Request", "This is not the answer that ccproxy waits for",
     "It belongs to another login, or it was used before. If a login is still waiting, it can go on: use the page that "
     "it opened."},
    {404, "Not Found", "There is nothing here", "This address only takes the answer of a login."},
    {405, "Method Not Allowed", "Not like this", "The answer of a login comes as a GET request."},
    {414, "URI Too Long", "Too long", "An address of this length is not the answer of a login."},
    {421, "Misdirected Request", "Wrong address", "This address only answers under its loopback names."},
    {431, "Request Header Fields Too Large", "Too long", "The header of this request is too large."},
};

static size_t finish(char out[CALLBACK_PAGE_MAX], const char *first_line, const struct page *p, bool head_only)
{
    char body[CALLBACK_PAGE_MAX - 1024];
    int n = snprintf(body, sizeof(body),
                     "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                     "content=\"width=device-width\"><title>ccproxy</title><style>" STYLE "</style></head>\n"
                     "<body><h1>%s</h1><p>%s</p>%s</body></html>\n",
                     p->title, p->text, p->note);
    int m = snprintf(out, CALLBACK_PAGE_MAX,
                     "HTTP/1.1 %s\r\n"
                     "Content-Type: text/html; charset=utf-8\r\n"
                     "Content-Length: %d\r\n" COMMON "\r\n%s",
                     first_line, n, head_only ? "" : body);
    return (size_t)m;
}

size_t callback_refusal(char out[CALLBACK_PAGE_MAX], int status, bool head_only)
{
    const struct refusal *r = &refusals[0];
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].status == status)
            r = &refusals[i];
    char first[80];
    snprintf(first, sizeof(first), "%d %s%s", r->status, r->reason, r->status == 405 ? "\r\nAllow: GET" : "");
    return finish(out, first, &(struct page){.title = r->title, .text = r->text}, head_only);
}

size_t callback_redirect(char out[CALLBACK_PAGE_MAX], const char *to)
{
    int n = snprintf(out, CALLBACK_PAGE_MAX,
                     "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n" COMMON "\r\n", to);
    return (size_t)n;
}

/* Control bytes and what is not UTF-8 have been made visible; here what HTML gives a meaning loses it. */
static void escape_html(char *out, size_t max, const char *text)
{
    size_t n = 0;
    for (; *text != '\0' && n + 8 < max; text++) {
        const char *entity = *text == '<'    ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '&'  ? "&amp;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\'' ? "&#39;"
                                             : NULL;
        if (entity == NULL)
            out[n++] = *text;
        else
            n += (size_t)snprintf(out + n, max - n, "%s", entity);
    }
    out[n] = '\0';
}

static void set_note(struct page *p, const char *note)
{
    char visible[CALLBACK_NOTE_MAX + 1], html[CALLBACK_NOTE_MAX * 6 + 1];
    size_t n = log_escape(visible, CALLBACK_NOTE_MAX, ccp_span_z(note), false);
    visible[n] = '\0';
    escape_html(html, sizeof(html), visible);
    if (n != 0)
        snprintf(p->note, sizeof(p->note), "<blockquote>%s</blockquote>", html);
}

size_t callback_outcome(char out[CALLBACK_PAGE_MAX], bool good, const char *note)
{
    struct page p = {.title = "You are logged in",
                     .text = "ccproxy has stored the login. You can close this window and go back to the terminal."};
    if (!good) {
        p.title = "The login did not work";
        p.text = "Nothing was stored. You can close this window; the terminal says more.";
        set_note(&p, note);
    }
    return finish(out, "200 OK", &p, false);
}
