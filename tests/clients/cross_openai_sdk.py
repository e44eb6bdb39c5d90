"""The official OpenAI SDK for Python, Chat Completions and Responses, in front of another vendor. See cross.py.

TARGETS names a place as "chat:vendor" or "responses:vendor"."""
import openai
import pydantic
from cross import (BARE, DATA, ERRORS, NEW, OLD, later, left_early, run, run_all, same, scene, status, text, thrown,
                   tools)


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    age: int
    tags: list[str]


def user(words):
    return {"role": "user", "content": words}


class Chat:
    def __init__(self, vendor, client):
        self.vendor, self.client = vendor, client

    def ask(self, stream, **params):
        params = {"model": NEW, **params}
        if not stream:
            return self.client.chat.completions.create(**params)
        with self.client.chat.completions.stream(stream_options={"include_usage": True}, **params) as events:
            return events.get_final_completion()

    def declare(self, *names):
        return [{"type": "function", "function": {"name": t["name"], "description": t["description"],
                                                  "parameters": t["schema"]}} for t in tools(*names)]

    def said(self, answer, words, finish="stop"):
        same(answer.choices[0].message.content, words, "content")
        same(answer.choices[0].finish_reason, finish, "finish reason")
        usage = answer.usage
        same((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens,
              usage.prompt_tokens_details.cached_tokens),
             (100, 64, 164, 80), "usage")
        assert BARE or answer.model == NEW, answer.model

    def loop(self, name, names, stream, texts, result=None, **more):
        """Executes what the model calls until it answers, `texts` one after the other."""
        messages = [user(text(name))]
        for words in texts:
            for _ in range(6):
                answer = self.ask(stream, messages=messages, tools=self.declare(*names), **more)
                message = answer.choices[0].message
                echo = message.model_dump(exclude_none=True)
                if BARE:
                    echo.pop("reasoning_content", None)  # not taken by the vendor
                messages.append(echo)
                if not message.tool_calls:
                    break
                same(answer.choices[0].finish_reason, "tool_calls", "finish reason")
                messages += [{"role": "tool", "tool_call_id": c.id,
                              "content": result[i] if result else run(c.function.name, c.function.arguments or "{}")}
                             for i, c in enumerate(message.tool_calls)]
            same(message.content, words, "content")
            messages.append(user("go on"))

    def simple(self, name, words, stream, **params):
        self.said(self.ask(stream, messages=[user(text(name))], **params), words)

    def system(self, stream):
        messages = [{"role": "system", "content": DATA["system"][0]},
                    {"role": "developer", "content": DATA["system"][1]}]
        self.said(self.ask(stream, messages=messages + [user(text("system"))]), "ok")

    def image(self, name, url, words, stream):
        content = [{"type": "text", "text": text(name)}, {"type": "image_url", "image_url": {"url": url}}]
        self.said(self.ask(stream, messages=[user(content + [{"type": "text", "text": "what is it?"}])]), words)

    def think(self, model, stream):
        messages = [user(text("think"))]
        for i in range(3):
            answer = self.ask(stream, model=model, messages=messages, reasoning_effort="high")
            message = answer.choices[0].message
            same(message.content, "answer %d" % i, "content")
            if self.vendor != "responses":  # Chat has no word for wanting to see it
                same(message.model_extra["reasoning_content"], DATA["thinking"], "thinking")
            same(answer.usage.completion_tokens_details.reasoning_tokens, 40, "reasoning tokens")
            echo = message.model_dump(exclude_none=True)
            if BARE:
                echo.pop("reasoning_content", None)
            messages += [echo, user("next")]

    def parse(self):
        answer = self.client.chat.completions.parse(model=NEW, messages=[user(text("anyschema"))],
                                                    response_format=Person)
        same(answer.choices[0].message.parsed.model_dump(), DATA["person"], "person")

    def broken(self, name, stream):
        error = thrown(lambda: self.ask(stream, messages=[user(text(name))]), *(() if BARE else (openai.OpenAIError,)))
        assert name != "middle" or "Overloaded just now" in str(error), error

    def start(self, words):
        return self.client.chat.completions.create(model=NEW, stream=True, messages=[user(words)])

    def error(self, kind, stream):
        self.error_is(kind, thrown(lambda: self.ask(stream, messages=[user(text("error-" + kind))]),
                                   openai.APIStatusError))

    @staticmethod
    def error_is(kind, error):
        same(error.status_code, status(503, kind), "status of %s" % error)
        assert {"message", "type", "param", "code"} <= set(error.body), error.body
        if kind == "429":
            assert isinstance(error, openai.RateLimitError) and error.response.headers["retry-after"] == "7"
        if kind == "400":
            assert 'that is "too hot" \\ 🌡' in error.body["message"], error.body
        if kind == "context":
            same(error.code, "context_length_exceeded", "code")


