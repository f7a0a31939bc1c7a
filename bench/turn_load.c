
/*
 * Copyright (C) the trp authors
 */


/*
 * Load for a TURN server: allocates with long-term credentials, binds a
 * channel for each client to an echo peer of its own, and sends datagrams to
 * it at a rate or with so many in flight.  Each datagram is told apart, so
 * that what is lost, late, duplicated or changed is counted.
 *
 *     turn_load [options] ADDRESS PORT
 *
 *     -u USER -w PASSWORD  (user, pass)
 *     -m N    clients (1)           -l BYTES  of each datagram (160)
 *     -t      TCP                   -S        TLS
 *     -L A    local address         -e A      address of the peer (127.0.0.1)
 *     -r N    datagrams/s in all    -W N      in flight for each client
 *     -d S    seconds; without it until SIGTERM
 *     -k N    clients that set up at a time (64)
 *     -n      no channels           -s        Send instead of channels
 *     -R MS   a request of some client every MS milliseconds, all along
 *     -c MS   every MS milliseconds a client starts anew
 *     -g      GSO and GRO on this side
 *     -v      progress every 100 ms
 *     -i      waits for a line on standard input before and after the data
 *
 * With neither -r nor -W it only allocates and, until the end, waits.
 * Requests are sent again as RFC 8489 says: after 0.5 s, then twice as long
 * each time, seven times in all.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
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

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT  103
#define UDP_GRO      104
#endif

#define COOKIE    0x2112A442
#define BATCH     64
#define CHUNK     65536
#define SEEN      2048           /* datagrams in which a duplicate is seen */
#define CHANNEL   0x4000

enum { ALLOCATE = 3, REFRESH, SEND = 6, DATA, PERMISSION = 8, BIND };

enum {
    A_USERNAME = 0x06, A_INTEGRITY = 0x08, A_ERROR = 0x09, A_CHANNEL = 0x0c,
    A_LIFETIME = 0x0d, A_PEER = 0x12, A_DATA = 0x13, A_REALM = 0x14,
    A_NONCE = 0x15, A_FAMILY = 0x17, A_TRANSPORT = 0x19
};

typedef enum { NEW, SETUP, READY, DRAIN, DELETE, GONE } state_e;

typedef struct {
    int       fd;
    SSL      *ssl;
    state_e   state;
    uint32_t  index;

    uint8_t   request[640];
    size_t    request_len;
    int       method;            /* of the request, 0 if none is pending */
    int       tries;
    int       refusals;
    uint64_t  due;               /* when it is sent again */
    uint8_t   realm[128], nonce[160];
    size_t    realm_len, nonce_len;
    uint8_t   key[16];

    uint32_t  seq;
    uint64_t  sent, received, lost, moved;
    uint64_t  seen[SEEN / 64];
    uint32_t  highest;

    uint8_t  *in, *out;          /* of a stream */
    size_t    in_len, out_len;
} client_t;


static struct {
    const char *user, *password, *local;
    int         clients, length, tcp, tls, rate, window, setup, channels, send;
    int         requests, renew, gso, verbose, interactive;
    double      seconds;
} o = { "user", "pass", NULL, 1, 160, 0, 0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, -1 };

static struct {
    uint64_t  sent, at_peer, received, lost, duplicate, wrong;
    uint64_t  requests, answers, again, errors, unanswered;
    uint64_t  allocations, mismatches;
} n;

static struct sockaddr_storage  server, peer_addr;
static socklen_t                server_len, peer_len;
static client_t                *clients;
static int                      ep, peer = -1, busy, ready, next_new;
static uint64_t                 now;
static uint8_t                  pattern[CHUNK];
static SSL_CTX                 *ssl_ctx;
static volatile sig_atomic_t    stop;

static struct mmsghdr           msgs[BATCH];
static struct iovec             iovs[BATCH];
static struct sockaddr_storage  addrs[BATCH];
static uint8_t                 *bufs[BATCH];
static char                     ctls[BATCH][CMSG_SPACE(sizeof(int))];

static void start(client_t *c);


