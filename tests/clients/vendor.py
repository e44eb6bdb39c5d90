"""A strict upstream that plays all four vendors, for clients in front of a translator.

Under /like it is a server that is merely like them and does not know their newest members.

It takes a request only when the vendor would (vendor_rules.py), answers in the vendor's words (vendor_wire.py) and
follows a scene: the first user text begins with "[scene NAME #NONCE]", and each scene tells what the model says at each
step and what must have come back by then. A request that is legal but not what the client said is refused with
"JUDGE: …", so that the client's own SDK reports it. /judge/seen?nonce=N tells what arrived and whether its peer left
early.
"""
import asyncio
import json
import os
import re
import ssl
import time
import urllib.parse

import vendor_wire
from upstream import Answer, Upstream, reply, sse
from vendor_anthropic import anthropic
from vendor_gemini import gemini
from vendor_openai import chat, responses
from vendor_rules import Refuse, want

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "scenes.json"), encoding="utf-8") as _file:
    DATA = json.load(_file)
TOOLS = {t["name"]: (t["description"], t["schema"]) for t in DATA["tools"]}
READ = {"anthropic": anthropic, "chat": chat, "responses": responses, "gemini": gemini}
SCENE = re.compile(r"\[scene ([a-z0-9-]+) #(\w+)\]")


def say(text):
    return {"kind": "text", "text": text}


def call(name, **args):
    return {"kind": "call", "name": name, "args": args}


def think():
    return {"kind": "thinking", "text": DATA["thinking"]}


def judge(good, message, *values):
    want(good, "JUDGE: " + message, *values)


# -- what came back --

def text_of(parts):
    return "".join(p["text"] for p in parts if p["kind"] == "text")


def results(ask):
    """(call, text of its result) of the last step, in the order of the calls."""
    calls = [p for p in ask.turns[-2][1] if p["kind"] == "call"]
    got = [p for p in ask.turns[-1][1] if p["kind"] == "result"]
    judge(len(calls) == len(got) and calls, "%d results for %d calls", len(got), len(calls))
    out = []
    for at, one in enumerate(calls):
        mine = [r for r in got if r.get("of", -1) == at or "of" not in r and r["id"] == one["id"]]
        judge(len(mine) == 1, "call %d (%s) has %d results", at, one["id"], len(mine))
        out.append((one, mine[0]))
    return out


def result_is(ask, *texts):
    for (_, result), text in zip(results(ask), texts):
        judge(text in text_of(result["parts"]), "result %r is not %r", text_of(result["parts"]), text)


def tools_are(ask, *names):
    for name in names:
        judge(name in ask.tools, "tool %s is missing", name)
        description, schema = ask.tools[name]
        judge(description == TOOLS[name][0], "description of %s: %r", name, description)
        schema = {k: v for k, v in (schema or {"type": "object", "properties": {}}).items()
                  if k != "additionalProperties" and v != []}
        schema.setdefault("properties", {})
        judge(schema == TOOLS[name][1], "schema of %s: %r", name, schema)


def history_is(ask, answers):
    """Each earlier turn of the model is what it said; what has been thought is not looked at here."""
    turns = [parts for role, parts in ask.turns if role == "assistant"]
    for at, (parts, said) in enumerate(zip(turns, answers)):
        judge(text_of(parts) == "".join(p["text"] for p in said if p["kind"] == "text"), "turn %d says %r", at,
              text_of(parts))
        calls = [(p["name"], p["args"]) for p in parts if p["kind"] == "call"]
        judge(calls == [(p["name"], p["args"]) for p in said if p["kind"] == "call"], "turn %d calls %r", at, calls)


def proofs_are_back(ask, scene, answers):
    """Every turn of the model comes with the proofs that were issued for it, on the parts they were issued for."""
    if ask.format == "chat":
        return
    turns = [parts for role, parts in ask.turns if role == "assistant"]
    for step, (parts, said) in enumerate(zip(turns, answers)):
        probe = vendor_wire.Answer(ask, said, "end", DATA["usage"], scene.nonce, step, {})
        have = [p.get("proof") for p in parts if p.get("proof")]
        for at, proof in probe.proof.items():
            optional = scene.calls_only and said[at]["kind"] == "text"
            judge(proof in have or optional, "turn %d came without its proof for part %d; it has %r", step, at, have)
        judge(set(have) <= set(probe.proof.values()), "turn %d has proofs that nobody issued: %r", step, have)


# -- scenes: each is a function of (ask, step) that returns the parts, or parts and a stop word --

