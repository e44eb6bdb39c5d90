"""How each vendor writes an answer: whole, as a stream of events, and when it refuses.

An answer is a list of parts, {"kind": "text" | "thinking" | "redacted" | "call", ...}, a stop word and a usage. Members
that no test is about come from the fixtures, so that they are what the vendors send. Proofs of thinking are made here
and noted in `proofs`; vendor_rules.py takes no others.
"""
import base64
import copy
import json
import os

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "wire", "scenarios",
                        "text")


def fixture(name):
    with open(os.path.join(FIXTURES, name + ".response.json")) as f:
        return json.load(f)


TEMPLATE = {name: fixture(name) for name in ("anthropic", "chat", "responses", "gemini")}


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pieces(text, size=7):
    return [text[i:i + size] for i in range(0, len(text), size)]


def proof_of(fmt, nonce, step, at):
    """A proof that only this conversation and this part can have; with the letters that base64 needs escaping for."""
    return base64.b64encode(("%s proof of %s/%d/%d ???>>>~~~" % (fmt, nonce, step, at)).encode()).decode()


class Answer:
    def __init__(self, ask, parts, stop, usage, nonce, step, proofs, sequence=None, interleave=False, with_ids=False):
        self.ask, self.parts, self.stop, self.usage, self.nonce, self.step = ask, parts, stop, usage, nonce, step
        self.proofs, self.sequence, self.interleave, self.with_ids = proofs, sequence, interleave, with_ids
        self.model = ask.model + "-20261001"
        self.id = "%s%d" % (nonce, step)
        prove(self)

    def call_id(self, at):
        prefix = {"anthropic": "toolu_01", "gemini": "fc-"}.get(self.ask.format, "call_")
        return "%s%s%02d%02d" % (prefix, (self.nonce * 20)[:16], self.step, at)


def prove(answer):
    """Which parts of this answer carry a proof, and which one: {position: proof}."""
    answer.proof = {}
    fmt, parts = answer.ask.format, answer.parts
    owners = [i for i, p in enumerate(parts) if p["kind"] in ("thinking", "redacted")]
    if fmt == "gemini":  # the first call has it, else the last text
        thinks = bool(owners) or not answer.ask.old
        calls = [i for i, p in enumerate(parts) if p["kind"] == "call"][:1]
        owners = (calls or [i for i, p in enumerate(parts) if p["kind"] == "text"][-1:]) if thinks else []
    if fmt == "chat" or (fmt == "responses" and not answer.ask.encrypted):
        owners = []
    for at in owners:
        part, proof = parts[at], proof_of(fmt, answer.nonce, answer.step, at)
        answer.proof[at] = proof
        if fmt == "gemini":
            answer.proofs[proof] = ("thought", part["name"] if part["kind"] == "call" else "text")
        else:
            text = part["text"] if part["kind"] == "thinking" and answer.ask.show else ""
            answer.proofs[proof] = (part["kind"], text)


def event(value, name=None):
    return (("event: %s\n" % name if name else "") + "data: %s\n\n" % dump(value)).encode()


# -- Anthropic --

A_STOP = {"end": "end_turn", "tool": "tool_use", "length": "max_tokens", "filter": "refusal",
          "sequence": "stop_sequence"}


def a_usage(a):
    return {"input_tokens": a.usage["uncached"], "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": a.usage["cached"], "output_tokens": a.usage["output"],
            "output_tokens_details": {"thinking_tokens": a.usage["reasoning"]}, "server_tool_use": None}


def a_block(a, at, part):
    if part["kind"] == "text":
        return {"type": "text", "text": part["text"], "citations": None}
    if part["kind"] == "thinking":
        return {"type": "thinking", "thinking": part["text"] if a.ask.show else "", "signature": a.proof[at]}
    if part["kind"] == "redacted":
        return {"type": "redacted_thinking", "data": a.proof[at]}
    return {"type": "tool_use", "id": a.call_id(at), "name": part["name"], "input": part["args"],
            "caller": {"type": "direct"}}


