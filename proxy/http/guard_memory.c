/*
 * h2o's input and output buffers under the memory budget: h2o_buffer_reserve and h2o_buffer__do_free are ours, whole.
 *
 * h2o doubles a buffer by copying until memory ends, reads from a socket for as long as bytes come, and dies when
 * malloc fails. Here every buffer is charged; the whole body gets its room at once when its length is known and the
 * first GUARD_EARNED bytes of it have come (so that a thousand clients that announce 32 MiB hold nothing); one read
 * takes what fits; and growth is refused when the budget or the connection's share is spent.
 *
 * What is refused: the rest of a body goes into a scratch block and is thrown away while `size` counts on, and
 * request.c answers 503 (or 413) in the client's format; the bytes of such a body must never be looked at
 * (guard_body_lost). A chunked body of HTTP/1 is decoded in place, so there, and when malloc fails, h2o gets a NULL,
 * takes it for the end of memory and closes the connection, or resets the stream (as REFUSED_STREAM: nothing was done
 * yet). Everywhere else h2o does not check: such buffers are small, get what they ask for, and the connection is cut.
 *
 * Each block has a prefix that names the connection it is held for. Blocks never outlive their connection.
 */
#include <http/http_impl.h>

#include <base/assert.h>
#include <base/budget.h>
#include <base/fault.h>

#define FIRST_LOOK 8192         /* of a head that is not complete, before it is looked at */
#define CIPHERTEXT (32 * 1024)  /* before it is decrypted; with a partial frame it fits into GUARD_EARNED */
#define LOST_READ  (256 * 1024) /* of a body that is thrown away, before other connections get their turn */
#define READ_NEED  4096         /* what h2o's read loop asks for */
#define REFUSED    7            /* REFUSED_STREAM, RFC 9113 section 7 */

struct block {
    struct guard *owner; /* NULL = unknown: ciphertext, or no connection of ours */
    size_t charged;
    bool lost; /* what comes is not kept */
    h2o_buffer_t buffer;
};

#define PREFIX      offsetof(struct block, buffer)
#define OVERHEAD    (PREFIX + offsetof(h2o_buffer_t, _buf))
#define BLOCK_OF(b) ((struct block *)((char *)(b)-PREFIX))

/* Bodies that nobody wants go here; what is in it is never read. */
static __thread char scratch[64 * 1024];
/* The connections of the worker that runs on this thread, by the address of their input: h2o reads before it says for
 * whom. The table is the worker's. */
static __thread struct guard **slots;
static __thread bool refused; /* h2o was just given NULL for the body of an HTTP/2 stream, and resets it next */
static __thread unsigned long freed;

static unsigned slot_of(h2o_buffer_t **input)
{
    return (unsigned)(((uintptr_t)input >> 4) * 0x9e3779b1u >> 16) % GUARD_SLOTS;
}

void guard_memory_serve(struct guard **table)
{
    slots = table;
}

static struct conn *conn_of_guard(struct guard *g)
{
    return (struct conn *)((char *)g - offsetof(struct conn, guard));
}

void guard_memory_open(struct guard *g, struct st_h2o_socket_t *sock)
{
    struct guard_memory *m = &g->memory;
    struct guard **head = &conn_of_guard(g)->w->memory_slots[slot_of(&sock->input)];
    m->input = &sock->input;
    m->next = *head;
    m->prev = head;
    if (m->next != NULL)
        m->next->memory.prev = &m->next;
    *head = g;
}

void guard_memory_close(struct guard *g)
{
    struct guard_memory *m = &g->memory;
    CCP_ASSERT(m->held == 0);
    *m->prev = m->next;
    if (m->next != NULL)
        m->next->memory.prev = m->prev;
}

static struct guard *owner_of(h2o_buffer_t **slot)
{
    struct guard *g = slots != NULL ? slots[slot_of(slot)] : NULL;
    while (g != NULL && g->memory.input != (void *)slot)
        g = g->memory.next;
    return g != NULL ? g : guard_current();
}

