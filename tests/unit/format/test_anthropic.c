/*
 * Requests of Anthropic's clients: what they may hold, what is dropped by name, what is refused and where.
 */
#include "anthropic_request.h"

static void test_reading(void **state)
{
    static const struct request table[] = {
        {"no messages", A, C, NULL, "{" MAX "'system':'s'}", NULL, NULL, "messages: must be an array"},
        {"empty messages", A, C, NULL, "{" MAX "'messages':[]}", NULL, NULL, "messages: at least one"},
        {"a role", A, C, NULL, "{" MAX "'messages':[{'role':'tool','content':'x'}]}", NULL, NULL, "messages[0].role"},
        {"content", A, C, NULL, "{" MAX "'messages':[{'role':'user','content':1}]}", NULL, NULL,
         "messages[0].content: must be a string or an array"},
        {"a block without type", A, C, NULL, "{" MAX "'messages':[{'role':'user','content':['x']}]}", NULL, NULL,
         "messages[0].content[0]: must be an object with a type"},
        {"an unknown block", A, C, NULL, "{" MAX "'messages':[{'role':'user','content':[{'type':'hologram'}]}]}", NULL,
         NULL, "messages[0].content[0]: content of type hologram"},
        {"text that is none", A, C, NULL, "{" MAX "'messages':[{'role':'user','content':[{'type':'text'}]}]}", NULL,
         NULL, "messages[0].content[0]: text must be a string"},
        {"an image without source", A, C, NULL,
         "{" MAX "'messages':[{'role':'user','content':[{'type':'text','text':'x'},{'type':'image'}]}]}", NULL, NULL,
         "messages[0].content[1]: source.type"},
        {"a call without id", A, C, NULL,
         "{" MAX "'messages':[{'role':'assistant','content':[{'type':'tool_use','name':'f','input':{}}]}]}", NULL, NULL,
         "messages[0].content[0]: tool_use needs"},
        {"a call of the user", A, C, NULL,
         "{" MAX "'messages':[{'role':'user','content':[{'type':'tool_use','id':'i','name':'f','input':{}}]}]}", NULL,
         NULL, "messages[0].content[0]: tool_use belongs"},
        {"arguments that are no object", A, C, NULL,
         "{" MAX "'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'i','name':'f','input':[]}]}]}",
         NULL, NULL, "messages[0].content[0]: input must be an object"},
        {"a result without id", A, C, NULL, "{" MAX "'messages':[{'role':'user','content':[{'type':'tool_result'}]}]}",
         NULL, NULL, "messages[0].content[0]: tool_result needs"},
        {"a file id", A, G, NULL,
         "{" MAX "'messages':[{'role':'user','content':[{'type':'document','source':{'type':'file','file_id':'f'}}]}]}",
         NULL, NULL, "messages[0].content[0]: file_id"},
        {"a picture in the system prompt", A, C, NULL,
         "{" MAX "'system':[{'type':'image','source':{'type':'url','url':'https://x'}}]," USER "}", NULL, NULL,
         "system[0]: only text"},
        {"a tool without name", A, C, NULL, "{" MAX "'tools':[{'input_schema':{}}]," USER "}", NULL, NULL,
         "tools[0].name"},
        {"the computer", A, C, NULL, "{" MAX "'tools':[{'type':'computer_20250124','name':'computer'}]," USER "}", NULL,
         NULL, "tools[0]: the tool type computer_20250124"},
        {"an unknown choice", A, C, NULL, "{" MAX "'tool_choice':{'type':'x'}," USER "}", NULL, NULL,
         "tool_choice.type"},
        {"a choice without name", A, C, NULL, "{" MAX "'tool_choice':{'type':'tool'}," USER "}", NULL, NULL,
         "tool_choice.name"},
        {"a limit that is none", A, C, NULL, "{'max_tokens':1.5," USER "}", NULL, NULL, "max_tokens"},
        {"thinking of another kind", A, C, NULL, "{" MAX "'thinking':{'type':'x'}," USER "}", NULL, NULL,
         "thinking.type"},
        {"an unknown effort", A, C, NULL, "{" MAX "'output_config':{'effort':'none'}," USER "}", NULL, NULL,
         "output_config.effort"},
        {"a container", A, C, NULL, "{" MAX "'container':'c'," USER "}", NULL, NULL, "container: "},
        {"a thread", A, R, NULL, "{" MAX "'thread':{'type':'create'}," USER "}", NULL, NULL, "thread: "},
        {"null is absent", A, A, NULL, "{" MAX "'container':null,'tools':null,'thinking':null,'system':null," USER "}",
         "{" WITH("claude-opus-4-8", "9") SENT_USER "}"},
        {"hints", A, A, NULL,
         "{" MAX "'context_management':{'edits':[]},'speed':'fast','mcp_servers':[],'nonsense':1,"
         "'metadata':{'user_id':null,'x':1}," USER "}",
         "{" WITH("claude-opus-4-8", "9") SENT_USER "}",
         "nonsense, context_management, mcp_servers, speed, metadata.x"},
        {"what the provider made", A, A, NULL,
         "{" MAX "'messages':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'server_tool_use',"
         "'id':'s','name':'web_search','input':{}},{'type':'web_search_tool_result','tool_use_id':'s','content':[]}"
         "," TEXT("a") "]},{'role':'user','content':'r'}]}",
         "{" WITH("claude-opus-4-8", "9") "'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'assistant','content':[" TEXT("a") "]},{'role':'user','content':[" TEXT("r") "]}]}",
         "server_tool_use, web_search_tool_result"},
        {"documents and search results", A, A, NULL,
         "{" MAX "'messages':[{'role':'user','content':[{'type':'document','title':'T','context':'c','source':"
         "{'type':'content','content':[" TEXT("in") "]}},{'type':'search_result','title':'S','source':'u','content':"
                                                    "[" TEXT("one") "," TEXT("two") "]}]}]}",
         "{" WITH("claude-opus-4-8", "9") "'messages':[{'role':'user','content':[" TEXT("c") "," TEXT("T") "," TEXT(
             "in") "," TEXT("S\\nu\\n\\none\\n\\ntwo") "]}]}"},
        {"an escaped type", A, A, NULL,
         "{" MAX "'messages':[{'role':'user','content':[{'type':'image','source':{'type':'base64','media_type':"
         "'image\\/png','data':'iVBORw0KGgo='}}]}]}",
         "{" WITH("claude-opus-4-8", "9") "'messages':[{'role':'user','content':[{'type':'image','source':{'type':"
                                          "'base64','media_type':'image/png','data':'iVBORw0KGgo='}}]}]}"},
        {"four breakpoints", A, A, NULL,
         "{" MAX "'cache_control':{'type':'ephemeral'},'system':[{'type':'text','text':'a','cache_control':{'type':"
         "'ephemeral','ttl':'1h'}},{'type':'text','text':'b','cache_control':{'type':'ephemeral'}},{'type':'text',"
         "'text':'c','cache_control':{'type':'ephemeral'}},{'type':'text','text':'d','cache_control':{'type':"
         "'ephemeral','ttl':'5m'}}]," USER "}",
         "{" WITH("claude-opus-4-8", "9") "'cache_control':{'type':'ephemeral'},'system':[" TEXT(
             "a") ",{'type':'text',"
                  "'text':'b','cache_control':{'type':'ephemeral'}},{'type':'text','text':'c','cache_control':{'type':"
                  "'ephemeral'}},{'type':'text','text':'d','cache_control':{'type':'ephemeral','ttl':'5m'}}]," SENT_USER
                  "}",
         "cache_control"},
        {"the billing line", A, A, "glm-5",
         "{" MAX "'system':[" TEXT("x-anthropic-billing-header: v=1") "," TEXT("s") "]," USER "}",
         "{" WITH("glm-5", "9") "'system':[" TEXT("s") "]," SENT_USER "}", NULL, NULL, true},
    };
    CHECK(table);
}