class Scene:
    """A name with "-calls" behind it: this client has no place for the proof of a text, which Gemini only recommends to
    send back, unlike that of a call; with "-lost": it cannot hand back what has been thought at all."""

    def __init__(self, name, nonce):
        self.name, self.nonce = name.removesuffix("-calls").removesuffix("-lost"), nonce
        self.calls_only, self.lost = name.endswith("-calls"), name.endswith("-lost")
        self.echo = self.name in ECHO and not self.lost


def scene_text(ask, step):
    if step == 0:
        return [say(DATA["say"])]
    return [say("step %d" % step)]


def scene_system(ask, _step):
    judge("\n\n".join(ask.system) == "\n\n".join(DATA["system"]), "system is %r", ask.system)
    return [say("ok")]


def scene_params(ask, _step):
    judge(ask.temperature == 0.5, "temperature is %r", ask.temperature)
    judge(ask.max_tokens == 777, "max tokens is %r", ask.max_tokens)
    judge(ask.format == "responses" or ask.stops == ["STOP-1", "\n\nSTOP \"2\""] or not ask.stops_given,
          "stop is %r", ask.stops)
    return [say("ok")]


def scene_tool(ask, step):
    tools_are(ask, "get_weather", "get_time")
    if step == 0:
        return [say("Let me look."), call("get_weather", **DATA["args"])]
    result_is(ask, DATA["weather"])
    return [say("It is " + DATA["weather"])]


def scene_parallel(ask, step):
    tools_are(ask, "get_weather", "get_time")
    if step == 0:
        return [call(c["name"], **c["args"]) for c in DATA["parallel"]]
    result_is(ask, *[c["result"] for c in DATA["parallel"]])
    return [say("all three")]


def scene_noargs(ask, step):
    tools_are(ask, "now")
    if step == 0:
        return [call("now")]
    result_is(ask, "12:00")
    return [say("It is 12:00")]


def scene_loop(ask, step):
    tools_are(ask, "add", "multiply")
    plan = [("add", 2, 3, "5"), ("multiply", 5, 4, "20"), ("add", 20, 1, "21")]
    if step:
        result_is(ask, plan[step - 1][3])
    if step == len(plan):
        return [say("The answer is 21")]
    name, a, b, _ = plan[step]
    return [say("step %d: " % step), call(name, a=a, b=b)]


def scene_think(ask, step):
    judge(ask.thinking, "nobody asked for thinking")
    judge(ask.show or ask.format == "responses", "nobody wants to see the thinking")
    judge(ask.format != "responses" or ask.like or ask.encrypted, "encrypted reasoning was not asked for")
    return [think(), say("answer %d" % step)]


def scene_redacted(ask, step):
    if ask.format != "anthropic":
        return scene_think(ask, step)
    judge(ask.thinking, "nobody asked for thinking")
    return [{"kind": "redacted", "text": ""}, say("answer %d" % step)]


def scene_thinktool(ask, step):
    """Two steps with a call each, an answer, then a further question with one more call."""
    judge(ask.thinking or ask.lost, "nobody asked for thinking")
    tools_are(ask, "add", "multiply")
    if step in (1, 2, 4):
        result_is(ask, {1: "5", 2: "20", 4: "7"}[step])
    first = [think()] if ask.thinking else []
    return [first + [call("add", a=2, b=3)], first + [say("now"), call("multiply", a=5, b=4)], first + [say("20")],
            first + [call("add", a=3, b=4)], [say("7")]][step]


def scene_interleaved(ask, step):
    """All the places in one turn where this vendor puts proofs."""
    judge(ask.thinking or ask.lost, "nobody asked for thinking")
    if step == 0:
        more = {"kind": "thinking", "text": "once more"}
        add = call("add", a=2, b=3)
        return {"anthropic": [think(), {"kind": "redacted", "text": ""}, say("well"), more, add],
                "responses": [think(), say("well"), more, add], "chat": [think(), say("well"), add],
                "gemini": [think(), say("well"), add, call("multiply", a=5, b=4)]}[ask.format]
    if step == 1:
        result_is(ask, "5", "20")
    return [*[think()][:bool(ask.thinking)], say("five")] if step == 1 else [say("done")]


def scene_forgotten(ask, step):
    """As thinktool, for clients that drop what has been thought: the request must be legal all the same."""
    tools_are(ask, "add")
    if step == 0:
        return ([think()] if ask.thinking else []) + [call("add", a=2, b=3)]
    result_is(ask, "5")
    return [say("5")]