void guard_memory_handled(struct guard *g, struct st_h2o_socket_t *sock)
{
    g->memory.seen = sock->input->size;
}

void guard_body_expected(struct guard *g, size_t head, const struct phr_header *headers, size_t n)
{
    static const char name[] = "content-length";
    g->memory.want = g->memory.length = 0;
    for (size_t i = 0; i < n; i++) {
        if (headers[i].name_len != sizeof(name) - 1 || !h2o_lcstris(headers[i].name, sizeof(name) - 1, name, 14))
            continue;
        size_t length = h2o_strtosize(headers[i].value, headers[i].value_len);
        if (length != SIZE_MAX && length < SIZE_MAX / 4) {
            g->memory.length = length;
            g->memory.want = head + length;
        }
    }
}

void guard_stream_expected(struct guard *g, size_t content_length)
{
    unsigned i = g->stream_id / 2 % GUARD_LENGTHS;
    g->memory.streams[i].id = g->stream_id;
    g->memory.streams[i].length = content_length < UINT32_MAX ? (uint32_t)content_length : 0;
}

bool guard_body_lost(const struct guard *g, struct ccp_span body)
{
    if (!g->h2)
        return g->memory.lost;
    return body.n != 0 && ((const struct block *)(body.p - OVERHEAD))->lost; /* a buffer of its own, from its start */
}

static size_t room(const h2o_buffer_t *b)
{
    return b->capacity - b->size - (size_t)(b->bytes - b->_buf);
}

static h2o_iovec_t end_of(h2o_buffer_t *b)
{
    return h2o_iovec_init(b->bytes + b->size, room(b));
}

static void charge(struct block *k, struct guard *owner, size_t bytes)
{
    k->owner = owner;
    k->charged = bytes;
    k->lost = false;
    if (owner != NULL)
        owner->memory.held += bytes;
    budget_take(bytes);
}

static void discharge(struct block *k)
{
    if (k->owner != NULL)
        k->owner->memory.held -= k->charged;
    budget_give(k->charged);
}

/* Does h2o's caller look whether it got NULL? See the head of this file. */
static bool may_refuse(const struct guard *owner, h2o_buffer_prototype_t *prototype)
{
    struct guard *current = guard_current();
    if (prototype != &h2o_socket_buffer_prototype)
        return false;
    return current == NULL || (owner != NULL && owner->h2 && !owner->block_open);
}

/* h2o's own allocator ends the process when there is no memory. */
static struct block *allocate(size_t n, h2o_mem_recycle_t *spare, bool may_fail)
{
    h2o_mem_recycle_t none = {0};
    if (spare != NULL && spare->cnt != 0)
        return h2o_mem_alloc_recycle(spare, n);
    if (!may_fail)
        return h2o_mem_alloc_recycle(&none, n);
    return CCP_FAULT("http.buffer") ? NULL : malloc(n);
}

/* The first block of a buffer; small ones are recycled by h2o's prototype. */
static bool begin(h2o_buffer_t **slot, size_t need)
{
    h2o_buffer_prototype_t *prototype = H2O_STRUCT_FROM_MEMBER(h2o_buffer_prototype_t, _initial_buf, *slot);
    size_t standard = prototype->_initial_buf.capacity, capacity = need > standard ? need : standard;
    struct guard *owner = owner_of(slot);
    struct block *k =
        allocate(OVERHEAD + capacity, need <= standard ? &prototype->allocator : NULL, may_refuse(owner, prototype));
    if (k == NULL)
        return false;
    charge(k, owner, OVERHEAD + capacity);
    k->buffer = (h2o_buffer_t){.capacity = capacity, ._prototype = prototype, ._fd = -1};
    k->buffer.bytes = k->buffer._buf;
    if (owner != NULL && owner->memory.input == (void *)slot)
        owner->memory.seen = 0;
    *slot = &k->buffer;
    return true;
}

