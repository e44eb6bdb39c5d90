"""The official Anthropic SDK for Python in front of another vendor. See cross.py."""
import anthropic
from cross import (BARE, DATA, ERRORS, NEW, OLD, later, left_early, run, run_all, same, scene, status, text, thrown,
                   tools)

SOURCE = {"type": "base64", "media_type": "image/png", "data": DATA["png"]}


def user(content):
    return {"role": "user", "content": content}


def declare(*names):
    return [{"name": t["name"], "description": t["description"], "input_schema": t["schema"]} for t in tools(*names)]


def runnable(name):
    tool = tools(name)[0]

    def call(a: float, b: float) -> str:
        return run(name, {"a": a, "b": b})
    return anthropic.beta_tool(call, name=name, description=tool["description"], input_schema=tool["schema"])


class Sdk:
    def __init__(self, client, loose):
        self.client, self.loose = client, loose

    def ask(self, stream, **params):
        params = {"model": NEW, "max_tokens": 8192, **params}
        if not stream:
            return self.client.messages.create(**params)
        with self.client.messages.stream(**params) as events:
            list(events)
            return events.get_final_message()

    def said(self, answer, words, stop="end_turn"):
        same("".join(b.text for b in answer.content if b.type == "text"), words, "text")
        same(answer.stop_reason, stop, "stop reason")
        same((answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens),
             (20, 80, 64), "usage")
        assert BARE or answer.model == NEW, answer.model

    def simple(self, name, words, stream, stop="end_turn", content=None, **params):
        self.said(self.ask(stream, messages=[user([{"type": "text", "text": text(name)}] + (content or []))],
                           **params), words, stop)

    def loop(self, name, names, stream, texts, result=None, **more):
        messages = [user(text(name + (self.loose if name in ("thinktool", "interleaved") else "")))]
        for words in texts:
            for _ in range(6):
                answer = self.ask(stream, messages=messages, tools=declare(*names), **more)
                calls = [b for b in answer.content if b.type == "tool_use"]
                messages.append({"role": "assistant", "content": answer.content})
                if not calls:
                    break
                same(answer.stop_reason, "tool_use", "stop reason")
                messages.append(user([{"type": "tool_result", "tool_use_id": c.id,
                                       "content": result[i] if result else run(c.name, c.input)}
                                      for i, c in enumerate(calls)]))
            same("".join(b.text for b in answer.content if b.type == "text"), words, "text")
            messages.append(user("go on"))

    def think(self, name, stream, **more):
        messages = [user(text(name + self.loose))]
        for i in range(3):
            answer = self.ask(stream, messages=messages, **more)
            same(answer.content[-1].text, "answer %d" % i, "text of the last block")
            if name == "think":
                same(answer.content[0].thinking, DATA["thinking"], "thinking")
            messages += [{"role": "assistant", "content": answer.content}, user("next")]

    def runner(self, stream):
        """The helper that runs the tools itself."""
        runner = self.client.beta.messages.tool_runner(
            model=NEW, max_tokens=8192, messages=[user(text("loop"))], tools=[runnable("add"), runnable("multiply")],
            stream=stream)
        last = None
        for step in runner:
            last = step.get_final_message() if stream else step
        same("".join(b.text for b in last.content), "The answer is 21", "text")

    def error(self, kind, stream):
        error = thrown(lambda: self.ask(stream, messages=[user(text("error-" + kind))]), anthropic.APIStatusError)
        same(error.status_code, status(529, kind), "status of %s" % error)
        body = error.body["error"]
        assert error.body["type"] == "error" and body["type"] and body["message"], error.body
        if kind == "429":
            assert isinstance(error, anthropic.RateLimitError) and error.response.headers["retry-after"] == "7"
        if kind == "400":
            assert 'that is "too hot" \\ 🌡' in error.body["error"]["message"], error.body
        if kind == "context":
            assert error.body["error"]["message"].startswith("prompt is too long"), error.body

    def broken(self, name, stream):
        error = thrown(lambda: self.ask(stream, messages=[user(text(name))]),
                       *(() if BARE else (anthropic.AnthropicError,)))
        assert name != "middle" or "Overloaded just now" in str(error), error

    def abort(self):
        nonce, words = scene("slow")
        stream = self.client.messages.create(model=NEW, max_tokens=8192, stream=True, messages=[user(words)])
        next(iter(stream))
        stream.close()
        left_early(nonce)


def make(vendor, address):
    sdk = Sdk(anthropic.Anthropic(base_url=address, api_key="sk-dummy", max_retries=0, timeout=20),
              "-calls" if vendor == "gemini" else "")
    checks = {"abort": sdk.abort}
    thinking = {NEW: {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
                OLD: {"thinking": {"type": "enabled", "budget_tokens": 4096}}}
    image = [{"type": "image", "source": SOURCE}, {"type": "text", "text": "what is it?"}]
    system = [{"type": "text", "text": t, "cache_control": {"type": "ephemeral"}} for t in DATA["system"]]
    weather = ("get_weather", "get_time")
    for way, stream in (("whole", False), ("stream", True)):
        checks.update({way + "-" + name: check for name, check in {
            "text": later(sdk.simple, "text", DATA["say"], stream),
            "system": lambda s=stream: sdk.simple("system", "ok", s, system=system),
            "tool": later(sdk.loop, "tool", weather, stream, ["It is " + DATA["weather"]], [DATA["weather"]]),
            "parallel": later(sdk.loop, "parallel", weather, stream, ["all three"],
                              [c["result"] for c in DATA["parallel"]]),
            "noargs": later(sdk.loop, "noargs", ["now"], stream, ["It is 12:00"]),
            "loop": later(sdk.loop, "loop", ["add", "multiply"], stream, ["The answer is 21"]),
            "runner": later(sdk.runner, stream),
            "image": later(sdk.simple, "image", "a png", stream, "end_turn", image),
            "length": later(sdk.simple, "length", "Once upon a", stream, "max_tokens"),
            "filter": later(sdk.simple, "filter", "", stream, "refusal")}.items()})
        for model in [NEW, OLD] if vendor in ("anthropic", "gemini") else [NEW]:
            for name in ("think", "redacted") if vendor == "anthropic" else ("think",):
                checks["%s-%s-%s" % (way, name, model)] = lambda n=name, s=stream, m=model: sdk.think(
                    n, s, model=m, **thinking[m])
            for name, texts in (("thinktool", ["20", "7"]), ("interleaved", ["five", "done"])):
                checks["%s-%s-%s" % (way, name, model)] = lambda n=name, t=texts, s=stream, m=model: sdk.loop(
                    n, ["add", "multiply"], s, t, model=m, **thinking[m])
        for kind in ERRORS:
            checks["%s-error-%s" % (way, kind)] = later(sdk.error, kind, stream)
        for name in ("middle", "cut", "unfinished", "garbled") if stream else ("cut", "body-error"):
            if not (BARE and name in ("unfinished", "body-error", "garbled")):
                checks["%s-%s" % (way, name)] = later(sdk.broken, name, stream)
    return checks


run_all(make)
