/*
 * doctor: the folder of logins, its files, and the key that they are encrypted with. Only names, owners and modes are
 * looked at here; what a start or a login would mend by itself is reported and left as it is.
 */
#include <app/doctor.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct seen {
    size_t records, bad, unfinished;
};

/* A record may be a link to a file of the same user: it is written through. */
static void look_at_record(struct doctor *d, const char *path, struct seen *seen)
{
    struct stat st;
    seen->records++;
    if (stat(path, &st) != 0)
        doctor_fail(d, EXIT_FAILED, "remove it", "%s: %s", path, strerrordesc_np(errno));
    else if (!S_ISREG(st.st_mode))
        doctor_fail(d, EXIT_FAILED, "remove it", "%s is no regular file", path);
    else if (st.st_nlink > 1)
        doctor_fail(d, EXIT_FAILED, "remove the other name (find -samefile)", "%s has a second name (hard link)", path);
    else if (doctor_owned(d, "the login", path, &st, 077))
        return;
    seen->bad++;
}

static void look_at_entry(struct doctor *d, const char *directory, const char *name, struct seen *seen)
{
    struct ccp_span s = ccp_span_z(name);
    if (name[0] != '.' && ccp_span_ends(s, CCP_SPAN(".json")))
        look_at_record(d, doctor_text(d, "%s/%s", directory, name), seen);
    else if (ccp_span_ends(s, CCP_SPAN(".intent")))
        seen->unfinished++;
}

static void look_into(struct doctor *d, const char *directory)
{
    struct seen seen = {0};
    const struct dirent *entry;
    DIR *dir = opendir(directory);
    if (dir == NULL) {
        doctor_fail(d, EXIT_FAILED, NULL, "%s: %s", directory, strerrordesc_np(errno));
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        look_at_entry(d, directory, entry->d_name, &seen);
    closedir(dir);
    if (access(directory, W_OK | X_OK) != 0)
        doctor_fail(d, EXIT_FAILED, "give this user the right to write there, or set auth.directory",
                    "%s: a renewed login could not be stored: %s", directory, strerrordesc_np(errno));
    if (seen.unfinished != 0)
        doctor_ok(d, "%zu renewal%s under way, or cut off and repeated at the next use", seen.unfinished,
                  seen.unfinished == 1 ? " is" : "s are");
    if (seen.bad == 0)
        doctor_ok(d, "%s: %zu login%s, private to this user", directory, seen.records, seen.records == 1 ? "" : "s");
}

/* False: opening the store would change the folder's mode, so logins are not looked at. */
static bool look_at_directory(struct doctor *d, const char *directory)
{
    struct stat st = {.st_mode = 0};
    int error = stat(directory, &st) == 0 ? 0 : errno;
    if (error == ENOENT)
        doctor_ok(d, "%s is not there yet: the first ccproxy auth login makes it", directory);
    else if (error != 0)
        doctor_fail(d, EXIT_FAILED, NULL, "%s: %s", directory, strerrordesc_np(error));
    else if (!S_ISDIR(st.st_mode))
        doctor_fail(d, EXIT_FAILED, "set auth.directory", "%s is no folder", directory);
    else {
        doctor_owned(d, "the folder", directory, &st, 077);
        look_into(d, directory);
    }
    return error == ENOENT || (error == 0 && (st.st_mode & (S_ISUID | S_ISGID | S_IWGRP | S_IWOTH)) == 0);
}

static void open_store(struct doctor *d, const struct store_options *options)
{
    struct store_error e = {.status = STORE_OK};
    d->store = store_open(options, &e);
    if (d->store == NULL)
        doctor_fail(d, EXIT_FAILED, "mend what is said above; [auth] names the file", "%s", e.text);
    else if (options->encryption == STORE_KEY_FILE)
        doctor_ok(d, "logins are encrypted; the key in %s can be read", options->key_file);
    else if (options->encryption == STORE_PASSPHRASE_FILE)
        doctor_ok(d, "logins are encrypted; the passphrase in %s can be read", options->passphrase_file);
}

void doctor_files(struct doctor *d)
{
    struct store_options options;
    if (!runtime_store_options(d->rt, &options)) {
        doctor_warn(d, "set auth.directory, or HOME", "there is no home folder to keep logins in");
        return;
    }
    if (look_at_directory(d, options.directory))
        open_store(d, &options);
}
