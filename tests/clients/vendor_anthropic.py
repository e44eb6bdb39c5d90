"""What Anthropic demands of a Messages request. See vendor_rules.py."""
import json
import re

from vendor_rules import is_base64, is_int, known, new_ask, part, turn, want

A_TOP = ("model max_tokens messages system stream stop_sequences temperature top_p top_k thinking output_config tools "
         "tool_choice metadata service_tier cache_control")
A_BLOCKS = {
    "text": "type text cache_control citations", "image": "type source cache_control",
    "document": "type source title context citations cache_control", "thinking": "type thinking signature",
    "redacted_thinking": "type data", "tool_use": "type id name input cache_control caller",
    "tool_result": "type tool_use_id content is_error cache_control"}


def anthropic(body, headers, proofs):
    want("thread" not in body, "thread: not supported for this request",  # helpers try it first, and read the details
         details={"error_code": "thread_unsupported_request", "unsupported": ["model"]})
    known(body, A_TOP, "%s: Extra inputs are not permitted")
    want(headers.get("anthropic-version"), "anthropic-version: header is required")
    want(is_int(body.get("max_tokens")) and body["max_tokens"] > 0, "max_tokens: Field required")
    want(body.get("messages"), "messages: at least one message is required")
    ask = new_ask("anthropic", body["model"])
    ask.stream, ask.max_tokens, ask.stops = body.get("stream", False), body["max_tokens"], body.get("stop_sequences",
                                                                                                    [])
    want(all(s.strip() for s in ask.stops), "stop_sequences: each stop sequence must contain non-whitespace")
    want(set(body.get("metadata") or {}) <= {"user_id"}, "metadata: Extra inputs are not permitted")
    system = body.get("system", [])
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        known(block, A_BLOCKS["text"], "%s: Extra inputs are not permitted", "system.")
        want(block["type"] == "text" and block["text"], "system: text content blocks must be non-empty")
        ask.system.append(block["text"])
    want(json.dumps(body).count('"cache_control"') <= 4, "A maximum of 4 blocks with cache_control may be provided.")
    a_parameters(body, ask)
    a_tools(body, ask)
    for at, message in enumerate(body["messages"]):
        a_message(ask, message, "messages.%d" % at, proofs)
    a_order(ask)
    return ask


def a_parameters(body, ask):
    temperature, thinking = body.get("temperature"), body.get("thinking") or {"type": "disabled"}
    want(temperature is None or 0 <= temperature <= 1, "temperature: range: 0..1")
    output = body.get("output_config") or {}
    known(output, "effort format task_budget", "%s: Extra inputs are not permitted", "output_config.")
    known(thinking, {"enabled": "type budget_tokens display", "adaptive": "type display"}.get(thinking["type"], "type"),
          "%s: Extra inputs are not permitted", "thinking.")
    on = thinking["type"] != "disabled"
    if ask.old:
        want(thinking["type"] != "adaptive", "adaptive thinking is not supported on this model")
        want("effort" not in output, "This model does not support the effort parameter.")
        want(not on or temperature in (None, 1), "`temperature` may only be set to 1 when thinking is enabled.")
    else:
        want(thinking["type"] != "enabled", '"thinking.type.enabled" is not supported for this model. Use '
             '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.')
        want(temperature in (None, 1), "temperature: may only be 1 for this model")
        want("top_k" not in body, "top_k: is not supported for this model")
        want(body.get("top_p") is None or body["top_p"] >= 0.99, "top_p: must be at least 0.99 for this model")
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens")
        want(is_int(budget) and budget >= 1024, "thinking.enabled.budget_tokens: Input should be >= 1024")
        want(budget < ask.max_tokens, "`max_tokens` must be greater than `thinking.budget_tokens`.")
        want("top_k" not in body, "`top_k` must be unset when thinking is enabled.")
    ask.thinking, ask.show = thinking["type"] if on else None, thinking.get("display") != "omitted"
    ask.temperature = temperature
    if "format" in output:
        known(output["format"], "type schema", "%s: Extra inputs are not permitted", "output_config.format.")
        want(output["format"].get("type") == "json_schema", "output_config.format.type: Input should be 'json_schema'")
        ask.schema = output["format"]["schema"]


def a_tools(body, ask):
    for tool in body.get("tools") or []:
        if tool.get("type", "custom") != "custom":  # run by the vendor itself
            want(re.match(r"web_search_\d{8}$", tool["type"]), "tools.0: Input tag '%s' found using 'type' does not "
                 "match",
                 tool["type"])
            known(tool, "type name max_uses allowed_domains blocked_domains user_location cache_control",
                  "tools.0.web_search.%s: Extra inputs are not permitted")
            continue
        known(tool, "name description input_schema type strict cache_control eager_input_streaming",
              "tools.0.custom.%s: Extra inputs are not permitted")
        want(re.fullmatch(r"[A-Za-z0-9_-]{1,128}", tool["name"]), "tools.0.custom.name: String should match pattern")
        want(tool["name"] not in ask.tools, "tools: Tool names must be unique.")
        want(tool.get("input_schema", {}).get("type") == "object", "tools.0.custom.input_schema.type: Field required")
        ask.tools[tool["name"]] = (tool.get("description"), tool["input_schema"])
    choice = body.get("tool_choice")
    if choice:
        want(ask.tools, "tool_choice: may only be specified while providing tools")
        known(choice, "type name" + " disable_parallel_tool_use" * (choice["type"] != "none"),
              "tool_choice.%s: Extra inputs are not permitted")
        want(ask.thinking is None or choice["type"] in ("auto", "none"),
             "Thinking may not be enabled when tool_choice forces tool use.")
        ask.choice = {"tool": ("named", choice.get("name"))}.get(choice["type"], choice["type"])
        ask.parallel = not choice.get("disable_parallel_tool_use", False)