/* A tool that Anthropic's models know by heart becomes a function that others can call. */
static void test_known_tools(void **state)
{
    static const char *const types[] = {"bash_20250124", "text_editor_20250728", "memory_20250818"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        char body[400];
        snprintf(body, sizeof(body),
                 "{\"max_tokens\":9,\"tools\":[{\"type\":\"%s\",\"name\":\"t\"}],"
                 "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}",
                 types[i]);
        struct sent_up s = send_up(&(struct asked){.from = A, .to = C}, body, strlen(body));
        assert_true(s.ok);
        json_t *sent = js_load(s.body.p, s.body.n);
        const json_t *function = js_get(js_at(js_get(sent, "tools"), 0), "function");
        assert_true(js_is(js_get(function, "name"), "t"));
        assert_true(js_is_text(js_get(function, "description")));
        assert_non_null(js_get(js_get(js_get(function, "parameters"), "properties"), "command"));
        json_decref(sent);
        sent_up_free(&s);
    }
}

/* However little memory there is: an answer of 400 or 503, or the whole body. */
static void test_memory(void **state)
{
    static const char *const bodies[] = {
        "{" MAX "'metadata':{'user_id':'u'},'system':'s','tools':[{'type':'bash_20250124','name':'bash'}],'messages':["
        "{'role':'user','content':[{'type':'search_result','title':'S','source':'u','content':[" TEXT(
            "one") "]},"
                   "{'type':'document','source':{'type':'text','data':'d'}}]},{'role':'assistant','content':[{'type':'"
                   "thinking',"
                   "'thinking':'t','signature':'ccp1.anthropic.c2ln'},{'type':'tool_use','id':'a "
                   "b','name':'bash','input':{}}]}]}",
        "{" SCHEMA_C("{'type':'object'}") TOOLS_C STEP_C "}",
    };
    for (size_t i = 0; i < 2; i++) {
        char *body = quoted(bodies[i]);
        bool ok = false;
        for (size_t budget = 1; !ok && budget < 100000; budget += 16) {
            struct asked how = {.from = i == 0 ? A : C, .to = A, .model = "claude-3-7-sonnet", .budget = budget};
            struct sent_up s = send_up(&how, body, strlen(body));
            ok = s.ok;
            assert_true(s.ok || s.status == CCP_OVERLOADED);
            sent_up_free(&s);
        }
        assert_true(ok);
        free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reading, begin_test),
        cmocka_unit_test_setup(test_known_tools, begin_test),
        cmocka_unit_test_setup(test_memory, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
