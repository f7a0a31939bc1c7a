
/*
 * Copyright (C) the trp authors
 */


/*
 * A link with a delay: a TUN device in each of two network namespaces, and
 * every packet that leaves by one comes out of the other one so much later.
 *
 *     delay MILLISECONDS PID NAME PID NAME
 *
 * The namespaces are those of the processes.  Says "ready" when the devices
 * are there; they go when it is killed.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PACKETS  65536           /* under way in a direction; more are lost */

typedef struct {
    uint64_t   due;
    ssize_t    len;
    uint8_t    data[];
} packet_t;

typedef struct {
    int        fd;
    packet_t  *queue[PACKETS];   /* what has come from fd */
    unsigned   head, tail;
} end_t;


static end_t     ends[2];
static uint64_t  delay;


static void
die(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}


static uint64_t
clock_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static int
device(const char *pid, const char *name)
{
    int           fd, ns;
    char          path[64];
    struct ifreq  ifr;

    snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
    ns = open(path, O_RDONLY | O_CLOEXEC);

    if (ns == -1 || setns(ns, CLONE_NEWNET) == -1) {
        die(path);
    }

    close(ns);

    memset(&ifr, 0, sizeof(ifr));
    ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);

    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1 || ioctl(fd, TUNSETIFF, &ifr) == -1) {
        die("/dev/net/tun");
    }

    return fd;
}


static void
take(end_t *e)
{
    ssize_t    n;
    packet_t  *p;

    static uint8_t  buf[65536];

    while ((n = read(e->fd, buf, sizeof(buf))) > 0) {

        if (e->tail - e->head == PACKETS) {
            continue;
        }

        p = malloc(sizeof(packet_t) + n);

        if (p == NULL) {
            die("malloc");
        }

        p->due = clock_ns() + delay;
        p->len = n;
        memcpy(p->data, buf, n);
        e->queue[e->tail++ % PACKETS] = p;
    }
}


/* passes on what is due, returns when the next packet is, or the future */

static uint64_t
give(end_t *from, end_t *to)
{
    packet_t  *p;

    while (from->head != from->tail) {
        p = from->queue[from->head % PACKETS];

        if (p->due > clock_ns()) {
            return p->due;
        }

        (void) !write(to->fd, p->data, p->len);
        free(p);
        from->head++;
    }

    return UINT64_MAX;
}


int
main(int argc, char **argv)
{
    int              i;
    uint64_t         next, other, now;
    struct pollfd    fds[2];
    struct timespec  ts;

    if (argc != 6) {
        fprintf(stderr, "usage: delay MILLISECONDS PID NAME PID NAME\n");
        return 2;
    }

    delay = atof(argv[1]) * 1000000;
    prctl(PR_SET_TIMERSLACK, 1);

    for (i = 0; i < 2; i++) {
        ends[i].fd = device(argv[2 + 2 * i], argv[3 + 2 * i]);
        fds[i].fd = ends[i].fd;
        fds[i].events = POLLIN;
    }

    printf("ready\n");
    fflush(stdout);

    for ( ;; ) {
        next = give(&ends[0], &ends[1]);
        other = give(&ends[1], &ends[0]);
        next = other < next ? other : next;

        now = clock_ns();
        now = next <= now ? 0 : next - now;
        ts.tv_sec = now / 1000000000;
        ts.tv_nsec = now % 1000000000;

        if (ppoll(fds, 2, next == UINT64_MAX ? NULL : &ts, NULL) > 0) {
            for (i = 0; i < 2; i++) {
                if (fds[i].revents) {
                    take(&ends[i]);
                }
            }
        }
    }
}
