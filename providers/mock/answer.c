/*
 * Decides what the mock says: one or two blocks of thinking, text or tool call, chosen by the model's name.
 *
 * Tokens are pieces: a word with the white space before it, at most PIECE_MAX bytes, never a part of a UTF-8
 * character. The stream sends one piece an event, so usage can be checked by counting.
 */
#include "mock.h"

#define PIECE_MAX 24

#define LOREM                                                                                                          \
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "   \
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo "  \
    "consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla "         \
    "pariatur. Excepteur sint occaecat cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id est " \
    "laborum."

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t mock_piece(struct ccp_span text)
{
    size_t n = 0, limit = text.n < PIECE_MAX ? text.n : PIECE_MAX;
    while (n < limit && is_space(text.p[n]))
        n++;
    while (n < limit && !is_space(text.p[n]))
        n++;
    while (n < text.n && n > 1 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

int mock_answer_error(struct ccp_span model)
{
    const struct ccp_span prefix = CCP_SPAN("mock-error-");
    struct ccp_span digits = ccp_span_skip(model, prefix.n);
    int status = 0;
    if (!ccp_span_starts(model, prefix) || digits.n != 3)
        return ccp_span_starts(model, prefix) ? 500 : 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return 500;
        status = status * 10 + (digits.p[i] - '0');
    }
    return status >= 400 && status <= 599 ? status : 500;
}

static void add(struct mock_answer *answer, enum mock_kind kind, struct ccp_span text)
{
    answer->block[answer->count++] = (struct mock_block){kind, text};
    answer->has_tool |= kind == MOCK_TOOL;
}

/* p = NULL when memory was refused. */
static struct ccp_span echo(const struct mock_ask *ask)
{
    if (ask->user_text == NULL || ccp_json_inner(ask->user_text).n == 0)
        return CCP_SPAN("(there is no text to repeat)");
    return ask->x->api->json_text(ask->x, ask->user_text);
}

static struct ccp_span tool_report(const struct mock_ask *ask)
{
    struct mock_out out;
    mock_out_init(&out, ask->x);
    mock_putz(&out, "The tool answered: ");
    if (ask->tool_result == NULL)
        mock_putz(&out, "nothing");
    else if (ask->tool_result->type == CCP_JSON_STRING)
        mock_put(&out, ask->x->api->json_text(ask->x, ask->tool_result));
    else
        mock_compact(&out, ask->tool_result->raw);
    return out.failed ? (struct ccp_span){NULL, 0} : mock_out_span(&out);
}

static void say_tool(const struct mock_ask *ask, struct mock_answer *answer)
{
    struct mock_out arguments;
    if (ask->tool_answered) {
        add(answer, MOCK_TEXT, tool_report(ask));
        return;
    }
    if (ask->tool_name.n == 0 || ask->tools_forbidden) {
        add(answer, MOCK_TEXT, CCP_SPAN("There is no tool to call."));
        return;
    }
    mock_out_init(&arguments, ask->x);
    mock_arguments(&arguments, ask->tool_schema);
    add(answer, MOCK_TOOL, arguments.failed ? (struct ccp_span){NULL, 0} : mock_out_span(&arguments));
}

static void say(const struct mock_ask *ask, struct mock_answer *answer)
{
    if (ccp_span_is(ask->model, "mock-tool")) {
        say_tool(ask, answer);
    } else if (ccp_span_is(ask->model, "mock-lorem") || ccp_span_is(ask->model, "mock-cut")) {
        add(answer, MOCK_TEXT, CCP_SPAN(LOREM));
    } else {
        if (ccp_span_is(ask->model, "mock-think"))
            add(answer, MOCK_THINKING, CCP_SPAN("The user said something. I am a mock, so I will repeat it."));
        add(answer, MOCK_TEXT, echo(ask));
    }
}

/* Counts the pieces and cuts the answer where max_tokens ends it. A tool call is never cut: half of one is of no
 * use to anybody. */
static void measure(struct mock_answer *answer, uint64_t max)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct mock_block *block = &answer->block[i];
        size_t at = 0;
        while (at < block->text.n && (max == 0 || answer->tokens_out < max || block->kind == MOCK_TOOL)) {
            at += mock_piece(ccp_span_skip(block->text, at));
            answer->tokens_out++;
            answer->tokens_thinking += block->kind == MOCK_THINKING;
        }
        if (at < block->text.n) {
            answer->truncated = true;
            block->text.n = at;
            answer->count = i + 1;
        }
    }
}

bool mock_answer_make(struct mock_play *play)
{
    struct mock_answer *answer = &play->answer;
    say(&play->ask, answer);
    for (size_t i = 0; i < answer->count; i++)
        if (answer->block[i].text.p == NULL)
            return false;
    measure(answer, play->ask.max_tokens);
    answer->tokens_in = mock_estimate(play->ask.text_bytes);
    return true;
}