/* The size at which the buffer holds all that is to come, 0 = unknown. */
static size_t whole(h2o_buffer_t **slot, const struct guard *g)
{
    if (g == NULL || (*slot)->_prototype != &h2o_socket_buffer_prototype) /* an output buffer knows no such size */
        return 0;
    if (g->memory.input == (void *)slot)
        return g->h2 ? 0 : g->memory.want;
    unsigned i = g->stream_id / 2 % GUARD_LENGTHS;
    return g->h2 && guard_current() == g && g->memory.streams[i].id == g->stream_id ? g->memory.streams[i].length : 0;
}

static size_t new_capacity(const h2o_buffer_t *b, size_t need, size_t wanted)
{
    size_t least = b->size + need, capacity = b->capacity;
    if (wanted != 0 && wanted + READ_NEED >= least) {
        if (wanted <= GUARD_EARNED || b->size >= GUARD_EARNED)
            return wanted + READ_NEED;
        if (least <= GUARD_EARNED && capacity < GUARD_EARNED)
            return GUARD_EARNED;
    }
    while (capacity < least && capacity <= SIZE_MAX / 4)
        capacity *= 2;
    return capacity <= b->capacity ? b->capacity * 2 : capacity;
}

/* One connection may hold half of everything, or one body if that is more. */
static size_t share(struct guard *g)
{
    uint64_t half = budget_limit() / 2, body = conn_of_guard(g)->w->options.max_body_bytes * 2 + GUARD_EARNED;
    return half > body ? half : body;
}

static bool affordable(const h2o_buffer_t *b, struct guard *owner, size_t capacity)
{
    size_t more = capacity - b->capacity;
    if (capacity <= GUARD_EARNED + READ_NEED)
        return true;
    if (owner != NULL && owner->memory.held + more > share(owner))
        return false;
    enum budget_level level = budget_level(more);
    bool begun = b->capacity > GUARD_EARNED + READ_NEED; /* it was let in when there was room */
    return level != BUDGET_FULL && (begun || budget_level(0) == BUDGET_FREE);
}

static bool grow(h2o_buffer_t **slot, struct guard *owner, size_t capacity)
{
    h2o_buffer_t *b = *slot;
    bool may_fail = may_refuse(owner, b->_prototype);
    if (may_fail && !affordable(b, owner, capacity))
        return false;
    if (!may_fail && owner != NULL && budget_level(capacity) == BUDGET_FULL)
        conn_cut(conn_of_guard(owner));
    struct block *k = allocate(OVERHEAD + capacity, NULL, may_fail);
    if (k == NULL)
        return false;
    charge(k, owner, OVERHEAD + capacity);
    k->buffer = (h2o_buffer_t){.size = b->size, .capacity = capacity, ._prototype = b->_prototype, ._fd = -1};
    k->buffer.bytes = k->buffer._buf;
    memcpy(k->buffer.bytes, b->bytes, b->size);
    h2o_buffer__do_free(b);
    *slot = &k->buffer;
    return true;
}

/* A full buffer that this call of h2o's read loop has added to: no room ends the loop, and what came is handled
 * first. (Where nothing was read yet, no room would look like the end of the connection.) */
static bool enough(h2o_buffer_t **slot, const struct guard *owner, size_t need)
{
    const h2o_buffer_t *b = *slot;
    if (need != READ_NEED || guard_current() != NULL || b->_prototype != &h2o_socket_buffer_prototype)
        return false;
    if (owner == NULL) /* ciphertext: what is left of it between reads is less than a record */
        return b->size >= CIPHERTEXT;
    const struct guard_memory *m = &owner->memory;
    if (m->input != (void *)slot || conn_of_guard((struct guard *)owner)->tls || b->size <= m->seen)
        return false;
    if (owner->h2)
        return b->size >= GUARD_EARNED;
    return m->want == 0 ? b->size >= FIRST_LOOK : b->size >= m->want;
}

/* A body of known length on HTTP/1, any body on HTTP/2. */
static bool lose(h2o_buffer_t **slot, struct guard *owner)
{
    bool input = owner != NULL && owner->memory.input == (void *)slot;
    if (owner == NULL || !may_refuse(owner, (*slot)->_prototype) ||
        (input ? owner->memory.want <= (*slot)->size : !owner->h2))
        return false;
    owner->memory.lost = input;
    BLOCK_OF(*slot)->lost = true;
    return true;
}

