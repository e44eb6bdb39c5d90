/*
 * Requests as they arrive at Anthropic: parameters and thinking by model generation, roles, schemas, tools.
 */
#include "anthropic_request.h"

static void test_parameters(void **state)
{
    static const struct request table[] = {
        {"limit of the newest", C, A, NULL, "{" USER "}", "{" WITH("claude-opus-4-8", "64000") SENT_USER "}"},
        {"limit of the first", C, A, "claude-3-haiku-20240307", "{" USER "}",
         "{" WITH("claude-3-haiku-20240307", "4096") SENT_USER "}"},
        {"limit of 3.5", C, A, "claude-3-5-sonnet-20241022", "{" USER "}",
         "{" WITH("claude-3-5-sonnet-20241022", "8192") SENT_USER "}"},
        {"limit of opus 4", C, A, "us.anthropic.claude-opus-4-20250514-v1:0", "{" USER "}",
         "{" WITH("us.anthropic.claude-opus-4-20250514-v1:0", "32000") SENT_USER "}"},
        {"limit of another model", C, A, "glm-5", "{" USER "}", "{" WITH("glm-5", "8192") SENT_USER "}", NULL, NULL,
         true},
        {"sampling of the newest", C, A, NULL, "{" SAMPLING USER "}",
         "{" WITH("claude-opus-4-8", "64000") SENT_USER "}", "temperature, top_p"},
        {"sampling that says nothing", C, A, NULL, "{'temperature':1.0,'top_p':1," USER "}",
         "{" WITH("claude-opus-4-8", "64000") SENT_USER "}"},
        {"temperature and top_p in 4.5", C, A, "claude-sonnet-4.5", "{" SAMPLING USER "}",
         "{" WITH("claude-sonnet-4.5", "64000") "'temperature':0.5," SENT_USER "}", "top_p"},
        {"temperature and top_p in 3.7", C, A, "claude-3-7-sonnet-latest", "{" SAMPLING USER "}",
         "{" WITH("claude-3-7-sonnet-latest", "64000") SAMPLING SENT_USER "}"},
        {"clamped temperature", G, A, "claude-haiku-4-5",
         "{'generationConfig':{'temperature':1.5,'topK':40,'maxOutputTokens':9}," G_USER "}",
         "{" WITH("claude-haiku-4-5", "9") "'temperature':1,'top_k':40," SENT_USER "}", "generationConfig.temperature"},
        {"stops", C, A, NULL, "{'stop':['a',' \\n'],'user':'u','service_tier':'default'," USER "}",
         "{" WITH("claude-opus-4-8", "64000") "'stop_sequences':['a'],'metadata':{'user_id':'u'},"
                                              "'service_tier':'standard_only'," SENT_USER "}",
         "stop"},
        {"one stop", C, A, NULL, "{'stop':'a'," USER "}",
         "{" WITH("claude-opus-4-8", "64000") "'stop_sequences':['a']," SENT_USER "}"},
        {"cache key", R, A, NULL, "{'prompt_cache_key':'k','store':false,'input':'q'}",
         "{" WITH("claude-opus-4-8", "64000") "'cache_control':{'type':'ephemeral'}," SENT_USER "}"},
        {"cache key, compatible", R, A, "glm-5", "{'prompt_cache_key':'k','input':'q'}",
         "{" WITH("glm-5", "8192") SENT_USER "}", "prompt_cache_key", NULL, true},
    };
    CHECK(table);
}

