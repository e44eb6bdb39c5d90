/*
 * Requests to Gemini: signatures, thinking by generation of the model, conversations of other formats.
 */
#include "gemini_request.h"

#include <stdio.h>

/* -- signatures -- */

#define TWO_CALLS(first)                                                                                               \
    "{\"contents\":[" USER                                                                                             \
    ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}" first                \
    "},{\"functionCall\":{\"id\":\"b\",\"name\":\"f\",\"args\":{}}}]},{\"role\":\"user\",\"parts\":["                  \
    "{\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"output\":\"1\"}}},"                            \
    "{\"functionResponse\":{\"id\":\"b\",\"name\":\"f\",\"response\":{\"output\":\"2\"}}}]}]}"
#define SIGNED(text) ",\"thoughtSignature\":\"" text "\""

static void later_models_get_a_signature_on_the_first_call(void **state)
{
    static const char skip[] = TWO_CALLS(SIGNED("skip_thought_signature_validator"));
    translated("gemini-3-flash", TWO_CALLS(""), skip);
    translated("models/gemini-3.1-pro", TWO_CALLS(""), skip);
    translated("gemini-flash-latest", TWO_CALLS(""), skip);
    translated("gemini-2.5-pro", TWO_CALLS(""), TWO_CALLS(""));
    translated("gemini-3-flash", TWO_CALLS(SIGNED("c2ln")), TWO_CALLS(SIGNED("c2ln")));
    /* another provider's, wrapped: base64 of "ccp1.other.ZGF0YQ" */
    translated("gemini-3-flash", TWO_CALLS(SIGNED("Y2NwMS5vdGhlci5aR0YwWVE=")), skip);
}

/* -- thinking -- */

static void thinking(const char *model, const struct reasoning *reasoning, const char *want)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_OPENAI_CHAT, model);
    struct part *text = prompt_part(&r.p, prompt_turn(&r.p, ROLE_USER, 0), PART_TEXT, 0);
    text->text = CCP_SPAN("hi");
    r.p.reasoning = *reasoning;
    assert_true(format_gemini.prompt_write(&r.p, &r.out));
    char all[512];
    snprintf(all, sizeof(all), "{%s%s%s\"contents\":[" USER "]}",
             want[0] ? "\"generationConfig\":{\"thinkingConfig\":" : "", want, want[0] ? "}," : "");
    expect_text(&r.a, buf_span(&r.out), all);
    request_end(&r);
}

static void depth_is_a_budget_or_a_level(void **state)
{
    const struct reasoning none = {.effort = EFFORT_NONE}, high = {.effort = EFFORT_HIGH},
                           unset = {.effort = EFFORT_UNSET}, medium = {.effort = EFFORT_MEDIUM},
                           tokens = {.budget = 100}, many = {.budget = 9000}, adaptive = {.adaptive = true},
                           hidden = {.effort = EFFORT_LOW, .show = NO}, max = {.effort = EFFORT_MAX};
    thinking("gemini-2.5-flash", &unset, "");
    thinking("gemini-2.5-flash", &none, "{\"thinkingBudget\":0}");
    thinking("gemini-2.5-pro", &none, "{\"thinkingBudget\":128}");
    thinking("gemini-2.5-pro", &tokens, "{\"includeThoughts\":true,\"thinkingBudget\":128}");
    thinking("gemini-2.5-flash-lite", &tokens, "{\"includeThoughts\":true,\"thinkingBudget\":512}");
    thinking("gemini-2.5-flash", &high, "{\"includeThoughts\":true,\"thinkingBudget\":24576}");
    thinking("gemini-2.5-flash", &max, "{\"includeThoughts\":true,\"thinkingBudget\":-1}");
    thinking("gemini-2.5-flash", &adaptive, "{\"includeThoughts\":true,\"thinkingBudget\":-1}");
    thinking("gemini-3-flash", &none, "{\"thinkingLevel\":\"MINIMAL\"}");
    thinking("gemini-3-pro-preview", &none, "{\"thinkingLevel\":\"LOW\"}");
    thinking("gemini-3-pro-preview", &medium, "{\"includeThoughts\":true,\"thinkingLevel\":\"HIGH\"}");
    thinking("gemini-3.1-pro", &medium, "{\"includeThoughts\":true,\"thinkingLevel\":\"MEDIUM\"}");
    thinking("gemini-3-flash", &many, "{\"includeThoughts\":true,\"thinkingLevel\":\"MEDIUM\"}");
    thinking("gemini-3-flash", &hidden, "{\"thinkingLevel\":\"LOW\"}");
    thinking("gemini-3-flash", &adaptive, "{\"includeThoughts\":true}");
    thinking("gemini-2.0-flash", &high, "");
    thinking("house-model", &high, "{\"includeThoughts\":true,\"thinkingLevel\":\"HIGH\"}");
    thinking("house-model", &many, "{\"includeThoughts\":true,\"thinkingBudget\":9000}");
}

