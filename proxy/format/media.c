/*
 * What a URL says about a medium: data URLs taken apart, and the type a name's ending suggests.
 */
#include <format/prompt.h>

/* Some encoders escape slashes in JSON; a medium type is the only place where that would be seen. */
static ctext without_escaped_slash(struct prompt *p, ctext mime)
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
    part->mime = without_escaped_slash(p, head);
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
