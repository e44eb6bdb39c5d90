/*
 * curl's results in words for people.
 *
 * Names host and port, what went wrong and, where it helps, the detail of the system or of OpenSSL. Never the
 * path, the query or a header: those may hold secrets.
 */
#include <upstream/upstream_impl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

void failure_address(const struct sockaddr *a, char *out, size_t n)
{
    const void *raw = a->sa_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
                                               : (const void *)&((const struct sockaddr_in *)a)->sin_addr;

    if (inet_ntop(a->sa_family, raw, out, (socklen_t)n) == NULL)
        snprintf(out, n, "(unknown)");
}

const char *failure_unreachable(long os_error)
{
    switch (os_error) {
    case ECONNREFUSED:
        return "connection refused";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "no route to it";
    case ETIMEDOUT:
        return "no connection: the network timed out";
    case EMFILE:
    case ENFILE:
        return "no connection: out of file descriptors";
    default:
        return "no connection";
    }
}

static const char *unreachable_phrase(const struct call *c, CURL *easy)
{
    long os = c->socket_errno;

    if (os == 0)
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
    return failure_unreachable(os);
}

static const char *broken_phrase(bool begun)
{
    return begun ? "the connection was closed in the middle of the answer"
                 : "the connection was lost before an answer came";
}

/* curl says "out of memory" for a header line over 100 KB; we stop adding up at less, but per line it is first. */
static bool head_overflow(const struct call *c, CURLcode code, bool begun)
{
    return code == CURLE_OUT_OF_MEMORY && c->sends != 0 && !begun;
}

const char *failure_phrase(const struct call *c, CURL *easy, CURLcode code, bool begun)
{
    long proxy_status = 0;

    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (c->refused[0] != 0 && code == CURLE_COULDNT_CONNECT)
        return "its address is private; set allow_private = true";
    if (code == CURLE_RECV_ERROR && !begun && proxy_status >= 300)
        return "the proxy refused the tunnel";
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "name not resolved";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the proxy's name was not resolved";
    case CURLE_COULDNT_CONNECT:
        return unreachable_phrase(c, easy);
    case CURLE_OPERATION_TIMEDOUT:
        return "no connection within the connect timeout";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return "TLS verification failed";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
        return "TLS handshake failed";
    case CURLE_GOT_NOTHING:
        return "the connection was closed without an answer";
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return broken_phrase(begun);
    case CURLE_SEND_ERROR:
        return "the connection was lost while the request was sent";
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return "what it answered is not HTTP";
    case CURLE_PROXY:
        return "the proxy failed";
    case CURLE_OUT_OF_MEMORY:
        return head_overflow(c, code, begun) ? "the head of its answer is too large" : "out of memory";
    default:
        return curl_easy_strerror(code);
    }
}

static bool tls_code(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_ISSUER_ERROR;
}

/* OpenSSL's reason without curl's own words before it; "" when there is none. */
static const char *tls_detail(struct call *c)
{
    static const char lead[] = "SSL certificate problem: ";

    for (char *p = c->error; *p != 0; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = '?';
    return strncmp(c->error, lead, sizeof(lead) - 1) == 0 ? c->error + sizeof(lead) - 1 : c->error;
}

enum ccp_status curl_failure_text(struct call *c, CURL *easy, CURLcode code, bool begun, char *out, size_t n)
{
    const char *phrase = failure_phrase(c, easy, code, begun);
    struct ccp_span host = c->url.host;
    int shown = (int)(host.n < 128 ? host.n : 128);
    const char *open = c->url.ipv6 ? "[" : "", *close = c->url.ipv6 ? "]" : "";

    if (c->refused[0] != 0 && code == CURLE_COULDNT_CONNECT)
        snprintf(out, n, "the address %s of %.*s is private; set allow_private = true", c->refused,
                 c->proxied ? 9 : shown, c->proxied ? "the proxy" : host.p);
    else if (tls_code(code) && c->error[0] != 0)
        snprintf(out, n, "%s%.*s%s:%u: %s: %s", open, shown, host.p, close, c->url.port, phrase, tls_detail(c));
    else
        snprintf(out, n, "%s%.*s%s:%u: %s", open, shown, host.p, close, c->url.port, phrase);
    if (code == CURLE_OUT_OF_MEMORY && !head_overflow(c, code, begun))
        return CCP_INTERNAL;
    return code == CURLE_OPERATION_TIMEDOUT ? CCP_UPSTREAM_TIMEOUT : CCP_UPSTREAM;
}
