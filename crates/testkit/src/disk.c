/* A disk that can fall ill: loaded into a process before the C library, it fails what writes to regular files, as the first byte of a
 * shared file says. Reading goes on, and so does whatever is no regular file, and standard error. Not here: partial writes, and what
 * the C library itself writes by its streams. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile const char *state;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("LYCHGATE_TEST_DISK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) state = page;
}

/* The error of whatever changes the disk; 0: it is well. */
static int illness(void) {
    switch (state ? *state : 0) {
    case 'f': return ENOSPC;
    case 'e': return EIO;
    case 'r': return EROFS;
    default: return 0;
    }
}

static int of_file(int fd) {
    struct stat about;
    int saved = errno, error = illness();
    if (!error || fd == STDERR_FILENO) return 0;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) error = 0;
    errno = saved;
    return error;
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define WRITES(type, name, parameters, arguments) \
    type name parameters { \
        NEXT(name); \
        int error = of_file(fd); \
        if (error) return errno = error, -1; \
        return next arguments; \
    }

WRITES(ssize_t, write, (int fd, const void *from, size_t count), (fd, from, count))
WRITES(ssize_t, pwrite, (int fd, const void *from, size_t count, off_t at), (fd, from, count, at))
WRITES(ssize_t, pwrite64, (int fd, const void *from, size_t count, off64_t at), (fd, from, count, at))
WRITES(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
WRITES(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at))
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at))
WRITES(int, fallocate, (int fd, int mode, off_t at, off_t count), (fd, mode, at, count))
WRITES(int, fallocate64, (int fd, int mode, off64_t at, off64_t count), (fd, mode, at, count))
WRITES(int, ftruncate, (int fd, off_t length), (fd, length))
WRITES(int, ftruncate64, (int fd, off64_t length), (fd, length))

/* These return the error. */
int posix_fallocate(int fd, off_t at, off_t count) {
    NEXT(posix_fallocate);
    int error = of_file(fd);
    return error ? error : next(fd, at, count);
}

int posix_fallocate64(int fd, off64_t at, off64_t count) {
    NEXT(posix_fallocate64);
    int error = of_file(fd);
    return error ? error : next(fd, at, count);
}

/* What is written already reaches a full disk. */
#define SYNCS(name) \
    int name(int fd) { \
        NEXT(name); \
        int error = of_file(fd); \
        if (error == EIO) return errno = error, -1; \
        return next(fd); \
    }

SYNCS(fsync)
SYNCS(fdatasync)

/* A disk that can't be written has no new names and no new writers; a full one takes names that need no room. */
static int of_name(void) {
    int error = illness();
    return error == ENOSPC ? 0 : error;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        struct stat about; \
        int error = (flags & (O_ACCMODE | O_CREAT)) ? of_name() : 0; \
        if (error && (stat(path, &about) != 0 || S_ISREG(about.st_mode))) return errno = error, -1; \
        return next(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)

#define NAMES(name, parameters, arguments) \
    int name parameters { \
        NEXT(name); \
        int error = of_name(); \
        if (error) return errno = error, -1; \
        return next arguments; \
    }

NAMES(rename, (const char *from, const char *to), (from, to))
NAMES(unlink, (const char *path), (path))
NAMES(mkdir, (const char *path, mode_t mode), (path, mode))
