/*
 * Writing images and documents (wire reference A.4). The type decides, not the word the client used: a PDF sent as an
 * image is a document. Text documents that came as base64 are decoded, since the API takes them as text only.
 */
#include <format/anthropic.h>
#include <wire/base64.h>

/* The four that the API reads, told by the first letters of their base64 when the client did not say. */
static const struct {
    const char *mime, *base64;
} images[] = {
    {"image/png", "iVBOR"},
    {"image/jpeg", "/9j/"},
    {"image/gif", "R0lGOD"},
    {"image/webp", "UklGR"},
};

static ctext image_mime(const struct part *part)
{
    if (ccp_span_ieq(part->mime, CCP_SPAN("image/jpg")))
        return CCP_SPAN("image/jpeg");
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        struct ccp_span mime = ccp_span_z(images[i].mime);
        if (ccp_span_ieq(part->mime, mime) ||
            (part->mime.n == 0 && ccp_span_starts(part->data, ccp_span_z(images[i].base64))))
            return mime;
    }
    return CCP_SPAN("");
}

static bool begins(ctext mime, const char *prefix)
{
    size_t n = strlen(prefix);
    return mime.n >= n && strncasecmp(mime.p, prefix, n) == 0;
}

static bool is_text(ctext mime)
{
    static const char *const kinds[] = {"text/",
                                        "application/json",
                                        "application/xml",
                                        "application/yaml",
                                        "application/javascript",
                                        "application/x-yaml"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (begins(mime, kinds[i]))
            return true;
    return false;
}

/* -- base64 to text -- */

/* A ctext of what the base64 says; p = NULL: noted. */
static ctext decoded_text(struct prompt *p, const struct part *part)
{
    struct ccp_span plain = prompt_plain(p, part->data), bytes = {NULL, 0}; /* line ends and slashes may be escaped */
    enum ccp_status status = plain.p != NULL ? base64_decode(p->a, plain, &bytes) : CCP_OVERLOADED;
    if (status == CCP_OK)
        return prompt_escape(p, bytes);
    if (status == CCP_OVERLOADED)
        prompt_no_memory(p);
    else
        prompt_fail_at(p, part, "the document's data is no base64");
    return (ctext){NULL, 0};
}

/* -- blocks -- */

static void end_block(struct anthropic_writer *w, const struct part *part)
{
    out_end(w->o, '}');
    if (part->kind == PART_DOCUMENT && part->title.n != 0)
        out_text(w->o, "title", part->title);
    if (part->cache)
        anthropic_mark_write(w, part->node);
    out_end(w->o, '}');
}

static void write_source(struct anthropic_writer *w, const struct part *part, const char *block, const char *type,
                         const char *member, ctext mime, ctext data)
{
    out_object(w->o, NULL);
    out_word(w->o, "type", block);
    out_object(w->o, "source");
    out_word(w->o, "type", type);
    if (mime.n != 0)
        out_text(w->o, "media_type", mime);
    out_text(w->o, member, data);
    end_block(w, part);
}

static bool write_base64(struct anthropic_writer *w, const struct part *part)
{
    struct prompt *p = w->p;
    ctext image = image_mime(part);
    if (image.n != 0) {
        write_source(w, part, "image", "base64", "data", image, part->data);
    } else if (begins(part->mime, "application/pdf") || (part->mime.n == 0 && begins(part->data, "JVBERi"))) {
        write_source(w, part, "document", "base64", "data", CCP_SPAN("application/pdf"), part->data);
    } else if (is_text(part->mime)) {
        ctext text = decoded_text(p, part);
        if (text.p == NULL)
            return false;
        write_source(w, part, "document", "text", "data", CCP_SPAN("text/plain"),
                     anthropic_blank(text) ? CCP_SPAN("(empty)") : text);
    } else {
        return prompt_fail_at(p, part, "content of type %.*s cannot be sent to this provider",
                              CCP_FMT(part->mime.n != 0 ? part->mime : CCP_SPAN("(unknown)")));
    }
    return true;
}

static bool write_url(struct anthropic_writer *w, const struct part *part)
{
    bool image = part->kind == PART_IMAGE ? !begins(part->mime, "application/pdf") : begins(part->mime, "image/");
    if (!begins(part->data, "https:") && !begins(part->data, "http:"))
        return prompt_fail_at(w->p, part, "only http and https URLs can be sent to this provider");
    write_source(w, part, image ? "image" : "document", "url", "url", CCP_SPAN(""), part->data);
    return true;
}

bool anthropic_media_write(struct anthropic_writer *w, const struct part *part)
{
    if (part->detail.n != 0 && !ccp_span_is(part->detail, "auto"))
        prompt_drop(w->p, "detail");
    switch (part->source) {
    case MEDIA_BASE64:
        return write_base64(w, part);
    case MEDIA_URL:
        return write_url(w, part);
    case MEDIA_TEXT:
        write_source(w, part, "document", "text", "data", CCP_SPAN("text/plain"), part->data);
        return true;
    default:
        break;
    }
    if (w->p->from != w->p->to.format)
        return prompt_fail_at(w->p, part, "file_id: a file kept at one provider cannot be used at another");
    write_source(w, part, part->kind == PART_IMAGE ? "image" : "document", "file", "file_id", CCP_SPAN(""), part->data);
    return true;
}
