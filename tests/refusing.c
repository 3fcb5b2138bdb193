/* LD_PRELOAD: calls of the system that fail as on a file system (or a machine) that lacks them.
 *
 * REFUSE holds rules, one a line: CALL ACTION KIND SKIP TIMES GLOB. ACTION is an errno, or "kill" (SIGKILL to
 * whoever calls). KIND is dir, file, link, none (nothing stands there) or any. SKIP calls that fit are let
 * through first; then so many fail, 0 is all. GLOB is matched with the whole path, a star with slashes, too; of two paths either will do.
 * A call without a path has the path "-". Each refusal is told in the file REFUSED: CALL ACTION PATH.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#define RULES 32
static int seen[RULES];

static void path_of(int directory, const char *name, char *path) {
    char link[64];
    ssize_t length = 0;

    path[0] = 0;
    if (!name || name[0] != '/') {
        if (directory == AT_FDCWD) {
            if (!getcwd(path, PATH_MAX)) path[0] = 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            length = readlink(link, path, PATH_MAX - 1);
            path[length > 0 ? length : 0] = 0;
        }
    }
    if (name && name[0]) {
        size_t end = strlen(path);
        snprintf(path + end, PATH_MAX - end, "%s%s", name[0] == '/' || !end ? "" : "/", name);
    }
}

static const char *kind_of(const char *path) {
    struct stat found;

    if (lstat(path, &found)) return "none";
    return S_ISDIR(found.st_mode) ? "dir" : S_ISLNK(found.st_mode) ? "link" : S_ISREG(found.st_mode) ? "file" : "other";
}

static void tell(const char *call, const char *action, const char *path) {
    char line[PATH_MAX + 128];
    const char *log = getenv("REFUSED");
    int length, out;

    if (!log || (out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0) return;
    length = snprintf(line, sizeof line, "%s %s %s\n", call, action, path);
    if (write(out, line, (size_t)length) < 0) {}
    close(out);
}

/* Whether the call is refused; errno says why. */
static int refused(const char *call, const char *path) {
    const char *rules = getenv("REFUSE");
    int before = errno, number = 0;

    for (; rules && *rules && number < RULES; number++) {
        char line[PATH_MAX + 128], name[32], action[16], kind[8], glob[PATH_MAX];
        size_t length = strcspn(rules, "\n");
        int skip, times, count;

        snprintf(line, sizeof line, "%.*s", (int)length, rules);
        rules += length + (rules[length] == '\n');
        if (sscanf(line, "%31s %15s %7s %d %d %4095[^\n]", name, action, kind, &skip, &times, glob) != 6) continue;
        if (strcmp(name, call) || fnmatch(glob, path, 0)) continue;
        if (strcmp(kind, "any") && strcmp(kind, kind_of(path))) continue;
        count = __sync_fetch_and_add(&seen[number], 1) - skip;
        if (count < 0 || (times && count >= times)) continue;
        tell(call, action, path);
        if (!strcmp(action, "kill")) kill(getpid(), SIGKILL);
        errno = atoi(action);
        return 1;
    }
    errno = before;
    return 0;
}

static int refused_at(const char *call, int directory, const char *name) {
    char path[PATH_MAX];

    path_of(directory, name, path);
    return refused(call, path);
}

static int refused_of(const char *call, int descriptor) { return refused_at(call, descriptor, ""); }