static void
die(const char *what)
{
    fprintf(stderr, "turn_load: %s: %s\n", what, strerror(errno));
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
put16(uint8_t *p, unsigned v)
{
    p[0] = v >> 8;
    p[1] = v;
}


static void
put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}


static unsigned
get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}


static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t) get16(p) << 16 | get16(p + 2);
}


static socklen_t
address(struct sockaddr_storage *ss, const char *text, int port)
{
    struct sockaddr_in   *v4 = (struct sockaddr_in *) ss;
    struct sockaddr_in6  *v6 = (struct sockaddr_in6 *) ss;

    memset(ss, 0, sizeof(*ss));

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof(*v4);
    }

    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof(*v6);
    }

    fprintf(stderr, "turn_load: not an address: %s\n", text);
    exit(2);
}


/* messages */

static void
attribute(client_t *c, unsigned type, const void *data, size_t len)
{
    uint8_t  *p = c->request + c->request_len;

    put16(p, type);
    put16(p + 2, len);
    memset(p + 4, 0, (len + 3) & ~(size_t) 3);
    memcpy(p + 4, data, len);
    c->request_len += 4 + ((len + 3) & ~(size_t) 3);
}


static size_t
xor_address(uint8_t *p, const uint8_t *id)
{
    struct sockaddr_in   *v4 = (struct sockaddr_in *) &peer_addr;
    struct sockaddr_in6  *v6 = (struct sockaddr_in6 *) &peer_addr;
    size_t                i;

    if (peer_addr.ss_family == AF_INET) {
        put16(p, 1);
        put16(p + 2, ntohs(v4->sin_port) ^ COOKIE >> 16);
        put32(p + 4, ntohl(v4->sin_addr.s_addr) ^ COOKIE);
        return 8;
    }

    put16(p, 2);
    put16(p + 2, ntohs(v6->sin6_port) ^ COOKIE >> 16);
    memcpy(p + 4, &v6->sin6_addr, 16);

    for (i = 0; i < 16; i++) {
        p[4 + i] ^= i < 4 ? (uint8_t) (COOKIE >> (24 - 8 * i)) : id[i - 4];
    }

    return 20;
}


static void
transmit_stream(client_t *c, const uint8_t *data, size_t len)
{
    ssize_t  rc;

    if (len) {
        if (c->out_len + len > 8 * CHUNK) {
            n.errors++;
            return;
        }

        memcpy(c->out + c->out_len, data, len);
        c->out_len += len;
    }

    while (c->out_len) {
        rc = c->ssl ? SSL_write(c->ssl, c->out, c->out_len)
                    : send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

        if (rc <= 0) {
            return;
        }

        c->out_len -= rc;
        memmove(c->out, c->out + rc, c->out_len);
    }
}


static void
transmit(client_t *c)
{
    if (o.tcp) {
        transmit_stream(c, c->request, c->request_len);

    } else {
        (void) !send(c->fd, c->request, c->request_len, 0);
    }
}


static void
request(client_t *c, int method, uint32_t lifetime)
{
    uint8_t       buf[20], mac[20];
    unsigned int  len;

    c->method = method;
    c->tries = 1;
    c->due = now + 500000;

    put16(c->request, method);
    put32(c->request + 4, COOKIE);
    RAND_bytes(c->request + 8, 12);
    c->request_len = 20;

    if (method == ALLOCATE) {
        put32(buf, 17u << 24);
        attribute(c, A_TRANSPORT, buf, 4);

        if (peer_addr.ss_family == AF_INET6) {
            put32(buf, 2u << 24);
            attribute(c, A_FAMILY, buf, 4);
        }
    }

    if (method == REFRESH) {
        put32(buf, lifetime);
        attribute(c, A_LIFETIME, buf, 4);
    }

    if (method == BIND) {
        put32(buf, (uint32_t) CHANNEL << 16);
        attribute(c, A_CHANNEL, buf, 4);
    }

    if (method == BIND || method == PERMISSION) {
        attribute(c, A_PEER, buf, xor_address(buf, c->request + 8));
    }

    if (c->nonce_len) {
        attribute(c, A_USERNAME, o.user, strlen(o.user));
        attribute(c, A_REALM, c->realm, c->realm_len);
        attribute(c, A_NONCE, c->nonce, c->nonce_len);

        put16(c->request + 2, c->request_len - 20 + 24);
        HMAC(EVP_sha1(), c->key, 16, c->request, c->request_len, mac, &len);
        attribute(c, A_INTEGRITY, mac, 20);
    }

    put16(c->request + 2, c->request_len - 20);

    n.requests++;
    transmit(c);
}


