/*
 * What a login says and asks: see auth_show.h. The URL is always printed whole, on a line of its own, so that it can be
 * copied and scripts find it; marks that turn and QR codes only come where there is a terminal for them.
 */
#include <app/auth_show.h>

#include <app/auth_cmd.h>
#include <app/browser.h>
#include <base/clock.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define STEP_MS 250

static void on_visit(void *arg, struct ccp_span url, bool opened)
{
    struct auth_show *s = arg;
    s->typing = !opened && !s->asked && isatty(STDIN_FILENO);
    s->awaited = "waiting for the browser";
    puts(opened ? "A browser is opened with this address:" : "Open this address in a browser:");
    printf("\n%.*s\n\n", CCP_FMT(url));
    if (!opened)
        qr_print(stdout, url.p);
    if (s->typing)
        puts("Waiting for the browser to come back. If it runs on another machine, its last page cannot be shown:\n"
             "paste that page's address here.");
    fflush(stdout);
}

static void print_link(struct ccp_span url)
{
    char text[2048];
    auth_visible(text, sizeof(text), url);
    printf("\n%s\n\n", text);
}

static void on_device(void *arg, const struct ccp_oauth_device *d, bool opened)
{
    struct auth_show *s = arg;
    char code[128];
    struct ccp_span whole = d->verification_uri_complete.n != 0 ? d->verification_uri_complete : d->verification_uri;
    s->awaited = "waiting for the code to be entered";
    puts(opened ? "A browser is opened with this address:" : "Open this address on any machine:");
    print_link(d->verification_uri);
    if (d->user_code.n != 0)
        printf("and enter the code:  %s\n\n", auth_visible(code, sizeof(code), d->user_code));
    if (d->verification_uri_complete.n != 0) {
        puts("or this one, which has the code in it:");
        print_link(d->verification_uri_complete);
    }
    char qr[2048];
    if (whole.n < sizeof(qr) && snprintf(qr, sizeof(qr), "%.*s", CCP_FMT(whole)) > 0)
        qr_print(stdout, qr);
    fflush(stdout);
}

static void on_waiting(void *arg)
{
    struct auth_show *s = arg;
    if (!s->typing)
        spinner_turn(&s->spinner, s->awaited);
}

static void on_say(void *arg, const char *text)
{
    struct auth_show *s = arg;
    spinner_clear(&s->spinner);
    fprintf(stderr, "%s\n", text);
}

/* 1 = a byte, 0 = end of input, -1 = interrupted, or too late. */
static int next_byte(const struct auth_show *s, char *c)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!auth_interrupted(NULL) && clock_ms() < s->end_ms) {
        if (poll(&in, 1, STEP_MS) <= 0)
            continue;
        ssize_t n = read(STDIN_FILENO, c, 1);
        if (n >= 0)
            return (int)n;
        if (errno != EINTR && errno != EAGAIN)
            return 0;
    }
    return -1;
}

/* Not by stdio, whose buffer would hide from poll that a line waits, and would keep the code. What does not fit is
 * dropped to the end of the line: the rest still is longer than any code may be, and is refused for that. */
static bool on_ask(void *arg, char *out, size_t max)
{
    struct auth_show *s = arg;
    size_t n = 0;
    char c = '\0';
    int got;
    spinner_clear(&s->spinner);
    if (!s->typing && terminal_draws(stdout)) {
        fputs("Paste the code, or the whole address of the last page: ", stdout);
        fflush(stdout);
    }
    while ((got = next_byte(s, &c)) == 1 && c != '\n') {
        if (c == '\0')
            c = '\1'; /* refused as the control byte that it is, not taken for the end */
        if (n + 1 < max)
            out[n++] = c;
    }
    out[n] = '\0';
    return got == 1 || (got == 0 && n != 0);
}

static bool on_typed(void *arg)
{
    struct auth_show *s = arg;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return s->typing && poll(&in, 1, 0) > 0;
}

static bool on_open(void *arg, const char *url)
{
    struct auth_show *s = arg;
    return browser_open(url, s->environ);
}

struct login_events auth_show_events(struct auth_show *show)
{
    return (struct login_events){.arg = show,
                                 .visit = on_visit,
                                 .device = on_device,
                                 .waiting = on_waiting,
                                 .ask = on_ask,
                                 .typed = on_typed,
                                 .say = on_say,
                                 .stop = auth_interrupted,
                                 .open = on_open};
}

void auth_show_end(struct auth_show *show)
{
    spinner_clear(&show->spinner);
}
