/*
 * The service thread: mailbox, timers, file watching. What happens to one account is in account.c.
 *
 * It never blocks for long itself: the store is read (small local files), everything that waits for locks, networks or
 * a slow disk's fsync runs in a renewal's own thread.
 */
#include <auth/service_impl.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* -- mailbox -- */

static void wake(struct auth *a)
{
    uint64_t one = 1;
    if (write(a->wake_fd, &one, sizeof(one)) != sizeof(one) && errno != EAGAIN)
        log_error("auth", "the credential service cannot be woken");
}

void service_post(struct auth *a, struct message *m)
{
    pthread_mutex_lock(&a->lock);
    if (!m->queued) {
        m->queued = true;
        m->next = NULL;
        *a->last = m;
        a->last = &m->next;
    }
    pthread_mutex_unlock(&a->lock);
    wake(a);
}

void service_recall(struct auth *a, struct message *m)
{
    pthread_mutex_lock(&a->lock);
    for (struct message **at = &a->first; m->queued && *at != NULL; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            a->last = m->next == NULL ? at : a->last;
            m->queued = false;
            break;
        }
    pthread_mutex_unlock(&a->lock);
}

/* The next one, and a copy of its head: a worker may post its wish again as soon as it is out of the list. */
static struct message *take(struct auth *a, struct message *head)
{
    pthread_mutex_lock(&a->lock);
    struct message *m = a->first;
    if (m != NULL) {
        a->first = m->next;
        if (a->first == NULL)
            a->last = &a->first;
        m->queued = false;
        *head = *m;
    }
    pthread_mutex_unlock(&a->lock);
    return m;
}

/* -- events for observers -- */

static struct ccp_span keep(struct message_event *e, size_t *at, struct ccp_span s)
{
    size_t room = sizeof(e->texts) - *at, n = s.n < room ? s.n : room;
    char *p = e->texts + *at;
    if (n != 0)
        memcpy(p, s.p, n);
    *at += n;
    return ccp_span_of(p, n);
}

void service_event(struct auth *a, enum ccp_event event, const struct oauth_provider *p, struct ccp_span account,
                   const char *request, const struct oauth_answer *answer, uint64_t generation)
{
    struct message_event *e = CCP_FAULT("auth.event") ? NULL : calloc(1, sizeof(*e));
    size_t at = 0;
    if (e == NULL)
        return; /* observers are told less, nobody else notices */
    e->m.kind = MSG_EVENT;
    e->event = event;
    e->what = (struct auth_event){.provider = keep(e, &at, p->name),
                                  .account = keep(e, &at, account),
                                  .request = request,
                                  .status = answer != NULL ? answer->status : 0,
                                  .generation = generation};
    if (answer != NULL && answer->result != OAUTH_OK)
        e->what.error = keep(e, &at, ccp_span_z(answer->text));
    service_post(a, &e->m);
}

/* -- slots -- */

struct account *account_new(struct auth *a, size_t slot)
{
    struct account *c = calloc(1, sizeof(*c));
    uint64_t *heard = calloc(a->port.workers + 1, sizeof(*heard));
    if (c == NULL || heard == NULL) {
        free(heard);
        free(c);
        return NULL;
    }
    c->a = a;
    c->slot = slot;
    c->heard = heard;
    return c;
}

void account_release(struct account *c)
{
    loop_timer_stop(&c->a->loop, &c->timer);
    auth_credential_unref(c->credential);
    config_unref(c->config);
    free(c->heard);
    free(c->file);
    free(c);
}

