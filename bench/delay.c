
/*
 * Copyright (C) the trp authors
 */


/*
 * A link with a delay: a TUN device in each of two network namespaces, and
 * every packet that leaves by one comes out of the other one so much later.
 *
 *     delay MILLISECONDS[,SETTING=NUMBER ...] PID NAME PID NAME
 *
 * Settings, for each direction:
 *
 *     rate=MBIT       per second, headers of IP included; no limit
 *     queue=MS        of packets that wait for the rate, more are lost (50)
 *     loss=PERCENT    of packets, at random (0)
 *     reorder=PERCENT of packets that come a quarter of the delay later, behind
 *                     those that were sent after them (0)
 *     seed=NUMBER     of what is random; otherwise by the clock
 *
 * The namespaces are those of the processes.  Says "ready" when the devices
 * are there; they go when it is killed, by SIGTERM with a line that says how
 * many packets were passed on and lost.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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
    uint64_t   idle;             /* since when, or from when, it is */
    uint64_t   passed, lost;
} end_t;


static end_t                  ends[2];
static uint64_t               delay, queue = 50000000, random_state;
static double                 ns_per_byte, loss, reorder;
static volatile sig_atomic_t  ended;


static void
terminate(int signo)
{
    (void) signo;
    ended = 1;
}


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


/* xorshift64* */

static int
happens(double percent)
{
    if (percent <= 0) {
        return 0;
    }

    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;

    return (random_state * UINT64_C(2685821657736338717) >> 11)
           * (100.0 / (UINT64_C(1) << 53)) < percent;
}


static void
settings(char *text)
{
    char    *name, *value;
    double   number;

    delay = atof(strtok(text, ",")) * 1000000;
    random_state = clock_ns();

    while ((name = strtok(NULL, ",")) != NULL) {
        value = strchr(name, '=');

        if (value == NULL) {
            fprintf(stderr, "delay: \"%s\" has no value\n", name);
            exit(2);
        }

        *value++ = '\0';
        number = atof(value);

        if (strcmp(name, "rate") == 0) {
            ns_per_byte = number > 0 ? 8000 / number : 0;

        } else if (strcmp(name, "queue") == 0) {
            queue = number * 1000000;

        } else if (strcmp(name, "loss") == 0) {
            loss = number;

        } else if (strcmp(name, "reorder") == 0) {
            reorder = number;

        } else if (strcmp(name, "seed") == 0) {
            random_state = number;

        } else {
            fprintf(stderr, "delay: unknown setting \"%s\"\n", name);
            exit(2);
        }
    }

    random_state = random_state * 2 + 1;
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


/* when a packet comes out at the other end; 0: it is lost */

static uint64_t
due(end_t *e, ssize_t len)
{
    uint64_t  now;

    now = clock_ns();

    if (happens(loss)) {
        return 0;
    }

    if (ns_per_byte) {

        if (e->idle < now) {
            e->idle = now;
        }

        if (e->idle - now > queue) {
            return 0;
        }

        e->idle += len * ns_per_byte;
        now = e->idle;
    }

    return now + delay + (happens(reorder) ? delay / 4 : 0);
}


static void
take(end_t *e)
{
    ssize_t    n;
    uint64_t   when;
    unsigned   i;
    packet_t  *p;

    static uint8_t  buf[65536];

    while ((n = read(e->fd, buf, sizeof(buf))) > 0) {

        when = e->tail - e->head == PACKETS ? 0 : due(e, n);

        if (when == 0) {
            e->lost++;
            continue;
        }

        p = malloc(sizeof(packet_t) + n);

        if (p == NULL) {
            die("malloc");
        }

        p->due = when;
        p->len = n;
        memcpy(p->data, buf, n);

        /* those that come later stand behind it */

        for (i = e->tail++; i != e->head; i--) {
            if (e->queue[(i - 1) % PACKETS]->due <= when) {
                break;
            }

            e->queue[i % PACKETS] = e->queue[(i - 1) % PACKETS];
        }

        e->queue[i % PACKETS] = p;
        e->passed++;
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
        fprintf(stderr, "usage: delay MILLISECONDS[,SETTING=NUMBER ...] "
                        "PID NAME PID NAME\n");
        return 2;
    }

    settings(argv[1]);
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGTERM, terminate);

    for (i = 0; i < 2; i++) {
        ends[i].fd = device(argv[2 + 2 * i], argv[3 + 2 * i]);
        fds[i].fd = ends[i].fd;
        fds[i].events = POLLIN;
    }

    printf("ready\n");
    fflush(stdout);

    while (!ended) {
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

    for (i = 0; i < 2; i++) {
        printf("%llu passed, %llu lost\n",
               (unsigned long long) ends[i].passed,
               (unsigned long long) ends[i].lost);
    }

    return 0;
}