def scene_choice(ask, _step):
    judge(ask.choice == "any", "tool choice is %r", ask.choice)
    judge(ask.parallel is False or ask.format == "gemini", "parallel calls are %r", ask.parallel)
    return [call("now")]


def scene_any(ask, _step):
    judge(ask.choice == "any", "tool choice is %r", ask.choice)
    return [call("now")]


def scene_named(ask, _step):
    judge(ask.choice == ("named", "get_time"), "tool choice is %r", ask.choice)
    return [call("get_time", city="Oslo")]


def scene_none(ask, _step):
    judge(ask.choice == "none", "tool choice is %r", ask.choice)
    tools_are(ask, "now")
    return [say("no tools then")]


def scene_toolerror(ask, step):
    if step == 0:
        return [call("now")]
    (_, result), = results(ask)
    text = text_of(result["parts"])
    judge("the clock is broken" in text, "result is %r", text)
    judge(result["failed"] or ask.format in ("chat", "responses") and "rror" in text,
          "the error looks like a good result")
    return [say("a pity")]


def scene_image(ask, _step):
    found = [p for p in ask.turns[0][1] if p["kind"] == "image"]
    judge([f.get("data") for f in found] == [DATA["png"]] and found[0]["mime"] == "image/png", "images: %r", found)
    judge([p["kind"] for p in ask.turns[0][1]] == ["text", "image", "text"], "the parts are out of order")
    return [say("a png")]


def scene_imageurl(ask, _step):
    found = [p.get("url") for p in ask.turns[0][1] if p["kind"] == "image"]
    judge(found == [DATA["image_url"]], "images: %r", found)
    return [say("a url")]


def scene_pdf(ask, _step):
    found = [p for p in ask.turns[0][1] if p["kind"] == "document"]
    judge([f.get("data") for f in found] == [DATA["pdf"]], "documents: %r", found)
    return [say("a pdf")]


def scene_toolimage(ask, step):
    if step == 0:
        return [call("now")]
    user = ask.turns[-1][1]
    images = [p for r in user for p in [r] + r.get("parts", []) if p["kind"] == "image"]
    judge([i.get("data") for i in images] == [DATA["png"]], "images: %r", images)
    judge("see the picture" in text_of(sum([p.get("parts", []) for p in user], [])), "the result's text is gone")
    return [say("a picture")]


def scene_schema(ask, _step):
    """Servers that are merely like Anthropic's are told in words."""
    told = ask.format == "anthropic" and any(json.dumps(DATA["schema"], separators=(",", ":")) in re.sub(r"\s", "", t)
                                             for t in ask.system)
    judge(ask.schema == DATA["schema"] or told, "schema is %r, system is %r", ask.schema, ask.system)
    return [say(json.dumps(DATA["person"], ensure_ascii=False))]


def scene_anyschema(ask, _step):
    """Made by a helper from a class; only what it says about the members counts."""
    schema = ask.schema
    if not schema and ask.system and ask.format == "anthropic":  # servers that are merely like it are told in words
        schema = json.loads(ask.system[-1][ask.system[-1].index("{"):])
    judge(schema and schema.get("required") == DATA["schema"]["required"] and
          schema.get("additionalProperties") is False, "schema is %r", schema)
    return [say(json.dumps(DATA["person"], ensure_ascii=False))]


def scene_custom(ask, step):
    """A tool that takes free text; where there is no such thing it takes an object with one string."""
    native = ask.tools["shell"][1] == "custom"
    judge(native or list(ask.tools["shell"][1]["properties"]) == ["input"], "schema is %r", ask.tools["shell"])
    if step == 0:
        return [{"kind": "call", "name": "shell", "args": {"input": DATA["say"]}, "custom": native}]
    result_is(ask, DATA["weather"])
    return [say("ran")]


def scene_agent(ask, step):
    """An agent that runs commands: one, then two at once. It may put texts of its own before the user's."""
    tool, key = next((t for t in (("Bash", "command"), ("exec_command", "cmd")) if t[0] in ask.tools), (None, None))
    judge(tool, "no tool to run commands with among %s", sorted(ask.tools))

    def command(number):
        return call(tool, **{key: "echo MARKER-RAN-$((%d+2))" % number},
                    **({"description": "mark"} if tool == "Bash" else {}))
    first = [think()] if ask.thinking else []
    if step == 0:
        return first + [say("First one."), command(40)]
    if step == 1:
        result_is(ask, "MARKER-RAN-42")
        return first + [command(50), command(60)]
    result_is(ask, "MARKER-RAN-52", "MARKER-RAN-62")
    return first + [say("the loop is closed")]


