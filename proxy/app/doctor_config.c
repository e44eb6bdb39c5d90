/*
 * doctor: the configuration. Its faults, the file it came from and who may write it, the file of the current folder,
 * and the server's certificate.
 */
#include <app/doctor.h>

#include <app/server.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void report(void *arg, bool warning, struct ccp_span text)
{
    if (warning)
        doctor_warn(arg, NULL, "%.*s", CCP_FMT(text));
    else
        doctor_fail(arg, EXIT_CONFIG, NULL, "%.*s", CCP_FMT(text));
}

bool doctor_owned(struct doctor *d, const char *what, const char *path, const struct stat *st, unsigned mask)
{
    unsigned loose = st->st_mode & mask & 0777;
    if (st->st_uid != geteuid() && (st->st_uid != 0 || mask == 077)) {
        doctor_fail(d, EXIT_FAILED, doctor_text(d, "chown %u %s", (unsigned)geteuid(), path),
                    "%s %s belongs to another user (%u)", what, path, (unsigned)st->st_uid);
        return false;
    }
    if (loose == 0 || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0 && mask == 022))
        return true; /* in a sticky folder nobody can replace what is somebody else's */
    doctor_warn(d, doctor_text(d, "chmod %s %s", mask == 077 ? "go-rwx" : "go-w", path),
                "%s %s: others may %s it (mode %04o)", what, path, (loose & 022) != 0 ? "change" : "read",
                (unsigned)st->st_mode & 07777);
    return false;
}

/* The folder of `path`, in d's arena. */
static const char *folder_of(struct doctor *d, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? "." : slash == path ? "/" : doctor_text(d, "%.*s", (int)(slash - path), path);
}

static void look_at_file(struct doctor *d, const char *path)
{
    struct stat st, above;
    const char *folder = folder_of(d, path);
    if (stat(path, &st) != 0 || stat(folder, &above) != 0) {
        doctor_fail(d, EXIT_CONFIG, NULL, "%s: %s", path, strerrordesc_np(errno));
        return;
    }
    bool own = doctor_owned(d, "the file", path, &st, 022), safe = doctor_owned(d, "the folder", folder, &above, 022);
    if (own && safe)
        doctor_ok(d, "file %s", path);
}

/* serve reads such a file first, this command does not: as in `status`, only what is trusted counts here. */
static void look_at_cwd(struct doctor *d)
{
    static const char *const names[] = {".ccproxy.toml", "ccproxy.toml"};
    struct ccp_span used = config_file(d->rt->config);
    if (args_get(&d->cli->args, "config") != NULL || getenv("CONFIG_FILE") != NULL)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (access(names[i], F_OK) == 0) {
            doctor_warn(d, doctor_text(d, "ccproxy doctor --config %s", names[i]),
                        "%s: a server that is started in this folder reads this file instead of %.*s, and does not "
                        "trust it with logins and keys; it was not looked at",
                        names[i], CCP_FMT(used.n != 0 ? used : CCP_SPAN("none")));
            return;
        }
}

/* Binds any port of loopback for a moment: the certificate is read where a start reads it. */
static void look_at_tls(struct doctor *d)
{
    const struct ccp_span loopback = CCP_SPAN("127.0.0.1");
    struct http_listeners *listeners = NULL;
    struct http_options o;
    char why[HTTP_ERRBUF];
    server_options(&o, &d->rt->settings.server);
    if (o.tls_cert == NULL)
        return;
    o.hosts = &loopback;
    o.host_count = 1;
    o.port = 0;
    o.unix_socket = NULL;
    if (http_bind(&o, &listeners, why))
        doctor_ok(d, "certificate %s and its key", o.tls_cert);
    else
        doctor_fail(d, EXIT_CONFIG, NULL, "%s", why);
    http_listeners_free(listeners);
}

void doctor_config(struct doctor *d)
{
    d->rt = load_runtime(d->cli, NULL, report, d);
    if (d->rt == NULL)
        return;
    struct ccp_span file = config_file(d->rt->config);
    if (file.n == 0)
        doctor_ok(d, "no file: defaults, environment and flags (ccproxy config path says where files are looked for)");
    else
        look_at_file(d, doctor_text(d, "%.*s", CCP_FMT(file)));
    look_at_cwd(d);
    look_at_tls(d);
}