static bool too_large(h2o_buffer_t **slot, struct guard *owner)
{
    size_t length = owner == NULL || owner->h2 || whole(slot, owner) == 0 ? whole(slot, owner) : owner->memory.length;
    return length != 0 && length > conn_of_guard(owner)->w->options.max_body_bytes;
}

static h2o_iovec_t throw_away(const h2o_buffer_t *b, struct guard *owner, size_t need)
{
    bool pause = guard_current() == NULL && !conn_of_guard(owner)->tls && b->size > owner->memory.seen + LOST_READ;
    CCP_ASSERT(need <= sizeof(scratch));
    return h2o_iovec_init(scratch, pause ? 0 : sizeof(scratch));
}

static h2o_iovec_t more_room(h2o_buffer_t **slot, struct guard *owner, size_t need)
{
    h2o_buffer_t *b = *slot;
    if (enough(slot, owner, need))
        return h2o_iovec_init(b->bytes + b->size, 0);
    size_t least = b->size + need, wanted = whole(slot, owner);
    bool small = b->capacity <= GUARD_EARNED + READ_NEED;
    bool last = wanted != 0 && wanted + READ_NEED <= b->capacity; /* it will not have to move again */
    if (((small || last) && least <= b->capacity) || least * 2 <= b->capacity) {
        memmove(b->_buf, b->bytes, b->size);
        b->bytes = b->_buf;
        return end_of(b);
    }
    if (too_large(slot, owner) && lose(slot, owner))
        return throw_away(b, owner, need);
    if (grow(slot, owner, new_capacity(b, need, wanted)))
        return end_of(*slot);
    if (lose(slot, owner))
        return throw_away(b, owner, need);
    return h2o_iovec_init(NULL, 0);
}

static h2o_iovec_t nothing(h2o_buffer_t **slot)
{
    struct guard *owner = owner_of(slot);
    refused = owner != NULL && owner->h2 && owner->memory.input != (void *)slot;
    return h2o_iovec_init(NULL, 0);
}

GUARD_EXPORT h2o_iovec_t h2o_buffer_reserve(h2o_buffer_t **slot, size_t need)
{
    h2o_buffer_t *b = *slot;
    if (b->bytes == NULL)
        return begin(slot, need) ? end_of(*slot) : nothing(slot);
    struct block *k = BLOCK_OF(b);
    if (k->lost)
        return throw_away(b, k->owner, need);
    return need <= room(b) ? end_of(b) : more_room(slot, k->owner, need);
}

GUARD_EXPORT void h2o_buffer__do_free(h2o_buffer_t *b)
{
    struct block *k = BLOCK_OF(b);
    CCP_ASSERT(b->_fd == -1);
    discharge(k);
    freed++;
    if (b->capacity == b->_prototype->_initial_buf.capacity)
        h2o_mem_free_recycle(&b->_prototype->allocator, k);
    else
        free(k);
}

int guard_reset_code(int code)
{
    bool ours = refused;
    refused = false;
    return ours ? REFUSED : code;
}

void guard_memory_drop_spare(void)
{
    while (h2o_socket_buffer_prototype.allocator.cnt != 0)
        free(h2o_mem_alloc_recycle(&h2o_socket_buffer_prototype.allocator, 0));
}

bool guard_memory_check(void)
{
    h2o_buffer_prototype_t prototype = {.allocator = {.max = 0}, ._initial_buf = {.capacity = 64}};
    h2o_buffer_t *b;
    unsigned long before = freed;
    h2o_buffer_init(&b, &prototype);
    h2o_buffer_reserve(&b, 1);
    b->size = 1;
    h2o_buffer_consume(&b, 1); /* the library's, which must come to our h2o_buffer__do_free */
    return freed == before + 1 && b == &prototype._initial_buf;
}
