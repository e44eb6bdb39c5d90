"""The proxies under test: their configurations, how they start and end, and the upstream behind them.

All speak the same way to the same upstream: HTTP/1.1 with kept connections, one worker thread on a core of its own.
What each is given beyond its defaults is in the text of its configuration, which the report prints.
"""
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

from lab import account, machine

PREFIX = "/openai"
CALL = "/v1/chat/completions"
MANY = 20000  # connections and streams that every server is allowed


class Missing(Exception):
    """The program is not on this machine."""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_port(port, process, log):
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                with open(log) as text:
                    raise RuntimeError("%s ended with %d before it listened: %s" % (
                        " ".join(process.args), process.returncode, text.read()[:2000])) from None
            time.sleep(0.01)
    raise RuntimeError("nothing listens on %d" % port)


class Process:
    """A child on one core, ended by its id."""

    def __init__(self, command, core, home, log=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        env = {"PATH": machine.PATH, "HOME": home}
        self.process = subprocess.Popen(machine.pinned(core, command), stdin=subprocess.DEVNULL, stdout=stdout,
                                        stderr=log, cwd=home, env=env, text=True)
        self.pid = self.process.pid

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Upstream(Process):
    def __init__(self, program, home, certificate):
        command = [program, certificate["chain"], certificate["key"]]
        super().__init__(command, machine.OTHER_CORE, home, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.tls_port = int(self.process.stdout.readline())

    def ask(self, what):
        with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (self.port, what), timeout=60) as answer:
            return int(answer.read())


def nginx(s):
    listen = {"h1": "", "h2c": " http2", "h2tls": " ssl http2"}[s.front]
    tls = "ssl_certificate %s; ssl_certificate_key %s;" % (s.tls["chain"], s.tls["key"]) if s.front == "h2tls" else ""
    verify = ("proxy_ssl_verify on; proxy_ssl_trusted_certificate %s; proxy_ssl_name localhost; "
              "proxy_ssl_server_name on;" % s.tls["ca"] if s.tls_upstream else "")
    log = "access_log %s/access.log;" % s.home if s.access_log else "access_log off;"
    return "nginx.conf", """daemon off; master_process %s; worker_processes %d; pid %s/pid; error_log %s/error.log warn;
%s worker_rlimit_nofile %d;
events { worker_connections %d; multi_accept on; }
http {
  %s
  client_max_body_size 64m; client_body_buffer_size 2m; # no body goes to the disk
  client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
  keepalive_requests 100000000; keepalive_timeout 300s; http2_max_concurrent_streams 128;
  upstream up { server 127.0.0.1:%d; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:%d%s backlog=4096%s; %s
    location %s/ { proxy_pass %s://up/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
      proxy_read_timeout 300s; %s }
  }
}
""" % ("off" if s.single else "on", s.workers, s.home, s.home, "user root;" if os.getuid() == 0 else "", MANY, MANY,
       log, s.home, s.home, s.home, s.home, s.home, s.up_port, s.port, listen,
       " reuseport" if s.workers > 1 else "", tls, PREFIX, "https" if s.tls_upstream else "http", verify)


def haproxy(s):
    bind = {"h1": "", "h2c": " proto h2", "h2tls": " ssl crt %s alpn h2" % s.tls["both"]}[s.front]
    verify = " ssl verify required ca-file %s verifyhost localhost sni str(localhost)" % s.tls["ca"]
    return "haproxy.cfg", """global
  nbthread %d
  maxconn %d
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
  option http-no-delay
frontend f
  bind 127.0.0.1:%d%s backlog 4096
  http-request replace-path %s(/.*) \\1
  default_backend b
backend b
  server s 127.0.0.1:%d pool-max-conn 256%s
""" % (s.workers, MANY, s.port, bind, PREFIX, s.up_port, verify if s.tls_upstream else "")


def ccproxy(s):
    lines = ["[server]", 'host = ["127.0.0.1"]', "port = %d" % s.port, "workers = %d" % s.workers]
    if s.many:
        lines += ["max_connections = %d" % MANY, "max_in_flight = %d" % MANY]
    if s.front == "h2tls":
        lines += ['tls_cert = "%s"' % s.tls["chain"], 'tls_key = "%s"' % s.tls["key"]]
    lines += ["[logging]", 'file = "%s/log"' % s.home]
    if s.transport or s.tls_upstream:
        lines += ["[upstream]"]
    if s.transport:
        lines += ['transport = "%s"' % s.transport]
    if s.tls_upstream:
        lines += ['ca_file = "%s"' % s.tls["ca"]]
    scheme = "https://localhost" if s.tls_upstream else "http://127.0.0.1"
    lines += ["[plugins.openai]", 'base_url = "%s:%d/v1"' % (scheme, s.up_port), 'auth = "none"']
    if not s.access_log:
        lines += ["[plugins.access_log]", "enabled = false"]
    return "ccproxy.toml", "\n".join(lines + s.more) + "\n"


MAKERS = {"nginx": nginx, "haproxy": haproxy, "ccproxy": ccproxy}


class Server:
    """One proxy in front of one upstream. name: nginx, haproxy, ccproxy, "ccproxy (curl)", or direct for none.

    front: h1, h2c, h2tls; wrap: a command in front of the server's own (valgrind); more: lines of ccproxy.toml;
    single: the process that is started does the work itself (nginx without master)."""

    def __init__(self, lab, name, upstream=None, front="h1", tls_upstream=False, workers=1, many=False, more=(),
                 wrap=(), core=machine.PROXY_CORE, access_log=None, single=False, top=()):
        self.lab, self.name, self.front, self.tls_upstream = lab, name, front, tls_upstream
        self.workers, self.many, self.more, self.single = workers, many, list(more), single
        self.tls = lab.certificate
        self.access_log = lab.options.access_log if access_log is None else access_log
        upstream = upstream or lab.upstream
        self.up_port = upstream.tls_port if tls_upstream else upstream.port
        self.kind, self.transport = name.split(" ")[0], name[9:-1] if " (" in name else ""
        self.process = None
        if name == "direct":
            self.port, self.path, self.config = self.up_port, CALL, ""
            return
        self.home = lab.new_folder(name)
        self.port, self.path = free_port(), PREFIX + CALL
        file, self.config = MAKERS[self.kind](self)
        self.config = "".join(line + "\n" for line in top) + self.config
        with open(os.path.join(self.home, file), "w") as out:
            out.write(self.config)
        errors = os.path.join(self.home, "stderr")
        with open(errors, "w") as log:
            self.process = Process([*wrap, *self.command(file)], core, self.home, log=log)
        try:
            wait_port(self.port, self.process.process, errors)
        except BaseException:
            self.process.stop()
            raise

    def command(self, file):
        path = os.path.join(self.home, file)
        if self.kind == "ccproxy":
            return [self.lab.binary, "serve", "-c", path]
        program = machine.find(self.kind)
        return [program, "-c", path, "-p", self.home] if self.kind == "nginx" else [program, "-f", path]

    @property
    def url(self):
        return "%s://127.0.0.1:%d%s" % ("https" if self.front == "h2tls" else "http", self.port, self.path)

    @property
    def pids(self):
        return account.family(self.process.pid) if self.process else []

    def cpu_ns(self):
        return account.cpu_ns(self.pids) if self.process else 0

    def stop(self):
        if self.process:
            self.process.stop()
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def certificate(folder):
    """A CA and a certificate for localhost, good for a day."""
    names = ("ca", "cakey", "key", "request", "leaf", "chain", "both")
    out = {name: os.path.join(folder, name + ".pem") for name in names}
    quiet = {"check": True, "capture_output": True}
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", out["cakey"], "-out", out["ca"], "-days", "2",
                    "-subj", "/CN=bench CA", "-addext", "basicConstraints=critical,CA:TRUE"], **quiet)
    subprocess.run(["openssl", "req", *curve, "-keyout", out["key"], "-out", out["request"],
                    "-subj", "/CN=localhost"], **quiet)
    extensions = os.path.join(folder, "extensions")
    with open(extensions, "w") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    subprocess.run(["openssl", "x509", "-req", "-in", out["request"], "-CA", out["ca"], "-CAkey", out["cakey"],
                    "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", out["leaf"]], **quiet)
    leaf, key = open(out["leaf"]).read(), open(out["key"]).read()
    for name, text in (("chain", leaf), ("both", leaf + key)):
        with open(out[name], "w") as file:
            file.write(text)
    return out