def a_message(ask, message, where, proofs):
    known(message, "role content", "%s: Extra inputs are not permitted", where + ".")
    role, content = message["role"], message["content"]
    want(role in ("user", "assistant") or role == "system" and not ask.old and ask.turns,
         '%s.role: Unexpected role "%s".', where, role)
    want(content, "%s: user messages must have non-empty content", where)
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if role == "system":
        ask.system.extend(b["text"] for b in blocks)
        return
    parts = turn(ask, role)
    for at, block in enumerate(blocks):
        a_block(parts, role, block, "%s.content.%d" % (where, at), proofs)


def a_block(parts, role, block, where, proofs):
    kind = block.get("type")
    want(kind in A_BLOCKS, "%s: Input tag '%s' found using 'type' does not match any of the expected tags", where, kind)
    known(block, A_BLOCKS[kind], "%s: Extra inputs are not permitted", where + ".")
    if kind in ("thinking", "redacted_thinking", "tool_use"):
        want(role == "assistant", "%s: `%s` blocks may only be in `assistant` messages", where, kind)
    if kind in ("tool_result", "image", "document"):
        want(role == "user", "%s: `%s` blocks may only be in `user` messages", where, kind)
    if kind == "text":
        want(block["text"], "messages: text content blocks must be non-empty")
        parts.append(part("text", text=block["text"]))
    elif kind in ("image", "document"):
        parts.append(a_media(kind, block, where))
    elif kind == "thinking":
        want(proofs.get(block["signature"]) == ("thinking", block["thinking"]),
             "%s: Invalid `signature` in `thinking` block", where)
        parts.append(part("thinking", text=block["thinking"], proof=block["signature"]))
    elif kind == "redacted_thinking":
        want(proofs.get(block["data"]) == ("redacted", ""), "%s: Invalid `data` in `redacted_thinking` block", where)
        parts.append(part("thinking", text="", proof=block["data"]))
    elif kind == "tool_use":
        want(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), "%s.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
             where)
        want(isinstance(block["input"], dict), "%s.input: Input should be a valid dictionary", where)
        parts.append(part("call", id=block["id"], name=block["name"], args=block["input"]))
    else:
        content = block.get("content", [])
        inner = []
        for piece in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            want(piece["type"] in ("text", "image", "document"), "%s.content: unexpected %s", where, piece["type"])
            a_block(inner, "user", piece, where + ".content.0", proofs)
        parts.append(part("result", id=block["tool_use_id"], failed=block.get("is_error", False), parts=inner))


def a_media(kind, block, where):
    source = block["source"]
    if source["type"] == "url":
        want(source["url"].startswith("https://"), "%s.source.url: Only HTTPS URLs are supported.", where)
        return part(kind, url=source["url"])
    want(source["type"] == "base64", "%s.source.type: unexpected", where)
    good = ("image/jpeg", "image/png", "image/gif", "image/webp") if kind == "image" else ("application/pdf",)
    want(source["media_type"] in good, "%s.source.base64.media_type: Input should be one of %s", where, good)
    want(is_base64(source["data"]), "%s.source.base64.data: invalid base64", where)
    return part(kind, mime=source["media_type"], data=source["data"])


def a_order(ask):
    want(ask.turns and ask.turns[0][0] == "user", "messages: first message must use the \"user\" role")
    want(ask.turns[-1][0] == "user", "This model does not support assistant message prefill. The conversation must end "
         "with a user message.")
    open_ids = []
    for at, (role, parts) in enumerate(ask.turns):
        results = [p for p in parts if p["kind"] == "result"]
        if role == "user":
            missing = [i for i in open_ids if i not in [r["id"] for r in results]]
            want(not missing, "messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: "
                 "%s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", at,
                 missing)
            for result in results:
                want(result["id"] in open_ids, "messages.%d.content.0: unexpected `tool_use_id` found in `tool_result` "
                     "blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                     "message.", at, result["id"])
            want(parts[:len(results)] == results, "messages.%d: `tool_result` blocks must come first", at)
        open_ids = [p["id"] for p in parts if p["kind"] == "call"]
        want(len(set(open_ids)) == len(open_ids), "messages.%d: `tool_use` ids must be unique", at)
    last = [t for t in ask.turns if t[0] == "assistant"][-1:]
    step = ask.turns[-1][1][0]["kind"] == "result"
    if step and ask.thinking == "enabled":
        want(last[0][1][0]["kind"] == "thinking", "messages.%d.content.0.type: Expected `thinking` or "
             "`redacted_thinking`, but found `%s`. When `thinking` is enabled, a final `assistant` message must start "
             "with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks).",
             len(ask.turns) - 2,
             last[0][1][0]["kind"])