def a_whole(a):
    out = copy.deepcopy(TEMPLATE["anthropic"])
    out.update(id="msg_01" + a.id, model=a.model, content=[a_block(a, i, p) for i, p in enumerate(a.parts)],
               stop_reason=A_STOP[a.stop], stop_sequence=a.sequence)
    out["usage"].update(a_usage(a))
    return out


def a_stream(a):
    start = a_whole(a)
    start.update(content=[], stop_reason=None, stop_sequence=None)
    start["usage"].update(output_tokens=1, output_tokens_details=None)
    out = [event({"type": "message_start", "message": start}, "message_start"), event({"type": "ping"}, "ping")]

    def send(kind, **more):
        out.append(event({"type": kind, **more}, kind))
    for at, part in enumerate(a.parts):
        block = a_block(a, at, part)
        deltas = {"text": [{"type": "text_delta", "text": t} for t in pieces(block.get("text", ""))],
                  "thinking": [{"type": "thinking_delta", "thinking": t} for t in pieces(block.get("thinking", ""))],
                  "tool_use": [{"type": "input_json_delta", "partial_json": ""}] + [
                      {"type": "input_json_delta", "partial_json": t}
                      for t in pieces(dump(block["input"]) if block.get("input") else "")]}.get(block["type"], [])
        if block["type"] == "thinking":
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        send("content_block_start", index=at, content_block={**block, **empty.get(block["type"], {})})
        for delta in deltas:
            send("content_block_delta", index=at, delta=delta)
        send("content_block_stop", index=at)
    send("message_delta", delta={"stop_reason": A_STOP[a.stop], "stop_sequence": a.sequence, "stop_details": None,
                                 "container": None}, usage=a_usage(a))
    send("message_stop")
    return out


# -- Chat --

C_STOP = {"end": "stop", "tool": "tool_calls", "length": "length", "filter": "content_filter", "sequence": "stop"}


def c_usage(a):
    total = a.usage["uncached"] + a.usage["cached"]
    return {"prompt_tokens": total, "completion_tokens": a.usage["output"], "total_tokens": total + a.usage["output"],
            "prompt_tokens_details": {"cached_tokens": a.usage["cached"], "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": a.usage["reasoning"], "audio_tokens": 0}}


def c_calls(a):
    """A call without arguments has the empty text, as several servers send it."""
    out = []
    for at, part in enumerate(a.parts):
        if part["kind"] != "call":
            continue
        kind, key, text = ("custom", "input", part["args"]["input"]) if part.get("custom") else (
            "function", "arguments", part["args"] and dump(part["args"]) or "")
        out.append({"id": a.call_id(at), "type": kind, kind: {"name": part["name"], key: text}})
    return out


def c_text(a, kind):
    return "".join(p["text"] for p in a.parts if p["kind"] == kind)


def c_whole(a):
    out = copy.deepcopy(TEMPLATE["chat"])
    message = {"role": "assistant", "content": c_text(a, "text") or None, "refusal": None}
    if c_text(a, "thinking"):
        message["reasoning_content"] = c_text(a, "thinking")
    if c_calls(a):
        message["tool_calls"] = c_calls(a)
    out.update(id="chatcmpl-" + a.id, model=a.model, usage=c_usage(a),
               choices=[{"index": 0, "message": message, "logprobs": None, "finish_reason": C_STOP[a.stop]}])
    return out


