
/*
 * Copyright (C) the trp authors
 */


/*
 * The turns of an event loop: a library for LD_PRELOAD that notes the CPU time
 * between two calls of epoll_wait().  On a busy machine that tells how long a
 * process holds up its connections, which times on the wall do not.
 *
 * Each process has a file of 64-bit numbers, $TURNS.PID: how many turns took
 * how many nanoseconds, eight steps for each power of two.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define STEPS  512


static int        (*wait)(int, struct epoll_event *, int, int);
static uint64_t    *steps, last;


static uint64_t
cpu_time(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);

    return (uint64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}


static void
begin(void)
{
    int          fd;
    char         name[4096];
    void        *p;
    const char  *turns;

    wait = dlsym(RTLD_NEXT, "epoll_wait");
    turns = getenv("TURNS");

    if (wait == NULL || turns == NULL) {
        abort();
    }

    snprintf(name, sizeof(name), "%s.%d", turns, (int) getpid());
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd == -1 || ftruncate(fd, STEPS * sizeof(uint64_t)) == -1) {
        abort();
    }

    p = mmap(NULL, STEPS * sizeof(uint64_t), PROT_READ | PROT_WRITE,
             MAP_SHARED, fd, 0);
    close(fd);

    if (p == MAP_FAILED) {
        abort();
    }

    steps = p;
}


int
epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
    int       power, result;
    uint64_t  time;

    if (steps == NULL) {
        begin();

    } else {
        time = (cpu_time() - last) | 8;
        power = 63 - __builtin_clzll(time);
        steps[power * 8 + (time >> (power - 3)) - 8]++;
    }

    result = wait(ep, events, n, timeout);
    last = cpu_time();

    return result;
}
