"""Request bodies as agents send them: a growing conversation with tool calls, their results and tool definitions.

Short strings, long strings full of escapes, numbers, nesting: what a JSON reader meets in practice, not one string.
Each is exactly as many bytes as asked for. The member "bench" near the front tells upstream.c what to answer.
"""
import json
import os
import random

MODEL = "gpt-bench"
WORDS = ("the file build error test server value return static const struct request answer length buffer found line "
         "naïve größer 日本語 — “quoted” while before after cannot because").split(" ")
CODE = ['static int read_all(int fd, char *to, size_t n)\n{\n\tssize_t got = read(fd, to, n);\n',
        '\tif (got < 0)\n\t\tprintf("cannot read \\"%s\\": %m\\n", path);\n',
        '\treturn got == (ssize_t)n ? 0 : -1;\n}\n']


def tool(rng, number):
    return {"type": "function", "function": {
        "name": "tool_%d" % number, "description": sentence(rng, 30),
        "parameters": {"type": "object", "required": ["path"], "additionalProperties": False, "properties": {
            "path": {"type": "string", "description": sentence(rng, 8)},
            "limit": {"type": "integer", "minimum": 1, "maximum": 2000},
            "mode": {"type": "string", "enum": ["read", "write", "append"]}}}}}


def sentence(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def turn(rng, number):
    arguments = json.dumps({"path": "src/part_%d/file.c" % number, "limit": rng.randrange(2000), "mode": "read"})
    source = "".join(rng.choice(CODE) for _ in range(rng.randrange(2, 30)))
    return [{"role": "user", "content": sentence(rng, rng.randrange(5, 80))},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_%08d" % number, "type": "function",
                 "function": {"name": "tool_1", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "call_%08d" % number, "content": source}]


COMPACT = {"separators": (",", ":"), "ensure_ascii": False}


def fill(size, head, turns, tools):
    """`head`, a conversation of turns(rng, number) and tools(rng, number), `size` bytes in all if that is possible."""
    last, end = '{"role":"user","content":"', '"}]}'
    room = size - len(head) - len(last) - len(end)
    rng = random.Random(size)
    if room > 4000:
        defined = ',"tools":' + json.dumps([tools(rng, i) for i in range(1 + min(20, room // 4000))], **COMPACT)
        end = '"}]%s}' % defined
        room -= len(defined.encode())
    parts, number = [], 0
    while room > 8000:
        piece = json.dumps(turns(rng, number), **COMPACT)[1:-1] + ","
        parts.append(piece)
        room -= len(piece.encode())
        number += 1
    out = (head + "".join(parts) + last + "w" * max(0, room) + end).encode()
    json.loads(out)
    return out


def text(size, bench, stream=False):
    """JSON text of `size` bytes (or of the shortest possible length, if that is more)."""
    asked = json.dumps(bench, **COMPACT)
    head = '{"model":"%s",%s"bench":%s,"messages":[' % (MODEL, '"stream":true,' if stream else "", asked)
    return fill(size, head, turn, tool)


def message_turn(rng, number):
    """The turn above as a client of Anthropic Messages says it."""
    user, assistant, result = turn(rng, number)
    call = assistant["tool_calls"][0]
    return [user, {"role": "assistant", "content": [
        {"type": "tool_use", "id": call["id"], "name": call["function"]["name"],
         "input": json.loads(call["function"]["arguments"])}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"],
                                      "content": result["content"]}]}]


def message_tool(rng, number):
    one = tool(rng, number)["function"]
    return {"name": one["name"], "description": one["description"], "input_schema": one["parameters"]}


def messages(size, model, stream=False):
    """The same kind of conversation for a proxy that has to translate it."""
    head = '{"model":"%s","max_tokens":1000,%s"messages":[' % (model, '"stream":true,' if stream else "")
    return fill(size, head, message_turn, message_tool)


def messages_file(folder, size, model, stream=False):
    path = os.path.join(folder, "messages-%d-%s" % (size, model))
    if not os.path.exists(path):
        with open(path, "wb") as out:
            out.write(messages(size, model, stream))
    return path


def file(folder, size, bench, stream=False):
    """Path of a file with such a body, written once per folder."""
    name = "body-%d-%s" % (size, "-".join("%s%s" % pair for pair in sorted(bench.items())))
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        with open(path, "wb") as out:
            out.write(text(size, bench, stream))
    return path