def c_stream(a):
    out = []

    def send(delta, finish=None, choices=True, usage=None):
        chunk = {"id": "chatcmpl-" + a.id, "object": "chat.completion.chunk", "created": 1760000000, "model": a.model,
                 "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
                 if choices else []}
        out.append(event({**chunk, "usage": usage} if a.ask.usage else chunk))
    send({"role": "assistant", "content": "", "refusal": None})
    for text in pieces(c_text(a, "thinking")):
        send({"reasoning_content": text})
    for text in pieces(c_text(a, "text")):
        send({"content": text})
    fragments = []
    for index, call in enumerate(c_calls(a)):
        kind = call["type"]
        key = "input" if kind == "custom" else "arguments"
        first = {**call, "index": index, kind: {**call[kind], key: ""}}
        fragments.append([first] + [{"index": index, kind: {key: t}} for t in pieces(call[kind][key])])
    if a.interleave:  # 0, 1, 2, 0, 1, 2 … in one chunk or several
        longest = max(map(len, fragments), default=0)
        for at in range(longest):
            send({"tool_calls": [f[at] for f in fragments if at < len(f)][::-1 if at % 2 else 1]})
    else:
        for fragment in sum(fragments, []):
            send({"tool_calls": [fragment]})
    send({}, finish=C_STOP[a.stop])
    if a.ask.usage:
        send(None, choices=False, usage=c_usage(a))
    return out + [b"data: [DONE]\n\n"]


# -- Responses --

def r_usage(a):
    total = a.usage["uncached"] + a.usage["cached"]
    return {"input_tokens": total, "input_tokens_details": {"cached_tokens": a.usage["cached"],
                                                            "cache_write_tokens": 0},
            "output_tokens": a.usage["output"], "output_tokens_details": {"reasoning_tokens": a.usage["reasoning"]},
            "total_tokens": total + a.usage["output"]}


def r_item(a, at, part):
    tail = "%s%02d" % (a.id, at)
    if part["kind"] == "text":
        return {"id": "msg_" + tail, "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": part["text"], "annotations": [], "logprobs": []}]}
    if part.get("custom"):
        return {"id": "ctc_" + tail, "type": "custom_tool_call", "status": "completed", "call_id": a.call_id(at),
                "name": part["name"], "input": part["args"]["input"]}
    if part["kind"] == "call":
        return {"id": "fc_" + tail, "type": "function_call", "status": "completed", "call_id": a.call_id(at),
                "name": part["name"], "arguments": dump(part["args"])}
    item = {"id": "rs_" + tail, "type": "reasoning", "summary": []}
    if part["kind"] == "thinking" and a.ask.show:
        item["summary"] = [{"type": "summary_text", "text": part["text"]}]
    if at in a.proof:
        item["encrypted_content"] = a.proof[at]
    return item


def r_whole(a, status=None):
    out = copy.deepcopy(TEMPLATE["responses"])
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(a.stop)
    out.update(id="resp_" + a.id, model=a.model, output=[r_item(a, i, p) for i, p in enumerate(a.parts)],
               usage=r_usage(a),
               status="incomplete" if reason else "completed", incomplete_details=reason and {"reason": reason})
    if status:
        out.update(status=status, output=[], usage=None, incomplete_details=None)
    return out


def r_stream(a):
    out = []

    def send(kind, **more):
        out.append(event({"type": kind, "sequence_number": len(out), **more}, kind))
    send("response.created", response=r_whole(a, "in_progress"))
    send("response.in_progress", response=r_whole(a, "in_progress"))
    for at, part in enumerate(a.parts):
        item = r_item(a, at, part)
        here = {"item_id": item["id"], "output_index": at}
        if item["type"] == "message":
            send("response.output_item.added", output_index=at, item={**item, "status": "in_progress", "content": []})
            r_text(send, {**here, "content_index": 0}, part["text"], item["content"][0])
        elif item["type"] == "reasoning":
            send("response.output_item.added", output_index=at, item={**item, "summary": []})
            if item["summary"]:
                r_summary(send, {**here, "summary_index": 0}, part["text"])
        else:
            custom = item["type"] == "custom_tool_call"
            key, events = ("input", "custom_tool_call_input") if custom else ("arguments", "function_call_arguments")
            send("response.output_item.added", output_index=at, item={**item, "status": "in_progress", key: ""})
            for text in pieces(item[key]):
                send("response.%s.delta" % events, **here, delta=text)
            send("response.%s.done" % events, **here, **{key: item[key]}, **({} if custom else {"name": item["name"]}))
        send("response.output_item.done", output_index=at, item=item)
    whole = r_whole(a)
    send("response." + whole["status"], response=whole)
    return out


