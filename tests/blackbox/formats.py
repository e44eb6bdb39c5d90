"""The four wire formats as a test needs them: where they live, how they end, what their errors look like."""
import glob
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(os.path.dirname(HERE), "fixtures", "wire")


class Format:
    def __init__(self, name, prefix, plugin, path, stream_path, upstream_suffix, key_header, config_name):
        self.name, self.prefix, self.plugin, self.config_name = name, prefix, plugin, config_name
        self.path, self.stream_path, self.key_header = path, stream_path, key_header
        self.suffix = upstream_suffix  # what base_url ends with

    def url(self, stream=False, prefix=None):
        return "/%s%s" % (prefix or self.prefix, self.stream_path if stream else self.path)

    def key(self, secret):
        return ("Authorization", "Bearer " + secret) if self.key_header == "authorization" else (self.key_header, secret)


GENERATE = "/v1beta/models/gemini-test-1:"
ANTHROPIC = Format("anthropic", "claude", "claude_api", "/v1/messages", "/v1/messages", "", "x-api-key", "anthropic")
CHAT = Format("chat", "openai", "openai", "/v1/chat/completions", "/v1/chat/completions", "/v1", "authorization",
              "openai-chat")
RESPONSES = Format("responses", "openai", "openai", "/v1/responses", "/v1/responses", "/v1", "authorization",
                   "openai-responses")
GEMINI = Format("gemini", "gemini", "gemini", GENERATE + "generateContent",
                GENERATE + "streamGenerateContent?alt=sse", "", "x-goog-api-key", "gemini")
ALL = (ANTHROPIC, CHAT, RESPONSES, GEMINI)
KEY = "sk-upstream-FIXTURE-0001"


def config(url, auth="api_key", more=""):
    """All three built-in providers pointed at one upstream."""
    out = ""
    for plugin, suffix in (("claude_api", ""), ("openai", "/v1"), ("gemini", "")):
        out += '[plugins.%s]\nbase_url = "%s%s"\nauth = "%s"\n%s\n' % (plugin, url, suffix, auth, more)
        if auth == "api_key":
            out += 'api_key = "%s"\n' % KEY
    return out


def scenarios():
    """(scenario, format, request, response, stream) as bytes."""
    for folder in sorted(glob.glob(os.path.join(FIXTURES, "scenarios", "*"))):
        for fmt in ALL:
            files = [open(os.path.join(folder, fmt.name + end), "rb").read()
                     for end in (".request.json", ".response.json", ".stream.sse")]
            yield (os.path.basename(folder), fmt, *files)


def small_body(fmt, stream=False):
    """The smallest sensible request of a format."""
    if fmt is GEMINI:
        return b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    tail = b',"stream":true}' if stream else b"}"
    if fmt is RESPONSES:
        return b'{"model":"m-1","input":"hi"' + tail
    return b'{"model":"m-1","max_tokens":9,"messages":[{"role":"user","content":"hi"}]' + tail


def as_stream(fmt, request):
    """The same request asking for a stream, changed by hand so that every other byte stays."""
    return request if fmt is GEMINI else request.replace(b"{", b'{\n "stream": true,', 1)


def events(body):
    """(event name or None, data text) of a byte stream of events; an unfinished last event is dropped."""
    out, name, data = [], None, []
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    for line in lines[:-1]:
        if line == "":
            if data:
                out.append((name, "\n".join(data)))
            name, data = None, []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            name = line[6:].removeprefix(" ")
    return out


def parsed(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def is_error_event(fmt, event):
    name, value = event[0], parsed(event[1])
    if not isinstance(value, dict):
        return False
    if fmt is ANTHROPIC:
        return (name == "error" and value.get("type") == "error" and isinstance(value.get("error"), dict)
                and isinstance(value["error"].get("type"), str) and bool(value["error"].get("message")))
    if fmt is RESPONSES:
        failed = value.get("type") == "response.failed" and value["response"].get("error", {}).get("message")
        return bool(failed) or (value.get("type") == "error" and bool(value.get("message") or value.get("error")))
    error = value.get("error")
    return isinstance(error, dict) and bool(error.get("message"))


def is_success_end(fmt, event):
    name, data = event
    value = parsed(data)
    if fmt is ANTHROPIC:
        return isinstance(value, dict) and value.get("type") == "message_stop"
    if fmt is CHAT:
        return data.strip() == "[DONE]"
    if fmt is RESPONSES:
        return isinstance(value, dict) and value.get("type") in ("response.completed", "response.incomplete")
    return isinstance(value, dict) and any(c.get("finishReason") for c in value.get("candidates", []))


def error_problem(fmt, response, status=None):
    """None when the response is a well-formed error of the format, else what is wrong with it."""
    if response is None:
        return "no answer at all"
    if status is not None and response.status != status:
        return "status %d, expected %d: %s" % (response.status, status, response.body[:300])
    if response.status < 400:
        return "status %d is no error" % response.status
    if "json" not in (response.get("content-type") or ""):
        return "content-type %r" % response.get("content-type")
    value = parsed(response.body)
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or not error.get("message"):
        return "no error.message: %r" % response.body[:300]
    if fmt is ANTHROPIC and (value.get("type") != "error" or not isinstance(error.get("type"), str)):
        return "not Anthropic's shape: %r" % response.body[:300]
    if fmt in (CHAT, RESPONSES) and not ("type" in error and "code" in error and "param" in error):
        return "not OpenAI's shape: %r" % response.body[:300]
    if fmt is GEMINI and (error.get("code") != response.status or not isinstance(error.get("status"), str)):
        return "not Gemini's shape: %r" % response.body[:300]
    return None


def expect_error(fmt, response, status, *texts):
    problem = error_problem(fmt, response, status)
    assert problem is None, problem
    message = json.loads(response.body)["error"]["message"]
    for text in texts:
        assert text in message, "%r is not in the message %r" % (text, message)
    return json.loads(response.body)["error"]
