/*
 * The environment's secrets: see vault.h. Which variables a configuration really uses is known too late (files may
 * name any with ${NAME}), so the names decide.
 */
#include <app/vault.h>

#include <app/args.h>
#include <base/secret.h>

static char *value_of(char *entry)
{
    char *sign = strchr(entry, '=');
    return sign != NULL && sign[1] != '\0' ? sign + 1 : NULL;
}

static bool is_secret(char *entry, const char *value)
{
    return args_key_is_secret(ccp_span_of(entry, (size_t)(value - entry) - 1));
}

/* Copies what is secret; nothing is overwritten before all copies exist. */
static bool copy_secrets(struct vault *v, char **environ)
{
    for (size_t i = 0; environ[i] != NULL; i++) {
        char *value = value_of(environ[i]);
        v->environ[i] = environ[i];
        if (value == NULL || !is_secret(environ[i], value) || strlen(environ[i]) >= 64 * 1024)
            continue; /* longer than any key: not one of ours */
        struct ccp_secret *copy = secret_new(ccp_span_of(environ[i], strlen(environ[i]) + 1));
        if (copy == NULL)
            return false;
        v->secrets[v->secret_n++] = copy;
        /* Revealed for the configuration, the reader of environments. */
        v->environ[i] = (char *)secret_reveal(copy).p;
    }
    return true;
}

bool vault_open(struct vault *v, char **environ)
{
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    *v = (struct vault){.environ = calloc(n + 1, sizeof(char *)), .secrets = calloc(n + 1, sizeof(*v->secrets))};
    if (v->environ == NULL || v->secrets == NULL || !copy_secrets(v, environ)) {
        vault_close(v);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (v->environ[i] != environ[i]) {
            char *value = value_of(environ[i]);
            secret_wipe(value, strlen(value));
        }
    return true;
}

void vault_close(struct vault *v)
{
    for (size_t i = 0; i < v->secret_n; i++)
        secret_unref(v->secrets[i]);
    free(v->secrets);
    free(v->environ);
    *v = (struct vault){.environ = NULL};
}