static const uint8_t *
find(const uint8_t *p, size_t len, unsigned type, size_t *size)
{
    size_t  i, l;

    for (i = 20; i + 4 <= len; i += 4 + ((l + 3) & ~(size_t) 3)) {
        l = get16(p + i + 2);

        if (i + 4 + l > len) {
            break;
        }

        if (get16(p + i) == type) {
            *size = l;
            return p + i + 4;
        }
    }

    return NULL;
}


static int
genuine(client_t *c, const uint8_t *p, size_t len)
{
    size_t          size, end;
    uint8_t         copy[1500], mac[20];
    unsigned int    l;
    const uint8_t  *a;

    a = find(p, len, A_INTEGRITY, &size);

    if (a == NULL || size != 20 || len > sizeof(copy)) {
        return 0;
    }

    end = a - 4 - p;
    memcpy(copy, p, end);
    put16(copy + 2, end - 20 + 24);
    HMAC(EVP_sha1(), c->key, 16, copy, end, mac, &l);

    return memcmp(mac, a, 20) == 0;
}


/* takes realm and nonce of a 401 or 438; says whether to try again */

static int
challenge(client_t *c, const uint8_t *p, size_t len, int code)
{
    char            text[512];
    size_t          size;
    unsigned int    l;
    const uint8_t  *a;

    if ((code != 401 && code != 438) || ++c->refusals > 3
        || (code == 401 && c->nonce_len))
    {
        return 0;
    }

    a = find(p, len, A_NONCE, &size);

    if (a == NULL || size > sizeof(c->nonce)) {
        return 0;
    }

    c->nonce_len = size;
    memcpy(c->nonce, a, size);

    a = find(p, len, A_REALM, &size);

    if (a == NULL || size > sizeof(c->realm)) {
        return 0;
    }

    c->realm_len = size;
    memcpy(c->realm, a, size);

    l = snprintf(text, sizeof(text), "%s:%.*s:%s", o.user, (int) size,
                 (const char *) a, o.password);

    return EVP_Digest(text, l, c->key, &l, EVP_md5(), NULL);
}


static void
give_up(client_t *c)
{
    busy++;
    c->state = DELETE;
    request(c, REFRESH, 0);
}


static void
leave(client_t *c)
{
    busy -= c->state == SETUP || c->state == DELETE;
    c->state = GONE;

    if (c->ssl) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }

    close(c->fd);
    c->fd = -1;
}


static void
refused(client_t *c, int method, int code)
{
    if (method == ALLOCATE && code == 437 && ++n.mismatches < 1000) {
        leave(c);
        start(c);                                /* from another port */
        return;
    }

    n.errors++;
    fprintf(stderr, "turn_load: client %u: method %d: %d\n", c->index, method,
            code);

    if (c->state != READY) {
        leave(c);
    }
}


static void
response(client_t *c, const uint8_t *p, size_t len)
{
    int             code, method;
    size_t          size;
    unsigned        type;
    const uint8_t  *a;

    type = get16(p);

    if (!c->method || memcmp(p + 8, c->request + 8, 12) != 0) {
        return;                                  /* answers a repetition */
    }

    method = c->method;
    c->method = 0;
    n.answers++;

    if ((type & 0x0110) == 0x0110) {
        a = find(p, len, A_ERROR, &size);
        code = a && size >= 4 ? (a[2] & 7) * 100 + a[3] : 0;

        if (challenge(c, p, len, code)) {
            request(c, method, c->state == DELETE ? 0 : 600);
            return;
        }

        refused(c, method, code);
        return;
    }

    if (!genuine(c, p, len)) {
        refused(c, method, -1);
        return;
    }

    c->refusals = 0;

    if (c->state == DELETE) {
        leave(c);
        return;
    }

    if (c->state != SETUP) {
        return;
    }

    if (method == ALLOCATE) {
        n.allocations++;

        if (o.channels) {
            request(c, o.send ? PERMISSION : BIND, 0);
            return;
        }
    }

    c->state = READY;
    c->moved = now;
    ready++;
    busy--;
}