def r_text(send, here, text, part):
    send("response.content_part.added", **here, part={**part, "text": ""})
    for piece in pieces(text):
        send("response.output_text.delta", **here, delta=piece, logprobs=[])
    send("response.output_text.done", **here, text=text, logprobs=[])
    send("response.content_part.done", **here, part=part)


def r_summary(send, here, text):
    send("response.reasoning_summary_part.added", **here, part={"type": "summary_text", "text": ""})
    for piece in pieces(text):
        send("response.reasoning_summary_text.delta", **here, delta=piece)
    send("response.reasoning_summary_text.done", **here, text=text)
    send("response.reasoning_summary_part.done", **here, part={"type": "summary_text", "text": text})


# -- Gemini --

G_STOP = {"end": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY", "sequence": "STOP"}


def g_parts(a):
    out = []
    for at, part in enumerate(a.parts):
        if part["kind"] == "thinking":
            if not a.ask.show:
                continue
            piece = {"text": part["text"], "thought": True}
        elif part["kind"] == "call":
            call = {"name": part["name"], "args": part["args"]}
            piece = {"functionCall": {**call, "id": a.call_id(at)} if a.with_ids else call}
        else:
            piece = {"text": part["text"]}
        if at in a.proof:
            piece["thoughtSignature"] = a.proof[at]
        out.append(piece)
    return out


def g_chunk(a, parts, finish=None):
    total = a.usage["uncached"] + a.usage["cached"]
    usage = {"promptTokenCount": total, "cachedContentTokenCount": a.usage["cached"], "totalTokenCount": total}
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
        usage.update(candidatesTokenCount=a.usage["output"] - a.usage["reasoning"],
                     thoughtsTokenCount=a.usage["reasoning"],
                     totalTokenCount=total + a.usage["output"])
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": a.model, "responseId": "r" + a.id}


def g_whole(a):
    out = g_chunk(a, g_parts(a), G_STOP[a.stop])
    if not a.parts:
        del out["candidates"][0]["content"]
    return out


def g_stream(a):
    """The proof of a text comes last, on an empty text, as the service sends it; the proof of a call on the call."""
    out, last = [], {"text": ""}
    for part in g_parts(a):
        proof = part.get("thoughtSignature")
        if "text" not in part:
            out.append(g_chunk(a, [part]))
            continue
        for text in pieces(part["text"]):
            out.append(g_chunk(a, [{**{k: v for k, v in part.items() if k != "thoughtSignature"}, "text": text}]))
        if proof:
            last = {"text": "", "thoughtSignature": proof}
    out.append(g_chunk(a, [last], G_STOP[a.stop]))
    return [event(c).replace(b"\n", b"\r\n") for c in out]


WHOLE = {"anthropic": a_whole, "chat": c_whole, "responses": r_whole, "gemini": g_whole}
STREAM = {"anthropic": a_stream, "chat": c_stream, "responses": r_stream, "gemini": g_stream}

A_ERROR = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
           429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
G_ERROR = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
           429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


def error_body(fmt, status, message, code=None, param=None, retry=None, more=None):
    if fmt == "anthropic":
        error = {"type": A_ERROR[status], "message": message, **({"details": more} if more else {})}
        return {"type": "error", "error": error, "request_id": "req_judge"}
    if fmt == "gemini":
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "%ds" % retry}] if retry else []
        return {"error": {"code": status, "message": message, "status": G_ERROR[status],
                          **({"details": details} if details
                                                                                           else {})}}
    kind = {429: "requests", 500: "server_error", 503: "server_error"}.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_event(fmt, answer, message):
    """How a stream that has begun says that the service is overloaded."""
    if fmt == "anthropic":
        return event(error_body(fmt, 529, message), "error")
    if fmt == "responses":
        failed = r_whole(answer, "failed")
        failed["error"] = {"code": "server_is_overloaded", "message": message}
        return event({"type": "response.failed", "sequence_number": 99, "response": failed}, "response.failed")
    return event(error_body(fmt, 503, message, "server_is_overloaded"))
