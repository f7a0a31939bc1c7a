
/*
 * Copyright (C) the trp authors
 */


/*
 * Load for a SOCKS5 proxy, or for a plain chain of proxies, and the server
 * behind it: 127.0.0.1 and a port of its own, TCP and UDP.
 *
 *     socks_load [options] ADDRESS PORT        of the proxy
 *
 *     -S      SOCKS5; without it, connections there lead to the server
 *     -t N    port of the server
 *     -c      new connections: a request and its answer each
 *     -a      with -c and -S: greeting, CONNECT and request go at once
 *     -u      bytes of one stream to the server, -d from it
 *     -p      datagrams, which the server sends back
 *     -n N    connections or associations at a time (1)
 *     -s S    seconds (1), after a quarter of one that does not count
 *     -l N    bytes of a request, an answer, a datagram (100)
 *     -W N    datagrams in flight for each association (32)
 *     -1      one connection or datagram, no load: is the way there?
 *     -i      waits for a line on standard input before what counts
 *
 * The server has a thread of its own.  It closes a connection first, when it
 * has answered.  Datagrams are lost when nothing has come for 0.2 s.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH     32
#define CHUNK     131072
#define HEADER    10             /* of SOCKS5, with an IPv4 address */
#define WARM      250000
#define PATIENCE  5000000

typedef enum { CONNECT, GREET, REQUEST, ASK, END, PACKETS } state_e;

typedef struct {
    int       fd, udp;
    state_e   state;
    size_t    got, wanted;
    uint64_t  moved;
    int64_t   flying;
} client_t;

typedef struct {
    int       fd;
    uint8_t   what;
    size_t    got;
} peer_t;


static struct {
    int     socks, all, port, clients, length, window, once, interactive;
    int     mode;
    double  seconds;
} o = { 0, 0, 0, 1, 100, 32, 0, 0, 0, 1 };

static struct {
    uint64_t  done, errors, sent, lost, received;
} n;

static struct sockaddr_in  proxy, server;
static uint64_t            sunk;              /* bytes that the server got */
static int                 ep, ending, left;
static uint64_t            now;


static void
die(const char *what)
{
    fprintf(stderr, "socks_load: %s: %s\n", what, strerror(errno));
    exit(1);
}


static uint64_t
clock_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
watch(int epfd, int fd, uint32_t events, void *data)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = data;

    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ee) == -1
        && epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ee) == -1)
    {
        die("epoll_ctl");
    }
}


static int
bound(int type)
{
    int  fd, on = 1, size = 4 << 20;

    fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

    if (fd == -1) {
        die("socket");
    }

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));

    if (type == SOCK_DGRAM) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }

    if (bind(fd, (struct sockaddr *) &server, sizeof(server)) == -1
        || (type == SOCK_STREAM && listen(fd, 4096) == -1))
    {
        die("bind");
    }

    return fd;
}


/* the server */

static void
echo(int fd)
{
    int  i, got, sent;

    static struct mmsghdr      msgs[BATCH];
    static struct iovec        iovs[BATCH];
    static struct sockaddr_in  addrs[BATCH];
    static uint8_t             bufs[BATCH][2048];

    do {
        for (i = 0; i < BATCH; i++) {
            iovs[i].iov_base = bufs[i];
            iovs[i].iov_len = sizeof(bufs[i]);
            msgs[i].msg_hdr.msg_iov = &iovs[i];
            msgs[i].msg_hdr.msg_iovlen = 1;
            msgs[i].msg_hdr.msg_name = &addrs[i];
            msgs[i].msg_hdr.msg_namelen = sizeof(addrs[i]);
        }

        got = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);

        for (i = 0; i < got; i++) {
            iovs[i].iov_len = msgs[i].msg_len;
        }

        for (i = 0; i < got; i += sent > 0 ? sent : 1) {
            sent = sendmmsg(fd, msgs + i, got - i, 0);
        }

    } while (got == BATCH);
}


/* what a connection wants is in its first byte; true if it has ended */

static int
serve(peer_t *p)
{
    ssize_t  rc;

    static uint8_t  in[2 * CHUNK], out[CHUNK];

    if (p->what == 'd') {
        do {
            rc = send(p->fd, out, sizeof(out), MSG_NOSIGNAL);
        } while (rc > 0);

        return errno != EAGAIN;
    }

    for ( ;; ) {
        rc = recv(p->fd, in, sizeof(in), 0);

        if (rc <= 0) {
            return rc == 0 || errno != EAGAIN;
        }

        if (p->what == 0) {
            p->what = in[0];
        }

        p->got += rc;

        switch (p->what) {
        case 'c':
            if (p->got >= (size_t) o.length) {
                return send(p->fd, out, o.length, MSG_NOSIGNAL), 1;
            }

            break;

        case 'u':
            __atomic_add_fetch(&sunk, rc, __ATOMIC_RELAXED);
            break;

        case 'd':
            return 0;
        }
    }
}


