"""What Google demands of a generateContent request. See vendor_rules.py."""
import base64
import json
import re

from vendor_rules import is_base64, known, new_ask, part, turn, want

# what a client may send where another model has thought
SKIP = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
G_TOP = "contents systemInstruction tools toolConfig generationConfig safetySettings"
G_CONFIG = ("temperature topP topK candidateCount maxOutputTokens stopSequences presencePenalty frequencyPenalty seed "
            "responseLogprobs logprobs responseMimeType responseSchema responseJsonSchema responseModalities "
            "mediaResolution thinkingConfig")
G_PART = ("text thought thoughtSignature inlineData fileData functionCall functionResponse mediaResolution")
G_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
G_NAME = 'Invalid JSON payload received. Unknown name "%s": Cannot find field.'


def gemini(body, _headers, proofs):
    known(body, G_TOP + " _model _stream", G_NAME)
    ask = new_ask("gemini", body["_model"])
    ask.stream = body["_stream"]
    want(body.get("contents"), "* GenerateContentRequest.contents: contents is not specified")
    for piece in (body.get("systemInstruction") or {}).get("parts", []):
        want(piece.get("text"), "* GenerateContentRequest.system_instruction.parts[0]: required oneof field 'data' "
             "must have one initialized field")
        ask.system.append(piece["text"])
    g_config(body.get("generationConfig") or {}, ask)
    g_tools(body, ask)
    for at, content in enumerate(body["contents"]):
        known(content, "role parts", G_NAME, "contents[%d]." % at)
        want(content.get("role", "user") in ("user", "model"), "Please use a valid role: user, model.")
        want(content.get("parts"), "* GenerateContentRequest.contents[%d].parts: contents.parts must not be empty.", at)
        role = "assistant" if content.get("role") == "model" else "user"
        parts = turn(ask, role)
        for piece in content["parts"]:
            g_part(parts, role, piece, at, proofs)
    g_order(ask, proofs)
    return ask


def g_config(config, ask):
    known(config, G_CONFIG, G_NAME, "generation_config.")
    ask.max_tokens, ask.stops = config.get("maxOutputTokens"), config.get("stopSequences", [])
    ask.temperature = config.get("temperature")
    thinking = config.get("thinkingConfig") or {}
    known(thinking, "includeThoughts thinkingBudget thinkingLevel", G_NAME, "generation_config.thinking_config.")
    want(not ("thinkingBudget" in thinking and "thinkingLevel" in thinking),
         "You can only set only one of thinking budget and thinking level.")
    want(not (ask.old and "thinkingLevel" in thinking), "Thinking level is not supported for this model.")
    want(thinking.get("thinkingLevel", "LOW").upper() in ("MINIMAL", "LOW", "MEDIUM", "HIGH"), "Invalid value at "
         "'generation_config.thinking_config.thinking_level'")
    want(thinking.get("thinkingBudget", 1) != 0 or ask.old, "Budget 0 is invalid. This model only works in thinking "
         "mode.")
    ask.thinking, ask.show = thinking or None, thinking.get("includeThoughts", False)
    want(not ({"responseSchema", "responseJsonSchema"} & set(config))
         or config.get("responseMimeType") == "application/json",
         "* GenerateContentRequest.generation_config.response_schema: only allowed when `response_mime_type` is "
         "`application/json`")
    ask.schema = config.get("responseJsonSchema", config.get("responseSchema"))