/* data: channel header or Send, then client, number, pattern */

static size_t
data(client_t *c, uint8_t *p)
{
    size_t    len, head;
    uint8_t  *start = p;

    if (o.send) {
        put16(p, SEND | 0x10);
        put32(p + 4, COOKIE);
        memset(p + 8, 0, 12);
        put32(p + 8, c->seq);
        len = xor_address(p + 24, p + 8);
        put16(p + 20, A_PEER);
        put16(p + 22, len);
        p += 24 + len;
        put16(p, A_DATA);
        put16(p + 2, o.length);
        p += 4;
        head = p - start;
        len = head + ((o.length + 3) & ~3);
        put16(start + 2, len - 20);

    } else {
        put16(p, CHANNEL);
        put16(p + 2, o.length);
        p += 4;
        len = 4 + (o.tcp ? (o.length + 3) & ~3 : o.length);
    }

    put32(p, c->index);
    put32(p + 4, c->seq++);
    memcpy(p + 8, pattern, len - (p - start) - 8);

    c->sent++;
    n.sent++;

    return len;
}


static void
send_data(client_t *c, int count)
{
    int              i, sent, per;
    size_t           len;
    uint8_t          buf[2048];
    struct msghdr   *msg;
    struct cmsghdr  *cmsg;

    if (o.tcp) {
        for (i = 0; i < count; i++) {
            transmit_stream(c, buf, data(c, buf));
        }

        return;
    }

    while (count > 0) {
        per = o.gso ? 60000 / (o.length + 4) : 1;
        per = per > 60 ? 60 : per;

        for (i = 0; i < BATCH && count > 0; i++) {
            msg = &msgs[i].msg_hdr;
            memset(msg, 0, sizeof(*msg));
            msg->msg_iov = &iovs[i];
            msg->msg_iovlen = 1;
            iovs[i].iov_base = bufs[i];
            iovs[i].iov_len = 0;

            for (sent = 0; sent < per && count > 0; sent++, count--) {
                len = data(c, bufs[i] + iovs[i].iov_len);
                iovs[i].iov_len += len;
            }

            if (sent > 1) {
                msg->msg_control = ctls[i];
                msg->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
                cmsg = CMSG_FIRSTHDR(msg);
                cmsg->cmsg_level = SOL_UDP;
                cmsg->cmsg_type = UDP_SEGMENT;
                cmsg->cmsg_len = CMSG_LEN(sizeof(uint16_t));
                *(uint16_t *) CMSG_DATA(cmsg) = len;
            }
        }

        /* what does not fit is lost, and counted so */

        if (sendmmsg(c->fd, msgs, i, 0) != i && errno != EAGAIN
            && errno != ECONNREFUSED)
        {
            die("sendmmsg");
        }
    }
}


static void
echoed(client_t *c, const uint8_t *p, size_t len)
{
    uint32_t  seq, i;

    if (len != (size_t) o.length || get32(p) != c->index
        || memcmp(p + 8, pattern, len - 8) != 0)
    {
        n.wrong++;
        return;
    }

    seq = get32(p + 4);

    if ((int32_t) (seq - c->highest) > 0) {
        for (i = c->highest + 1; i != seq && i - c->highest <= SEEN; i++) {
            c->seen[i % SEEN / 64] &= ~(1ULL << i % 64);
        }

        c->highest = seq;

    } else if (c->highest - seq >= SEEN
               || (c->seen[seq % SEEN / 64] & 1ULL << seq % 64))
    {
        n.duplicate++;
        return;
    }

    c->seen[seq % SEEN / 64] |= 1ULL << seq % 64;

    if (c->lost) {
        c->lost--;
        n.lost--;
    }

    c->received++;
    n.received++;
    c->moved = now;
}