static void *
run_server(void *data)
{
    int                 i, got, fd, epfd, *fds = data;
    peer_t             *p;
    struct epoll_event  list[256];

    epfd = epoll_create1(0);
    watch(epfd, fds[0], EPOLLIN, &fds[0]);
    watch(epfd, fds[1], EPOLLIN, &fds[1]);

    for ( ;; ) {
        got = epoll_wait(epfd, list, 256, -1);

        for (i = 0; i < got; i++) {
            if (list[i].data.ptr == &fds[1]) {
                echo(fds[1]);
                continue;
            }

            if (list[i].data.ptr != &fds[0]) {
                p = list[i].data.ptr;

                if (serve(p)) {
                    close(p->fd);
                    free(p);

                } else if (p->what == 'd') {
                    watch(epfd, p->fd, EPOLLOUT, p);
                }

                continue;
            }

            while ((fd = accept4(fds[0], NULL, NULL, SOCK_NONBLOCK)) != -1) {
                p = calloc(1, sizeof(peer_t));
                p->fd = fd;
                watch(epfd, fd, EPOLLIN, p);
            }
        }
    }

    return NULL;
}


/* SOCKS5 */

static size_t
address(uint8_t *p, const struct sockaddr_in *sin)
{
    p[0] = 1;
    memcpy(p + 1, &sin->sin_addr, 4);
    memcpy(p + 5, &sin->sin_port, 2);

    return 7;
}


static void
put(client_t *c, const void *data, size_t len)
{
    if (send(c->fd, data, len, MSG_NOSIGNAL) != (ssize_t) len) {
        n.errors++;
    }

    c->got = 0;
}


static void
greet(client_t *c)
{
    c->state = GREET;
    put(c, "\005\001", 3);
}


static void
request(client_t *c)
{
    uint8_t             buf[HEADER] = { 5, o.mode == 'p' ? 3 : 1 };
    struct sockaddr_in  any = { .sin_family = AF_INET };

    c->state = REQUEST;
    address(buf + 3, o.mode == 'p' ? &any : &server);
    put(c, buf, HEADER);
}


/* a connection, not blocking */

static void
begin(client_t *c)
{
    int  on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (c->fd == -1) {
        die("socket");
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    if (connect(c->fd, (struct sockaddr *) &proxy, sizeof(proxy)) == -1
        && errno != EINPROGRESS)
    {
        die("connect");
    }

    c->state = CONNECT;
    c->moved = now;
    watch(ep, c->fd, EPOLLOUT, c);
}


static void
again(client_t *c, int failed)
{
    close(c->fd);

    if (failed) {
        n.errors++;

        if (o.once) {
            exit(1);
        }

        if (n.errors > 1000) {
            fprintf(stderr, "socks_load: too many errors\n");
            exit(1);
        }

    } else {
        n.done++;
    }

    if (ending) {
        left--;
        c->fd = -1;
        return;
    }

    begin(c);
}


static void
ask(client_t *c)
{
    uint8_t  buf[2048] = { 'c' };

    c->state = ASK;
    c->wanted = o.length;
    put(c, buf, o.length);
}


/* without a look at the replies: the length of all answers is enough */

static void
ask_at_once(client_t *c)
{
    uint8_t  buf[2048] = { 5, 1, 0, 5, 1 };
    size_t   len;

    len = 6 + address(buf + 6, &server);
    buf[len] = 'c';

    c->state = ASK;
    c->wanted = 2 + HEADER + o.length;
    put(c, buf, len + o.length);
}


static void
associated(client_t *c, const uint8_t *reply)
{
    int                 size = 1 << 20;
    struct sockaddr_in  to = proxy;

    if (reply) {
        memcpy(&to.sin_addr, reply + 4, 4);
        memcpy(&to.sin_port, reply + 8, 2);
    }

    c->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(c->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));

    if (connect(c->udp, (struct sockaddr *) &to, sizeof(to)) == -1) {
        die("connect");
    }

    c->state = PACKETS;
    watch(ep, c->udp, EPOLLIN, c);
}


