/*
 * What a request loses on its way is listed, and what a strict vendor would refuse is made right: tools that search,
 * tools of free text, tools with one name, choices among them, cache breakpoints, JSON mode, ids that repeat.
 *
 * Bodies are spelled with ' for ". A row says the whole list of what was dropped.
 */
#include "wire.h"

#define Q_A      "'max_tokens':50,'messages':[{'role':'user','content':'q'}]"
#define Q_C      "'messages':[{'role':'user','content':'q'}]"
#define Q_R      "'input':'q'"
#define Q_G      "'contents':[{'parts':[{'text':'q'}]}]"
#define PLACE    "'user_location':{'type':'approximate','city':'Oslo'}"
#define SEARCH_A "{'type':'web_search_20250305','name':'web_search','max_uses':3,"
#define SEARCH_R "{'type':'web_search','filters':{'allowed_domains':['a.org'],'blocked_domains':['b.org']}," PLACE ","
#define FREE     "'properties':{'input':{'type':'string'}},'required':['input']}"
#define GRAMMAR  "'description':'d\\n\\nThe input must match this lark grammar:\\nstart: \\'a\\''"
#define SPACES                                                                                                         \
    "'tools':[{'type':'namespace','name':'mcp','tools':[{'type':'function','name':'a'},{'type':'function',"            \
    "'name':'b'}]},{'type':'function','name':'a'},{'type':'web_search'}],"
#define SPACES_1 "'tools':[{'type':'namespace','name':'mcp','tools':[{'type':'function','name':'b'}]}],"
#define ALLOWED(tools)                                                                                                 \
    "'tool_choice':{'type':'allowed_tools','mode':'auto','tools':[" tools "]},"                                        \
    "'tools':[{'type':'function','name':'f'},{'type':'web_search'}],"
#define F_R                "{'type':'function','name':'f'}"
#define CALL_C(id)         "{'id':'" id "','type':'function','function':{'name':'f','arguments':'{}'}}"
#define RESULT_C(id)       "{'role':'tool','tool_call_id':'" id "','content':'r'}"
#define STEP(ids, results) "{'role':'assistant','tool_calls':[" ids "]}," results

