"""The official Anthropic SDK for Python. Environment as for client.mjs."""
import anthropic
from sdk import BASE, KEY, fail_once, main, thrown

once = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=30)
retrying = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=2, timeout=30)
MESSAGES = [{"role": "user", "content": "hello there"}]
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


def create(model, client=once, **more):
    return client.messages.create(model=model, max_tokens=256, messages=MESSAGES, **more)


def final(model, **more):
    with once.messages.stream(model=model, max_tokens=256, messages=MESSAGES, **more) as stream:
        return stream.get_final_message()


def check_plain():
    answer = create("mock-echo")
    assert "hello there" in answer.content[0].text and answer.stop_reason == "end_turn", answer


def check_stream():
    assert "hello there" in final("mock-echo").content[0].text


def check_tool():
    for answer in (create("mock-tool", tools=TOOLS), final("mock-tool", tools=TOOLS)):
        assert [c.name for c in answer.content if c.type == "tool_use"] == ["get_weather"], answer


def check_cut():
    thrown(lambda: [c.type for c in create("mock-cut", stream=True)][-1] == "message_stop" or 1 / 0)


def check_abort():
    stream = create("mock-lorem", stream=True)
    next(iter(stream))
    stream.close()
    assert create("mock-echo").content


def check_retry():
    if not fail_once(529):
        return "skip"
    assert "hello there" in create("mock-echo", client=retrying).content[0].text


def errors():
    kinds = {400: anthropic.BadRequestError, 401: anthropic.AuthenticationError, 429: anthropic.RateLimitError,
             500: anthropic.InternalServerError, 529: anthropic.InternalServerError}
    for status, kind in kinds.items():
        def one(status=status, kind=kind):
            error = thrown(lambda: create("mock-error-%d" % status))
            assert isinstance(error, kind) and error.status_code == status, repr(error)
        yield "error-%d" % status, one


main(globals(), errors())
