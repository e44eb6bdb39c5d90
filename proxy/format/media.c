/*
 * Media: data URLs taken apart and put together, and the type a name's ending suggests.
 */
#include <format/out.h>
#include <format/prompt.h>

ctext prompt_mime(struct prompt *p, ctext mime)
{
    struct ccp_span plain = mime.n != 0 && memchr(mime.p, '\\', mime.n) != NULL ? prompt_plain(p, mime) : mime;
    for (size_t i = 0; i < plain.n; i++)
        if ((unsigned char)plain.p[i] <= 0x20 || (unsigned char)plain.p[i] >= 0x7f || plain.p[i] == '"' ||
            plain.p[i] == '\\')
            return CCP_SPAN("");
    return plain;
}

static size_t find(struct ccp_span text, const char *what)
{
    const char *hit = text.n != 0 ? memmem(text.p, text.n, what, strlen(what)) : NULL;
    return hit != NULL ? (size_t)(hit - text.p) : text.n;
}

bool prompt_data_url(struct prompt *p, struct part *part, ctext url)
{
    if (url.n < 5 || strncasecmp(url.p, "data:", 5) != 0) {
        part->source = MEDIA_URL;
        part->data = url;
        part->mime = prompt_mime_of(url);
        return true;
    }
    struct ccp_span rest = ccp_span_skip(url, 5);
    /* The head of a data URL is short; the payload must not be searched when there is no comma. */
    struct ccp_span head = ccp_span_of(rest.p, rest.n < 256 ? rest.n : 256);
    size_t comma = ccp_span_find(head, ',');
    head.n = comma;
    size_t base64 = find(head, ";base64");
    if (comma == (rest.n < 256 ? rest.n : 256) || base64 + 7 != head.n)
        return prompt_fail_at(p, part, "a data: URL must be \"data:<type>;base64,<data>\"");
    head.n = ccp_span_find(ccp_span_of(head.p, base64), ';');
    part->source = MEDIA_BASE64;
    part->mime = prompt_mime(p, head);
    part->data = ccp_span_skip(rest, comma + 1);
    return p->status == CCP_OK;
}

ctext prompt_mime_of(ctext name)
{
    static const struct {
        const char *ending, *mime;
    } known[] = {
        {".png", "image/png"},   {".jpg", "image/jpeg"},      {".jpeg", "image/jpeg"},       {".gif", "image/gif"},
        {".webp", "image/webp"}, {".pdf", "application/pdf"}, {".txt", "text/plain"},        {".md", "text/markdown"},
        {".csv", "text/csv"},    {".html", "text/html"},      {".json", "application/json"}, {".mp3", "audio/mp3"},
        {".wav", "audio/wav"},   {".mp4", "video/mp4"},
    };
    name.n = ccp_span_find(name, '?');
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t n = strlen(known[i].ending);
        if (name.n > n && strncasecmp(name.p + name.n - n, known[i].ending, n) == 0)
            return ccp_span_z(known[i].mime);
    }
    return CCP_SPAN("");
}

static bool begins(ctext text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.n >= n && strncasecmp(text.p, prefix, n) == 0;
}

bool prompt_file_data(struct prompt *p, struct part *part, ctext data)
{
    bool address = begins(data, "http:") || begins(data, "https:");
    if (begins(data, "data:") || address) {
        if (!prompt_data_url(p, part, data))
            return false;
    } else {
        part->source = MEDIA_BASE64;
        part->data = data;
    }
    if (part->mime.n == 0)
        part->mime = prompt_mime_of(part->title);
    if (part->mime.n == 0)
        part->mime = CCP_SPAN("application/pdf");
    if (begins(part->mime, "image/"))
        part->kind = PART_IMAGE;
    else if (begins(part->mime, "audio/"))
        part->kind = PART_AUDIO;
    else if (begins(part->mime, "video/"))
        part->kind = PART_VIDEO;
    return true;
}

/* -- writing -- */

void media_write_url(struct out *o, const char *key, const struct part *part)
{
    out_text_open(o, key);
    if (part->source == MEDIA_BASE64) {
        out_text_add(o, CCP_SPAN("data:"));
        out_text_add(o, part->mime.n != 0 ? part->mime : CCP_SPAN("application/octet-stream"));
        out_text_add(o, CCP_SPAN(";base64,"));
    }
    out_text_add(o, part->data);
    out_text_close(o);
}

void media_write_text(struct out *o, const char *key, const struct part *part)
{
    out_text_open(o, key);
    if (part->title.n != 0) {
        out_text_add(o, part->title);
        out_text_add(o, CCP_SPAN("\\n\\n"));
    }
    out_text_add(o, part->data);
    out_text_close(o);
}

const char *media_audio_format(ctext mime)
{
    static const char *const known[][2] = {{"audio/wav", "wav"},     {"audio/x-wav", "wav"}, {"audio/wave", "wav"},
                                           {"audio/mp3", "mp3"},     {"audio/mpeg", "mp3"},  {"audio/mpga", "mp3"},
                                           {"audio/vnd.wave", "wav"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (ccp_span_is(mime, known[i][0]))
            return known[i][1];
    return NULL;
}
