"""Real SDKs and real agents against ccproxy: in front of its own mock provider, and in front of a second opinion, the
aimock server. The same scripts run against both, and against aimock alone with BARE=1 (to tell whose fault it is)."""
import json
import os
import subprocess
import tempfile
import time
import urllib.request

import check
from server import Server, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.environ.get("CLIENTS", "")
MODULES = os.path.join(CLIENTS, "node_modules")
PYTHON = os.path.join(CLIENTS, "venv", "bin", "python3")
SDKS = {"openai-node": ["node", "openai.mjs", "openai"], "anthropic-node": ["node", "anthropic.mjs", "claude"],
        "genai-node": ["node", "genai.mjs", "gemini"], "openai-python": [PYTHON, "openai_sdk.py", "openai"],
        "anthropic-python": [PYTHON, "anthropic_sdk.py", "claude"]}
BARE = os.environ.get("BARE") == "1"

aimock = server = None


class Aimock:
    def __init__(self):
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.process = subprocess.Popen(
            ["node", os.path.join(MODULES, "@copilotkit", "aimock", "dist", "cli.js"), "-p", str(self.port), "-f",
             os.path.join(HERE, "aimock.json"), "--log-level", "silent"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.journal()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("aimock did not start")

    def journal(self):
        with urllib.request.urlopen(self.url + "/__aimock/journal", timeout=5) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def before():
    global aimock, server
    if not os.path.isdir(MODULES):
        return
    aimock = Aimock()
    if BARE:
        return
    config = "".join('[plugins.%s]\nbase_url = "%s%s"\nauth = "passthrough"\n' % (plugin, aimock.url, suffix)
                     for plugin, suffix in (("claude_api", ""), ("openai", "/v1"), ("gemini", "")))
    server = Server(config)


def after():
    try:
        if server:
            with server:
                pass
    finally:
        if aimock:
            aimock.stop()


def base(prefix):
    if aimock is None:
        raise check.Skip("the client packages are not installed (CLIENTS names no folder)")
    return aimock.url if BARE else "http://127.0.0.1:%d/%s" % (server.port, prefix)


def environment(home, **more):
    return {"PATH": os.environ["PATH"], "HOME": home, "CLIENTS": CLIENTS, "LANG": "C.UTF-8", "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1", **({"BARE": "1"} if BARE else {}), **more}


def script(name, address, control):
    program, file, _ = SDKS[name]
    return rows([program, os.path.join(HERE, file)], {"BASE": address, "CONTROL": control})


def rows(command, env):
    """Runs one SDK script and hands its lines on."""
    with tempfile.TemporaryDirectory() as home:
        result = subprocess.run(command, env=environment(home, **env), capture_output=True, text=True,
                                timeout=check.LIMIT - 5, stdin=subprocess.DEVNULL)
    found = []
    for line in result.stdout.splitlines():
        if line.startswith("    ") and found:
            found[-1][2] += line[4:] + "\n"
        elif line.split(" ")[0] in ("ok", "FAIL", "skip"):
            word, row, _ = line.split(" ")
            found.append([word, row, ""])
    for word, row, text in found:
        if word != "skip":
            yield row, (text or "failed") if word == "FAIL" else None
    if not found or result.returncode:
        yield "script", "exit %d: %s" % (result.returncode, result.stderr[-2000:])


def make(name, behind_aimock):
    def test():
        prefix = SDKS[name][2] if behind_aimock else "mock"
        return script(name, base(prefix), aimock.url if behind_aimock else "")
    return test


for sdk in SDKS:
    globals()["test_%s_through_to_aimock" % sdk.replace("-", "_")] = make(sdk, True)
    if not BARE:
        globals()["test_%s_on_the_mock_provider" % sdk.replace("-", "_")] = make(sdk, False)


def agent(command, env, prompt_home):
    result = subprocess.run(command, env=environment(prompt_home, **env), cwd=prompt_home, capture_output=True, text=True,
                            timeout=check.LIMIT - 5, stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


def loop_was_real(said):
    """The model's tool call ran on this machine and what it printed came back to the model."""
    assert "the loop is closed" in said, said[-3000:]
    assert "MARKER-RAN-42" in json.dumps(aimock.journal()), "the tool's output never came back to the model"


def test_claude_code_tool_loop():
    address = base("claude")
    binary = os.path.join(MODULES, "@anthropic-ai", "claude-code-linux-x64", "claude")
    with tempfile.TemporaryDirectory() as home:
        code, out, err = agent([binary, "-p", "run the marker command", "--output-format", "json", "--allowedTools", "Bash"],
                               {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-dummy", "IS_SANDBOX": "1",
                                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}, home)
    assert code == 0, out + err
    loop_was_real(out)


def test_claude_code_on_the_mock_provider():
    if BARE:
        raise check.Skip("needs ccproxy")
    base("mock")
    binary = os.path.join(MODULES, "@anthropic-ai", "claude-code-linux-x64", "claude")
    with tempfile.TemporaryDirectory() as home:
        code, out, err = agent([binary, "-p", "hello there", "--output-format", "json"],
                               {"ANTHROPIC_BASE_URL": base("mock"), "ANTHROPIC_API_KEY": "sk-dummy", "IS_SANDBOX": "1",
                                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}, home)
    assert code == 0 and "hello there" in json.loads(out)["result"], out + err


def codex(address, prompt, home, more=""):
    found = [os.path.join(d, "codex") for d, _, files in os.walk(os.path.join(MODULES, "@openai", "codex-linux-x64"))
             if "codex" in files and os.access(os.path.join(d, "codex"), os.X_OK)]
    assert found, "the codex binary is not in its package"
    os.makedirs(os.path.join(home, ".codex"))
    with open(os.path.join(home, ".codex", "config.toml"), "w") as out:
        out.write('model = "gpt-agent"\nmodel_provider = "proxy"\n' + more + '[model_providers.proxy]\nname = "proxy"\n'
                  'base_url = "%s/v1"\nenv_key = "PROXY_KEY"\nwire_api = "responses"\n' % address)
    return agent([found[0], "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
                 {"PROXY_KEY": "sk-dummy"}, home)


def test_codex_tool_loop():
    with tempfile.TemporaryDirectory() as home:
        code, out, err = codex(base("openai"), "run the marker command", home)
    assert code == 0, out + err
    loop_was_real(out)


def test_codex_on_the_mock_provider():
    if BARE:
        raise check.Skip("needs ccproxy")
    with tempfile.TemporaryDirectory() as home:
        code, out, err = codex(base("mock"), "hello there", home)
    assert code == 0 and "hello there" in out, out + err


if __name__ == "__main__":
    check.main(globals(), "clients/real", before, after)