/* Finds or makes the number of this login, account and file. SIZE_MAX = no memory. Under the lock. */
static size_t slot_of(struct auth *a, const struct auth_use *use)
{
    char *text = NULL;
    if (asprintf(&text, "%.*s\n%.*s\n%.*s", CCP_FMT(use->login->name), CCP_FMT(use->account), CCP_FMT(use->file)) < 0)
        return SIZE_MAX;
    for (size_t i = 0; i < a->key_count; i++)
        if (strcmp(a->keys[i]->text, text) == 0) {
            free(text);
            return i;
        }
    struct slot_key **keys = realloc(a->keys, (a->key_count + 1) * sizeof(*keys));
    struct slot_key *key = keys != NULL ? calloc(1, sizeof(*key)) : NULL;
    struct account *account = key != NULL && !CCP_FAULT("auth.account") ? account_new(a, a->key_count) : NULL;
    a->keys = keys != NULL ? keys : a->keys;
    if (account == NULL) {
        free(key);
        free(text);
        return SIZE_MAX;
    }
    key->text = text;
    key->account = account;
    a->keys[a->key_count] = key;
    a->unsettled++;
    return a->key_count++;
}

/* Under the lock. */
static bool list_accounts(struct auth *a, struct message_uses *m)
{
    m->slots = a->key_count;
    m->accounts = calloc(m->slots + 1, sizeof(struct account *));
    for (size_t i = 0; m->accounts != NULL && i < m->slots; i++)
        m->accounts[i] = a->keys[i]->account;
    return m->accounts != NULL;
}

bool auth_set_uses(struct auth *a, struct config *c, struct auth_use *const *uses, size_t n, uint64_t refresh_before_ms)
{
    struct message_uses *m = calloc(1, sizeof(*m) + n * sizeof(m->v[0]));
    bool fine = m != NULL;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; fine && i < n; i++) {
        uses[i]->slot = slot_of(a, uses[i]);
        fine = uses[i]->slot != SIZE_MAX;
        m->v[i] = *uses[i];
    }
    fine = fine && list_accounts(a, m);
    pthread_mutex_unlock(&a->lock);
    if (!fine) {
        free(m);
        return false;
    }
    m->m.kind = MSG_USES;
    m->config = config_ref(c);
    m->refresh_before_ms = refresh_before_ms;
    m->n = n;
    service_post(a, &m->m);
    return true;
}

static void on_uses(struct auth *a, struct message_uses *m)
{
    free(a->accounts);
    a->accounts = m->accounts;
    a->account_count = m->slots;
    for (size_t i = 0; i < a->account_count; i++)
        a->accounts[i]->used = false;
    for (size_t i = 0; i < m->n; i++)
        account_use(a->accounts[m->v[i].slot], &m->v[i], m->config, m->refresh_before_ms);
    config_unref(m->config);
    free(m);
}

static void on_event(struct auth *a, struct message_event *e)
{
    if (a->port.announce != NULL)
        a->port.announce(a->port.self, e->event, &e->what);
    free(e);
}

static void handle(struct auth *a, struct message *m, const struct message *head)
{
    struct account *c = head->slot < a->account_count ? a->accounts[head->slot] : NULL;
    if (c != NULL && (head->kind == MSG_WANTED || head->kind == MSG_REFUSED))
        c->heard[head->worker] = head->number;
    switch (head->kind) {
    case MSG_USES:
        on_uses(a, (struct message_uses *)m);
        break;
    case MSG_WANTED:
        if (c != NULL)
            account_wanted(c);
        break;
    case MSG_REFUSED:
        if (c != NULL)
            account_refused(c, head->serial);
        break;
    case MSG_RENEWED:
    case MSG_BLOCKED:
        renewal_finish(a, m);
        break;
    case MSG_EVENT:
        on_event(a, (struct message_event *)m);
        break;
    }
}

/* -- the thread -- */

static void look_at_files(struct auth *a)
{
    watch_again(a->watch);
    for (size_t i = 0; i < a->account_count; i++)
        if (a->accounts[i]->config != NULL) /* else of a configuration that there was no memory for */
            account_look(a->accounts[i]);
}

