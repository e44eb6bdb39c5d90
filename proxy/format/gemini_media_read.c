/*
 * inlineData and fileData (wire reference D.4): what kind of medium it is, and whether anybody else could read it.
 */
#include <base/fault.h>
#include <format/gemini.h>
#include <wire/base64.h>

static bool mime_is(ctext mime, const char *family)
{
    return mime.n > strlen(family) && strncasecmp(mime.p, family, strlen(family)) == 0;
}

static enum part_kind kind_of(ctext mime)
{
    return mime_is(mime, "image/")   ? PART_IMAGE
           : mime_is(mime, "audio/") ? PART_AUDIO
           : mime_is(mime, "video/") ? PART_VIDEO
                                     : PART_DOCUMENT;
}

/* Google takes both alphabets of base64, others only the first. */
static bool first_alphabet(struct prompt *p, ctext *data)
{
    bool other = data->n != 0 && (memchr(data->p, '-', data->n) != NULL || memchr(data->p, '_', data->n) != NULL);
    if (!other)
        return true;
    char *copy = CCP_FAULT("gemini.base64") ? NULL : arena_alloc(p->a, data->n);
    if (copy == NULL)
        return prompt_no_memory(p);
    for (size_t i = 0; i < data->n; i++)
        copy[i] = data->p[i] == '-' ? '+' : data->p[i] == '_' ? '/' : data->p[i];
    data->p = copy;
    return true;
}

/* The text of a text document: the other formats want to see it, not its encoding. False: noted. */
static bool decode(struct prompt *p, struct part *part)
{
    struct ccp_span plain = prompt_plain(p, part->data), bytes; /* slashes may be escaped */
    if (plain.p == NULL)
        return false;
    enum ccp_status status = base64_decode(p->a, plain, &bytes);
    if (status != CCP_OK)
        return status == CCP_OVERLOADED ? prompt_no_memory(p) : prompt_fail_at(p, part, "inlineData.data is no base64");
    part->data = prompt_escape(p, bytes);
    part->source = MEDIA_TEXT;
    return part->data.p != NULL;
}

static struct part *make(struct prompt *p, const struct gemini_place *place, enum part_kind kind)
{
    return place->result != NULL ? prompt_result_part(p, place->result, kind)
                                 : prompt_part(p, place->turn, kind, place->index);
}

static bool read_inline(struct prompt *p, struct part *part, const struct ccp_json *node)
{
    part->source = MEDIA_BASE64;
    part->data = prompt_ctext(gemini_get(node, "data"));
    if (part->data.n == 0 || part->mime.n == 0)
        return prompt_fail_at(p, part, "inlineData needs mimeType and data");
    if (!first_alphabet(p, &part->data))
        return false;
    if (part->kind != PART_DOCUMENT || !mime_is(part->mime, "text/"))
        return true;
    return decode(p, part);
}

/* The provider's own file store, which only it can read. */
static bool own_file(ctext uri)
{
    return ccp_span_starts(uri, CCP_SPAN("gs://")) || ccp_span_starts(uri, CCP_SPAN("files/")) ||
           ccp_span_starts(uri, CCP_SPAN("https://generativelanguage.googleapis.com/"));
}

static bool film(ctext uri)
{
    return ccp_span_starts(uri, CCP_SPAN("https://www.youtube.com/")) ||
           ccp_span_starts(uri, CCP_SPAN("https://youtube.com/")) ||
           ccp_span_starts(uri, CCP_SPAN("https://youtu.be/"));
}

static bool read_file(struct prompt *p, struct part *part, ctext uri)
{
    part->source = own_file(uri) ? MEDIA_FILE_ID : MEDIA_URL;
    part->data = uri;
    return uri.n != 0 || prompt_fail_at(p, part, "fileData needs fileUri");
}

struct part *gemini_read_media(struct prompt *p, const struct gemini_place *place, const struct ccp_json *node,
                               bool inlined)
{
    ctext mime = prompt_mime(p, prompt_ctext(gemini_get(node, "mimeType")));
    ctext uri = inlined ? CCP_SPAN("") : prompt_plain(p, prompt_ctext(gemini_get(node, "fileUri")));
    if (mime.n == 0 && uri.n != 0)
        mime = prompt_mime_of(uri);
    struct part *part = make(p, place, film(uri) ? PART_VIDEO : kind_of(mime));
    if (part == NULL)
        return NULL;
    part->mime = mime;
    part->title = prompt_ctext(gemini_get(node, "displayName"));
    part->node = node;
    /* Compared plain, carried over as it was written. */
    bool ok = inlined ? read_inline(p, part, node) : read_file(p, part, uri);
    if (ok && !inlined)
        part->data = prompt_ctext(gemini_get(node, "fileUri"));
    return ok ? part : NULL;
}
