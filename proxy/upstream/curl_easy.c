/*
 * The easy-handle factory: the only place that makes one, so that no request ever leaves with curl's defaults
 * for redirects, protocols, proxies or TLS; and the pool of idle handles.
 *
 * A pooled handle keeps the fixed options set here and nothing that points into a finished request.
 */
#include <upstream/upstream_impl.h>

#include <base/fault.h>
#include <errno.h>
#include <unistd.h>

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct call *c = arg;
    const struct ccp_upstream_request *r = c->request;

    (void)purpose;
    if (!(a->family == AF_UNIX && c->unix_socket != NULL) &&
        !upstream_address_allowed(&a->addr, r->allow_private, c->literal_host)) {
        failure_address(&a->addr, c->refused, sizeof(c->refused));
        return CURL_SOCKET_BAD;
    }
    int fd = CCP_FAULT("upstream.socket") ? -1 : socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    if (fd < 0)
        c->socket_errno = errno;
    if (fd < 0 || c->sockets == NULL)
        return fd;
    if (!sockets_opened(&c->sockets->sockets, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    c->sockets->counters.connections_opened++;
    return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct upstream *u = arg;

    if (u != NULL)
        sockets_close(&u->sockets, fd);
    else
        close(fd);
    return 0;
}

static void set_fixed_http(CURL *e)
{
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* one canonical path, decided above us */
    curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L); /* bytes pass as they are; no expansion here */
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* no credential to the proxy */
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 16384L);
}

static void set_fixed_tls(CURL *e)
{
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    /* The store comes from trust.c; with these set curl would parse the bundle for every connection. */
    curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, NULL);
    curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL);
    /* Sessions are cached in the handle, which serves providers with different trust stores in turn; a resumed
     * session would skip the check against the other's store. */
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

static void set_fixed_network(CURL *e)
{
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a resolver thread when cancelled */
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, 300L);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, ""); /* proxy.c has read the list */
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
}

CURL *easy_new(void)
{
    CURL *e = CCP_FAULT("upstream.easy") ? NULL : curl_easy_init();

    if (e == NULL)
        return NULL;
    set_fixed_http(e);
    set_fixed_tls(e);
    set_fixed_network(e);
    return e;
}

CURL *easy_take(struct upstream *u)
{
    return u->pool_n != 0 ? u->pool[--u->pool_n] : easy_new();
}

/* Before 8.1.1 a handle keeps a pointer to the last header line of its earlier answer, long freed, and follows it when
 * the next answer begins with a folded line (curl#11101): any upstream could write through it. So a handle of an
 * older curl serves one answer only. */
#define HANDLES_SERVE_AGAIN (LIBCURL_VERSION_NUM >= 0x080101)

void easy_recycle(struct upstream *u, CURL *easy)
{
    if (!HANDLES_SERVE_AGAIN || u->pool_n == POOL_IDLE) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, NULL);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, NULL);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, NULL);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, NULL);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, NULL);
    curl_easy_setopt(easy, CURLOPT_URL, NULL);
    u->pool[u->pool_n++] = easy;
}