static const struct row {
    const char *what;
    int from, to;
    const char *body, *sent, *dropped; /* sent: stands in the upstream's body; NULL: refused, `dropped` in the reason */
    const char *model;
    bool compatible;
} rows[] = {
    /* -- web search -- */
    {"search options", A, G, "{'tools':[" SEARCH_A "'allowed_domains':['a.org']," PLACE "}]," Q_A "}",
     "'tools':[{'googleSearch':{}}]", "tools.max_uses, tools.allowed_domains, tools.user_location", NULL, false},
    {"search options", A, C, "{'tools':[" SEARCH_A "'blocked_domains':['a.org']," PLACE "}]," Q_A "}",
     "'web_search_options':{'user_location':{'type':'approximate','approximate':{'city':'Oslo'}}}",
     "tools.max_uses, tools.blocked_domains", "gpt-4o-search-preview", false},
    {"search options", A, R, "{'tools':[" SEARCH_A "'allowed_domains':['a.org']," PLACE "}]," Q_A "}",
     "{'type':'web_search','filters':{'allowed_domains':['a.org']}," PLACE "}", "tools.max_uses", NULL, false},
    {"search options", R, A, "{'tools':[" SEARCH_R "'external_web_access':false}]," Q_R "}",
     "'name':'web_search','allowed_domains':['a.org']," PLACE "}",
     "tools.external_web_access, tools.filters.blocked_domains", NULL, false},
    {"blocked alone", R, A, "{'tools':[{'type':'web_search','filters':{'blocked_domains':['b.org']}}]," Q_R "}",
     "'name':'web_search','blocked_domains':['b.org']}", "", NULL, false},
    {"the usual is no loss", R, G, "{'tools':[{'type':'web_search','external_web_access':true}]," Q_R "}",
     "'googleSearch':{}", "", NULL, false},
    {"excluded domains", G, A, "{'tools':[{'googleSearch':{'excludeDomains':['b.org']}}]," Q_G "}",
     "'name':'web_search','blocked_domains':['b.org']}", "", NULL, false},
    {"excluded domains", G, R, "{'tools':[{'googleSearch':{'excludeDomains':['b.org']}}]," Q_G "}",
     "{'type':'web_search'}", "tools.excludeDomains", NULL, false},
    {"options of Chat", C, G, "{'web_search_options':{'search_context_size':'low'}," Q_C "}", "'googleSearch':{}",
     "web_search_options.search_context_size", NULL, false},

    /* -- free text -- */
    {"grammar", R, A,
     "{'tools':[{'type':'custom','name':'p','description':'d','format':{'type':'grammar','syntax':'lark',"
     "'definition':'start: \\'a\\''}}]," Q_R "}",
     "{'name':'p'," GRAMMAR ",'input_schema':{'type':'object'," FREE "}", "tools.format", NULL, false},
    {"grammar", C, G,
     "{'tools':[{'type':'custom','custom':{'name':'p','description':'d','format':{'type':'grammar','grammar':{"
     "'syntax':'lark','definition':'start: \\'a\\''}}}}]," Q_C "}",
     "{'name':'p'," GRAMMAR ",'parametersJsonSchema':{'type':'object'," FREE "}", "tools.format", NULL, false},
    {"grammar, compatible", R, C,
     "{'tools':[{'type':'custom','name':'p','description':'d','format':{'type':'grammar','syntax':'lark',"
     "'definition':'start: \\'a\\''}}]," Q_R "}",
     "{'name':'p'," GRAMMAR ",'parameters':{'type':'object'," FREE "}", "tools.format", "glm-5", true},
    {"no grammar", R, A, "{'tools':[{'type':'custom','name':'p','format':{'type':'text'}}]," Q_R "}",
     "{'name':'p','input_schema':{'type':'object'," FREE "}", "", NULL, false},

    /* -- definitions -- */
    {"a function called like the search", R, A,
     "{'tools':[{'type':'function','name':'web_search'},{'type':'web_search'}]," Q_R "}",
     "{'name':'web_search_211618c5f323','input_schema':{'type':'object','properties':{}}}", "", NULL, false},
    {"defined twice alike", C, A,
     "{'tools':[{'type':'function','function':{'name':'f'}},{'type':'function','function':{'name':'f'}}]," Q_C "}",
     "'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}]", "", NULL, false},
    {"defined twice", C, G,
     "{'tools':[{'type':'function','function':{'name':'f'}},{'type':'function','function':{'name':'f',"
     "'description':'other'}}]," Q_C "}",
     "'functionDeclarations':[{'name':'f'}]", "tools", NULL, false},
    {"members of tools", A, C,
     "{'tools':[{'name':'f','input_schema':{'type':'object'},'defer_loading':true,'eager_input_streaming':true,"
     "'input_examples':[{}],'allowed_callers':null}]," Q_A "}",
     "{'name':'f','parameters':{'type':'object'}}", "tools.defer_loading, tools.input_examples", NULL, false},
    {"members of tools", G, A, "{'tools':{'functionDeclarations':{'name':'f','behavior':'BLOCKING'}}," Q_G "}",
     "{'name':'f','input_schema':{'type':'object','properties':{}}}", "tools.functionDeclarations.behavior", NULL,
     false},
    {"strict, compatible", C, G, "{'tools':[{'type':'function','function':{'name':'f','strict':true}}]," Q_C "}",
     "'functionDeclarations':[{'name':'f'}]", "strict", NULL, true},

    /* -- choice -- */
    {"allowed in a namespace", R, G,
     "{'tool_choice':{'type':'allowed_tools','mode':'auto','tools':[{'type':'function','name':'b'}]}," SPACES Q_R "}",
     "'allowedFunctionNames':['mcp__b']", "", NULL, false},
    {"allowed by one name of two", R, C,
     "{'tool_choice':{'type':'allowed_tools','mode':'auto','tools':[{'type':'function','name':'a'},"
     "{'type':'web_search'}]}," SPACES Q_R "}",
     "'mode':'auto','tools':[{'type':'function','function':{'name':'mcp__a'}},{'type':'function','function':"
     "{'name':'a'}}]}",
     "web_search", NULL, false},
    {"only a hosted one allowed", R, G, "{" ALLOWED("{'type':'web_search'}") Q_R "}",
     "'functionCallingConfig':{'mode':'NONE'}", "", NULL, false},
    {"only a hosted one allowed", R, C, "{" ALLOWED("{'type':'web_search'}") Q_R "}", "'tool_choice':'none'",
     "web_search", NULL, false},
    {"chosen in a namespace", R, C, "{'tool_choice':{'type':'function','name':'b'}," SPACES_1 Q_R "}",
     "'tool_choice':{'type':'function','function':{'name':'mcp__b'}}", "", NULL, false},
    {"chosen in a namespace", R, A, "{'tool_choice':{'type':'function','name':'b'}," SPACES_1 Q_R "}",
     "'tool_choice':{'type':'tool','name':'mcp__b'}", "", NULL, false},
    {"chosen in a namespace", R, G, "{'tool_choice':{'type':'function','name':'b'}," SPACES_1 Q_R "}",
     "'mode':'ANY','allowedFunctionNames':['mcp__b']", "", NULL, false},

    /* -- cache breakpoints, users, errors, descriptions -- */
    {"breakpoint", C, R,
     "{'messages':[{'role':'system','content':[{'type':'text','text':'s','prompt_cache_breakpoint':{}}]},"
     "{'role':'user','content':'q'}]}",
     "'instructions':'s'", "prompt_cache_breakpoint", NULL, false},
    {"breakpoint", C, G,
     "{'messages':[{'role':'user','content':[{'type':'text','text':'q','prompt_cache_breakpoint':{}}]}]}",
     "{'text':'q'}", "prompt_cache_breakpoint", NULL, false},
    {"long user", A, R,
     "{'metadata':{'user_id':'0123456789012345678901234567890123456789012345678901234567890123456789'}," Q_A "}",
     "'safety_identifier':'user_", "metadata.user_id", NULL, false},
    {"failed", A, R,
     "{'max_tokens':50,'messages':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'tool_use',"
     "'id':'t','name':'f','input':{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'t',"
     "'is_error':true,'content':'no'}]}]}",
     "'output':'Error: no'", "is_error", NULL, false},
    {"description of the output", C, A,
     "{'response_format':{'type':'json_schema','json_schema':{'name':'n','description':'d','schema':{}}}," Q_C "}",
     "'format':{'type':'json_schema'", "response_format.description", NULL, false},
    {"sampling as it is anyway", C, R, "{'temperature':1,'top_p':0.5," Q_C "}", "'store':false", "top_p", "gpt-5.2",
     false},

    /* -- JSON mode speaks of JSON where it must -- */
    {"JSON mode", C, R,
     "{'response_format':{'type':'json_object'},'messages':[{'role':'system','content':'JSON!'},"
     "{'role':'user','content':'q'}]}",
     "'input':[{'type':'message','role':'developer','content':[{'type':'input_text','text':'Answer with one valid "
     "JSON object and nothing else.'}]}",
     "", NULL, false},
    {"JSON mode", G, C, "{'generationConfig':{'responseMimeType':'application/json'}," Q_G "}",
     "'content':'Answer with one valid JSON object and nothing else.'}", "", NULL, false},

    /* -- ids that repeat: Anthropic insists that they do not -- */
    {"ids in one step", C, A,
     "{'messages':[{'role':'user','content':'q'}," STEP(CALL_C("c") "," CALL_C("c"),
                                                        RESULT_C("c") "," RESULT_C("c")) "]}",
     "{'type':'tool_result','tool_use_id':'c','content':'r'},{'type':'tool_result','tool_use_id':'c_2','content':'r'}",
     "", NULL, false},
    {"ids in many steps", C, A,
     "{'messages':[{'role':'user','content':'q'}," STEP(CALL_C("c_2"), RESULT_C("c_2")) "," STEP(
         CALL_C("c"), RESULT_C("c")) "," STEP(CALL_C("c"), RESULT_C("c")) "," STEP(CALL_C("c"), RESULT_C("c")) "]}",
     "'id':'c_3','name':'f','input':{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'c_3',"
     "'content':'r'}]},{'role':'assistant','content':[{'type':'tool_use','id':'c_4'",
     "", NULL, false},

    /* -- proto3: one object is a list of one -- */
    {"one object", G, C, "{'systemInstruction':{'parts':{'text':'s'}},'contents':{'parts':{'text':'q'}}}",
     "'messages':[{'role':'developer','content':'s'},{'role':'user','content':'q'}]", "", "gpt-5.2", false},

    /* -- Anthropic's blocks in Chat's messages, as an editor sends them for models called claude -- */
    {"blocks in Chat", C, G,
     "{'tools':[{'name':'f','description':'d','input_schema':{'type':'object'}}],'tool_choice':{'type':'any'},"
     "'messages':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'text','text':'k'},"
     "{'type':'tool_use','id':'t','name':'f','input':{'x':1}}]},{'role':'user','content':[{'type':'tool_result',"
     "'tool_use_id':'t','is_error':true,'content':[{'type':'text','text':'r'}]},{'type':'text','text':'z'}]}]}",
     "{'role':'model','parts':[{'text':'k'},{'functionCall':{'id':'t','name':'f','args':{'x':1}}}]},{'role':'user',"
     "'parts':[{'functionResponse':{'id':'t','name':'f','response':{'error':'r'}}},{'text':'z'}]}",
     "", "gemini-2.5-pro", false},
    {"tools in Chat", C, A,
     "{'tools':[{'name':'f','input_schema':{'type':'object','x':1}}],'tool_choice':{'type':'tool','name':'f'}," Q_C "}",
     "'tool_choice':{'type':'tool','name':'f'},'tools':[{'name':'f','input_schema':{'type':'object','x':1}}]", "", NULL,
     false},
    {"a result of nothing", C, A, "{'messages':[{'role':'user','content':[{'type':'tool_result','content':'r'}]}]}",
     NULL, "messages[0].content[0]: tool_result needs a tool_use_id", NULL, false},
    {"a user's call", C, A, "{'messages':[{'role':'user','content':[{'type':'tool_use','id':'t','name':'f'}]}]}", NULL,
     "messages[0].content[0]: tool_use belongs into a message of the assistant", NULL, false},
    {"thinking in content", C, A,
     "{'messages':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'thinking','thinking':["
     "{'type':'text','text':'hm'}]},{'type':'text','text':'a'}]},{'role':'user','content':'z'}]}",
     "{'role':'assistant','content':[{'type':'text','text':'a'}]}", "", NULL, false},

    /* -- an answer of no tokens only warms a cache, at Anthropic: elsewhere the shortest there is -- */
    {"no tokens", A, C, "{'max_tokens':0,'messages':[{'role':'user','content':'q'}]}", "'max_completion_tokens':1",
     "max_tokens", NULL, false},
    {"no tokens", A, G, "{'max_tokens':0,'messages':[{'role':'user','content':'q'}]}", "'maxOutputTokens':1",
     "max_tokens", NULL, false},

    {"a beginning to go on with", C, R,
     "{'messages':[{'role':'user','content':'q'},{'role':'assistant','content':'He','prefix':true}]}",
     "{'type':'output_text','text':'He'", "prefix", NULL, false},

    /* -- media -- */
    {"detail", C, A,
     "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'https://a.org/b.png',"
     "'detail':'high'}}]}]}",
     "'source':{'type':'url','url':'https://a.org/b.png'}", "detail", NULL, false},
    {"a picture of the model's", G, C,
     "{'contents':[{'parts':[{'text':'q'}]},{'role':'model','parts':[{'inlineData':{'mimeType':'image/png',"
     "'data':'AAAA'}}]},{'parts':[{'text':'z'}]}]}",
     "{'role':'assistant','content':'[image]'}", "image", NULL, false},

    {"a whole number as a float", C, R, "{'max_tokens':1024.0," Q_C "}", "'max_output_tokens':1024,", "", NULL, false},

    /* -- files -- */
    {"a file by its address", C, A,
     "{'messages':[{'role':'user','content':[{'type':'file','file':{'file_data':'https://a.org/b.pdf'}}]}]}",
     "{'type':'document','source':{'type':'url','url':'https://a.org/b.pdf'}}", "", NULL, false},
    {"a picture as a file", R, C,
     "{'input':[{'role':'user','content':[{'type':'input_file','filename':'a.png',"
     "'file_data':'data:image/png;base64,iVBORw=='}]}]}",
     "{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBORw=='}}", "", NULL, false},

    /* -- text documents -- */
    {"base64 in lines", C, A,
     "{'messages':[{'role':'user','content':[{'type':'file','file':{'filename':'a.txt',"
     "'file_data':'data:text/plain;base64,aGVs\\nbG8='}}]}]}",
     "'media_type':'text/plain','data':'hello'", "", NULL, false},
    {"no base64", C, A,
     "{'messages':[{'role':'user','content':[{'type':'file','file':{'filename':'a.txt',"
     "'file_data':'data:text/plain;base64,aGV*bG8='}}]}]}",
     NULL, "messages[0].content[0]: the document's data is no base64", NULL, false},
};

