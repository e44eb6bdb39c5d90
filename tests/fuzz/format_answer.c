/*
 * One format's reader of answers: whatever the upstream sends, the deltas keep their own grammar (format/delta.h),
 * every fragment is text, the numbers of the usage fit each other, it ends once; and the cut of the reads never shows.
 */
#include "format.h"

struct watch {
    struct ccp_buf log;
    bool started, open, over;
    bool hurried; /* memory is being refused: texts are not looked at */
    enum part_kind kind;
};

static void text_is_good(const struct watch *w, ctext text)
{
    if (!w->hurried)
        must_be_ctext(text);
}

static void open_part(struct watch *w, const struct delta *d)
{
    MUST(w->started && !w->open);
    MUST(d->kind == PART_TEXT || d->kind == PART_REFUSAL || d->kind == PART_THINKING || d->kind == PART_CALL);
    text_is_good(w, d->id);
    text_is_good(w, d->name);
    MUST(d->kind == PART_CALL || (d->id.n == 0 && d->name.n == 0 && !d->custom));
    w->open = true;
    w->kind = d->kind;
}

static void stop(struct watch *w, const struct delta *d)
{
    const struct usage *u = d->usage;
    MUST(w->started && !w->open && d->stop != STOP_NONE && u != NULL);
    MUST(u->reasoning <= u->output && u->cache_write_1h <= u->cache_write);
    text_is_good(w, d->stop_sequence);
    w->over = true;
}

static bool see(void *self, const struct delta *d)
{
    struct watch *w = self;
    MUST(!w->over);
    switch (d->type) {
    case DELTA_START:
        MUST(!w->started);
        w->started = true;
        text_is_good(w, d->id);
        text_is_good(w, d->model);
        break;
    case DELTA_OPEN:
        open_part(w, d);
        break;
    case DELTA_TEXT:
        MUST(w->open && d->kind == w->kind && d->text.n != 0);
        text_is_good(w, d->text);
        break;
    case DELTA_PROOF:
        MUST(w->open && d->kind == w->kind && d->proof.kind != PROOF_NONE && d->proof.text.n != 0);
        text_is_good(w, d->proof.text);
        break;
    case DELTA_CLOSE:
        MUST(w->open);
        w->open = false;
        break;
    case DELTA_STOP:
        stop(w, d);
        break;
    case DELTA_ERROR:
        MUST(d->failure != NULL && d->failure->message.n != 0);
        text_is_good(w, d->failure->message);
        text_is_good(w, d->failure->code);
        w->over = true;
    }
    buf_printf(&w->log, "%d,%d,%d:%.*s:%.*s\n", d->type, d->kind, d->stop, CCP_FMT(d->text), CCP_FMT(d->proof.text));
    return true;
}

static struct watch read_answer(const struct control *c, struct ccp_span text, uint32_t cuts)
{
    struct watch w = {.hurried = c->refused != 0};
    struct arena scratch;
    struct translation t;
    struct answer_from from = {FUZZ_FORMAT, CCP_SPAN("up"), NULL, c->upstream_streams};
    struct answer_to to = {.model = CCP_SPAN("m"), .request_id = CCP_SPAN("req-1")};
    buf_init(&w.log, 1 << 26);
    arena_init(&scratch, NULL, 0);
    refuse_nth(c->refused);
    if (translation_init(&t, &from, FUZZ_FORMAT, &to, true, &scratch, c->narrow ? 700 : 1 << 20)) {
        t.deltas.sink = (struct delta_sink){see, &w};
        feed_cut(&t, text, cuts);
        translation_finish(&t, NULL);
        MUST(w.over || t.broken); /* what ends without memory, ends in the translation */
    }
    refuse_nth(0);
    translation_release(&t);
    arena_end(&scratch);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > SIZE_LIMIT)
        return 0;
    struct control c = control_of(data);
    struct ccp_span text = {(const char *)data + 4, size - 4};
    struct watch whole = read_answer(&c, text, 1), cut = read_answer(&c, text, c.cuts);
    if (c.refused == 0)
        MUST(ccp_span_eq(buf_span(&whole.log), buf_span(&cut.log)));
    buf_release(&whole.log);
    buf_release(&cut.log);
    return 0;
}
