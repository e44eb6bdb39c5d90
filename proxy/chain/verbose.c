/*
 * logging.verbose_api: what was asked and what was answered, into the server's log, for whoever debugs a client.
 *
 * Bodies only: no header, so no credential. A body is logged in pieces of one line each, and at most its first
 * BODY_MAX bytes, so that a large prompt does not push everything else out of the log's rings.
 */
#include <base/log.h>
#include <chain/exchange_impl.h>

#define BODY_MAX  ((uint64_t)64 * 1024)
#define PIECE_MAX ((size_t)1024) /* with its escapes below what one line of the log holds */

void verbose_body(const struct exchange *x, const char *direction, uint64_t offset, struct ccp_span bytes)
{
    if (!x->rt->settings.logging.verbose_api)
        return;
    while (bytes.n != 0 && offset < BODY_MAX) {
        struct ccp_span piece = {bytes.p, bytes.n < PIECE_MAX ? bytes.n : PIECE_MAX};
        log_bulk(CCP_LOG_INFO, "api", "%.*s %s from byte %llu: %.*s", CCP_FMT(x->request_id), direction,
                 (unsigned long long)offset, CCP_FMT(piece));
        offset += piece.n;
        bytes = ccp_span_skip(bytes, piece.n);
    }
}
