/*
 * Secrets: from text, "${NAME}" or "file:/path" into struct ccp_secret.
 *
 * As soon as the secret exists the text in the tree is wiped; from then on the node only holds the sealed form.
 */
#include <config/config_impl.h>

static void unref_later(void *arg)
{
    secret_unref(arg);
}

bool secret_keep(struct value_in *in, struct ccp_secret *secret)
{
    struct sealed *s = arena_zalloc(&in->c->arena, sizeof(*s));
    if (secret == NULL || s == NULL || !arena_defer(&in->c->arena, unref_later, secret)) {
        secret_unref(secret);
        in->c->no_memory = true;
        return false;
    }
    s->secret = secret;
    *in->secrets = s;
    in->secrets = &s->next;
    return true;
}

/* A literal secret in a file that others may read: said once. */
static void warn_literal(struct value_in *in)
{
    struct config *c = in->c;
    if (in->node->layer != LAYER_FILE || in->node->foreign || (c->file_mode & 077) == 0 || c->mode_warned)
        return;
    c->mode_warned = true;
    fault_at(c, in->node, in->name, true,
             "this file holds a secret and others may read it (chmod 600, or use \"${NAME}\" or \"file:/path\")");
}

static struct ccp_span without_line_end(struct ccp_span s)
{
    while (s.n != 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* Replaces "file:/path" by what the file holds. */
static bool read_secret_file(struct value_in *in)
{
    char *bytes = NULL;
    size_t n = 0;
    mode_t mode = 0;
    int error = 0;
    const char *path = in->node->text.p + 5; /* texts of nodes end with a NUL */
    if (path[0] != '/' || strlen(path) + 5 != in->node->text.n) {
        fault_at(in->c, in->node, in->name, false, "\"file:\" needs an absolute path");
        return false;
    }
    const char *what = file_read(path, CONFIG_SECRET_MAX, &bytes, &n, &mode, &error);
    if (what != NULL) {
        fault_at(in->c, in->node, in->name, false, "secret file: %s%s%s%s", what, error != 0 ? ": " : "",
                 error != 0 ? strerrordesc_np(error) : "", strcmp(what, "too large") == 0 ? " (64 KiB at most)" : "");
        return false;
    }
    if ((mode & 077) != 0)
        fault_at(in->c, in->node, in->name, true, "secret file: group or others may read it (chmod 600)");
    bool fine = tree_text(in->c, in->node, without_line_end(ccp_span_of(bytes, n)));
    secret_wipe(bytes, n);
    free(bytes);
    in->node->foreign = true;
    if (fine && in->node->text.n == 0)
        fault_at(in->c, in->node, in->name, false, "secret file: is empty");
    return fine && in->node->text.n != 0;
}

static bool seal(struct value_in *in)
{
    struct config_tree *node = in->node;
    if (!expand_node(in->c, node, in->name))
        return false;
    if (ccp_span_starts(node->text, CCP_SPAN("file:")) && node->layer == LAYER_STATE) {
        fault_at(in->c, node, in->name, false, "a secret's file can only be named in the configuration file");
        return false;
    } else if (ccp_span_starts(node->text, CCP_SPAN("file:"))) {
        if (!read_secret_file(in))
            return false;
    } else if (node->text.n != 0) {
        warn_literal(in);
    }
    if (node->text.n > CONFIG_SECRET_MAX)
        fault_at(in->c, node, in->name, false, "too long for a secret (64 KiB at most)");
    if (node->text.n > CONFIG_SECRET_MAX || !value_text_fine(in, node))
        return false;
    if (node->text.n == 0)
        return true;
    struct ccp_secret *secret = secret_new(node->text);
    if (!secret_keep(in, secret))
        return false;
    node->sealed = secret;
    tree_wipe_text(node);
    return true;
}

json_t *value_secret(struct value_in *in)
{
    struct config_tree *node = in->node;
    if (node->kind != NODE_STRING && node->kind != NODE_TEXT)
        return value_wrong_kind(in, node, "a string");
    if (node->sealed != NULL) { /* bound before */
        if (!secret_keep(in, secret_ref(node->sealed)))
            return NULL;
    } else if (!seal(in)) {
        return NULL;
    }
    *(struct ccp_secret **)in->out = node->sealed;
    return value_made(in, json_string(node->sealed != NULL ? "***" : ""));
}
