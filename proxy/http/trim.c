/*
 * After a burst: free memory that the allocator keeps goes back to the system once the use has fallen by half.
 *
 * One worker does it for the process, and the others for their own heaps when they notice, a second after it noticed,
 * when the last of the burst's requests are likely gone too. It holds up that worker for some milliseconds, so it is
 * not done while the use is still high.
 */
#include <http/http_impl.h>

#include <base/budget.h>
#include <base/memory.h>

#define WORTH_IT ((uint64_t)4 << 20)
#define DELAY_MS 1000

void trim_fire(struct loop_timer *timer)
{
    struct http_worker *w = (struct http_worker *)((char *)timer - offsetof(struct http_worker, trim_timer));
    out_drop_spare(w);
    if (budget_fallen(WORTH_IT))
        memory_trim();
    else if (w->trims != memory_trims())
        memory_trim_thread();
    else
        trim_consider(w);
    w->trims = memory_trims();
}

void trim_consider(struct http_worker *w)
{
    /* Without memory for the timer the next request tries again. */
    if (w->trim_timer.slot == 0 && budget_peak() >= budget_used() + WORTH_IT)
        (void)loop_timer_set(&w->loop, &w->trim_timer, DELAY_MS);
}
