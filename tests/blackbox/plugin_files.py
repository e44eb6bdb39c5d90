"""What tests of loading plugins share: a folder for them, and what the program says of what lies in it."""
import json
import os
import re
import shutil
import subprocess
import tempfile

import server

ANSWERS = """
static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), CCP_SPAN("%s"));
}
static const struct ccp_route routes[] = {{"GET", "/it", NULL, CCP_ACCESS_PUBLIC, .serve = serve}, {.methods = NULL}};
"""


class Place:
    """A directory for plugins below a folder of root's own, and commands that look into it."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="ccp-plugins-")
        os.chmod(self.root, 0o755)
        self.path = os.path.join(self.root, "plugins")
        os.mkdir(self.path, 0o755)
        self.cache = os.path.join(self.root, "cache")
        self.env = {"XDG_CACHE_HOME": self.cache}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["chmod", "-R", "u+rwX", self.root], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def config(self, more="", discovery="", directories=None):
        listed = json.dumps(directories or [self.path])
        return "[plugin_discovery]\ndirectories = %s\n%s\n%s" % (listed, discovery, more)

    def run(self, *words, config=None, env=None, timeout=60):
        file = os.path.join(self.root, "c.toml")
        with open(file, "w") as out:
            out.write(self.config() if config is None else config)
        return server.run(*words, "-c", file, env={**self.env, **(env or {})}, timeout=timeout)

    def plugins(self, config=None, env=None, timeout=60):
        """name -> status, and what was said on standard error."""
        done = self.run("plugins", "list", "--json", config=config, env=env, timeout=timeout)
        if done.returncode:
            raise AssertionError("plugins list ended with %d: %s" % (done.returncode, done.stderr[-2000:]))
        return {p["name"]: p["status"] for p in json.loads(done.stdout)["plugins"]}, done.stderr

    def server(self, config=None, **more):
        env = {**self.env, **more.pop("env", {})}
        return server.Server(self.config() if config is None else config, env=env, **more)


def about(said, name):
    """The line about one plugin."""
    lines = [l for l in said.splitlines() if re.search(r"plugin %s\b" % re.escape(name), l)]
    return "\n".join(lines)


def refused(place, name, *words, config=None, env=None):
    """None, or how the refusal of `name` differs from: failed, named, with these words."""
    states, said = place.plugins(config=config, env=env)
    line = about(said, name)
    if states.get(name) != "failed":
        return "%s is %s, not failed\n%s" % (name, states.get(name), said)
    missing = [w for w in words if w not in line]
    return "%r not said of it: %s" % (missing, said) if missing else None