static void
message(client_t *c, const uint8_t *p, size_t len)
{
    size_t          size;
    uint8_t         from[20];
    const uint8_t  *a;

    if (len >= 4 && get16(p) == CHANNEL && 4u + get16(p + 2) <= len) {
        echoed(c, p + 4, get16(p + 2));
        return;
    }

    if (len < 20 || p[0] > 3 || get32(p + 4) != COOKIE) {
        n.wrong++;
        return;
    }

    if (get16(p) == (DATA | 0x10)) {
        a = find(p, len, A_PEER, &size);

        if (a == NULL || size != xor_address(from, p + 8)
            || memcmp(a, from, size) != 0)
        {
            return;                              /* of another one */
        }

        a = find(p, len, A_DATA, &size);

        if (a) {
            echoed(c, a, size);
        }

        return;
    }

    response(c, p, len);
}


static void
refill(client_t *c)
{
    int64_t  room;

    if (o.window && c->state == READY && !c->method) {
        room = o.window - (int64_t) (c->sent - c->received - c->lost);

        if (room > 0) {
            send_data(c, room);
        }
    }
}


/* a batch of datagrams, with the size of segments if they are in one */

static int
receive(int fd)
{
    int  i;

    for (i = 0; i < BATCH; i++) {
        memset(&msgs[i].msg_hdr, 0, sizeof(struct msghdr));
        iovs[i].iov_base = bufs[i];
        iovs[i].iov_len = CHUNK;
        msgs[i].msg_hdr.msg_iov = &iovs[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
        msgs[i].msg_hdr.msg_name = &addrs[i];
        msgs[i].msg_hdr.msg_namelen = sizeof(addrs[i]);

        if (o.gso) {
            msgs[i].msg_hdr.msg_control = ctls[i];
            msgs[i].msg_hdr.msg_controllen = sizeof(ctls[i]);
        }
    }

    return recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
}


static size_t
segment(struct msghdr *msg, size_t len)
{
    struct cmsghdr  *cmsg;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
            return *(int *) CMSG_DATA(cmsg);
        }
    }

    return len;
}


static void
echo(void)
{
    int              i, got;
    size_t           len, seg;
    struct msghdr   *msg;
    struct cmsghdr  *cmsg;

    do {
        got = receive(peer);

        for (i = 0; i < got; i++) {
            msg = &msgs[i].msg_hdr;
            len = msgs[i].msg_len;
            seg = segment(msg, len);
            n.at_peer += seg ? (len + seg - 1) / seg : 1;
            iovs[i].iov_len = len;
            msg->msg_control = NULL;
            msg->msg_controllen = 0;

            if (seg < len) {
                msg->msg_control = ctls[i];
                msg->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
                cmsg = CMSG_FIRSTHDR(msg);
                cmsg->cmsg_level = SOL_UDP;
                cmsg->cmsg_type = UDP_SEGMENT;
                cmsg->cmsg_len = CMSG_LEN(sizeof(uint16_t));
                *(uint16_t *) CMSG_DATA(cmsg) = seg;
            }
        }

        for (i = 0; i < got; ) {
            int  rc = sendmmsg(peer, msgs + i, got - i, 0);

            i += rc > 0 ? rc : 1;           /* ECONNREFUSED of an old one */
        }

    } while (got == BATCH);
}


static void
datagrams(client_t *c)
{
    int     i, got;
    size_t  len, seg, at;

    do {
        got = receive(c->fd);

        for (i = 0; i < got && c->fd != -1; i++) {
            len = msgs[i].msg_len;
            seg = segment(&msgs[i].msg_hdr, len);

            for (at = 0; at < len && c->fd != -1; at += seg) {
                message(c, bufs[i] + at, len - at < seg ? len - at : seg);
            }
        }

    } while (got == BATCH && c->fd != -1);

    refill(c);
}


