/*
 * Reading what is not plain text: images, documents, search results (wire reference A.4).
 *
 * Ids of files at the provider mean nothing anywhere else: refused, unless the request stays in this format.
 */
#include <base/fault.h>
#include <format/anthropic.h>

static bool refuse_file_id(struct prompt *p, const struct block_place *at)
{
    return anthropic_refuse(p, at, "file_id: a file kept at one provider cannot be used at another");
}

/* base64, url and file mean the same in images and documents. False with *known unset: another type. */
static bool read_source(struct prompt *p, const struct block_place *at, struct part *part,
                        const struct ccp_json *source, bool *known)
{
    const struct ccp_json *type = ccp_json_get(source, "type");
    const char *member = prompt_is(type, "url") ? "url" : prompt_is(type, "file") ? "file_id" : "data";
    *known = prompt_is(type, "base64") || prompt_is(type, "url") || prompt_is(type, "file");
    if (!*known)
        return false;
    part->data = prompt_ctext(ccp_json_get(source, member));
    part->mime = prompt_mime(p, prompt_ctext(ccp_json_get(source, "media_type")));
    if (part->mime.p == NULL)
        return false;
    if (part->data.n == 0)
        return anthropic_refuse(p, at, "the source is empty");
    if (prompt_is(type, "url"))
        return prompt_data_url(p, part, part->data);
    part->source = prompt_is(type, "file") ? MEDIA_FILE_ID : MEDIA_BASE64;
    if (part->source == MEDIA_FILE_ID)
        return p->to.format == p->from || refuse_file_id(p, at);
    return part->mime.n != 0 || anthropic_refuse(p, at, "source.media_type is missing");
}

bool anthropic_image_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    bool known;
    struct part *part = anthropic_part(p, at, PART_IMAGE, block);
    if (part == NULL)
        return false;
    bool ok = read_source(p, at, part, ccp_json_get(block, "source"), &known);
    return ok || (known ? false : anthropic_refuse(p, at, "source.type must be base64, url or file"));
}

static bool add_text(struct prompt *p, const struct block_place *at, ctext text)
{
    struct part *part = text.n != 0 ? anthropic_part(p, at, PART_TEXT, NULL) : NULL;
    if (part != NULL)
        part->text = text;
    return part != NULL || text.n == 0;
}

/* A document made of blocks: the blocks, with the title as their heading. */
static bool read_inner_blocks(struct prompt *p, const struct block_place *at, const struct ccp_json *block,
                              const struct ccp_json *content)
{
    if (!add_text(p, at, prompt_ctext(ccp_json_get(block, "title"))))
        return false;
    for (const struct ccp_json *inner = content->child; inner != NULL; inner = inner->next)
        if (!anthropic_block_read(p, at, inner))
            return false;
    return true;
}

static bool read_text_source(struct prompt *p, const struct block_place *at, struct part *part,
                             const struct ccp_json *source)
{
    bool plain = prompt_is(ccp_json_get(source, "type"), "text");
    const struct ccp_json *text = ccp_json_get(source, plain ? "data" : "content");
    if (text == NULL || text->type != CCP_JSON_STRING)
        return anthropic_refuse(p, at, "source.type must be base64, text, content, url or file, with its data");
    part->source = MEDIA_TEXT;
    part->mime = CCP_SPAN("text/plain");
    part->data = prompt_ctext(text);
    return true;
}

bool anthropic_document_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    const struct ccp_json *source = ccp_json_get(block, "source"), *content = ccp_json_get(source, "content");
    bool known;
    if (!add_text(p, at, prompt_ctext(ccp_json_get(block, "context"))))
        return false;
    if (prompt_is(ccp_json_get(source, "type"), "content") && content != NULL && content->type == CCP_JSON_ARRAY)
        return read_inner_blocks(p, at, block, content);
    struct part *part = anthropic_part(p, at, PART_DOCUMENT, block);
    if (part == NULL)
        return false;
    part->title = prompt_ctext(ccp_json_get(block, "title"));
    bool ok = read_source(p, at, part, source, &known);
    if (!ok && !known)
        ok = read_text_source(p, at, part, source);
    if (ok && part->mime.n == 0 && part->source == MEDIA_URL)
        part->mime = CCP_SPAN("application/pdf");
    return ok;
}

/* "Title\nsource\n\ntext": what a model needs of it. */
bool anthropic_search_result_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    const struct ccp_json *content = ccp_json_get(block, "content");
    if (content == NULL || content->type != CCP_JSON_ARRAY)
        return anthropic_refuse(p, at, "content must be an array");
    size_t n = 0, most = 3 + 2 * (size_t)content->count;
    struct ccp_span *pieces = CCP_FAULT("anthropic.search") ? NULL : arena_alloc(p->a, most * sizeof(*pieces));
    if (pieces == NULL)
        return prompt_no_memory(p);
    pieces[n++] = prompt_ctext(ccp_json_get(block, "title"));
    pieces[n++] = CCP_SPAN("\\n");
    pieces[n++] = prompt_ctext(ccp_json_get(block, "source"));
    for (const struct ccp_json *text = content->child; text != NULL; text = text->next) {
        pieces[n++] = CCP_SPAN("\\n\\n");
        pieces[n++] = prompt_ctext(ccp_json_get(text, "text"));
    }
    struct ccp_span all = CCP_FAULT("anthropic.cat") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, n);
    if (all.p == NULL)
        return prompt_no_memory(p);
    struct part *part = anthropic_part(p, at, PART_TEXT, block);
    if (part != NULL)
        part->text = all;
    return part != NULL;
}

bool anthropic_upload_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    return refuse_file_id(p, at);
}