static void turn(struct auth *a, uint64_t *look_at)
{
    uint64_t most = *look_at > clock_ms() ? *look_at - clock_ms() : 0, count;
    struct pollfd ready[] = {{.fd = a->wake_fd, .events = POLLIN}, {.fd = watch_fd(a->watch), .events = POLLIN}};
    poll(ready, 2, (int)loop_wait(&a->loop, most < 60000 ? most : 60000));
    if (ready[0].revents != 0 && read(a->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        log_error("auth", "the credential service's mailbox: %s", strerror(errno));
    bool changed = ready[1].revents != 0 && watch_read(a->watch);
    loop_turn(&a->loop);
    struct message head;
    for (struct message *m = take(a, &head); m != NULL; m = take(a, &head))
        handle(a, m, &head);
    if (changed || clock_ms() >= *look_at) {
        look_at_files(a);
        *look_at = clock_ms() + watch_interval(a->watch);
    }
}

static void *run(void *arg)
{
    struct auth *a = arg;
    uint64_t look_at = 0;
    watch_folder(a->watch, store_directory(a->store));
    while (!atomic_load(&a->stopping) || a->renewals != 0)
        turn(a, &look_at);
    return NULL;
}

/* -- life -- */

static void no_wake(struct loop *loop)
{
    (void)loop; /* timers are set on the thread itself, before it sleeps */
}

struct auth *auth_new(struct store *store, const struct auth_port *port)
{
    pthread_condattr_t monotonic;
    struct auth *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->watch = watch_new();
    a->views = calloc(port->workers + 1, sizeof(struct auth_view *));
    if (a->wake_fd < 0 || a->watch == NULL || a->views == NULL) {
        free(a->views);
        watch_free(a->watch);
        if (a->wake_fd >= 0)
            close(a->wake_fd);
        free(a);
        return NULL;
    }
    a->store = store;
    a->port = *port;
    a->last = &a->first;
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    loop_init(&a->loop, no_wake, a);
    return a;
}

bool auth_start(struct auth *a)
{
    a->running = pthread_create(&a->thread, NULL, run, a) == 0;
    if (a->running)
        pthread_setname_np(a->thread, "credentials");
    return a->running;
}

void auth_settle(struct auth *a, uint64_t ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(ms / 1000);
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&a->lock);
    while (a->unsettled != 0 && pthread_cond_timedwait(&a->changed, &a->lock, &end) == 0)
        continue;
    pthread_mutex_unlock(&a->lock);
}

struct auth_report auth_report_copy(struct auth *a, const struct auth_use *use, struct arena *arena)
{
    struct auth_report out = {.state = AUTH_UNKNOWN};
    pthread_mutex_lock(&a->lock);
    if (use->slot < a->key_count) {
        const struct slot_report *r = &a->keys[use->slot]->report;
        out = (struct auth_report){.state = r->state,
                                   .account = arena_dup(arena, ccp_span_z(r->account)),
                                   .text = arena_dup(arena, ccp_span_z(r->text)),
                                   .expires_at = r->expires_at,
                                   .next_attempt_at = r->next_attempt_at,
                                   .degraded = r->degraded};
        credential_may_go(r->credential, use->origin, &out);
    }
    pthread_mutex_unlock(&a->lock);
    return out;
}

void auth_stop(struct auth *a)
{
    if (a == NULL)
        return;
    atomic_store(&a->stopping, true);
    wake(a);
    if (a->running)
        pthread_join(a->thread, NULL);
    a->running = false;
}

/* What was posted and never handled. The nodes of wishes belong to the views. */
static void drop_messages(struct auth *a)
{
    struct message head;
    for (struct message *m = take(a, &head); m != NULL; m = take(a, &head))
        if (head.kind == MSG_USES) {
            config_unref(((struct message_uses *)m)->config);
            free(((struct message_uses *)m)->accounts);
            free(m);
        } else if (head.kind == MSG_EVENT || head.kind == MSG_BLOCKED) {
            free(m);
        }
}

void auth_free(struct auth *a)
{
    if (a == NULL)
        return;
    drop_messages(a);
    for (size_t i = 0; i < a->key_count; i++) {
        account_release(a->keys[i]->account);
        auth_credential_unref(a->keys[i]->report.credential);
        free(a->keys[i]->text);
        free(a->keys[i]);
    }
    free(a->views);
    free(a->accounts);
    free(a->keys);
    loop_release(&a->loop);
    watch_free(a->watch);
    store_free(a->store);
    close(a->wake_fd);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