static void
progress(client_t *c)
{
    ssize_t  rc;
    uint8_t  buf[4096];

    static const size_t  wanted[] = { 0, 2, HEADER };

    if (c->state == CONNECT) {
        watch(ep, c->fd, EPOLLIN, c);

        if (o.all) {
            ask_at_once(c);
        } else if (o.socks) {
            greet(c);
        } else {
            ask(c);
        }

        return;
    }

    rc = recv(c->fd, buf, sizeof(buf), 0);

    if (rc <= 0) {
        if (rc == 0 || errno != EAGAIN) {
            again(c, c->state != END);    /* coturn ends with a reset */
        }

        return;
    }

    c->moved = now;
    c->got += rc;

    switch (c->state) {

    case GREET:
    case REQUEST:

        /* these few bytes come at once, on the loopback */

        if (c->got != wanted[c->state] || buf[0] != 5 || buf[1] != 0) {
            if (n.errors == 0) {
                fprintf(stderr, "socks_load: answer of %zu bytes, code %d\n",
                        c->got, buf[1]);
            }

            again(c, 1);

        } else if (c->state == GREET) {
            request(c);

        } else if (o.mode == 'p') {
            associated(c, buf);

        } else {
            ask(c);
        }

        break;

    case ASK:
        if (c->got >= c->wanted) {
            c->state = END;
        }

        break;

    default:
        again(c, 1);
    }
}


/* datagrams */

static void
fly(client_t *c, int64_t count)
{
    int      i, batch;
    size_t   at;
    uint8_t  buf[2048] = { 0 };

    struct iovec    iov;
    struct mmsghdr  msgs[BATCH];

    at = o.socks ? 3 + address(buf + 3, &server) : 0;
    iov.iov_base = buf;
    iov.iov_len = at + o.length;

    while (count > 0) {
        batch = count < BATCH ? count : BATCH;
        memset(msgs, 0, sizeof(msgs));

        for (i = 0; i < batch; i++) {
            msgs[i].msg_hdr.msg_iov = &iov;
            msgs[i].msg_hdr.msg_iovlen = 1;
        }

        i = sendmmsg(c->udp, msgs, batch, 0);

        if (i <= 0) {
            n.errors++;
            return;
        }

        n.sent += i;
        c->flying += i;
        count -= i;
    }
}


static void
land(client_t *c)
{
    int  i, got;

    static uint8_t  bufs[BATCH][2048];

    struct iovec    iovs[BATCH];
    struct mmsghdr  msgs[BATCH];

    do {
        memset(msgs, 0, sizeof(msgs));

        for (i = 0; i < BATCH; i++) {
            iovs[i].iov_base = bufs[i];
            iovs[i].iov_len = sizeof(bufs[i]);
            msgs[i].msg_hdr.msg_iov = &iovs[i];
            msgs[i].msg_hdr.msg_iovlen = 1;
        }

        got = recvmmsg(c->udp, msgs, BATCH, MSG_DONTWAIT, NULL);

        for (i = 0; i < got; i++) {
            if (msgs[i].msg_len
                != (unsigned) (o.socks ? HEADER : 0) + o.length)
            {
                n.errors++;
            }
        }

        if (got > 0) {
            n.received += got;
            c->flying -= got;
            c->moved = now;
        }

    } while (got == BATCH);

    if (c->flying < 0) {                     /* one that came late */
        c->flying = 0;
    }

    fly(c, o.window - c->flying);
}


static void
idle(client_t *clients)
{
    int        i;
    client_t  *c;

    for (i = 0; i < o.clients; i++) {
        c = &clients[i];

        if (c->fd == -1) {
            continue;
        }

        if (c->state == PACKETS) {
            if (now - c->moved > 200000) {
                n.lost += c->flying;
                c->flying = 0;
                c->moved = now;
                fly(c, o.window);
            }

        } else if (now - c->moved > PATIENCE) {
            fprintf(stderr, "socks_load: no answer, state %d\n", c->state);
            again(c, 1);
        }
    }
}


static void
events(client_t *clients)
{
    int                 i, got;
    client_t           *c;
    struct epoll_event  list[256];

    static uint64_t  looked;

    got = epoll_wait(ep, list, 256, 50);
    now = clock_us();

    for (i = 0; i < got; i++) {
        c = list[i].data.ptr;

        if (c->state == PACKETS) {
            land(c);
        } else {
            progress(c);
        }
    }

    if (now - looked > 50000) {
        looked = now;
        idle(clients);
    }
}


/* one stream, blocking */

static void
exact(int fd, uint8_t *buf, size_t len)
{
    if (recv(fd, buf, len, MSG_WAITALL) != (ssize_t) len || buf[1] != 0) {
        die("SOCKS5");
    }
}


static int
stream(void)
{
    int       fd;
    uint8_t   buf[HEADER];
    client_t  c = { 0 };

    c.fd = fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *) &proxy, sizeof(proxy)) == -1) {
        die("connect");
    }

    if (o.socks) {
        greet(&c);
        exact(fd, buf, 2);
        request(&c);
        exact(fd, buf, HEADER);
    }

    put(&c, &(char) { o.mode }, 1);

    return fd;
}