static void test_thinking(void **state)
{
    static const struct request table[] = {
        {"effort of the newest", C, A, NULL, "{'reasoning_effort':'xhigh'," USER "}",
         "{" WITH("claude-opus-4-8", "64000") ADAPTIVE("xhigh") SENT_USER "}"},
        {"minimal is low", C, A, "claude-opus-4-6", "{'reasoning_effort':'minimal'," USER "}",
         "{" WITH("claude-opus-4-6", "64000") ADAPTIVE("low") SENT_USER "}"},
        {"xhigh before 4.7", C, A, "claude-opus-4-6", "{'reasoning_effort':'xhigh'," USER "}",
         "{" WITH("claude-opus-4-6", "64000") ADAPTIVE("high") SENT_USER "}", "reasoning_effort"},
        {"a budget", C, A, "claude-sonnet-4-5", "{'reasoning_effort':'medium'," USER "}",
         "{" WITH("claude-sonnet-4-5", "64000") "'thinking':{'type':'enabled','budget_tokens':8192}," SENT_USER "}"},
        {"a budget leaves room", C, A, "claude-sonnet-4-5",
         "{'reasoning_effort':'high','max_completion_tokens':4000," USER "}",
         "{" WITH("claude-sonnet-4-5", "4000") "'thinking':{'type':'enabled','budget_tokens':3000}," SENT_USER "}"},
        {"no room for a budget", C, A, "claude-sonnet-4-5",
         "{'reasoning_effort':'high','max_completion_tokens':1024," USER "}",
         "{" WITH("claude-sonnet-4-5", "1024") SENT_USER "}", "reasoning_effort"},
        {"least budget", G, A, "claude-sonnet-4-5",
         "{'generationConfig':{'thinkingConfig':{'thinkingBudget':300}}," G_USER "}",
         "{" WITH("claude-sonnet-4-5", "64000") "'thinking':{'type':'enabled','budget_tokens':1024}," SENT_USER "}",
         "generationConfig.thinkingConfig"},
        {"a budget forbids sampling", C, A, "claude-sonnet-4-5", "{'reasoning_effort':'low'," SAMPLING USER "}",
         "{" WITH("claude-sonnet-4-5", "64000") "'thinking':{'type':'enabled','budget_tokens':1536}," SENT_USER "}",
         "temperature, top_p"},
        {"models that do not think", C, A, "claude-3-5-haiku-latest", "{'reasoning_effort':'low'," USER "}",
         "{" WITH("claude-3-5-haiku-latest", "8192") SENT_USER "}", "reasoning_effort"},
        {"off", C, A, NULL, "{'reasoning_effort':'none'," USER "}", "{" WITH("claude-opus-4-8", "64000") SENT_USER "}"},
        {"off by word", C, A, "claude-opus-5-5", "{'reasoning_effort':'none'," USER "}",
         "{" WITH("claude-opus-5-5", "64000") "'thinking':{'type':'disabled'}," SENT_USER "}"},
        {"never off", C, A, "claude-mythos-5", "{'reasoning_effort':'none'," USER "}",
         "{" WITH("claude-mythos-5", "64000") ADAPTIVE("low") SENT_USER "}", "reasoning_effort"},
        {"a forced tool", C, A, "claude-sonnet-4-5",
         "{'reasoning_effort':'low','tool_choice':'required'," TOOLS_C USER "}",
         "{" WITH("claude-sonnet-4-5", "64000") "'tool_choice':{'type':'any'}," SENT_F SENT_USER "}",
         "reasoning_effort"},
        {"unsigned tool step, budget", C, A, "claude-sonnet-4-5", "{'reasoning_effort':'low'," TOOLS_C STEP_C "}",
         "{" WITH("claude-sonnet-4-5", "64000") SENT_F SENT_STEP("") "}", "reasoning_effort"},
        {"unsigned tool step, adaptive", C, A, NULL, "{'reasoning_effort':'low'," TOOLS_C STEP_C "}",
         "{" WITH("claude-opus-4-8", "64000") ADAPTIVE("low") SENT_F SENT_STEP("") "}"},
        {"signed tool step", A, A, "claude-sonnet-4-5",
         "{'max_tokens':9000,'thinking':{'type':'enabled','budget_tokens':4000}," TOOL_A SENT_STEP(SIGNED) "}",
         "{" WITH("claude-sonnet-4-5",
                  "9000") "'thinking':{'type':'enabled','budget_tokens':4000}," TOOL_A SENT_STEP(SIGNED) "}"},
        {"redacted tool step", A, A, "claude-sonnet-4-5",
         "{'max_tokens':9000,'thinking':{'type':'enabled','budget_tokens':4000}," TOOL_A SENT_STEP(
             "{'type':'redacted_thinking','data':'ZA'},") "}",
         "{" WITH("claude-sonnet-4-5", "9000") "'thinking':{'type':'enabled','budget_tokens':4000}," TOOL_A SENT_STEP(
             "{'type':'redacted_thinking','data':'ZA'},") "}"},
        {"a foreign proof", A, A, "claude-sonnet-4-5",
         "{'max_tokens':9000,'thinking':{'type':'enabled','budget_tokens':4000}," TOOL_A SENT_STEP(
             "{'type':'thinking','thinking':'t','signature':'ccp1.other.c2ln'},") "}",
         "{" WITH("claude-sonnet-4-5", "9000") TOOL_A SENT_STEP("") "}", "thinking"},
        {"thinking at the end of a message", A, A, NULL,
         "{'max_tokens':9,'messages':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'text',"
         "'text':'a'},{'type':'thinking','thinking':'t','signature':'c2ln'}]},{'role':'user','content':'r'}]}",
         "{" WITH("claude-opus-4-8", "9") "'messages':[{'role':'user','content':[{'type':'text','text':'q'}]},"
                                          "{'role':'assistant','content':[{'type':'text','text':'a'}]},{'role':'user','"
                                          "content':[{'type':'text',"
                                          "'text':'r'}]}]}"},
    };
    CHECK(table);
}

