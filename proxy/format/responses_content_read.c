/*
 * Reading what messages and results of a Responses request are made of (wire reference C.2).
 */
#include <base/fault.h>
#include <format/responses.h>

/* Where a content part goes: into a turn, or into a result. */
struct place {
    struct prompt *p;
    struct turn *turn;
    struct part *result;
    uint32_t index;
};

static struct part *add(const struct place *at, enum part_kind kind, const struct ccp_json *node)
{
    struct part *part = at->result != NULL ? prompt_result_part(at->p, at->result, kind)
                                           : prompt_part(at->p, at->turn, kind, at->index);
    if (part != NULL)
        part->node = node;
    return part;
}

static bool refuse(const struct place *at, const char *why)
{
    if (at->result != NULL)
        return prompt_fail(at->p, "input[%u].output[%u]: %s", at->result->message, at->index, why);
    return prompt_fail(at->p, "input[%u].content[%u]: %s", at->turn != NULL ? at->turn->message : 0, at->index, why);
}

static const struct ccp_json *text_of(const struct ccp_json *object, const char *key)
{
    const struct ccp_json *node = ccp_json_get(object, key);
    return node != NULL && node->type == CCP_JSON_STRING ? node : NULL;
}

static bool read_text(const struct place *at, const struct ccp_json *node, enum part_kind kind, const char *key)
{
    const struct ccp_json *text = text_of(node, key);
    if (text == NULL)
        return refuse(at, "its text must be a string");
    struct part *part = add(at, kind, node);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(text);
    responses_drop_member(at->p, node, "annotations", "annotations");
    return true;
}

static bool file_id(struct part *part, const struct ccp_json *id)
{
    part->source = MEDIA_FILE_ID;
    part->data = prompt_ctext(id);
    return true;
}

static bool read_image(const struct place *at, const struct ccp_json *node)
{
    const struct ccp_json *url = text_of(node, "image_url"), *id = text_of(node, "file_id");
    if (url == NULL) /* Chat's shape, which some clients send here */
        url = text_of(ccp_json_get(node, "image_url"), "url");
    if (url == NULL && id == NULL)
        return refuse(at, "an image needs image_url or file_id, a string");
    struct part *part = add(at, PART_IMAGE, node);
    if (part == NULL)
        return false;
    if (!prompt_is(ccp_json_get(node, "detail"), "auto")) /* the default everywhere */
        part->detail = prompt_ctext(ccp_json_get(node, "detail"));
    return url != NULL ? prompt_data_url(at->p, part, prompt_ctext(url)) : file_id(part, id);
}

static bool read_file(const struct place *at, const struct ccp_json *node)
{
    const struct ccp_json *data = text_of(node, "file_data"), *url = text_of(node, "file_url");
    const struct ccp_json *id = text_of(node, "file_id");
    if (data == NULL && url == NULL && id == NULL)
        return refuse(at, "a file needs file_data, file_url or file_id, a string");
    struct part *part = add(at, PART_DOCUMENT, node);
    if (part == NULL)
        return false;
    part->title = prompt_ctext(ccp_json_get(node, "filename"));
    if (data != NULL)
        return prompt_file_data(at->p, part, prompt_ctext(data));
    return url != NULL ? prompt_data_url(at->p, part, prompt_ctext(url)) : file_id(part, id);
}

static bool read_audio(const struct place *at, const struct ccp_json *node)
{
    const struct ccp_json *audio = ccp_json_get(node, "input_audio");
    const struct ccp_json *data = text_of(audio, "data"), *format = text_of(audio, "format");
    if (data == NULL || format == NULL)
        return refuse(at, "input_audio needs data and format, strings");
    struct part *part = add(at, PART_AUDIO, node);
    struct ccp_span pieces[] = {CCP_SPAN("audio/"), prompt_ctext(format)};
    if (part == NULL)
        return false;
    part->data = prompt_ctext(data);
    part->mime = CCP_FAULT("responses.audio") ? (ctext){NULL, 0} : arena_cat(at->p->a, pieces, 2);
    return part->mime.p != NULL || prompt_no_memory(at->p);
}

static bool read_part(const struct place *at, const struct ccp_json *node)
{
    const struct ccp_json *type = ccp_json_get(node, "type");
    struct part **last = at->result != NULL ? &at->result->last_inner : &at->turn->last;
    bool ok;
    if (prompt_is(type, "input_text") || prompt_is(type, "output_text") || prompt_is(type, "text") ||
        prompt_is(type, "summary_text"))
        ok = read_text(at, node, PART_TEXT, "text");
    else if (prompt_is(type, "refusal"))
        ok = read_text(at, node, PART_REFUSAL, "refusal");
    else if (prompt_is(type, "input_image") || prompt_is(type, "computer_screenshot"))
        ok = read_image(at, node);
    else if (prompt_is(type, "input_file"))
        ok = read_file(at, node);
    else if (prompt_is(type, "input_audio"))
        ok = read_audio(at, node);
    else
        ok = refuse(at, type == NULL ? "a content part needs a type" : "this type of content cannot be carried over");
    if (ok && ccp_json_get(node, "prompt_cache_breakpoint") != NULL)
        (*last)->cache = true;
    return ok;
}

static bool read_parts(struct place *at, const struct ccp_json *list)
{
    for (const struct ccp_json *m = list->child; m != NULL; m = m->next, at->index++)
        if (!read_part(at, m))
            return false;
    return true;
}

static bool read_string(const struct place *at, const struct ccp_json *node)
{
    struct part *part = add(at, PART_TEXT, node);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(node);
    return true;
}

bool responses_content_read(struct prompt *p, struct turn *turn, const struct ccp_json *content)
{
    struct place at = {.p = p, .turn = turn};
    if (content != NULL && content->type == CCP_JSON_STRING)
        return read_string(&at, content);
    if (content != NULL && content->type == CCP_JSON_ARRAY)
        return read_parts(&at, content);
    return prompt_fail(p, "input[%u].content: must be a string or an array", turn->message);
}

bool responses_output_read(struct prompt *p, struct part *result, const struct ccp_json *output, bool loose)
{
    struct place at = {.p = p, .result = result};
    if (output == NULL || output->type == CCP_JSON_NULL)
        return true;
    if (output->type == CCP_JSON_STRING)
        return read_string(&at, output);
    if (prompt_is(ccp_json_get(output, "type"), "computer_screenshot"))
        return read_part(&at, output);
    if (output->type == CCP_JSON_ARRAY && (!loose || ccp_json_get(output->child, "type") != NULL))
        return read_parts(&at, output);
    struct part *part = add(&at, PART_TEXT, output);
    if (part == NULL)
        return false;
    part->text = prompt_escape(p, output->raw);
    return part->text.p != NULL;
}