static void
stream(client_t *c)
{
    size_t   at, len;
    ssize_t  got;

    for ( ;; ) {
        got = c->ssl ? SSL_read(c->ssl, c->in + c->in_len, CHUNK - c->in_len)
                     : recv(c->fd, c->in + c->in_len, CHUNK - c->in_len, 0);

        if (got <= 0) {
            if (got == 0 && !c->ssl) {
                break;
            }

            if (c->ssl ? SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ
                       : errno == EAGAIN)
            {
                refill(c);
                return;
            }

            break;
        }

        c->in_len += got;

        for (at = 0; c->in_len - at >= 4; at += len) {
            len = get16(c->in + at + 2);
            len = c->in[at] < 4 ? 20 + len : 4 + ((len + 3) & ~(size_t) 3);

            if (c->in_len - at < len) {
                break;
            }

            message(c, c->in + at, len);

            if (c->fd == -1) {
                return;
            }
        }

        c->in_len -= at;
        memmove(c->in, c->in + at, c->in_len);
    }

    fprintf(stderr, "turn_load: client %u: the server has closed\n", c->index);
    n.errors++;
    leave(c);
}


static void
start(client_t *c)
{
    int                      on = 1, size = 1 << 20;
    socklen_t                len;
    struct epoll_event       ee;
    struct sockaddr_storage  local;

    c->fd = socket(server.ss_family, o.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

    if (c->fd == -1) {
        die("socket");
    }

    if (o.local) {
        len = address(&local, o.local, 0);

        if (bind(c->fd, (struct sockaddr *) &local, len) == -1) {
            die("bind");
        }
    }

    if (connect(c->fd, (struct sockaddr *) &server, server_len) == -1) {
        die("connect");
    }

    if (o.tcp) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

        if (c->in == NULL) {
            c->in = malloc(CHUNK);
            c->out = malloc(8 * CHUNK);
        }

        c->in_len = c->out_len = 0;

    } else {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));

        if (o.gso) {
            setsockopt(c->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
        }
    }

    if (o.tls) {
        c->ssl = SSL_new(ssl_ctx);
        SSL_set_fd(c->ssl, c->fd);

        if (SSL_connect(c->ssl) != 1) {
            die("SSL_connect");
        }
    }

    fcntl(c->fd, F_SETFL, O_NONBLOCK);

    ee.events = EPOLLIN;
    ee.data.ptr = c;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
        die("epoll_ctl");
    }

    c->state = SETUP;
    c->nonce_len = 0;
    c->refusals = 0;
    busy++;
    request(c, ALLOCATE, 0);
}


static void
set_up(void)
{
    while (next_new < o.clients && busy < o.setup) {
        start(&clients[next_new++]);
    }
}


/* every millisecond */

static void
timers(void)
{
    int        i;
    client_t  *c;

    static uint64_t  last;

    if (now - last < (uint64_t) (o.clients > 1000 ? 50000 : 5000)) {
        return;
    }

    last = now;

    for (i = 0; i < next_new; i++) {
        c = &clients[i];

        if (c->method && now >= c->due) {
            if (o.tcp || c->tries == 7) {
                fprintf(stderr, "turn_load: client %u: no answer, method %d\n",
                        c->index, c->method);
                n.unanswered++;
                c->method = 0;
                leave(c);
                continue;
            }

            c->due = now + (c->tries == 6 ? 8000000 : 500000u << c->tries);
            c->tries++;
            n.again++;
            transmit(c);
        }

        if (c->out_len) {
            transmit_stream(c, NULL, 0);
        }

        if ((c->state == READY && o.window && now - c->moved > 200000)
            || (c->state == DRAIN && now - c->moved > 2000000))
        {
            n.lost += c->sent - c->received - c->lost;
            c->lost = c->sent - c->received;
            c->moved = now;
            refill(c);
        }

        if (c->state == DRAIN && !c->method
            && c->sent == c->received + c->lost)
        {
            give_up(c);
        }

        if (c->state == GONE && o.renew && !stop) {
            start(c);
        }
    }
}


