"""What OpenAI demands of a Chat Completions and of a Responses request. See vendor_rules.py."""
import json
import re

from vendor_rules import is_base64, known, new_ask, part, turn, want

# -- Chat Completions --

C_TOP = ("model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop n seed tools "
         "tool_choice parallel_tool_calls response_format reasoning_effort user safety_identifier metadata store "
         "verbosity frequency_penalty presence_penalty logit_bias logprobs top_logprobs service_tier prompt_cache_key "
         "web_search_options")
C_MESSAGE = {"system": "role content name", "developer": "role content name", "user": "role content name",
             "assistant": "role content refusal tool_calls name annotations audio", "tool": "role content tool_call_id"}
C_HELPERS = " parsed index"  # what the vendor's own helpers put into messages that they send back


def chat(body, _headers, _proofs):
    known(body, C_TOP, "Unrecognized request argument supplied: %s")
    ask = new_ask("chat", body["model"])
    ask.stream, ask.stops = body.get("stream", False), body.get("stop") or []
    ask.stops = [ask.stops] if isinstance(ask.stops, str) else ask.stops
    want(len(ask.stops) <= 4, "Invalid 'stop': array too long. Expected an array with maximum length 4.")
    want("stream_options" not in body or ask.stream, "The 'stream_options' parameter is only allowed when 'stream' is "
         "enabled.")
    ask.usage = not ask.stream or (body.get("stream_options") or {}).get("include_usage", False)
    ask.temperature = body.get("temperature")
    if ask.old:
        want("reasoning_effort" not in body, "Unrecognized request argument supplied: reasoning_effort")
    else:
        for name in ("max_tokens", "top_p", "temperature"):
            want(name not in body, "Unsupported parameter: '%s' is not supported with this model.", name)
    ask.max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    ask.thinking, ask.show = body.get("reasoning_effort"), True
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        known(form["json_schema"], "name description schema strict", "Unknown parameter: '%s'.",
              "response_format.json_schema.")
        want(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", form["json_schema"].get("name", "")),
             "Missing required parameter: 'response_format.json_schema.name'.")
        ask.schema = form["json_schema"]["schema"]
    c_tools(body, ask)
    want(isinstance(body.get("messages"), list) and body["messages"], "Invalid 'messages': empty array.")
    c_messages(body["messages"], ask)
    return ask


def c_tools(body, ask):
    for tool in body.get("tools") or []:
        want(tool.get("type") in ("function", "custom"), "Invalid value: '%s'. Supported values are: 'function'.",
             tool.get("type"))
        if tool["type"] == "custom":
            known(tool["custom"], "name description format", "Unknown parameter: '%s'.", "tools[0].custom.")
            ask.tools[tool["custom"]["name"]] = (tool["custom"].get("description"), "custom")
            continue
        function = tool["function"]
        known(function, "name description parameters strict", "Unknown parameter: '%s'.", "tools[0].function.")
        o_function(ask, function, bool(function.get("strict")))
    o_choice(body, ask, lambda c: c["function"]["name"])


def o_function(ask, function, strict):
    want(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function["name"]),
         "Invalid 'tools[0].function.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.")
    schema = function.get("parameters")
    if strict:
        want(schema and schema.get("additionalProperties") is False, "Invalid schema for function '%s': In context=(), "
             "'additionalProperties' is required to be supplied and to be false.", function["name"])
        want(sorted(schema.get("required", [])) == sorted(schema["properties"]), "Invalid schema for function '%s': In "
             "context=(), 'required' is required to be supplied and to be an array including every key in properties.",
             function["name"])
    ask.tools[function["name"]] = (function.get("description"), schema)


def o_choice(body, ask, name_of):
    choice = body.get("tool_choice")
    ask.parallel = body.get("parallel_tool_calls")
    want(ask.tools or choice in (None, "none", "auto"), "Invalid value for 'tool_choice': 'tool_choice' is only "
         "allowed when 'tools' are specified.")
    want(ask.tools or ask.parallel is None, "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only "
         "allowed when 'tools' are specified.")
    if isinstance(choice, dict):
        ask.choice = ("named", name_of(choice))
        want(ask.choice[1] in ask.tools, "Tool choice '%s' not found in 'tools' parameter.", ask.choice[1])
    else:
        ask.choice = {"required": "any"}.get(choice, choice)