def scene_length(_ask, _step):
    return [say("Once upon a")], "length"


def scene_filter(_ask, _step):
    return [], "filter"


def scene_sequence(ask, _step):
    judge(ask.format == "responses" or ask.stops == ["STOP"], "stop is %r", ask.stops)
    return [say("until ")], "sequence"


SCENES = {n[6:]: f for n, f in globals().items() if n.startswith("scene_")}
ECHO = ("think", "redacted", "thinktool", "interleaved", "agent")  # proofs must come back, if the client keeps them

ERRORS = {"400": (400, "temperature: that is \"too hot\" \\ 🌡"), "401": (401, "invalid x-api-key"),
          "403": (403, "not yours"), "404": (404, "model: no-such-model"), "429": (429, "Slow down"),
          "500": (500, "Internal server error"),
          "overloaded": (None, "Overloaded"), "context": (400, None)}
CONTEXT = {"anthropic": ("prompt is too long: 208310 tokens > 200000 maximum", None),
           "chat": ("This model's maximum context length is 128000 tokens. However, your messages resulted in 208310 "
                    "tokens.",
                    "context_length_exceeded"),
           "responses": ("Your input exceeds the context window of this model. Please adjust your input and try again.",
                         "context_length_exceeded"),
           "gemini": ("The input token count (208310) exceeds the maximum number of tokens allowed (200000).", None)}