static void test_messages(void **state)
{
    static const struct request table[] = {
        {"late system text, as a role", C, A, NULL,
         "{'messages':[{'role':'system','content':'s'},{'role':'user','content':'q'},{'role':'system','content':'late'}"
         ","
         "{'role':'assistant','content':'a'},{'role':'user','content':'r'}]}",
         "{" WITH("claude-opus-4-8", "64000") "'system':[" TEXT("s") "],'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'system','content':[" TEXT("late") "]},{'role':'assistant','content':[" TEXT("a") "]},{'"
                                                                                                                "role':"
                                                                                                                "'user'"
                                                                                                                ",'"
                                                                                                                "conten"
                                                                                                                "t':"
                                                                                                                "[" TEXT(
                                                                                                                    "r") "]}]}"},
        {"late system text, tagged", C, A, "claude-opus-4-7",
         "{'messages':[{'role':'user','content':'q'},{'role':'developer','content':'late'},"
         "{'role':'assistant','content':'a'},{'role':'user','content':'r'}]}",
         "{" WITH("claude-opus-4-7", "64000") "'messages':[{'role':'user','content':[" TEXT("q") "," TEXT(
             "<system>\\nlate\\n</system>") "]},{'role':'assistant','content':[" TEXT("a") "]},{'role':'user','content'"
                                                                                           ":[" TEXT("r") "]}]}"},
        {"system text between user and user", C, A, NULL,
         "{'messages':[{'role':'user','content':'q'},{'role':'system','content':'late'},{'role':'user','content':'r'}]"
         "}",
         "{" WITH("claude-opus-4-8", "64000") "'messages':[{'role':'user','content':[" TEXT("q") "," TEXT(
             "<system>\\nlate\\n</system>") "," TEXT("r") "]}]}"},
        {"begins with the assistant", C, A, NULL,
         "{'messages':[{'role':'assistant','content':'a'},{'role':'user','content':'q'}]}",
         "{" WITH("claude-opus-4-8", "64000") "'messages':[{'role':'user','content':[" TEXT(
             "(continue)") "]},{'role':'assistant','content':[" TEXT("a") "]},{'role':'user','content':[" TEXT("q") "]}"
                                                                                                                    "]"
                                                                                                                    "}",
         "messages"},
        {"prefill", C, A, "claude-sonnet-4-5",
         "{'messages':[{'role':'user','content':'q'},{'role':'assistant','content':'a \\n\\t'}]}",
         "{" WITH("claude-sonnet-4-5", "64000") "'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'assistant','content':[" TEXT("a") "]}]}"},
        {"prefill, refused", C, A, NULL,
         "{'messages':[{'role':'user','content':'q'},{'role':'assistant','content':'a '}]}",
         "{" WITH("claude-opus-4-8", "64000") "'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'assistant','content':[" TEXT("a ") "]},{'role':'user','content':[" TEXT("(continue)") "]"
                                                                                                                     "}"
                                                                                                                     "]"
                                                                                                                     "}",
         "messages"},
        {"a backslash is no white space", C, A, "claude-sonnet-4-5",
         "{'messages':[{'role':'user','content':'q'},{'role':'assistant','content':'a\\\\n'}]}",
         "{" WITH("claude-sonnet-4-5", "64000") "'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'assistant','content':[" TEXT("a\\\\n") "]}]}"},
        {"white space alone", C, A, NULL,
         "{'messages':[{'role':'user','content':' \\n'},{'role':'user','content':'q'}]}",
         "{" WITH("claude-opus-4-8", "64000") SENT_USER "}"},
        {"only system text", C, A, NULL, "{'messages':[{'role':'system','content':'s'}]}",
         "{" WITH("claude-opus-4-8",
                  "64000") "'system':[" TEXT("s") "],'messages':[{'role':'user','content':[" TEXT("(continue)") "]}]}",
         "messages"},
        {"ids and names of other letters", C, A, NULL,
         "{" TOOLS_C "'messages':[{'role':'user','content':'q'},{'role':'assistant','tool_calls':[{'id':'a:1',"
         "'type':'function','function':{'name':'f','arguments':'{'}}]},{'role':'tool','tool_call_id':'a:1',"
         "'content':''}]}",
         "{" WITH("claude-opus-4-8", "64000") SENT_F "'messages':[{'role':'user','content':[" TEXT(
             "q") "]},{'role':'assistant','content':[{'type':'tool_use','id':'call_58753a8050d4df35285102a6','name':'f'"
                  ","
                  "'input':{'_raw':'{'}}]},{'role':'user','content':[{'type':'tool_result',"
                  "'tool_use_id':'call_58753a8050d4df35285102a6'}]}]}",
         "arguments"},
        {"calls without definitions", C, A, NULL, "{" STEP_C "}",
         "{" WITH("claude-opus-4-8", "64000") "'tool_choice':{'type':'none'},'tools':[{'name':'f','input_schema':"
                                              "{'type':'object'}}]," SENT_STEP("") "}"},
        {"audio", C, A, NULL,
         "{'messages':[{'role':'user','content':[{'type':'input_audio','input_audio':{'data':'AAAA','format':'wav'}}]}]"
         "}",
         NULL, NULL, "messages[0].content[0]: audio (input_audio)"},
        {"a picture of another kind", G, A, NULL,
         "{'contents':[{'role':'user','parts':[{'inlineData':{'mimeType':'image/heic','data':'AAAA'}}]}]}", NULL, NULL,
         "contents[0].parts[0]: content of type image/heic"},
        {"text as base64", G, A, NULL,
         "{'contents':[{'role':'user','parts':[{'inlineData':{'mimeType':'text/csv','data':'YSwiYiIKw6k='}}]}]}",
         "{" WITH("claude-opus-4-8",
                  "64000") "'messages':[{'role':'user','content':[{'type':'document','source':"
                           "{'type':'text','media_type':'text/plain','data':'a,\\u0022b\\u0022\\n\\u00e9'}}]}]}"},
        {"a file of another provider", C, A, NULL,
         "{'messages':[{'role':'user','content':[{'type':'file','file':{'file_id':'file-1'}}]}]}", NULL, NULL,
         "messages[0].content[0]: file_id"},
    };
    CHECK(table);
}

