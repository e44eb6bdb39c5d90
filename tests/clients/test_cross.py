"""The vendors' SDKs and real agents in front of every other vendor's format.

SDKs talk to a strict upstream (vendor.py) that refuses what the vendor would refuse, signatures of thinking included;
agents to aimock. Each SDK script runs once and goes through all upstreams. With BARE=1 each SDK talks to the strict
upstream in its own format without ccproxy between: that proves scripts and upstream. ONLY=part selects checks.
"""
import json
import os
import tempfile

import check
import test_real as real
from certs import Authority
from server import Server
from vendor import Vendor

BARE = real.BARE
# format in the configuration, end of base_url, new and old model, built-in provider and its prefix
UPSTREAMS = {"anthropic": ("anthropic", "", "claude-opus-5-5", "claude-sonnet-4-5", "claude_api", "claude"),
             "chat": ("openai-chat", "/v1", "gpt-5.1", "gpt-4.1", None, None),
             "responses": ("openai-responses", "/v1", "gpt-5.1", "gpt-4.1", "openai", "openai"),
             "gemini": ("gemini", "", "gemini-3-pro", "gemini-2.5-flash", "gemini", "gemini")}
SCRIPTS = {"openai_chat_node": ("cross_openai.mjs", ["chat"]),
           "openai_responses_node": ("cross_responses.mjs", ["responses"]),
           "anthropic_node": ("cross_anthropic.mjs", ["anthropic"]), "genai_node": ("cross_genai.mjs", ["gemini"]),
           "openai_python": ("cross_openai_sdk.py", ["chat", "responses"]),
           "anthropic_python": ("cross_anthropic_sdk.py", ["anthropic"])}
AGENTS = {"chat": "gpt", "responses": "gpt", "gemini": "gemini", "anthropic": "claude"}

vendor = server = folder = None


def mapped(section, new, old):
    return "".join('[[%s.model_mappings]]\nmatch = "%s"\ntarget = "%s"\n' % (section, match, target)
                   for match, target in (("judge-new", new), ("judge-old", old))) + others(section, new)


def others(section, target):
    """Agents ask for models of their own vendor."""
    return '[[%s.model_mappings]]\nmatch = ".*"\nkind = "regex"\ntarget = "%s"\n' % (section, target)


def config(port, authority):
    """The built-in providers, which reach the strict upstream under the vendors' own names, and a provider for each
    format that is merely like the vendor: at the strict upstream (to_…) and at aimock (mock_…)."""
    out = ""
    for name, (fmt, suffix, new, old, plugin, _) in UPSTREAMS.items():
        if plugin:
            out += '[plugins.%s]\nauth = "api_key"\napi_key = "dummy"\n' % plugin
            out += 'proxy = "http://127.0.0.1:%d"\nca_file = "%s"\n' % (port, authority)
            out += mapped("plugins." + plugin, new, old)
        for place, url in (("to", vendor.url + "/like"), ("mock", real.aimock.url), ("aim", real.aimock.url)):
            section = "providers.%s_%s" % (place, name)
            auth = 'auth = "passthrough"' if place == "aim" else 'auth = "api_key"\napi_key = "dummy"'
            out += '[%s]\nformat = "%s"\nbase_url = "%s%s"\n%s\n' % (section, fmt, url, suffix, auth)
            out += {"to": mapped(section, new, old), "mock": others(section, AGENTS[name] + "-agent"), "aim": ""}[place]
    return out


def before():
    global vendor, server, folder
    if not os.path.isdir(real.MODULES):
        return
    vendor = Vendor()
    if BARE:
        return
    real.aimock = real.Aimock()
    folder = tempfile.TemporaryDirectory()
    authority = Authority(folder.name, "vendors")
    chain, key = authority.leaf(["DNS:" + h for h in (
        "api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com")])
    server = Server(config(vendor.front(chain, key), authority.file))


def after():
    try:
        if server:
            with server:
                pass
    finally:
        if real.aimock:
            real.aimock.stop()
        if folder:
            folder.cleanup()


def base(prefix):
    if server is None:
        raise check.Skip("the client packages are not installed (CLIENTS names no folder)")
    return "http://127.0.0.1:%d/%s" % (server.port, prefix)


def places(fmt):
    """(name, address): every vendor of another format, then servers that are merely like them. OpenAI itself speaks
    both of its formats, so that between these two only the latter cross."""
    if BARE:
        return [(fmt, vendor.url)]
    others = [u for u in UPSTREAMS if u != fmt]
    vendors = [u for u in others if UPSTREAMS[u][5] and (fmt, u) != ("chat", "responses")]
    return [(u, base(UPSTREAMS[u][5])) for u in vendors] + [("%s~like" % u, base("to_" + u)) for u in others]


