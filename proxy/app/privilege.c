/*
 * What the process may do and who may look into it.
 */
#include <app/server.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void privilege_harden(void)
{
    /* Neither can fail in a way that helps to know: a refused call leaves what was. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0);
}

void privilege_soften(void)
{
    prctl(PR_SET_DUMPABLE, 1);
}

const char *privilege_drop(const char *user, const char *socket)
{
    errno = 0;
    const struct passwd *p = getpwnam(user);
    if (p == NULL)
        return errno != 0 ? strerror(errno) : "no such user";
    uid_t uid = p->pw_uid;
    gid_t gid = p->pw_gid;
    if (socket != NULL && fchownat(AT_FDCWD, socket, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return strerror(errno);
    if (initgroups(user, gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
        return strerror(errno);
    if (uid != 0 && setuid(0) == 0)
        return "root came back";
    privilege_harden(); /* a change of user resets it */
    return NULL;
}