static void
wait_line(void)
{
    char  buf[64];

    if (o.interactive) {
        printf("ready\n");
        fflush(stdout);
        (void) !fgets(buf, sizeof(buf), stdin);
    }
}


static void
bulk(void)
{
    int             fd;
    ssize_t         rc;
    uint64_t        from, end, start, bytes;
    struct timeval  tv = { 5, 0 };

    static uint8_t  buf[2 * CHUNK];

    fd = stream();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));

    bytes = start = 0;
    from = clock_us() + WARM;
    end = UINT64_MAX;

    for ( ;; ) {
        now = clock_us();

        if (start == 0 && now >= from) {
            wait_line();
            now = start = clock_us();
            end = start + (uint64_t) (o.seconds * 1e6);
            bytes = o.mode == 'u' ? __atomic_load_n(&sunk, __ATOMIC_RELAXED)
                                  : 0;
        }

        if (now >= end) {
            break;
        }

        rc = o.mode == 'u' ? send(fd, buf, CHUNK, MSG_NOSIGNAL)
                           : recv(fd, buf, sizeof(buf), 0);
        if (rc <= 0) {
            die("stream");
        }

        bytes += o.mode == 'd' ? rc : 0;
    }

    if (o.mode == 'u') {
        bytes = __atomic_load_n(&sunk, __ATOMIC_RELAXED) - bytes;
    }

    printf("bytes=%ju seconds=%.3f errors=0\n", (uintmax_t) bytes,
           (now - start) / 1e6);
}


static void
many(void)
{
    int        i;
    client_t  *clients;
    uint64_t   start, end;

    clients = calloc(o.clients, sizeof(client_t));
    ep = epoll_create1(0);
    now = clock_us();

    for (i = 0; i < o.clients; i++) {
        clients[i].moved = now;

        if (o.mode == 'p' && !o.socks) {
            associated(&clients[i], NULL);
            fly(&clients[i], o.window);

        } else {
            begin(&clients[i]);
        }
    }

    if (o.once) {
        end = now + 1000000;

        while (n.done + n.received == 0 && now < end) {
            events(clients);
        }

        exit(n.done + n.received == 0);
    }

    for (end = now + WARM; now < end; /* void */ ) {
        events(clients);
    }

    wait_line();
    memset(&n, 0, sizeof(n));
    start = now = clock_us();

    for (end = now + (uint64_t) (o.seconds * 1e6); now < end; /* void */ ) {
        events(clients);
    }

    printf("done=%ju errors=%ju sent=%ju received=%ju lost=%ju"
           " seconds=%.3f\n",
           (uintmax_t) n.done, (uintmax_t) n.errors, (uintmax_t) n.sent,
           (uintmax_t) n.received, (uintmax_t) n.lost, (now - start) / 1e6);
    fflush(stdout);

    /* the next one shall not find what this one has left half done */

    ending = 1;
    left = o.clients;

    for (end = now + 1000000; o.mode == 'c' && left && now < end; /* void */ ) {
        events(clients);
    }
}


int
main(int argc, char **argv)
{
    int        c, fds[2];
    pthread_t  thread;

    while ((c = getopt(argc, argv, "Sat:cudpn:s:l:W:1i")) != -1) {
        switch (c) {
        case 'S': o.socks = 1; break;
        case 'a': o.all = 1; break;
        case 't': o.port = atoi(optarg); break;
        case 'n': o.clients = atoi(optarg); break;
        case 's': o.seconds = atof(optarg); break;
        case 'l': o.length = atoi(optarg); break;
        case 'W': o.window = atoi(optarg); break;
        case '1': o.once = 1; break;
        case 'i': o.interactive = 1; break;
        case '?': exit(2);
        default: o.mode = c;
        }
    }

    o.all = o.all && o.socks;
    proxy.sin_family = server.sin_family = AF_INET;

    if (argc - optind != 2 || !o.mode || !o.port || o.clients < 1
        || o.length < 1 || o.length > 1400
        || inet_pton(AF_INET, argv[optind], &proxy.sin_addr) != 1)
    {
        fprintf(stderr, "usage: socks_load [options] ADDRESS PORT\n");
        exit(2);
    }

    proxy.sin_port = htons(atoi(argv[optind + 1]));
    server.sin_port = htons(o.port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    signal(SIGPIPE, SIG_IGN);

    fds[0] = bound(SOCK_STREAM);
    fds[1] = bound(SOCK_DGRAM);

    if (pthread_create(&thread, NULL, run_server, fds) != 0) {
        die("pthread_create");
    }

    if (o.mode == 'u' || o.mode == 'd') {
        bulk();
    } else {
        many();
    }

    fflush(stdout);
    _exit(0);
}