def c_messages(messages, ask):
    waiting = []
    for at, message in enumerate(messages):
        role = message.get("role")
        want(role in C_MESSAGE, "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'tool', and "
             "'developer'.", role)
        known(message, C_MESSAGE[role] + C_HELPERS, "Unknown parameter: '%s'.", "messages[%d]." % at)
        content = message.get("content")
        if role == "tool":
            want(message.get("tool_call_id") in waiting, "Invalid parameter: messages with role 'tool' must be a "
                 "response to a preceding message with 'tool_calls'.")
            waiting.remove(message["tool_call_id"])
            turn(ask, "user").append(part("result", id=message["tool_call_id"], failed=False,
                                          parts=c_parts(content, at, role)))
            continue
        want(not waiting, "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
             "'tool_call_id'. The following tool_call_ids did not have response messages: %s", ", ".join(waiting))
        if role in ("system", "developer"):
            ask.system.extend(p["text"] for p in c_parts(content, at, role))
        elif role == "user":
            want(content, "Invalid value for 'content': expected a string, got null.")
            turn(ask, "user").extend(c_parts(content, at, role))
        else:
            waiting = c_assistant(ask, message, at)
    want(not waiting, "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
         "'tool_call_id'. The following tool_call_ids did not have response messages: %s", ", ".join(waiting))


def c_assistant(ask, message, at):
    parts = turn(ask, "assistant")
    calls = message.get("tool_calls")
    want(calls != [], "Invalid 'messages[%d].tool_calls': empty array. Expected an array with minimum length 1.", at)
    want(message.get("content") is not None or calls or message.get("refusal"),
         "Invalid value for 'content': expected a string, got null.")
    parts.extend(c_parts(message.get("content"), at, "assistant"))
    for call in calls or []:
        known(call, "id type function custom" + C_HELPERS, "Unknown parameter: '%s'.",
              "messages[%d].tool_calls[0]." % at)
        if call.get("type") == "custom":
            parts.append(part("call", id=call["id"], name=call["custom"]["name"],
                              args={"input": call["custom"]["input"]}))
            continue
        want(call.get("type") == "function" and call.get("id"), "Missing required parameter: 'tool_calls[0].type'.")
        parts.append(o_call(call["id"], call["function"]["name"], call["function"]["arguments"]))
    return [c["id"] for c in calls or []]


def o_call(call_id, name, arguments):
    want(isinstance(arguments, str), "Invalid type for 'arguments': expected a string, but got an object instead.")
    want(len(call_id) <= 64, "Invalid 'call_id': string too long. Expected a string with maximum length 64.")
    try:
        args = json.loads(arguments)
    except ValueError:
        args = None
    want(isinstance(args, dict), "Invalid 'arguments': not JSON: %s", arguments)
    return part("call", id=call_id, name=name, args=args)


def c_parts(content, at, role):
    if content is None:
        return []
    if isinstance(content, str):
        return [part("text", text=content)] if content else []
    out = []
    for piece in content:
        kind = piece.get("type")
        good = {"user": ("text", "image_url", "file"), "assistant": ("text", "refusal")}.get(role, ("text",))
        want(kind in good, "Invalid 'messages[%d].content[0].type': '%s'. %s messages take %s.", at, kind, role, good)
        if kind == "image_url":
            out.append(o_image(piece["image_url"]["url"]))
        elif kind == "file":
            out.append(o_file(piece["file"]))
        else:
            out.append(part("text", text=piece[kind]))
    return out


def o_image(url):
    found = re.fullmatch(r"data:(image/(?:png|jpeg|gif|webp));base64,(.*)", url, re.S)
    if found:
        want(is_base64(found[2]), "Invalid base64 image_url.")
        return part("image", mime=found[1], data=found[2])
    want(url.startswith("http"), "Invalid image URL: expected a valid URL.")
    return part("image", url=url)


def o_file(value):
    found = re.fullmatch(r"data:(application/pdf);base64,(.*)", value.get("file_data", ""), re.S)
    want(found and is_base64(found[2]), "Invalid file data.")
    want(value.get("filename"), "Missing required parameter: 'filename'.")
    return part("document", mime=found[1], data=found[2])


# -- OpenAI Responses --

R_TOP = ("model input instructions stream stream_options max_output_tokens temperature top_p top_logprobs tools "
         "tool_choice parallel_tool_calls text reasoning include store metadata service_tier prompt_cache_key "
         "safety_identifier user truncation")
R_ITEM = {"message": "type role content id status phase", "function_call": "type call_id name arguments id status",
          "function_call_output": "type call_id output id status",
          "custom_tool_call": "type call_id name input id status",
          "custom_tool_call_output": "type call_id output id status",
          "reasoning": "type id summary content encrypted_content status"}


