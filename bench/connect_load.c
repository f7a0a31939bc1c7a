
/*
 * Copyright (C) the trp authors
 */


/*
 * Load of short connections: so many clients at a time, each of which
 * connects, sends a request, reads until the service closes, and begins anew.
 *
 *     connect_load [options] ADDRESS PORT ...
 *
 *     -c N    clients (16), spread over the ports
 *     -d S    seconds (3)
 *     -1      one connection only
 *     -o N    instead: opens N connections, so many clients at a time, with
 *             a request on each, and keeps them until a line comes on
 *             standard input
 *
 * The time of a connection is from connect() to the end of the answer with
 * its FIN, in milliseconds.  A connection that is refused, reset, or has not
 * the answer that it should have, is an error; it has no time.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#define EVENTS   256
#define ANSWER   "hello, world\n"
#define TIMEOUT  10000000        /* us, for opening connections that stay */

typedef struct {
    int                 fd;
    int                 sent;
    size_t              len;
    uint64_t            begin;
    struct sockaddr_in  to;
    char                answer[1024];
} client_t;


static const char *request[2] = {
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
};

static int        nclients = 16, keep, once, ep;
static double     seconds = 3;
static client_t  *clients;
static uint32_t  *times;
static size_t     done, room, errors;


static void
die(const char *what)
{
    fprintf(stderr, "connect_load: %s: %s\n", what, strerror(errno));
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
start(client_t *c)
{
    int                 on = 1;
    struct epoll_event  ev = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                               { .ptr = c } };

    c->begin = clock_us();
    c->sent = 0;
    c->len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        die("socket");
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    if (connect(c->fd, (struct sockaddr *) &c->to, sizeof(c->to)) == -1
        && errno != EINPROGRESS)
    {
        close(c->fd);
        return -1;
    }

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        die("epoll_ctl");
    }

    return 0;
}


/* 1 when the exchange is over, 0 when there is more to come, -1 for errors */

static int
go_on(client_t *c, uint32_t events)
{
    size_t   size;
    ssize_t  n;

    if (!c->sent && (events & EPOLLOUT)) {
        size = strlen(request[keep != 0]);
        n = send(c->fd, request[keep != 0], size, MSG_NOSIGNAL);

        if (n != (ssize_t) size) {
            return -1;
        }

        c->sent = 1;
    }

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {

        for ( ;; ) {
            n = recv(c->fd, c->answer + c->len,
                     sizeof(c->answer) - 1 - c->len, 0);

            if (n == -1) {
                return errno == EAGAIN ? 0 : -1;
            }

            c->len += n;
            c->answer[c->len] = '\0';

            if (n == 0 || keep) {
                size = strlen(ANSWER);

                if (c->len > size && memcmp(c->answer, "HTTP/1.1 200", 12) == 0
                    && strcmp(c->answer + c->len - size, ANSWER) == 0)
                {
                    return 1;
                }

                if (n == 0) {
                    return -1;
                }
            }

            if (c->len == sizeof(c->answer) - 1) {
                return -1;
            }
        }
    }

    return 0;
}


static void
count(client_t *c)
{
    if (done == room) {
        room = room ? room * 2 : 65536;
        times = realloc(times, room * sizeof(times[0]));

        if (times == NULL) {
            die("realloc");
        }
    }

    times[done++] = clock_us() - c->begin;
}


static int
compare(const void *one, const void *two)
{
    uint32_t  a = *(const uint32_t *) one, b = *(const uint32_t *) two;

    return a < b ? -1 : a > b;
}


static double
at(double share)
{
    return done ? times[(size_t) (share * (done - 1))] / 1000.0 : 0;
}


static void
run(void)
{
    int                 i, n, rc;
    client_t           *c;
    uint64_t            begin, now, end;
    struct epoll_event  events[EVENTS];

    begin = clock_us();
    end = begin + seconds * 1000000;

    for (i = 0; i < nclients; i++) {
        if (start(&clients[i]) == -1) {
            die("connect");
        }
    }

    for (now = begin; now < end && !(once && done + errors); ) {
        n = epoll_wait(ep, events, EVENTS, (end - now) / 1000 + 1);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;
            rc = go_on(c, events[i].events);

            if (rc == 0) {
                continue;
            }

            if (rc == 1) {
                count(c);
            } else {
                errors++;
            }

            close(c->fd);

            while (start(c) == -1) {
                errors++;

                if (clock_us() >= end) {
                    break;
                }
            }
        }

        now = clock_us();
    }

    qsort(times, done, sizeof(times[0]), compare);

    printf("connections=%zu errors=%zu seconds=%.3f rate=%.1f p50=%.3f "
           "p90=%.3f p99=%.3f max=%.3f\n", done, errors,
           (now - begin) / 1e6, done / ((now - begin) / 1e6), at(0.5), at(0.9),
           at(0.99), at(1));
}


static void
open_all(void)
{
    int                 i, n, rc, opened, next;
    uint64_t            end;
    client_t           *c;
    struct epoll_event  events[EVENTS];

    end = clock_us() + TIMEOUT;

    for (opened = 0, next = 0; opened < keep; ) {

        for ( ; next < keep && next - opened < nclients; next++) {
            if (start(&clients[next]) == -1) {
                die("connect");
            }
        }

        n = epoll_wait(ep, events, EVENTS, 1000);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;
            rc = c->begin ? go_on(c, events[i].events) : -1;

            if (rc == -1) {
                fprintf(stderr, "connect_load: connection %d has ended\n",
                        (int) (c - clients));
                exit(1);
            }

            if (rc == 1) {
                c->begin = 0;
                opened++;
                end = clock_us() + TIMEOUT;
            }
        }

        if (clock_us() > end) {
            fprintf(stderr, "connect_load: %d opened, and no more\n", opened);
            exit(1);
        }
    }

    printf("open=%d\n", opened);
    fflush(stdout);

    (void) !read(0, events, sizeof(events));
}


int
main(int argc, char **argv)
{
    int            i, n, opt, nports;
    char         **ports;
    struct rlimit  rl;

    while ((opt = getopt(argc, argv, "c:d:1o:")) != -1) {
        switch (opt) {
        case 'c': nclients = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case '1': once = nclients = 1; break;
        case 'o': keep = atoi(optarg); break;
        default: return 2;
        }
    }

    nports = argc - optind - 1;

    if (nports < 1 || nclients < 1) {
        fprintf(stderr, "usage: connect_load [options] ADDRESS PORT ...\n");
        return 2;
    }

    signal(SIGPIPE, SIG_IGN);

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }

    n = keep ? keep : nclients;
    ports = argv + optind + 1;
    clients = calloc(n, sizeof(client_t));
    ep = epoll_create1(EPOLL_CLOEXEC);

    if (clients == NULL || ep == -1) {
        die("start");
    }

    for (i = 0; i < n; i++) {
        clients[i].to.sin_family = AF_INET;
        clients[i].to.sin_port = htons(atoi(ports[i % nports]));

        if (inet_pton(AF_INET, argv[optind], &clients[i].to.sin_addr) != 1) {
            die(argv[optind]);
        }
    }

    if (keep) {
        open_all();
    } else {
        run();
    }

    return errors && once;
}