static void
pace(uint64_t begin)
{
    int        i;
    int64_t    due;

    static int       next;
    static uint64_t  skipped;

    due = (int64_t) ((now - begin) * (uint64_t) o.rate / 1000000)
          - n.sent - skipped;

    if (due > o.rate / 50 + 1) {               /* this process has slept */
        skipped += due - o.rate / 50 - 1;
        due = o.rate / 50 + 1;
    }

    for (i = 0; due > 0 && i < o.clients; i++) {
        next = (next + 1) % o.clients;

        if (clients[next].state == READY) {
            send_data(&clients[next], 1);
            due--;
        }
    }

    skipped += due > 0 ? due : 0;
}


/* now and then a request of a client, or a client that starts anew */

static void
extras(void)
{
    int        i;
    client_t  *c;

    static int       methods[] = { REFRESH, BIND, PERMISSION };
    static int       next, next_renewed, method;
    static uint64_t  asked, renewed;

    if (o.requests && now - asked >= (uint64_t) o.requests * 1000) {
        asked = now;

        for (i = 0; i < o.clients; i++) {
            c = &clients[next++ % o.clients];

            if (c->state == READY && !c->method) {
                request(c, methods[method++ % 3], 600);
                break;
            }
        }
    }

    if (o.renew && now - renewed >= (uint64_t) o.renew * 1000) {
        renewed = now;
        c = &clients[next_renewed++ % o.clients];

        if (c->state == READY) {
            ready--;
            c->state = DRAIN;
            c->moved = now;
        }
    }
}


static void
events(int timer)
{
    int                 i, got;
    client_t           *c;
    uint64_t            ticks;
    struct epoll_event  list[256];

    got = epoll_wait(ep, list, 256, 1000);
    now = clock_us();

    for (i = 0; i < got; i++) {
        c = list[i].data.ptr;

        if (c == NULL) {
            echo();

        } else if (list[i].data.ptr == (void *) &now) {
            (void) !read(timer, &ticks, sizeof(ticks));

        } else if (c->fd == -1) {
            continue;

        } else if (o.tcp) {
            stream(c);

        } else {
            datagrams(c);
        }
    }

    timers();
    set_up();
}


static void
on_signal(int signo)
{
    (void) signo;
    stop = 1;
}


static void
wait_line(void)
{
    char  buf[64];

    fflush(stdout);

    if (o.interactive) {
        (void) !fgets(buf, sizeof(buf), stdin);
        now = clock_us();
    }
}


static void
options(int argc, char **argv)
{
    int          c;
    const char  *to = "127.0.0.1";

    while ((c = getopt(argc, argv, "u:w:m:l:tSL:e:r:W:d:k:nsR:c:gvi")) != -1) {
        switch (c) {
        case 'u': o.user = optarg; break;
        case 'w': o.password = optarg; break;
        case 'm': o.clients = atoi(optarg); break;
        case 'l': o.length = atoi(optarg); break;
        case 't': o.tcp = 1; break;
        case 'S': o.tcp = o.tls = 1; break;
        case 'L': o.local = optarg; break;
        case 'e': to = optarg; break;
        case 'r': o.rate = atoi(optarg); break;
        case 'W': o.window = atoi(optarg); break;
        case 'd': o.seconds = atof(optarg); break;
        case 'k': o.setup = atoi(optarg); break;
        case 'n': o.channels = 0; break;
        case 's': o.send = 1; break;
        case 'R': o.requests = atoi(optarg); break;
        case 'c': o.renew = atoi(optarg); break;
        case 'g': o.gso = 1; break;
        case 'v': o.verbose = 1; break;
        case 'i': o.interactive = 1; break;
        default: exit(2);
        }
    }

    if (argc - optind != 2 || o.clients < 1 || o.length < 8 || o.length > 1500
        || (o.gso && o.send) || strlen(o.user) > 128)
    {
        fprintf(stderr, "usage: turn_load [options] ADDRESS PORT\n");
        exit(2);
    }

    server_len = address(&server, argv[optind], atoi(argv[optind + 1]));
    peer_len = address(&peer_addr, to, 0);
}