class Vendor(Upstream):
    """One address for all four vendors; the path tells which one is meant."""

    def __init__(self):
        self.proofs = {}
        self.seen = {}  # nonce -> what arrived
        self.said = {}  # nonce -> step -> the parts of the answer
        super().__init__()
        self.answer = self.respond

    def front(self, certificate, key):
        """A forward proxy whose tunnels all end here, over TLS: what is sent to the vendors' own hosts arrives at this
        upstream. Returns its port."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        async def tunnel(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await writer.drain()
            await writer.start_tls(context)
            await self._serve(reader, writer)
        start = asyncio.start_server(tunnel, "127.0.0.1", 0, limit=1 << 26)
        return asyncio.run_coroutine_threadsafe(start, self._loop).result(10).sockets[0].getsockname()[1]

    @staticmethod
    def count(path):
        """What counts tokens, and where the number stands in the answer."""
        return {"/v1/messages/count_tokens": ("anthropic", {"input_tokens": 123}),
                "/v1/responses/input_tokens": ("responses", {"object": "response.input_tokens", "input_tokens": 123}),
                }.get(path, ("gemini", {"totalTokens": 123}) if path.endswith(":countTokens") else (None, None))

    def respond(self, request):
        url = urllib.parse.urlsplit(request.target)
        if url.path == "/judge/seen":
            return reply([{**entry, "gone": entry["request"].gone_at is not None, "request": None}
                          for entry in self.seen.get(urllib.parse.parse_qs(url.query)["nonce"][0], [])])
        like, path = url.path.startswith("/like/"), url.path.removeprefix("/like")
        fmt = next((f for f, end in (("anthropic", "/v1/messages"), ("chat", "/v1/chat/completions"),
                                     ("responses", "/v1/responses")) if path == end), None)
        body = json.loads(request.body or b"{}")
        counted, number = self.count(path)
        if counted and SCENE.search(json.dumps(body)):
            return reply(number)
        found = re.fullmatch(r"/v1(?:beta)?/models/([^:]+):(generateContent|streamGenerateContent)", path)
        if found:
            fmt = "gemini"
            body.update(_model=found[1], _stream=found[2].startswith("stream"))
        if not fmt or request.method != "POST":
            return reply({"error": {"message": "no such route: " + request.target}}, status=404)
        try:
            return self.play(fmt, body, request, like)
        except Refuse as no:
            return reply(vendor_wire.error_body(fmt, no.status, no.message, no.code, no.param, None, no.details),
                         status=no.status)
        except Exception as error:  # pylint: disable=broad-except
            text = "JUDGE: cannot read this request: %r in %s" % (error, json.dumps(body)[:600])
            return reply(vendor_wire.error_body(fmt, 400, text), status=400)

    def play(self, fmt, body, request, like):
        head = SCENE.search(json.dumps(body))
        nonce = head[2] if head else ""
        self.seen.setdefault(nonce, []).append({"format": fmt, "path": request.target, "body": body,
                                                "request": request})
        ask = READ[fmt](body, {n.lower(): v for n, v in request.headers}, self.proofs)
        ask.like = like
        judge(fmt != "responses" or ask.store is False, "the answer would be stored")
        want(not (like and fmt == "anthropic" and ask.schema), "output_config.format: Extra inputs are not permitted")
        first = next((p["text"] for role, parts in ask.turns if role == "user" for p in parts if p["kind"] == "text"),
                     "")
        found = head if head and head[1] == "agent" else SCENE.match(first)
        judge(found, "the conversation does not begin with a scene: %r", first[:200])
        judge(found[1] == "agent" or first.split("] ", 1)[1] == DATA["ask"], "the first text is %r", first)
        name, step = found[1], sum(role == "assistant" for role, _ in ask.turns)
        ask.stops_given = bool(ask.stops)
        if name.startswith("error-"):
            return self.fail(fmt, name[6:])
        scene = Scene(name, nonce)
        if scene.name in ("slow", "middle", "cut", "unfinished", "garbled", "body-error"):
            return self.broken(fmt, ask, scene)
        ask.lost = scene.lost and step > 0
        result = SCENES[scene.name](ask, step)
        parts, stop = result if isinstance(result, tuple) else (result, None)
        self.past(ask, scene, step)
        return self.finish(self.made(ask, scene, parts, stop, step))

    def past(self, ask, scene, step):
        """What the model said at earlier steps must have come back unchanged."""
        said = self.said.get(scene.nonce, {})
        answers = [said.get(i, []) for i in range(step)]
        history_is(ask, answers)
        if scene.echo:
            proofs_are_back(ask, scene, answers)

    def made(self, ask, scene, parts, stop, step):
        self.said.setdefault(scene.nonce, {})[step] = parts
        usage = dict(DATA["usage"], reasoning=DATA["usage"]["reasoning"]
                     if any(p["kind"] == "thinking" for p in parts) else 0)
        calls = any(p["kind"] == "call" for p in parts)
        return vendor_wire.Answer(ask, parts, stop or ("tool" if calls else "end"), usage, scene.nonce, step,
                                  self.proofs,
                                  sequence="STOP" if stop == "sequence" else None, interleave=scene.name == "parallel",
                                  with_ids=scene.name in ("loop", "thinktool"))

    @staticmethod
    def finish(answer):
        fmt = answer.ask.format
        headers = [("request-id", "req_judge"), ("x-request-id", "req_judge")]
        if not answer.ask.stream:
            return reply(vendor_wire.WHOLE[fmt](answer), headers=headers)
        return sse(b"".join(vendor_wire.STREAM[fmt](answer)), headers=headers, cuts=[301, 457, 902, 1303])

    @staticmethod
    def fail(fmt, kind):
        status, message = ERRORS[kind]
        code = None
        if kind == "overloaded":
            status = 529 if fmt == "anthropic" else 503
        if kind == "context":
            message, code = CONTEXT[fmt]
        retry = 7 if status == 429 else None
        headers = [("retry-after", "7")] if retry and fmt != "gemini" else []
        return reply(vendor_wire.error_body(fmt, status, message, code, None, retry), status=status, headers=headers)

    def broken(self, fmt, ask, scene):
        text = DATA["long"] * (40 if scene.name == "slow" else 3)
        answer = self.made(ask, scene, [say(text)], None, 0)
        if scene.name == "body-error":
            return reply(vendor_wire.error_body(fmt, 429, "Slow down"))
        if not ask.stream:
            whole = json.dumps(vendor_wire.WHOLE[fmt](answer)).encode()
            if scene.name == "slow":
                return Answer(whole, head_delay=20)
            return Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                len(whole), whole[:len(whole) // 2]), end="fin")
        events = vendor_wire.STREAM[fmt](answer)
        half = len(events) // 2
        if scene.name == "slow":
            return Answer([(e, 0.02) for e in events], content_type="text/event-stream")
        if scene.name == "middle":
            return sse(b"".join(events[:half]) + vendor_wire.error_event(fmt, answer, "Overloaded just now"))
        if scene.name == "garbled":
            return sse(b"".join(events[:half]) + b"data: {\"type\": oops\n\n" + b"".join(events[half:]))
        return Answer([(b"".join(events[:half]), 0)], content_type="text/event-stream",
                      end="keep" if scene.name == "unfinished" else "fin")


if __name__ == "__main__":
    vendor = Vendor()
    print(vendor.url, flush=True)
    while True:
        time.sleep(3600)