def responses(body, _headers, proofs):
    known(body, R_TOP, "Unknown parameter: '%s'.")
    ask = new_ask("responses", body["model"])
    ask.stream, ask.temperature = body.get("stream", False), body.get("temperature")
    ask.max_tokens = body.get("max_output_tokens")
    want(ask.max_tokens is None or ask.max_tokens >= 16, "Invalid 'max_output_tokens': integer below minimum value. "
         "Expected a value >= 16.")
    reasoning = body.get("reasoning") or {}
    known(reasoning, "effort summary", "Unknown parameter: '%s'.", "reasoning.")
    if ask.old:
        want(not reasoning.get("effort"), "Unsupported parameter: 'reasoning.effort' is not supported with this model.")
    else:
        want("temperature" not in body and "top_p" not in body, "Unsupported parameter: 'temperature' is not supported "
             "with this model.")
    ask.thinking, ask.show = reasoning.get("effort"), bool(reasoning.get("summary"))
    ask.encrypted = "reasoning.encrypted_content" in (body.get("include") or [])
    ask.store = body.get("store", True)
    if body.get("instructions"):
        ask.system.append(body["instructions"])
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        known(form, "type name description schema strict", "Unknown parameter: '%s'.", "text.format.")
        want(form.get("name"), "Missing required parameter: 'text.format.name'.")
        ask.schema = form["schema"]
    for tool in body.get("tools") or []:
        if tool.get("type") == "custom":
            known(tool, "type name description format", "Unknown parameter: '%s'.", "tools[0].")
            ask.tools[tool["name"]] = (tool.get("description"), "custom")
            continue
        want(tool.get("type") == "function", "Invalid value: '%s'.", tool.get("type"))
        known(tool, "type name description parameters strict", "Unknown parameter: '%s'.", "tools[0].")
        o_function(ask, tool, tool.get("strict", True) is not False)
    o_choice(body, ask, lambda c: c["name"])
    items = body.get("input")
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    want(items, "Invalid 'input': empty array.")
    r_items(items, ask, proofs)
    return ask


def r_items(items, ask, proofs):
    calls, answered = [], []
    for at, item in enumerate(items):
        kind = item.get("type") or ("message" if "role" in item else None)
        want(kind in R_ITEM, "Invalid value: '%s'. Supported values are: 'message', 'reasoning' …", kind)
        known(item, R_ITEM[kind], "Unknown parameter: '%s'.", "input[%d]." % at)
        r_id(item, kind, at)
        if kind == "message":
            r_message(ask, item, at)
        elif kind == "reasoning":
            want(item.get("encrypted_content") in proofs, "The encrypted content for item %s could not be verified. "
                 "Reason: Encrypted content could not be decrypted or parsed.", item.get("id"),
                 code="invalid_encrypted_content")
            text = "\n\n".join(s["text"] for s in item["summary"])
            want(item["summary"] == [] or proofs[item["encrypted_content"]] == ("thinking", text),
                 "JUDGE: summary was changed")
            after = items[at + 1] if at + 1 < len(items) else {}
            want(after.get("role") == "assistant" or after.get("type") in ("function_call", "custom_tool_call",
                                                                           "reasoning"),
                 "Item '%s' of type 'reasoning' was provided without its required following item.", item.get("id"))
            turn(ask, "assistant").append(part("thinking", text=text, proof=item["encrypted_content"]))
        elif kind == "function_call":
            calls.append(item["call_id"])
            turn(ask, "assistant").append(o_call(item["call_id"], item["name"], item["arguments"]))
        elif kind == "custom_tool_call":
            calls.append(item["call_id"])
            turn(ask, "assistant").append(part("call", id=item["call_id"], name=item["name"],
                                               args={"input": item["input"]}))
        else:
            want(item["call_id"] in calls, "No tool call found for function call output with call_id %s.",
                 item["call_id"])
            answered.append(item["call_id"])
            output = item["output"]
            want(isinstance(output, (str, list)), "Invalid type for 'input[%d].output'", at)
            inner = [part("text", text=output)] if isinstance(output, str) else [r_content(p, "user", at)
                                                                                 for p in output]
            turn(ask, "user").append(part("result", id=item["call_id"], failed=False, parts=inner))
    for call in calls:
        want(call in answered, "No tool output found for function call %s.", call)


def r_id(item, kind, at):
    prefix = {"message": "msg", "function_call": "fc", "reasoning": "rs",
              "custom_tool_call": "ctc"}.get(kind)
    if item.get("id") and prefix:
        want(item["id"].startswith(prefix), "Invalid 'input[%d].id': '%s'. Expected an ID that begins with '%s'.", at,
             item["id"],
             prefix)


def r_message(ask, item, at):
    role, content = item["role"], item["content"]
    want(role in ("user", "assistant", "system", "developer"), "Invalid value: '%s'.", role)
    parts = [part("text", text=content)] if isinstance(content, str) else [r_content(p, role, at) for p in content]
    if role in ("system", "developer"):
        ask.system.extend(p["text"] for p in parts)
    else:
        turn(ask, role).extend(parts)


def r_content(piece, role, at):
    kind = piece.get("type")
    good = ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image", "input_file")
    want(kind in good, "Invalid value: '%s'. Supported values are: %s. (input[%d].content)", kind, good, at)
    if kind == "input_image":
        known(piece, "type image_url detail", "Unknown parameter: '%s'.", "input[%d].content[0]." % at)
        return o_image(piece["image_url"])
    if kind == "input_file":
        return o_file(piece)
    return part("text", text=piece["refusal" if kind == "refusal" else "text"])
