
/*
 * Copyright (C) the trp authors
 */


/*
 * Load at a fixed rate, and the service for it, an echo.  Messages are sent
 * when they are due, whether or not others have come back, and their time runs
 * from then, so that a pause of what is measured shows in all that it held up.
 *
 *     rate_load -s PORT                    the service
 *     rate_load [options] ADDRESS PORT
 *
 *     -c N    connections (16)      -r N    messages per second (1000)
 *     -l N    bytes of each (64)    -d S    seconds (10)
 *     -w S    before it counts (1)
 *     -n      a connection for each message
 *
 * Prints how many were sent, came back and failed, and median, 90 %, 99 %,
 * 99.9 % and the longest of their times in milliseconds.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS   256
#define SIZE     65536
#define LATE     2000000000      /* ns, for the last ones */

typedef struct {
    int       fd;
    size_t    len;
    uint64_t  due;               /* of its only message, with -n */
    uint8_t   in[SIZE];
} conn_t;


static struct {
    int                 service, conns, rate, length, seconds, warm, renew;
    struct sockaddr_in  to;
} o = { .conns = 16, .rate = 1000, .length = 64, .seconds = 10, .warm = 1 };

static conn_t    *conns;
static int        ep, nfree;
static conn_t   **unused;
static uint64_t   begin, sent, received, failed;
static uint32_t  *times;         /* us */
static size_t     ntimes;


static void
fail(const char *what)
{
    perror(what);
    exit(1);
}


static uint64_t
now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}


static void
usage(void)
{
    fprintf(stderr, "usage: rate_load -s PORT\n"
            "       rate_load [-c N] [-r N] [-l N] [-d S] [-w S] [-n] "
            "ADDRESS PORT\n");
    exit(2);
}


static void
options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "s:c:r:l:d:w:n")) != -1) {
        switch (c) {
        case 's': o.service = atoi(optarg); break;
        case 'c': o.conns = atoi(optarg); break;
        case 'r': o.rate = atoi(optarg); break;
        case 'l': o.length = atoi(optarg); break;
        case 'd': o.seconds = atoi(optarg); break;
        case 'w': o.warm = atoi(optarg); break;
        case 'n': o.renew = 1; break;
        default: usage();
        }
    }

    o.to.sin_family = AF_INET;

    if (o.service) {
        o.to.sin_port = htons(o.service);
        o.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return;
    }

    if (argc - optind != 2 || o.conns < 1 || o.rate < 1 || o.length < 8
        || o.length > SIZE || o.seconds < 1
        || inet_pton(AF_INET, argv[optind], &o.to.sin_addr) != 1)
    {
        usage();
    }

    o.to.sin_port = htons(atoi(argv[optind + 1]));
}


static void
watch(int fd, void *data)
{
    int                 one;
    struct epoll_event  ev;

    one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    ev.events = EPOLLIN;
    ev.data.ptr = data;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1) {
        fail("epoll_ctl");
    }
}


/* sends back what comes; messages are small, so all is taken at once */

static void
service(void)
{
    int                 n, fd, s;
    ssize_t             size;
    static uint8_t      buf[SIZE];
    struct epoll_event  ev[EVENTS];

    s = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int));

    if (bind(s, (struct sockaddr *) &o.to, sizeof(o.to)) == -1
        || listen(s, 4096) == -1)
    {
        fail("service");
    }

    watch(s, (void *) (intptr_t) s);

    for ( ;; ) {
        n = epoll_wait(ep, ev, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            fd = (intptr_t) ev[i].data.ptr;

            if (fd == s) {
                fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);

                if (fd != -1) {
                    watch(fd, (void *) (intptr_t) fd);
                }

                continue;
            }

            size = read(fd, buf, SIZE);

            if (size <= 0 || write(fd, buf, size) != size) {
                close(fd);
            }
        }
    }
}


static int
connection(conn_t *c)
{
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &o.to, sizeof(o.to)) == -1)
    {
        if (c->fd != -1) {
            close(c->fd);
        }

        return -1;
    }

    c->len = 0;
    watch(c->fd, c);

    return 0;
}