def targets(formats):
    return ",".join("%s%s=%s" % (fmt + ":" if len(formats) > 1 else "", name, address)
                    for fmt in formats for name, address in places(fmt))


def make(file, formats):
    def test():
        if vendor is None:
            raise check.Skip("the client packages are not installed (CLIENTS names no folder)")
        program = "node" if file.endswith(".mjs") else real.PYTHON
        return real.rows([program, os.path.join(real.HERE, file)],
                         {"TARGETS": targets(formats), "CONTROL": vendor.url, "ONLY": os.environ.get("ONLY", "")})
    return test


for _name, (_file, _formats) in SCRIPTS.items():
    globals()["test_" + _name] = make(_file, _formats)


PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses",
         "gemini": "/v1beta/models/"}


THINKING = ('model_reasoning_effort = "high"\nmodel_reasoning_summary = "auto"\n'
            'model_supports_reasoning_summaries = true\n')


def claude_code(address, prompt):
    binary = os.path.join(real.MODULES, "@anthropic-ai", "claude-code-linux-x64", "claude")
    with tempfile.TemporaryDirectory() as home:
        return real.agent([binary, "-p", prompt, "--output-format", "json", "--allowedTools", "Bash"],
                          {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-dummy", "IS_SANDBOX": "1",
                           "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
                           "CLAUDE_CODE_MAX_RETRIES": "0"}, home)


def codex(address, prompt):
    with tempfile.TemporaryDirectory() as home:
        return real.codex(address, prompt, home, THINKING)


def on_aimock(run, upstream):
    """The model's tool call ran on this machine and what it printed came back, in the upstream's format."""
    start = len(real.aimock.journal()) if server else 0
    code, out, err = run(base("mock_" + upstream), "run the marker command")
    assert code == 0 and "the loop is closed" in out, out[-3000:] + err[-3000:]
    entries = real.aimock.journal()[start:]
    assert entries and all(PATHS[upstream] in e["path"] for e in entries), [e["path"] for e in entries]
    assert "MARKER-RAN-42" in json.dumps(entries), "the tool's output never came back to the model"


def on_vendor(run, upstream, prefix):
    """The same with two steps, parallel calls, thinking whose proofs must come back, and a server that checks all."""
    address, nonce = base(prefix), "%s%s" % (run.__name__.replace("_", ""), prefix.replace("_", ""))
    code, out, err = run(address, "[scene agent #%s] please" % nonce)
    seen = vendor.seen.get(nonce, [])
    assert code == 0 and "the loop is closed" in out, out[-3000:] + err[-3000:]
    assert len(seen) == 3 and {s["format"] for s in seen} == {upstream}, [s["path"] for s in seen]
    assert any(p["kind"] == "thinking" for p in vendor.said[nonce][0]), "the agent's wish to think got lost"
    last = json.dumps(seen[-1]["body"])
    assert all("MARKER-RAN-%d" % n in last for n in (42, 52, 62)), "a tool's output never came back to the model"


def make_agent(run, upstream):
    prefix = UPSTREAMS[upstream][5]
    name = "%s_to_%s" % (run.__name__, upstream)
    globals()["test_%s" % name] = lambda: on_aimock(run, upstream)
    if prefix:
        globals()["test_%s_strict" % name] = lambda: on_vendor(run, upstream, prefix)
    globals()["test_%s_like_strict" % name] = lambda: on_vendor(run, upstream, "to_" + upstream)


def make_aimock(sdk, upstream):
    def test():
        program, file, _ = real.SDKS[sdk]
        return real.rows([program, os.path.join(real.HERE, file)],
                         {"BASE": base("aim_" + upstream), "SKIP": "models embeddings chat-stream-usage"})
    globals()["test_%s_to_aimock_%s" % (sdk.replace("-", "_"), upstream)] = test


if not BARE:
    # The strict upstream asks the same and more, so the second opinion is for --long.
    for _sdk, _own in () if not check.LONG else (("openai-node", "chat"), ("anthropic-node", "anthropic"),
                                                 ("genai-node", "gemini"),
                       ("openai-python", "chat"), ("anthropic-python", "anthropic")):
        for _upstream in UPSTREAMS:
            if _upstream != _own:
                make_aimock(_sdk, _upstream)
    for _upstream in UPSTREAMS:
        if _upstream != "anthropic":
            make_agent(claude_code, _upstream)
        if _upstream != "responses":
            make_agent(codex, _upstream)


if __name__ == "__main__":
    check.main(globals(), "clients/cross", before, after)