static int
prepare(void)
{
    int                 i, timer, on = 1, size = 4 << 20;
    struct rlimit       rl;
    struct epoll_event  ee;
    struct itimerspec   it = { { 0, 1000000 }, { 0, 1000000 } };

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);

    clients = calloc(o.clients, sizeof(client_t));

    for (i = 0; i < o.clients; i++) {
        clients[i].index = i;
        clients[i].fd = -1;
        clients[i].highest = -1;
    }

    for (i = 0; i < BATCH; i++) {
        bufs[i] = malloc(CHUNK);
    }

    for (i = 0; i < CHUNK; i++) {
        pattern[i] = i * 7 + (i >> 8);
    }

    if (o.tls) {
        ssl_ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                                  | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }

    ep = epoll_create1(0);
    peer = socket(peer_addr.ss_family, SOCK_DGRAM, 0);

    if (peer == -1
        || bind(peer, (struct sockaddr *) &peer_addr, peer_len) == -1
        || getsockname(peer, (struct sockaddr *) &peer_addr, &peer_len) == -1)
    {
        die("peer");
    }

    setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));

    if (o.gso) {
        setsockopt(peer, SOL_UDP, UDP_GRO, &on, sizeof(on));
    }

    ee.events = EPOLLIN;
    ee.data.ptr = NULL;
    epoll_ctl(ep, EPOLL_CTL_ADD, peer, &ee);

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(timer, 0, &it, NULL);
    ee.data.ptr = &now;
    epoll_ctl(ep, EPOLL_CTL_ADD, timer, &ee);

    return timer;
}


int
main(int argc, char **argv)
{
    int       i, timer;
    double    seconds;
    uint64_t  begin, shown, end;

    options(argc, argv);
    timer = prepare();

    now = begin = clock_us();
    set_up();

    while (!stop && (next_new < o.clients || busy)) {
        events(timer);
    }

    printf("ready %d allocations in %.3f s\n", ready, (now - begin) / 1e6);
    wait_line();

    begin = shown = now;
    end = o.seconds < 0 ? UINT64_MAX : begin + (uint64_t) (o.seconds * 1e6);

    for (i = 0; i < o.clients; i++) {
        clients[i].moved = now;
        refill(&clients[i]);
    }

    while (!stop && now < end) {
        events(timer);

        if (o.rate) {
            pace(begin);
        }

        extras();

        if (o.verbose && now - shown >= 100000) {
            shown = now;
            printf("%ju %ju %ju\n", (uintmax_t) n.sent, (uintmax_t) n.received,
                   (uintmax_t) n.answers);
            fflush(stdout);
        }
    }

    /* what is still on its way, and requests that wait for their answer */

    seconds = (now - begin) / 1e6;
    stop = 1;
    end = n.received;
    o.window = 0;

    for (shown = now; now - shown < 2000000; /* void */ ) {
        for (i = 0; i < o.clients && !clients[i].method; i++) { /* void */ }

        if (i < o.clients) {
            shown = now;

        } else if (n.received + n.lost >= n.sent) {
            break;
        }

        events(timer);

        if (end != n.received) {
            end = n.received;
            shown = now;
        }
    }

    printf("sent=%ju at_peer=%ju received=%ju lost=%ju duplicate=%ju"
           " wrong=%ju seconds=%.3f requests=%ju answers=%ju again=%ju"
           " errors=%ju unanswered=%ju allocations=%ju mismatches=%ju\n",
           (uintmax_t) n.sent, (uintmax_t) n.at_peer, (uintmax_t) n.received,
           (uintmax_t) (n.sent - n.received), (uintmax_t) n.duplicate,
           (uintmax_t) n.wrong, seconds, (uintmax_t) n.requests,
           (uintmax_t) n.answers, (uintmax_t) n.again, (uintmax_t) n.errors,
           (uintmax_t) n.unanswered, (uintmax_t) n.allocations,
           (uintmax_t) n.mismatches);
    wait_line();

    for (i = 0; i < o.clients || busy; events(timer)) {
        while (i < o.clients && busy < o.setup) {
            if (clients[i++].state == READY) {
                give_up(&clients[i - 1]);
            }
        }
    }

    return n.errors || n.unanswered ? 1 : 0;
}