/* -- conversations of other formats -- */

static struct part *say(struct request *r, enum role role, const char *text)
{
    uint32_t at = r->p.last_turn != NULL ? r->p.last_turn->message + 1 : 0;
    struct part *part = prompt_part(&r->p, prompt_turn(&r->p, role, at), PART_TEXT, 0);
    part->text = ccp_span_z(text);
    return part;
}

static void written(struct request *r, const char *want)
{
    if (!prompt_settle(&r->p, true) || !format_gemini.prompt_write(&r->p, &r->out))
        fail_msg("refused: %.*s", CCP_FMT(r->p.error));
    expect_text(&r->a, buf_span(&r->out), want);
    request_end(r);
}

static void late_system_text_stays_in_its_place(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_OPENAI_CHAT, "gemini-2.5-flash");
    say(&r, ROLE_SYSTEM, "x-anthropic-billing-header: 1");
    say(&r, ROLE_DEVELOPER, "first");
    say(&r, ROLE_USER, "q");
    say(&r, ROLE_SYSTEM, "later");
    say(&r, ROLE_USER, "again");
    written(&r, "{\"systemInstruction\":{\"parts\":[{\"text\":\"first\"}]},\"contents\":[{\"role\":\"user\",\"parts\":["
                "{\"text\":\"q\"},{\"text\":\"<system>\\nlater\\n</system>\"},{\"text\":\"again\"}]}]}");
}

static void the_user_begins(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_OPENAI_CHAT, "gemini-2.5-flash");
    say(&r, ROLE_ASSISTANT, "welcome");
    written(&r, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"(start of the conversation)\"}]},{\"role\":"
                "\"model\",\"parts\":[{\"text\":\"welcome\"}]}]}");
    request_begin(&r, CCP_FORMAT_OPENAI_CHAT, "gemini-2.5-flash");
    say(&r, ROLE_SYSTEM, "only");
    written(&r, "{\"systemInstruction\":{\"parts\":[{\"text\":\"only\"}]},\"contents\":[{\"role\":\"user\",\"parts\":["
                "{\"text\":\"(start of the conversation)\"}]}]}");
}

static void with_image_result(struct request *r, const char *model)
{
    request_begin(r, CCP_FORMAT_ANTHROPIC, model);
    say(r, ROLE_USER, "look");
    struct turn *asks = prompt_turn(&r->p, ROLE_ASSISTANT, 1), *answers = prompt_turn(&r->p, ROLE_USER, 2);
    struct part *thought = prompt_part(&r->p, asks, PART_THINKING, 0), *call = prompt_part(&r->p, asks, PART_CALL, 1);
    thought->text = CCP_SPAN("foreign");
    thought->proof = (struct proof){PROOF_SIGNATURE, CCP_SPAN(""), CCP_SPAN("c2ln")};
    call->id = CCP_SPAN("toolu_1");
    call->name = CCP_SPAN("see");
    call->args = (struct arguments){CCP_SPAN("[1]"), false};
    prompt_part(&r->p, answers, PART_TEXT, 0)->text = CCP_SPAN("there");
    struct part *result = prompt_part(&r->p, answers, PART_RESULT, 1);
    result->id = CCP_SPAN("toolu_1");
    result->failed = true;
    prompt_result_part(&r->p, result, PART_TEXT)->text = CCP_SPAN("blurred");
    struct part *image = prompt_result_part(&r->p, result, PART_IMAGE);
    image->mime = CCP_SPAN("image/png");
    image->data = CCP_SPAN("AA==");
}