class Responses(Chat):
    def ask(self, stream, **params):
        params = {"model": NEW, "store": False, **params}
        if not stream:
            return self.client.responses.create(**params)
        with self.client.responses.stream(**params) as events:
            list(events)
            return events.get_final_response()

    def declare(self, *names):
        return [{"type": "function", "name": t["name"], "description": t["description"], "parameters": t["schema"],
                 "strict": False} for t in tools(*names)]

    def said(self, answer, words, finish="completed"):
        same(answer.output_text, words, "text")
        same(answer.status, finish, "status")
        usage = answer.usage
        same((usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.input_tokens_details.cached_tokens),
             (100, 64, 164, 80), "usage")
        assert BARE or answer.model == NEW, answer.model

    @staticmethod
    def echo(answer):
        drop = {"status", "parsed", "parsed_arguments"}
        return [{k: v for k, v in o.model_dump(exclude_none=True).items() if k not in drop} for o in answer.output]

    def loop(self, name, names, stream, texts, result=None, reasoning_effort=None, **more):
        items = [user(text(name))]
        if reasoning_effort:
            more.update(reasoning={"effort": reasoning_effort, "summary": "auto"},
                        include=["reasoning.encrypted_content"])
        for words in texts:
            for _ in range(6):
                answer = self.ask(stream, input=items, tools=self.declare(*names), **more)
                calls = [o for o in answer.output if o.type == "function_call"]
                items += self.echo(answer)
                if not calls:
                    break
                items += [{"type": "function_call_output", "call_id": c.call_id,
                           "output": result[i] if result else run(c.name, c.arguments)} for i, c in enumerate(calls)]
            same(answer.output_text, words, "text")
            items.append(user("go on"))

    def simple(self, name, words, stream, max_tokens=None, stop=None, response_format=None, **params):
        if max_tokens:
            params["max_output_tokens"] = max_tokens
        self.said(self.ask(stream, input=text(name), **params), words)

    def system(self, stream):
        items = [{"role": "developer", "content": DATA["system"][1]}, user(text("system"))]
        self.said(self.ask(stream, instructions=DATA["system"][0], input=items), "ok")

    def image(self, name, url, words, stream):
        content = [{"type": "input_text", "text": text(name)},
                   {"type": "input_image", "detail": "auto", "image_url": url},
                   {"type": "input_text", "text": "what is it?"}]
        self.said(self.ask(stream, input=[user(content)]), words)

    def think(self, model, stream):
        items = [user(text("think"))]
        for i in range(3):
            answer = self.ask(stream, model=model, input=items, reasoning={"effort": "high", "summary": "auto"},
                              include=["reasoning.encrypted_content"])
            same(answer.output_text, "answer %d" % i, "text")
            same(answer.output[0].summary[0].text, DATA["thinking"], "thinking")
            same(answer.usage.output_tokens_details.reasoning_tokens, 40, "reasoning tokens")
            items += self.echo(answer) + [user("next")]

    def parse(self):
        answer = self.client.responses.parse(model=NEW, store=False, input=text("anyschema"), text_format=Person)
        same(answer.output_parsed.model_dump(), DATA["person"], "person")

    def broken(self, name, stream):
        """The stream helper gives no final response unless the answer was completed."""
        error = thrown(lambda: self.ask(stream, input=text(name)))
        told = "Overloaded just now" in str(error) or isinstance(error, RuntimeError)
        assert name != "middle" or BARE or told, repr(error)

    def start(self, words):
        return self.client.responses.create(model=NEW, store=False, stream=True, input=words)

    def error(self, kind, stream):
        self.error_is(kind, thrown(lambda: self.ask(stream, input=text("error-" + kind)), openai.APIStatusError))


def abort(sdk):
    nonce, words = scene("slow")
    stream = sdk.start(words)
    next(iter(stream))
    stream.close()
    left_early(nonce)


def make(place, address):
    api, vendor = place.split(":")
    client = openai.OpenAI(base_url=address + "/v1", api_key="sk-dummy", max_retries=0, timeout=20)
    sdk = (Chat if api == "chat" else Responses)(vendor, client)
    both = [NEW, OLD] if vendor in ("anthropic", "gemini") else [NEW]
    weather = ("get_weather", "get_time")
    checks = {"parse": sdk.parse, "abort": later(abort, sdk)}
    for way, stream in (("whole", False), ("stream", True)):
        checks.update({way + "-" + name: check for name, check in {
            "text": later(sdk.simple, "text", DATA["say"], stream), "system": later(sdk.system, stream),
            "tool": later(sdk.loop, "tool", weather, stream, ["It is " + DATA["weather"]], [DATA["weather"]]),
            "parallel": later(sdk.loop, "parallel", weather, stream, ["all three"],
                              [c["result"] for c in DATA["parallel"]]),
            "noargs": later(sdk.loop, "noargs", ["now"], stream, ["It is 12:00"]),
            "loop": later(sdk.loop, "loop", ["add", "multiply"], stream, ["The answer is 21"]),
            "image": later(sdk.image, "image", "data:image/png;base64," + DATA["png"], "a png", stream)}.items()})
        if BARE and api == "chat":
            del checks[way + "-noargs"]  # the SDK sends the empty text back that this vendor said
        if vendor != "gemini":
            checks[way + "-imageurl"] = later(sdk.image, "imageurl", DATA["image_url"], "a url", stream)
        for model in both:
            checks["%s-think-%s" % (way, model)] = later(sdk.think, model, stream)
            for name, texts in (("thinktool", ["20", "7"]),
                                ("interleaved" + "-lost" * (api == "chat"), ["five", "done"])):
                checks["%s-%s-%s" % (way, name, model)] = lambda n=name, t=texts, m=model, s=stream: sdk.loop(
                    n, ["add", "multiply"], s, t, model=m, reasoning_effort="high")
        for kind in ERRORS:
            checks["%s-error-%s" % (way, kind)] = later(sdk.error, kind, stream)
        for name in ("middle", "cut", "unfinished", "garbled") if stream else ("cut", "body-error"):
            if not (BARE and name in ("unfinished", "body-error", "garbled")):
                checks["%s-%s" % (way, name)] = later(sdk.broken, name, stream)
    return checks


run_all(make)