static char *quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return copy;
}

static void listed_and_right(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct asked how = {.from = r->from, .to = r->to, .model = r->model, .compatible = r->compatible};
        char *body = quoted(r->body), *sent = quoted(r->sent != NULL ? r->sent : "");
        struct sent_up s = send_up(&how, body, strlen(body));
        const char *problem = NULL;
        if (r->sent == NULL)
            problem = s.ok ? "it passes" : strstr(s.error, r->dropped) == NULL ? s.error : NULL;
        else if (!s.ok)
            problem = s.error;
        else if (strstr(s.body.p, sent) == NULL)
            problem = s.body.p;
        else if (strcmp(s.dropped, r->dropped) != 0)
            problem = s.dropped[0] != '\0' ? s.dropped : "nothing is listed";
        judge(problem, "%s, %s to %s", r->what, format_names[r->from], format_names[r->to]);
        sent_up_free(&s);
        free(body);
        free(sent);
    }
    all_right();
}

/* Every single allocation of each row fails once: refused for want of memory, never for another reason. */
static void without_memory(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *body = quoted(rows[i].body);
        struct asked how = {
            .from = rows[i].from, .to = rows[i].to, .model = rows[i].model, .compatible = rows[i].compatible};
        struct sent_up good = send_up(&how, body, strlen(body));
        size_t most = good.arena;
        sent_up_free(&good);
        for (how.budget = 64; good.ok && how.budget < most; how.budget += most / 50 + 1) {
            struct sent_up s = send_up(&how, body, strlen(body));
            judge(!s.ok && s.status != CCP_OVERLOADED ? s.error : NULL, "%s, %zu of %zu bytes", rows[i].what,
                  how.budget, most);
            sent_up_free(&s);
        }
        free(body);
    }
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(listed_and_right, begin_test),
        cmocka_unit_test_setup(without_memory, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