def g_tools(body, ask):
    for tool in body.get("tools") or []:
        known(tool, "functionDeclarations googleSearch", G_NAME, "tools[0].")
        want(len(tool) == 1 and (not ask.old or len(body["tools"]) == 1 or "googleSearch" not in tool),
             "Built-in tools and Function Calling cannot be combined in the same request.")
        for function in tool.get("functionDeclarations", []):
            known(function, "name description parameters parametersJsonSchema behavior response", G_NAME,
                  "tools[0].function_declarations[0].")
            want(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", function["name"]), "Invalid function name.")
            want(not ("parameters" in function and "parametersJsonSchema" in function), "parameters and "
                 "parameters_json_schema are exclusive")
            if "parameters" in function:
                text = json.dumps(function["parameters"])
                for name in ("$schema", "$ref", "additionalProperties", "const", "oneOf", "allOf"):
                    want('"%s":' % name not in text, G_NAME, name)
            ask.tools[function["name"]] = (function.get("description"),
                                           function.get("parametersJsonSchema", function.get("parameters")))
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    known(config, "mode allowedFunctionNames", G_NAME, "tool_config.function_calling_config.")
    names, mode = config.get("allowedFunctionNames"), config.get("mode")
    want(not names or mode in ("ANY", "VALIDATED"), "Allowed function names should be set only when function calling "
         "mode is ANY.")
    want(all(n in ask.tools for n in names or []), "allowed_function_names contains an unknown function")
    ask.choice = ("named", names[0]) if names and len(names) == 1 else mode and mode.lower()


def g_part(parts, role, piece, at, proofs):
    known(piece, G_PART, G_NAME, "contents[%d].parts[0]." % at)
    data = [k for k in G_DATA if k in piece]
    want(len(data) == 1, "* GenerateContentRequest.contents[%d].parts[0].data: required oneof field 'data' must have "
         "one initialized field", at)
    kind, value, proof = data[0], piece[data[0]], piece.get("thoughtSignature")
    if proof is not None:
        want(is_base64(proof) or proof in SKIP, "Invalid value at 'contents[%d].parts[0].thought_signature' "
             "(TYPE_BYTES), Base64 decoding failed", at)
        owner = value["name"] if kind == "functionCall" else kind
        skip = proof in SKIP or is_base64(proof) and base64.b64decode(proof).decode("latin-1") in SKIP
        want(skip or proofs.get(proof) == ("thought", owner), "Corrupted thought signature.")
        proof = "skip" if skip else proof
    if kind == "text":
        parts.append(part("thinking" if piece.get("thought") else "text", text=value, proof=proof))
    elif kind == "inlineData":
        known(value, "mimeType data displayName", G_NAME, "inline_data.")
        want(is_base64(value["data"]), "Base64 decoding failed")
        parts.append(part("image" if value["mimeType"].startswith("image/") else "document", mime=value["mimeType"],
                          data=value["data"]))
    elif kind == "fileData":
        parts.append(part("image", url=value["fileUri"]))
    elif kind == "functionCall":
        known(value, "name args id", G_NAME, "function_call.")
        want(role == "assistant", "Function calls may only be in a model turn")
        want(isinstance(value.get("args", {}), dict), "Invalid value at 'function_call.args' (Struct)")
        parts.append(part("call", id=value.get("id"), name=value["name"], args=value.get("args", {}), proof=proof))
    else:
        known(value, "name response id parts", G_NAME, "function_response.")
        want(isinstance(value.get("response"), dict), "Invalid value at 'function_response.response' (Struct)")
        parts.append(g_result(value, at, proofs))


def g_result(value, at, proofs):
    answer, inner = value["response"], []
    failed = set(answer) == {"error"}
    text = next((answer[k] for k in ("output", "result", "error") if set(answer) == {k}), answer)
    inner.append(part("text", text=text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)))
    for piece in value.get("parts", []):
        g_part(inner, "user", piece, at, proofs)
    return part("result", id=value.get("id"), name=value["name"], failed=failed, parts=inner)


def g_order(ask, proofs):
    want(ask.turns[0][0] == "user", "Please ensure that the conversation starts with a user turn.")
    want(ask.turns[-1][0] == "user", "Please ensure that single turn requests end with a user role or the role field "
         "is empty.")
    calls = []
    for _, parts in ask.turns:
        results = [p for p in parts if p["kind"] == "result"]
        want(len(results) == len(calls), "Please ensure that the number of function response parts is equal to the "
             "number of function call parts of the function call turn.")
        want(sorted(r["name"] for r in results) == sorted(c["name"] for c in calls),
             "Please ensure that function response turn comes immediately after a function call turn, with the same "
             "names.")
        for call, result in zip(calls, results):  # without ids the order tells
            if call["id"] is None or result["id"] is None:
                want(call["name"] == result["name"], "JUDGE: function responses are not in the order of their calls")
                result["of"] = calls.index(call)
        calls = [p for p in parts if p["kind"] == "call"]
    if not ask.old:
        g_signatures(ask)


def g_signatures(ask):
    """Every step of the current turn: its first call carries a signature."""
    start = max(i for i, (role, parts) in enumerate(ask.turns)
                if role == "user" and any(p["kind"] != "result" for p in parts))
    for at, (_, parts) in enumerate(ask.turns[start:]):
        for call in [p for p in parts if p["kind"] == "call"][:1]:
            want(call["proof"], "Function call is missing a thought_signature in functionCall parts. This is required "
                 "for tools to work correctly, and missing thought_signature may lead to degraded model performance. "
                 "Additional data, function call `default_api:%s` , position %d.", call["name"], start + at + 1)
