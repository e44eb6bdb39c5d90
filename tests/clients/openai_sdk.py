"""The official OpenAI SDK for Python. Environment as for client.mjs."""
import openai
from sdk import BASE, KEY, fail_once, main, thrown

once = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=30)
retrying = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=2, timeout=30)
MESSAGES = [{"role": "user", "content": "hello there"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]


def chat(model, client=once, **more):
    return client.chat.completions.create(model=model, messages=MESSAGES, **more)


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def check_plain():
    answer = chat("mock-echo")
    assert "hello there" in answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", answer


def check_stream():
    assert "hello there" in text_of(chat("mock-echo", stream=True))


def check_tool():
    answer = chat("mock-tool", tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather", answer


def check_responses():
    answer = once.responses.create(model="mock-echo", input="hello there")
    assert "hello there" in answer.output_text and answer.status == "completed", answer


def check_responses_stream():
    events = list(once.responses.create(model="mock-echo", input="hello there", stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed", [e.type for e in events]


def check_cut():
    thrown(lambda: text_of(chat("mock-cut", stream=True)))


def check_abort():
    stream = chat("mock-lorem", stream=True)
    next(iter(stream))
    stream.close()
    assert chat("mock-echo").choices


def check_retry():
    if not fail_once(503):
        return "skip"
    assert "hello there" in chat("mock-echo", client=retrying).choices[0].message.content


def errors():
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 429: openai.RateLimitError,
             500: openai.InternalServerError, 529: openai.InternalServerError}
    for status, kind in kinds.items():
        def one(status=status, kind=kind):
            error = thrown(lambda: chat("mock-error-%d" % status))
            assert isinstance(error, kind), repr(error)
            assert error.status_code == status or (status, error.status_code) == (529, 503), error.status_code
        yield "error-%d" % status, one


main(globals(), errors())
