/*
 * inlineData and fileData (wire reference D.4): what kind of medium it is, and whether anybody else could read it.
 */
#include <base/fault.h>
#include <format/gemini.h>

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

/* Plain, so that it can be compared; empty when it is none. */
static ctext clean_mime(struct prompt *p, const struct ccp_json *node)
{
    struct ccp_span mime = prompt_plain(p, prompt_ctext(node));
    for (size_t i = 0; i < mime.n; i++)
        if ((unsigned char)mime.p[i] <= 0x20 || (unsigned char)mime.p[i] >= 0x7f || mime.p[i] == '"' ||
            mime.p[i] == '\\')
            return CCP_SPAN("");
    return mime;
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

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hit = c != '\0' ? strchr(digits, c) : NULL;
    return hit != NULL ? (int)(hit - digits) : -1;
}

/* The text of a text document: the other formats want to see it, not its encoding. False: no base64, or no memory. */
static bool decode(struct prompt *p, ctext data, ctext *text)
{
    struct ccp_span plain = prompt_plain(p, data); /* slashes may be escaped */
    char *out = plain.p == NULL || CCP_FAULT("gemini.decode") ? NULL : arena_alloc(p->a, plain.n * 3 / 4 + 4);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    if (out == NULL)
        return prompt_no_memory(p);
    while (plain.n != 0 && plain.p[plain.n - 1] == '=')
        plain.n--;
    for (size_t i = 0; i < plain.n; i++) {
        int value = digit(plain.p[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if ((have += 6) >= 8)
            out[n++] = (char)(bits >> (have -= 8));
    }
    *text = prompt_escape(p, ccp_span_of(out, n));
    return text->p != NULL;
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
    if (!decode(p, part->data, &part->data))
        return p->status == CCP_OK ? prompt_fail_at(p, part, "inlineData.data is no base64") : false;
    part->source = MEDIA_TEXT;
    return true;
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
    ctext mime = clean_mime(p, gemini_get(node, "mimeType"));
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