static int refused_two(const char *call, int from, const char *old, int to, const char *new) {
    return refused_at(call, to, new) || refused_at(call, from, old);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(name, result, parameters, arguments, test) \
    result name parameters { return (test) ? -1 : NEXT(name) arguments; }

CALL(fsync, int, (int fd), (fd), refused_of("fsync", fd))
CALL(fdatasync, int, (int fd), (fd), refused_of("fsync", fd))
CALL(sync_file_range, int, (int fd, off64_t a, off64_t n, unsigned f), (fd, a, n, f), refused_of("fsync", fd))

CALL(utimensat, int, (int d, const char *p, const struct timespec t[2], int f), (d, p, t, f), refused_at("utime", d, p))
CALL(futimens, int, (int fd, const struct timespec t[2]), (fd, t), refused_of("utime", fd))
CALL(utime, int, (const char *p, const struct utimbuf *t), (p, t), refused_at("utime", AT_FDCWD, p))
CALL(utimes, int, (const char *p, const struct timeval t[2]), (p, t), refused_at("utime", AT_FDCWD, p))

CALL(chmod, int, (const char *p, mode_t m), (p, m), refused_at("chmod", AT_FDCWD, p))
CALL(fchmod, int, (int fd, mode_t m), (fd, m), refused_of("chmod", fd))
CALL(fchmodat, int, (int d, const char *p, mode_t m, int f), (d, p, m, f), refused_at("chmod", d, p))

CALL(link, int, (const char *o, const char *n), (o, n), refused_two("link", AT_FDCWD, o, AT_FDCWD, n))
CALL(linkat, int, (int a, const char *o, int b, const char *n, int f), (a, o, b, n, f), refused_two("link", a, o, b, n))
CALL(symlink, int, (const char *t, const char *p), (t, p), refused_at("symlink", AT_FDCWD, p))
CALL(symlinkat, int, (const char *t, int d, const char *p), (t, d, p), refused_at("symlink", d, p))
CALL(rename, int, (const char *o, const char *n), (o, n), refused_two("rename", AT_FDCWD, o, AT_FDCWD, n))
CALL(renameat, int, (int a, const char *o, int b, const char *n), (a, o, b, n), refused_two("rename", a, o, b, n))
CALL(renameat2, int, (int a, const char *o, int b, const char *n, unsigned f), (a, o, b, n, f),
     refused_two("rename", a, o, b, n))
CALL(unlink, int, (const char *p), (p), refused_at("unlink", AT_FDCWD, p))
CALL(unlinkat, int, (int d, const char *p, int f), (d, p, f), refused_at("unlink", d, p))
CALL(mkdir, int, (const char *p, mode_t m), (p, m), refused_at("mkdir", AT_FDCWD, p))
CALL(mkdirat, int, (int d, const char *p, mode_t m), (d, p, m), refused_at("mkdir", d, p))

CALL(fallocate, int, (int fd, int m, off_t a, off_t n), (fd, m, a, n), refused_of("fallocate", fd))
CALL(fallocate64, int, (int fd, int m, off64_t a, off64_t n), (fd, m, a, n), refused_of("fallocate", fd))
int posix_fallocate(int fd, off_t a, off_t n) {
    return refused_of("fallocate", fd) ? errno : NEXT(posix_fallocate)(fd, a, n);
}
int posix_fallocate64(int fd, off64_t a, off64_t n) {
    return refused_of("fallocate", fd) ? errno : NEXT(posix_fallocate64)(fd, a, n);
}
CALL(ftruncate, int, (int fd, off_t n), (fd, n), refused_of("truncate", fd))
CALL(ftruncate64, int, (int fd, off64_t n), (fd, n), refused_of("truncate", fd))
CALL(flock, int, (int fd, int how), (fd, how), refused_of("lock", fd))

static int is_lock(int command) { return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK; }
int fcntl(int fd, int command, ...) {
    va_list more;
    void *argument;

    va_start(more, command);
    argument = va_arg(more, void *);
    va_end(more);
    return is_lock(command) && refused_of("lock", fd) ? -1 : NEXT(fcntl)(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list more;
    void *argument;

    va_start(more, command);
    argument = va_arg(more, void *);
    va_end(more);
    return is_lock(command) && refused_of("lock", fd) ? -1 : NEXT(fcntl64)(fd, command, argument);
}
int ioctl(int fd, unsigned long request, ...) {
    va_list more;
    void *argument;
    int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");

    va_start(more, request);
    argument = va_arg(more, void *);
    va_end(more);
    return request == 0x40049409 && refused_of("reflink", fd) ? -1 : next(fd, request, argument);
}

CALL(statvfs, int, (const char *p, struct statvfs *s), (p, s), refused_at("statvfs", AT_FDCWD, p))
CALL(statvfs64, int, (const char *p, struct statvfs64 *s), (p, s), refused_at("statvfs", AT_FDCWD, p))
CALL(fstatvfs, int, (int fd, struct statvfs *s), (fd, s), refused_of("statvfs", fd))
CALL(fstatvfs64, int, (int fd, struct statvfs64 *s), (fd, s), refused_of("statvfs", fd))
CALL(statfs, int, (const char *p, struct statfs *s), (p, s), refused_at("statvfs", AT_FDCWD, p))
CALL(statfs64, int, (const char *p, struct statfs64 *s), (p, s), refused_at("statvfs", AT_FDCWD, p))
CALL(fstatfs, int, (int fd, struct statfs *s), (fd, s), refused_of("statvfs", fd))
CALL(fstatfs64, int, (int fd, struct statfs64 *s), (fd, s), refused_of("statvfs", fd))

/* What is of the machine and not of a file system: the path is the program's. */
static int refused_here(const char *call) {
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

    program[length > 0 ? length : 0] = 0;
    return refused(call, program);
}
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *x) {
    return refused_here("thread") ? errno : NEXT(pthread_create)(t, a, run, x);
}
CALL(socket, int, (int domain, int type, int protocol), (domain, type, protocol), refused_here("socket"))
CALL(fork, pid_t, (void), (), refused_here("fork"))
