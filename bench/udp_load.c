
/*
 * Copyright (C) the trp authors
 */


/*
 * Load of datagrams: so many clients, each with a socket of its own, that send
 * datagrams at a fixed rate, spread evenly over time, to a service of this
 * program, which sends them back.
 *
 *     udp_load [options] SERVICE-PORT PORT
 *
 *     -n N    clients (1000)
 *     -r N    datagrams per second of all clients (10000)
 *     -l N    bytes of a datagram (160)
 *     -s S    seconds (3)
 *     -1      one datagram only: exits with 0 if it comes back within 1 s
 *
 * All sessions are made first.  Then "ready" is printed, a line is read from
 * standard input, and at the end the figures are printed: datagrams sent and
 * received by the clients, those lost, seconds, the median and the 99th
 * percentile of the round trip in milliseconds.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH   64
#define SIZE    2048
#define EVENTS  256
#define BUFFER  (8 * 1024 * 1024)
#define SETTLE  2000000          /* us, for the answers to the last ones */

static int       nclients = 1000, once, ep, *fds;
static size_t    len = 160;
static double    seconds = 3, rate = 10000;
static uint64_t  sent, received, begin;
static uint32_t *times;


static void
die(const char *what)
{
    fprintf(stderr, "udp_load: %s: %s\n", what, strerror(errno));
    exit(1);
}


static uint64_t
clock_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static int
local_socket(int port)
{
    int                 fd, size = BUFFER;
    struct sockaddr_in  sin = { .sin_family = AF_INET };

    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        die("socket");
    }

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin.sin_port = htons(port);

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        die("bind");
    }

    /* the service must not be what loses datagrams */

    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));

    return fd;
}


static void *
serve(void *data)
{
    int                  fd, i, n, done;
    struct iovec         iov[BATCH];
    static char          buf[BATCH][SIZE];
    struct mmsghdr       msg[BATCH];
    struct sockaddr_in   from[BATCH];

    fd = *(int *) data;

    for ( ;; ) {
        memset(msg, 0, sizeof(msg));

        for (i = 0; i < BATCH; i++) {
            iov[i].iov_base = buf[i];
            iov[i].iov_len = SIZE;
            msg[i].msg_hdr.msg_iov = &iov[i];
            msg[i].msg_hdr.msg_iovlen = 1;
            msg[i].msg_hdr.msg_name = &from[i];
            msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
        }

        n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);

        for (i = 0; i < n; i++) {
            iov[i].iov_len = msg[i].msg_len;
        }

        for (done = 0; done < n; done += i) {
            i = sendmmsg(fd, msg + done, n - done, 0);

            if (i <= 0) {
                i = 1;
            }
        }
    }

    return NULL;
}


static void
transmit(int fd)
{
    char      data[SIZE];
    uint64_t  now;

    now = clock_us();

    memset(data, 'x', len);
    memcpy(data, &now, sizeof(now));

    if (send(fd, data, len, 0) == (ssize_t) len) {
        sent++;
    }
}


static void
receive(int timeout)
{
    int                 i, n;
    char                data[SIZE];
    uint64_t            then;
    struct epoll_event  ev[EVENTS];

    n = epoll_wait(ep, ev, EVENTS, timeout);

    for (i = 0; i < n; i++) {

        while (recv(ev[i].data.fd, data, sizeof(data), MSG_DONTWAIT)
               == (ssize_t) len)
        {
            memcpy(&then, data, sizeof(then));

            if (then < begin) {

                /* an answer that comes late */
                continue;
            }

            times[received++ % (1 << 22)] = clock_us() - then;
        }
    }
}


static void
open_clients(int port)
{
    int                 i;
    struct epoll_event  ev = { .events = EPOLLIN };
    struct sockaddr_in  to = { .sin_family = AF_INET };

    ep = epoll_create1(EPOLL_CLOEXEC);
    fds = calloc(nclients, sizeof(int));
    times = calloc(1 << 22, sizeof(uint32_t));

    if (ep == -1 || fds == NULL || times == NULL) {
        die("no memory");
    }

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);

    for (i = 0; i < nclients; i++) {
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ev.data.fd = fds[i];

        if (fds[i] == -1
            || connect(fds[i], (struct sockaddr *) &to, sizeof(to)) == -1
            || epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev) == -1)
        {
            die("client");
        }
    }
}


/* every client sends until it has had an answer */

static void
warm_up(void)
{
    int       i, tries;
    uint64_t  before, until;

    for (tries = 0; tries < 30; tries++) {
        before = received;
        begin = clock_us();

        for (i = 0; i < nclients; i++) {
            transmit(fds[i]);

            if (i % 4 == 3) {
                receive(1);
            }
        }

        until = clock_us() + SETTLE;

        while (received - before < (uint64_t) nclients && clock_us() < until) {
            receive(1);
        }

        if (received - before == (uint64_t) nclients && tries) {
            return;
        }
    }

    fprintf(stderr, "udp_load: %ld of %d clients have an answer\n",
            (long) (received - before), nclients);
}


static void
load(void)
{
    uint64_t  now, due, until, last;

    begin = clock_us();
    until = begin + (uint64_t) (seconds * 1e6);
    sent = received = due = 0;

    while ((now = clock_us()) < until) {

        while (due < (uint64_t) ((now - begin) * rate / 1e6)) {
            transmit(fds[due++ % nclients]);
        }

        receive(1);
    }

    last = clock_us() + SETTLE;

    while (received < sent && clock_us() < last) {
        receive(1);
    }
}


static int
compare(const void *a, const void *b)
{
    uint32_t  x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}


int
main(int argc, char **argv)
{
    int            c, fd;
    char           line[16];
    size_t         n;
    uint64_t       until;
    pthread_t      thread;
    struct rlimit  rl;

    while ((c = getopt(argc, argv, "n:r:l:s:1")) != -1) {
        switch (c) {
        case 'n': nclients = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'l': len = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case '1': once = 1; nclients = 1; break;
        default: return 2;
        }
    }

    if (argc - optind != 2 || len < sizeof(uint64_t) || len > SIZE) {
        fprintf(stderr, "usage: udp_load [options] SERVICE-PORT PORT\n");
        return 2;
    }

    rl.rlim_cur = rl.rlim_max = nclients + 1024;
    setrlimit(RLIMIT_NOFILE, &rl);

    fd = local_socket(atoi(argv[optind]));

    if (pthread_create(&thread, NULL, serve, &fd) != 0) {
        die("thread");
    }

    open_clients(atoi(argv[optind + 1]));

    if (once) {
        transmit(fds[0]);
        until = clock_us() + 1000000;

        while (received == 0 && clock_us() < until) {
            receive(10);
        }

        return received == 0;
    }

    warm_up();

    printf("ready\n");
    fflush(stdout);

    if (fgets(line, sizeof(line), stdin) == NULL) {
        return 1;
    }

    load();

    n = received < (1 << 22) ? received : (1 << 22);
    qsort(times, n, sizeof(uint32_t), compare);

    printf("sent=%ld received=%ld lost=%ld seconds=%.3f median=%.3f "
           "p99=%.3f\n", (long) sent, (long) received, (long) (sent - received),
           seconds, n ? times[n / 2] / 1e3 : 0., n ? times[n * 99 / 100] / 1e3
                                                   : 0.);
    return 0;
}