static void
end(conn_t *c)
{
    close(c->fd);
    c->fd = -1;
    unused[nfree++] = c;
}


/* a message says when it was due */

static void
message(uint64_t due)
{
    conn_t           *c;
    static int        turn;
    static uint8_t    out[SIZE];

    if (o.renew) {
        if (nfree == 0 || connection(unused[nfree - 1]) == -1) {
            failed++;
            return;
        }

        c = unused[--nfree];

    } else {
        c = &conns[turn++ % o.conns];
    }

    memcpy(out, &due, 8);

    if (c->fd == -1 || write(c->fd, out, o.length) != o.length) {
        failed++;
        return;
    }

    if (due >= begin) {
        sent++;
    }
}


static void
answers(conn_t *c)
{
    size_t    used;
    ssize_t   n;
    uint64_t  due;

    n = read(c->fd, c->in + c->len, SIZE - c->len);

    if (n <= 0) {
        failed++;

        if (o.renew) {
            end(c);

        } else {
            close(c->fd);
            c->fd = -1;
        }

        return;
    }

    c->len += n;

    for (used = 0; c->len - used >= (size_t) o.length; used += o.length) {
        memcpy(&due, c->in + used, 8);

        if (due < begin) {
            continue;
        }

        received++;
        times[ntimes++] = (now() - due) / 1000;
    }

    c->len -= used;
    memmove(c->in, c->in + used, c->len);

    if (o.renew && used) {
        end(c);
    }
}


static int
compare(const void *one, const void *two)
{
    uint32_t  a, b;

    a = *(const uint32_t *) one;
    b = *(const uint32_t *) two;

    return (a > b) - (a < b);
}


static double
quantile(double q)
{
    return ntimes ? times[(size_t) (q * (ntimes - 1))] / 1000.0 : 0;
}


static void
load(void)
{
    int                 n, timer, wait;
    uint64_t            next, step, stop, time;
    struct epoll_event  ev[EVENTS];
    struct itimerspec   at;

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, NULL);

    step = 1000000000 / o.rate;
    next = now();
    begin = next + (uint64_t) o.warm * 1000000000;
    stop = begin + (uint64_t) o.seconds * 1000000000;
    memset(&at, 0, sizeof(at));

    for ( ;; ) {
        time = now();

        while (next <= time && next < stop) {
            message(next);
            next += step;
        }

        if (next >= stop && (received >= sent || time > stop + LATE)) {
            break;
        }

        wait = 100;

        if (next < stop) {
            at.it_value.tv_sec = next / 1000000000;
            at.it_value.tv_nsec = next % 1000000000;
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        }

        n = epoll_wait(ep, ev, EVENTS, wait);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr) {
                answers(ev[i].data.ptr);

            } else if (read(timer, &time, 8) == -1 && errno != EAGAIN) {
                fail("timer");
            }
        }
    }
}


int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    options(argc, argv);

    ep = epoll_create1(0);

    if (o.service) {
        service();
    }

    conns = calloc(o.conns, sizeof(conn_t));
    unused = calloc(o.conns, sizeof(conn_t *));
    times = malloc(sizeof(uint32_t) * (size_t) o.rate * (o.seconds + 1));

    if (conns == NULL || unused == NULL || times == NULL) {
        fail("memory");
    }

    for (int i = 0; i < o.conns; i++) {
        conns[i].fd = -1;

        if (o.renew) {
            unused[nfree++] = &conns[i];

        } else if (connection(&conns[i]) == -1) {
            fail("connect");
        }
    }

    load();
    qsort(times, ntimes, sizeof(uint32_t), compare);

    printf("sent=%llu received=%llu failed=%llu median=%.3f p90=%.3f p99=%.3f "
           "p999=%.3f max=%.3f\n", (unsigned long long) sent,
           (unsigned long long) received, (unsigned long long) failed,
           quantile(0.5), quantile(0.9), quantile(0.99), quantile(0.999),
           quantile(1));

    return 0;
}
