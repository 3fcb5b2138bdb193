/* LD_PRELOAD: names that lead to addresses of a test's choice, in its order.
 *
 * NAMES holds one name a line: NAME ADDRESS ADDRESS ... All other names are the system's to look up. What is done
 * with these is told in the file NAMED, a line each: PROGRAM, "look" or "connect", and the name or the address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int (*Lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static void tell(const char *call, const char *name) {
    char line[512];
    const char *log = getenv("NAMED");
    int length, out;

    if (!log || (out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0) return;
    length = snprintf(line, sizeof line, "%s %s %s\n", program_invocation_short_name, call, name);
    if (write(out, line, (size_t)length) < 0) {}
    close(out);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    Lookup next = (Lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *names = getenv("NAMES");

    for (; name && names && *names; names += strcspn(names, "\n"), names += *names == '\n') {
        char line[1024], *word, *left;
        struct addrinfo wanted = {0}, **end = found;

        snprintf(line, sizeof line, "%.*s", (int)strcspn(names, "\n"), names);
        word = strtok_r(line, " ", &left);
        if (!word || strcmp(word, name)) continue;
        tell("look", name);
        if (hints) wanted = *hints;
        wanted.ai_flags = (wanted.ai_flags & ~(AI_ADDRCONFIG | AI_CANONNAME | AI_V4MAPPED)) | AI_NUMERICHOST;
        *found = NULL;
        while ((word = strtok_r(NULL, " ", &left)))
            if (!next(word, service, &wanted, end)) /* one of another family than was asked for is left out */
                while (*end) end = &(*end)->ai_next;
        return *found ? 0 : EAI_NONAME;
    }
    return next(name, service, hints, found);
}

int connect(int descriptor, const struct sockaddr *to, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    char address[INET6_ADDRSTRLEN + 2] = " ", *end;
    const char *names = getenv("NAMES");
    const void *bytes = to->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)to)->sin_addr
                                                 : (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr;

    if (names && (to->sa_family == AF_INET || to->sa_family == AF_INET6)
        && inet_ntop(to->sa_family, bytes, address + 1, sizeof address - 2)) {
        for (; (names = strstr(names, address)); names = end) {
            end = (char *)names + strlen(address);
            if (*end && !strchr(" \n", *end)) continue;
            tell("connect", address + 1);
            break;
        }
    }
    return next(descriptor, to, length);
}
