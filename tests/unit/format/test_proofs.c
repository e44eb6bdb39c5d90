/*
 * Proofs of thinking over three turns: what a provider signed comes back to it untouched, through clients that only
 * know their own format and copy an answer into the next request as their SDKs do. To anybody else it never goes.
 */
#include "answer.h"
#include "wire.h"

#define PROOF "UHJvb2YrMDEvYWJjZA=="

/* An answer that thinks, then calls a tool; the proof where each provider puts it. Chat servers have none. */
static const char *const answers[FORMATS] = {
    [A] =
        "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-test-1\",\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"" PROOF "\"},"
        "{\"type\":\"tool_use\",\"id\":\"toolu_%d\",\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\","
        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
    [R] =
        "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1,\"status\":\"completed\",\"model\":\"gpt-test-1\","
        "\"output\":[{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],"
        "\"encrypted_content\":\"" PROOF "\"},{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\","
        "\"call_id\":\"toolu_%d\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}]}",
    [G] =
        "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hm\",\"thought\":true},{"
        "\"functionCall\":{"
        "\"id\":\"toolu_%d\",\"name\":\"f\",\"args\":{\"a\":1}},\"thoughtSignature\":\"" PROOF "\"}]},\"finishReason\":"
        "\"STOP\",\"index\":0}],\"modelVersion\":\"gemini-test-1\",\"responseId\":\"r1\"}",
};

/* What a client of each format begins with, and what it adds: its copy of the answer, and the tool's result. */
static const char *const begins[FORMATS] = {
    "{\"max_tokens\":4096,\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"},\"tools\":[{"
    "\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"messages\":[{\"role\":\"user\",\"content\":\"go\"}]}",
    "{\"reasoning_effort\":\"high\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
    "\"messages\":[{\"role\":\"user\",\"content\":\"go\"}]}",
    "{\"reasoning\":{\"effort\":\"high\"},\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}],"
    "\"input\":[{\"role\":\"user\",\"content\":\"go\"}]}",
    "{\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingLevel\":\"HIGH\"}},"
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]}]}",
};

static void copy_answer(int client, json_t *body, const json_t *answer, const char *id)
{
    json_t *list = json_object_get(body, client == R ? "input" : client == G ? "contents" : "messages");
    if (client == A)
        json_array_append_new(
            list, json_pack("{s:s,s:O}", "role", "assistant", "content", json_object_get(answer, "content")));
    else if (client == C)
        json_array_append(list, json_object_get(js_at(json_object_get(answer, "choices"), 0), "message"));
    else if (client == R)
        json_array_extend(list, json_object_get(answer, "output"));
    else
        json_array_append(list, json_object_get(js_at(json_object_get(answer, "candidates"), 0), "content"));
    json_t *result = client == A   ? json_pack("{s:s,s:[{s:s,s:s,s:s}]}", "role", "user", "content", "type",
                                               "tool_result", "tool_use_id", id, "content", "done")
                     : client == C ? json_pack("{s:s,s:s,s:s}", "role", "tool", "tool_call_id", id, "content", "done")
                     : client == R
                         ? json_pack("{s:s,s:s,s:s}", "type", "function_call_output", "call_id", id, "output", "done")
                         : json_pack("{s:s,s:[{s:{s:s,s:s,s:{s:s}}}]}", "role", "user", "parts", "functionResponse",
                                     "id", id, "name", "f", "response", "output", "done");
    json_array_append_new(list, result);
}

