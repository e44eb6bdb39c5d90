/*
 * Timers and tasks: see loop.h. Timers sit in a binary heap of pointers, ordered by due time; a timer knows its
 * place, so moving and stopping cost O(log n).
 */
#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/loop.h>

void loop_init(struct loop *loop, void (*wake)(struct loop *loop), void *owner)
{
    *loop = (struct loop){.wake = wake, .owner = owner, .now_ms = clock_ms()};
    atomic_init(&loop->expected, LOOP_NEVER);
}

void loop_release(struct loop *loop)
{
    free(loop->heap);
    loop->heap = NULL;
    loop->heap_n = loop->heap_cap = 0;
}

static void place(struct loop *loop, size_t i, struct loop_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct loop *loop, size_t i, struct loop_timer *t)
{
    while (i > 0 && loop->heap[(i - 1) / 2]->due > t->due) {
        place(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(loop, i, t);
}

static void sift_down(struct loop *loop, size_t i, struct loop_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->heap_n)
            break;
        if (child + 1 < loop->heap_n && loop->heap[child + 1]->due < loop->heap[child]->due)
            child++;
        if (loop->heap[child]->due >= t->due)
            break;
        place(loop, i, loop->heap[child]);
        i = child;
    }
    place(loop, i, t);
}

static void settle(struct loop *loop, size_t i, struct loop_timer *t)
{
    if (i > 0 && loop->heap[(i - 1) / 2]->due > t->due)
        sift_up(loop, i, t);
    else
        sift_down(loop, i, t);
}

bool loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ms)
{
    uint64_t now = clock_ms();
    timer->due = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
    if (loop->firing && timer->due <= loop->now_ms)
        timer->due = loop->now_ms + 1;
    if (timer->slot != 0) {
        settle(loop, timer->slot - 1, timer);
    } else {
        if (loop->heap_n == loop->heap_cap) {
            size_t cap = loop->heap_cap != 0 ? loop->heap_cap * 2 : 64;
            struct loop_timer **heap =
                CCP_FAULT("loop.timer") ? NULL : realloc(loop->heap, cap * sizeof(struct loop_timer *));
            if (heap == NULL)
                return false;
            loop->heap = heap;
            loop->heap_cap = cap;
        }
        sift_up(loop, loop->heap_n++, timer);
    }
    if (ms == 0)
        loop->wake(loop);
    return true;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->slot == 0)
        return;
    size_t i = timer->slot - 1;
    CCP_ASSERT(i < loop->heap_n && loop->heap[i] == timer);
    timer->slot = 0;
    struct loop_timer *last = loop->heap[--loop->heap_n];
    if (last != timer)
        settle(loop, i, last);
}

static void append(struct loop *loop, struct loop_task *task)
{
    task->next = NULL;
    task->prev = loop->first == NULL ? &loop->first : &loop->last->next;
    *task->prev = task;
    loop->last = task;
}

void loop_soon(struct loop *loop, struct loop_task *task)
{
    if (task->prev != NULL)
        return;
    append(loop, task);
    loop->wake(loop);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    if (task->prev == NULL)
        return;
    *task->prev = task->next;
    if (task->next != NULL)
        task->next->prev = task->prev;
    else if (task->prev == &loop->first)
        loop->last = NULL;
    else
        loop->last = (struct loop_task *)((char *)task->prev - offsetof(struct loop_task, next));
    task->prev = NULL;
    task->next = NULL;
}

uint64_t loop_wait(const struct loop *loop, uint64_t max)
{
    if (loop->first != NULL)
        return 0;
    if (loop->heap_n == 0)
        return max;
    uint64_t now = clock_ms(), due = loop->heap[0]->due;
    uint64_t wait = due > now ? due - now : 0;
    return wait < max ? wait : max;
}

void loop_sleeps(struct loop *loop, uint64_t until_ms)
{
    atomic_store_explicit(&loop->expected, until_ms, memory_order_relaxed);
}

void loop_works(struct loop *loop)
{
    loop->now_ms = clock_ms();
    atomic_store_explicit(&loop->expected, loop->now_ms, memory_order_relaxed);
}

uint64_t loop_expected(const struct loop *loop)
{
    return atomic_load_explicit(&loop->expected, memory_order_relaxed);
}

void loop_turn(struct loop *loop)
{
    loop_works(loop);
    loop->firing = true;
    while (loop->heap_n != 0 && loop->heap[0]->due <= loop->now_ms) {
        struct loop_timer *t = loop->heap[0];
        loop_timer_stop(loop, t);
        t->fire(t);
    }
    loop->firing = false;
    /* A mark in the queue bounds the round: what is queued from now on runs in the next turn. */
    if (loop->first == NULL)
        return;
    append(loop, &loop->mark);
    for (struct loop_task *t = loop->first; t != &loop->mark; t = loop->first) {
        loop_task_cancel(loop, t);
        t->run(t);
    }
    loop_task_cancel(loop, &loop->mark);
}