static void test_schemas_and_tools(void **state)
{
    static const struct request table[] = {
        {"a schema that is enforced", C, A, NULL,
         "{" SCHEMA_C("{'type':'object','properties':{'a':{'oneOf':[{'type':'integer','minimum':1},{'type':'object',"
                      "'additionalProperties':true,'properties':{}}]}}}") USER "}",
         "{" WITH("claude-opus-4-8", "64000") SENT_FORMAT(
             "{'type':'object','properties':{'a':{'anyOf':[{'type':'integer'},{'type':'object','properties':{},"
             "'additionalProperties':false}]}},'additionalProperties':false}") SENT_USER "}",
         "minimum, additionalProperties"},
        {"OpenAPI words", G, A, NULL,
         "{'generationConfig':{'responseMimeType':'application/json','responseSchema':{'type':'OBJECT','properties':{"
         "'type':{'type':'STRING','nullable':true,'enum':['x'],'format':'enum','example':'x'},'n':{'type':'ARRAY',"
         "'items':{'type':'INTEGER','format':'int64'},'minItems':'1'}},'propertyOrdering':['n']}}," G_USER "}",
         "{" WITH("claude-opus-4-8", "64000") SENT_FORMAT(
             "{'type':'object','properties':{'type':{'type':['string','null'],'enum':['x',null],'examples':['x']},"
             "'n':{'type':'array','items':{'type':'integer'},'minItems':1}},'additionalProperties':false}") SENT_USER
         "}"},
        {"a schema in words", C, A, "claude-3-5-haiku-latest", "{" SCHEMA_C("{'type':'object'}") USER "}",
         "{" WITH("claude-3-5-haiku-latest", "8192") "'system':[" TEXT(
             "Answer with one JSON value that is valid against this JSON Schema, and nothing else: "
             "{\\u0022type\\u0022:\\u0022object\\u0022}") "]," SENT_USER "}",
         "response_format"},
        {"JSON without a schema", C, A, NULL, "{'response_format':{'type':'json_object'}," USER "}",
         "{" WITH("claude-opus-4-8",
                  "64000") "'system':[" TEXT("Answer with one valid JSON object and nothing else.") "]," SENT_USER "}",
         "response_format"},
        {"schemas of tools", C, A, NULL,
         "{'parallel_tool_calls':false,'tools':[{'type':'function','function':{'name':'a','parameters':{}}},"
         "{'type':'function','function':{'name':'b','parameters':{'properties':{'x':{}}}}},{'type':'function',"
         "'function':{'name':'c','strict':true,'description':'d','parameters':{'type':'object','properties':{'x':{"
         "'type':'string','maxLength':3}}}}},{'type':'custom','custom':{'name':'e'}}]," USER "}",
         "{" WITH("claude-opus-4-8",
                  "64000") "'tool_choice':{'type':'auto','disable_parallel_tool_use':true},'tools':["
                           "{'name':'a','input_schema':{'type':'object','properties':{}}},{'name':'b','input_schema':{'"
                           "type':'object',"
                           "'properties':{'x':{}}}},{'name':'c','description':'d','input_schema':{'type':'object','"
                           "properties':{'x':{"
                           "'type':'string'}},'additionalProperties':false},'strict':true},{'name':'e','input_schema':{"
                           "'type':'object',"
                           "'properties':{'input':{'type':'string'}},'required':['input']}}]," SENT_USER "}",
         "maxLength"},
        {"allowed tools", C, A, NULL,
         "{'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools':[{'type':'function',"
         "'function':{'name':'f'}}]}},'tools':[{'type':'function','function':{'name':'g'}},{'type':'function',"
         "'function':{'name':'f'}}]," USER "}",
         "{" WITH("claude-opus-4-8", "64000") "'tool_choice':{'type':'any'}," SENT_F SENT_USER "}"},
        {"web search", R, A, NULL,
         "{'tools':[{'type':'web_search','filters':{'allowed_domains':['x.org']},'search_context_size':'high',"
         "'user_location':{'type':'approximate','city':'Oslo','region':null}}],'input':'q'}",
         "{" WITH(
             "claude-opus-4-8",
             "64000") "'tools':[{'type':'web_search_20250305','name':'web_search',"
                      "'allowed_domains':['x.org'],'user_location':{'type':'approximate','city':'Oslo'}}]," SENT_USER
                      "}",
         "tools.search_context_size"},
        {"web search, compatible", R, A, "glm-5", "{'tools':[{'type':'web_search'}],'input':'q'}",
         "{" WITH("glm-5", "8192") SENT_USER "}", "web_search", NULL, true},
        {"a tool that is not there", C, A, NULL,
         "{'tool_choice':{'type':'function','function':{'name':'g'}}," TOOLS_C USER "}", NULL, NULL, "tool_choice: "},
    };
    CHECK(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_parameters, begin_test),
        cmocka_unit_test_setup(test_thinking, begin_test),
        cmocka_unit_test_setup(test_messages, begin_test),
        cmocka_unit_test_setup(test_schemas_and_tools, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