#define ASKS(sign)                                                                                                     \
    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"look\"}]},{\"role\":\"model\",\"parts\":[{"              \
    "\"functionCall\":{"                                                                                               \
    "\"id\":\"toolu_1\",\"name\":\"see\",\"args\":{\"value\":[1]}}" sign "}]},{\"role\":\"user\",\"parts\":["          \
    "{\"functionResponse\":{\"id\":\"toolu_1\",\"name\":\"see\",\"response\":{\"error\":\"blurred\"}"
#define IMAGE "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}}"

static void images_of_results_stand_where_the_model_takes_them(void **state)
{
    struct request r;
    with_image_result(&r, "gemini-3-flash");
    written(&r, ASKS(SIGNED("skip_thought_signature_validator")) ",\"parts\":[" IMAGE "]}},{\"text\":\"there\"}]}]}");
    with_image_result(&r, "gemini-2.5-flash");
    written(&r, ASKS("") "}}," IMAGE ",{\"text\":\"there\"}]}]}");
}

static void foreign_file_ids_are_refused(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_ANTHROPIC, "gemini-2.5-flash");
    struct part *file = prompt_part(&r.p, prompt_turn(&r.p, ROLE_USER, 0), PART_DOCUMENT, 0);
    file->source = MEDIA_FILE_ID;
    file->data = CCP_SPAN("file_1");
    assert_false(format_gemini.prompt_write(&r.p, &r.out));
    assert_non_null(memmem(r.p.error.p, r.p.error.n, "file_id", 7));
    request_end(&r);
}

static void what_one_says_next_only_adds_to_the_end(void **state)
{
    struct request before, after;
    request_begin(&before, CCP_FORMAT_OPENAI_CHAT, "gemini-3-flash");
    request_begin(&after, CCP_FORMAT_OPENAI_CHAT, "gemini-3-flash");
    struct request *both[] = {&before, &after};
    for (int i = 0; i < 2; i++) {
        say(both[i], ROLE_SYSTEM, "s");
        say(both[i], ROLE_USER, "q");
        struct part *call = prompt_part(&both[i]->p, prompt_turn(&both[i]->p, ROLE_ASSISTANT, 2), PART_CALL, 0);
        call->id = CCP_SPAN("c");
        call->name = CCP_SPAN("f");
        call->args = (struct arguments){CCP_SPAN("{\\\"a\\\":1}"), true};
        struct part *result = prompt_part(&both[i]->p, prompt_turn(&both[i]->p, ROLE_USER, 3), PART_RESULT, 0);
        result->id = CCP_SPAN("c");
    }
    say(&after, ROLE_ASSISTANT, "done");
    say(&after, ROLE_SYSTEM, "be kind");
    say(&after, ROLE_USER, "next");
    for (int i = 0; i < 2; i++)
        assert_true(prompt_settle(&both[i]->p, true) && format_gemini.prompt_write(&both[i]->p, &both[i]->out));
    struct ccp_span head = buf_span(&before.out);
    head.n -= strlen("]}");
    assert_true(ccp_span_starts(buf_span(&after.out), head));
    request_end(&before);
    request_end(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_models_get_a_signature_on_the_first_call),
        cmocka_unit_test(depth_is_a_budget_or_a_level),
        cmocka_unit_test(late_system_text_stays_in_its_place),
        cmocka_unit_test(the_user_begins),
        cmocka_unit_test(images_of_results_stand_where_the_model_takes_them),
        cmocka_unit_test(foreign_file_ids_are_refused),
        cmocka_unit_test(what_one_says_next_only_adds_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
