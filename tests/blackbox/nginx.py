"""nginx as a fast or an HTTP/2 upstream, with a folder and a port of its own."""
import os
import shutil
import subprocess
import tempfile
import time

import rawhttp
from server import free_port
from test_streams import certificate

CONFIG = """
daemon off; master_process off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; types { } default_type application/json; client_max_body_size 64m;
  client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/p; fastcgi_temp_path %(folder)s/f;
  uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s; http2_max_concurrent_streams 256;
  http2_max_requests 10000000;
  server {
    listen 127.0.0.1:%(port)d; listen 127.0.0.1:%(secure)d ssl http2; root %(folder)s/www;
    ssl_certificate %(folder)s/cert.pem; ssl_certificate_key %(folder)s/key.pem;
    location = /small/v1/chat/completions { return 200 '{"id":"x","object":"chat.completion","choices":[]}'; }
    location / { error_page 405 =200 $uri; }
  }
}
"""


class Nginx:
    """with Nginx(size) as n: n.url, n.secure_url; /small/v1/… answers at once, /large/v1/… with `size` bytes."""

    def __init__(self, size=8 << 20):
        self.folder = tempfile.mkdtemp(prefix="ccp-nginx-")
        os.chmod(self.folder, 0o755)
        certificate(self.folder)
        self.ca = self.folder + "/cert.pem"
        where = self.folder + "/www/large/v1/chat"
        os.makedirs(where)
        with open(where + "/completions", "wb") as out:
            out.write(b"x" * size)
        self.port, self.secure = free_port(), free_port()
        self.url, self.secure_url = "http://127.0.0.1:%d" % self.port, "https://localhost:%d" % self.secure
        with open(self.folder + "/conf", "w") as out:
            out.write(CONFIG % vars(self))
        self.process = subprocess.Popen(["nginx", "-c", self.folder + "/conf", "-e", self.folder + "/error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        end = time.monotonic() + 10
        while True:
            try:
                rawhttp.once(self.port, "GET", "/")
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.process.stderr.read()
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