static struct sent_up ask(int client, int upstream, const char *provider, const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    struct asked how = {.from = client, .to = upstream, .provider = provider};
    struct sent_up s = send_up(&how, text, strlen(text));
    free(text);
    return s;
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

/* Nobody else may see the proof, neither bare nor wrapped. */
static void not_for_others(int client, int upstream, const json_t *body)
{
    for (int other = 0; other < FORMATS; other++) {
        struct sent_up s = ask(client, other, "somebody-else", body);
        bool own = client == upstream && client == other; /* bare in its own format: nobody can know whose it is */
        if (!own)
            judge(!s.ok                                ? s.error
                  : strstr(s.body.p, PROOF) != NULL    ? "a foreign proof is sent"
                  : strstr(s.body.p, "ccp1.") != NULL  ? "a wrapped proof is sent"
                  : strstr(s.body.p, "Y2NwMS") != NULL ? "a wrapped proof is sent"
                                                       : NULL,
                  "%s's proof through %s to %s of somebody else", format_names[upstream], format_names[client],
                  format_names[other]);
        sent_up_free(&s);
    }
}

static void three_turns(int client, int upstream)
{
    json_t *body = json_loads(begins[client], 0, NULL);
    for (int turn = 1; turn <= 2; turn++) {
        char text[2000], id[32];
        snprintf(text, sizeof(text), answers[upstream], turn);
        snprintf(id, sizeof(id), "toolu_%d", turn);
        struct answered how = {.from = upstream, .to = client};
        struct sent_down s = send_down(&how, text, strlen(text));
        json_t *answer = json_loads(s.body.p, 0, NULL);
        judge(!s.done ? s.error : NULL, "%s to %s", format_names[upstream], format_names[client]);
        copy_answer(client, body, answer, id);
        struct sent_up up = ask(client, upstream, NULL, body);
        size_t n = up.ok ? occurrences(up.body.p, PROOF) : 0;
        judge(!up.ok                               ? up.error
              : n != (size_t)turn                  ? up.body.p
              : strstr(up.body.p, "ccp1.") != NULL ? "a wrapped proof is sent to who made it"
                                                   : NULL,
              "%s's proof through %s, turn %d: %zu times", format_names[upstream], format_names[client], turn, n);
        sent_up_free(&up);
        sent_down_free(&s);
        json_decref(answer);
    }
    not_for_others(client, upstream, body);
    json_decref(body);
}

static void every_client(void **state)
{
    static const int upstreams[] = {A, R, G};
    for (int client = 0; client < FORMATS; client++)
        for (int u = 0; u < 3; u++)
            three_turns(client, upstreams[u]);
    all_right();
}

/* Parts with their proofs, as they are compared: a proof may follow on an empty part of the same kind, as Google sends
 * it, and an empty one is none. */
static json_t *proven(const json_t *parts)
{
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(parts); i++) {
        json_t *part = js_at(parts, i), *last = js_at(all, json_array_size(all) - 1), *proof = js_get(part, "proof");
        bool some = json_string_length(proof) != 0;
        if (!some)
            json_object_del(part, "proof");
        if (js_is(js_get(part, "kind"), "call") || json_string_length(js_get(part, "text")) != 0)
            json_array_append(all, part);
        else if (some && js_is(js_get(last, "kind"), js_text(js_get(part, "kind"))))
            json_object_set(last, "proof", proof);
        else if (some)
            json_array_append(all, part);
    }
    return all;
}

/* A stream carries the same proofs as the whole answer. */
static void streams_agree(void **state)
{
    static const int upstreams[] = {A, R, G};
    for (int i = 0; i < 12; i++) {
        int client = i & 3, upstream = upstreams[i >> 2];
        char text[2000];
        snprintf(text, sizeof(text), answers[upstream], 1);
        struct answered how = {.from = upstream, .to = client};
        struct sent_down whole = send_down(&how, text, strlen(text));
        how.stream = true;
        struct sent_down stream = send_down(&how, text, strlen(text));
        struct answer a = answer_of_whole(client, whole.body.p, whole.body.n);
        struct answer b = answer_of_stream(client, stream.body.p, stream.body.n);
        json_t *of_whole = proven(a.parts), *of_stream = proven(b.parts);
        judge(b.problem[0] != '\0' ? b.problem : js_diff(of_stream, of_whole), "%s to %s", format_names[upstream],
              format_names[client]);
        json_decref(of_whole);
        json_decref(of_stream);
        answer_free(&a);
        answer_free(&b);
        sent_down_free(&whole);
        sent_down_free(&stream);
    }
    all_right();
}

/* What is no proof of ours but begins like one is dropped, and breaks nothing. */
static void broken_wrappings(void **state)
{
    static const char *const texts[] = {"ccp1.",
                                        "ccp1..",
                                        "ccp1.anthropic.",
                                        "ccp1.anthropic.!!!",
                                        "ccp1.anthropic.c0A",
                                        "ccp1.anthropic.enp6",
                                        "ccp1.anthropic.cyIi"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char body[600];
        snprintf(
            body, sizeof(body),
            "{\"max_tokens\":4096,\"thinking\":{\"type\":\"adaptive\"},\"messages\":[{\"role\":\"user\",\"content\":"
            "\"go\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":"
            "\"%s\"},{\"type\":\"text\",\"text\":\"x\"}]},{\"role\":\"user\",\"content\":\"on\"}]}",
            texts[i]);
        for (int to = 0; to < FORMATS; to++) {
            struct asked how = {.from = A, .to = to};
            struct sent_up s = send_up(&how, body, strlen(body));
            json_t *sent = s.ok ? js_load(s.body.p, s.body.n) : NULL;
            judge(!s.ok                               ? s.error
                  : sent == NULL                      ? js_error()
                  : strstr(s.body.p, "ccp1.") != NULL ? "it is sent"
                                                      : NULL,
                  "%s to %s", texts[i], format_names[to]);
            json_decref(sent);
            sent_up_free(&s);
        }
    }
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_client, begin_test),
        cmocka_unit_test_setup(streams_agree, begin_test),
        cmocka_unit_test_setup(broken_wrappings, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
