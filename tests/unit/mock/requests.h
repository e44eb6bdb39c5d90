/*
 * One conversation, written as a request of each of the four formats: the same texts, so the same tokens.
 */
#ifndef TEST_MOCK_REQUESTS_H
#define TEST_MOCK_REQUESTS_H

#include <stdbool.h>
#include <stdio.h>

#define SCHEMA                                                                                                         \
    "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"unit\":{\"enum\":[\"c\", \"f\"]},"          \
    "\"days\":{\"type\":\"integer\",\"minimum\":3},\"list\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":"   \
    "\"#/$defs/p\"}},\"deep\":{\"anyOf\":[{\"type\":[\"boolean\",\"null\"]}]},\"other\":{\"type\":\"string\"}},"       \
    "\"required\":[\"city\",\"unit\",\"days\",\"list\",\"deep\"],\"$defs\":{\"p\":{\"type\":\"object\","               \
    "\"properties\":{\"x\":{\"type\":\"number\"}},\"required\":[\"x\"]}}}"
#define ARGUMENTS "{\"city\":\"mock\",\"unit\":\"c\",\"days\":3,\"list\":[{\"x\":1}],\"deep\":true}"
#define USER_TEXT "Say \\\"h\\u00e9llo\\\"\\n  to   everyone, antidisestablishmentarianistically 日本語の長い文章です"
#define USER_WANT "Say \"h\303\251llo\"\n  to   everyone, antidisestablishmentarianistically 日本語の長い文章です"

enum shape { A, C, R, G, SHAPES };
enum mode { WHOLE, STREAM, ARRAY };

/* A conversation with a system text, an earlier turn, the user's text and two tools; `result` adds the call of
 * the first one and its answer. */
static const char *body_of(enum shape shape, enum mode mode, const char *model, bool result, unsigned limit)
{
    static char body[8192];
    const char *stream = mode == WHOLE ? "false" : "true";
    switch (shape) {
    case A:
        snprintf(body, sizeof(body),
                 "{\"model\":\"%s\",\"stream\":%s,\"max_tokens\":%u,\"system\":[{\"type\":\"text\",\"text\":\"Be "
                 "kind\"}],\"messages\":[{\"role\":\"user\",\"content\":\"One\"},{\"role\":\"assistant\",\"content\":"
                 "[{\"type\":\"text\",\"text\":\"Two\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
                 "\"" USER_TEXT "\"}]}%s],\"tools\":[{\"type\":\"web_search_1\",\"name\":\"ws\"},{\"name\":\"weather\","
                 "\"description\":\"Tells it\",\"input_schema\":" SCHEMA "}]}",
                 model, stream, limit,
                 result ? ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
                          "\"weather\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                          "\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\",\"text\":\"sunny\"}]}]}"
                        : "");
        break;
    case C:
        snprintf(body, sizeof(body),
                 "{\"model\":\"%s\",\"stream\":%s,\"stream_options\":{\"include_usage\":true},"
                 "\"max_completion_tokens\":%u,\"messages\":[{\"role\":\"system\",\"content\":\"Be kind\"},{\"role\":"
                 "\"user\",\"content\":\"One\"},{\"role\":\"assistant\",\"content\":\"Two\"},{\"role\":\"user\","
                 "\"content\":[{\"type\":\"text\",\"text\":\"" USER_TEXT "\"}]}%s],\"tools\":[{\"type\":\"function\","
                 "\"function\":{\"name\":\"weather\",\"description\":\"Tells it\",\"parameters\":" SCHEMA "}}]}",
                 model, stream, limit,
                 result ? ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"t\",\"type\":"
                          "\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
                          "\"tool_call_id\":\"t\",\"content\":\"sunny\"}"
                        : "");
        break;
    case R:
        snprintf(
            body, sizeof(body),
            "{\"model\":\"%s\",\"stream\":%s,\"max_output_tokens\":%u,\"instructions\":\"Be kind\",\"store\":false,"
            "\"input\":[{\"role\":\"user\",\"content\":\"One\"},{\"type\":\"message\",\"role\":\"assistant\","
            "\"content\":[{\"type\":\"output_text\",\"text\":\"Two\"}]},{\"type\":\"message\",\"role\":\"user\","
            "\"content\":[{\"type\":\"input_text\",\"text\":\"" USER_TEXT "\"}]}%s],\"tools\":[{\"type\":"
            "\"local_shell\"},{\"type\":\"function\",\"name\":\"weather\",\"description\":\"Tells it\","
            "\"parameters\":\n" SCHEMA "}]}",
            model, stream, limit,
            result ? ",{\"type\":\"function_call\",\"call_id\":\"t\",\"name\":\"weather\",\"arguments\":\"{}\"},"
                     "{\"type\":\"function_call_output\",\"call_id\":\"t\",\"output\":\"sunny\"}"
                   : "");
        break;
    default:
        snprintf(body, sizeof(body),
                 "{\"generationConfig\":{\"maxOutputTokens\":%u},\"systemInstruction\":{\"parts\":[{\"text\":\"Be "
                 "kind\"}]},\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"One\"}]},{\"role\":\"model\","
                 "\"parts\":[{\"text\":\"Two\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"" USER_TEXT "\"}]}%s],"
                 "\"tools\":[{\"functionDeclarations\":[{\"name\":\"weather\",\"description\":\"Tells it\","
                 "\"parametersJsonSchema\":" SCHEMA "}]}]}",
                 limit,
                 result ? ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"weather\",\"args\":{}}}]},"
                          "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"weather\",\"response\":{"
                          "\"output\":\"sunny\"}}}]}"
                        : "");
    }
    return body;
}

static const char *url_of(enum shape shape, enum mode mode, const char *model)
{
    static char url[256];
    static const char *const paths[] = {"v1/messages", "v1/chat/completions", "v1/responses"};
    if (shape != G)
        snprintf(url, sizeof(url), "http://mock.invalid/%s", paths[shape]);
    else
        snprintf(url, sizeof(url), "http://mock.invalid/v1beta/models/%s:%s", model,
                 mode == WHOLE    ? "generateContent"
                 : mode == STREAM ? "streamGenerateContent?x=1&alt=sse"
                                  : "streamGenerateContent");
    return url;
}

#endif
