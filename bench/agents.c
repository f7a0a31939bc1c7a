
/*
 * Copyright (C) the trp authors
 */


/*
 * Many light agents in one process: each authenticates with TLS to a relay
 * under a name of its own, keeps idle tunnels, and answers PING.  They do not
 * check the relay's certificate, and refuse all streams.
 *
 *     agents [options] KEY ADDRESS PORT
 *
 *     -n N    agents (1000)         -t N    tunnels of each (1)
 *     -g N    groups (1), "many0", "many1", ...
 *     -e      entries; reverses otherwise
 *     -c N    handshakes at a time (64)
 *
 * Prints "ready AGENTS", then, for each line on standard input, how many
 * tunnels there are, were lost and were made.  The end of standard input ends
 * them all.  A tunnel that is lost is made again after a second.
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
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#define EVENTS   256
#define PAYLOAD  1024            /* of a frame that is not DATA */
#define SLOTS    64

enum {
    HELLO = 1, AUTH, READY, MOVED, ERROR,
    OPEN = 16, ACCEPT, REFUSE, DATA, END, RESET, DONE,
    PING = 32, PONG
};

typedef enum { GONE, CONNECTING, SHAKING, GREETED, IDLE } state_e;

typedef struct {
    int       fd;
    state_e   state;
    int       slot;              /* hint for the relay, or -1 */
    uint64_t  again;             /* when it is dialled, if it is gone */
    SSL      *ssl;
    size_t    len;
    size_t    skip;              /* bytes of DATA */
    uint8_t   in[4 + PAYLOAD];
} tunnel_t;


static struct {
    int                 agents, tunnels, groups, entries, setup;
    const char         *file;
    struct sockaddr_in  to;
} o = { .agents = 1000, .tunnels = 1, .groups = 1, .setup = 64 };

static tunnel_t   *all;
static int         count, pending, idle;
static uint64_t    made, lost;
static SSL_CTX    *ctx;
static EVP_PKEY   *key;
static uint8_t     public_key[32];
static int         ep, told;


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

    return (uint64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}


static void
usage(void)
{
    fprintf(stderr, "usage: agents [-n N] [-t N] [-g N] [-e] [-c N] "
            "KEY ADDRESS PORT\n");
    exit(2);
}


static void
options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "n:t:g:c:e")) != -1) {
        switch (c) {
        case 'n': o.agents = atoi(optarg); break;
        case 't': o.tunnels = atoi(optarg); break;
        case 'g': o.groups = atoi(optarg); break;
        case 'c': o.setup = atoi(optarg); break;
        case 'e': o.entries = 1; break;
        default: usage();
        }
    }

    if (argc - optind != 3 || o.agents < 1 || o.tunnels < 1 || o.groups < 1
        || o.setup < 1)
    {
        usage();
    }

    o.file = argv[optind];
    o.to.sin_family = AF_INET;
    o.to.sin_port = htons(atoi(argv[optind + 2]));

    if (inet_pton(AF_INET, argv[optind + 1], &o.to.sin_addr) != 1) {
        usage();
    }
}


static void
prepare(void)
{
    FILE           *file;
    size_t          len;
    struct rlimit   limit;

    count = o.agents * o.tunnels;

    limit.rlim_cur = limit.rlim_max = count + 64;

    if (setrlimit(RLIMIT_NOFILE, &limit) == -1) {
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }

    file = fopen(o.file, "r");

    if (file == NULL) {
        fail(o.file);
    }

    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    len = sizeof(public_key);

    if (key == NULL || !EVP_PKEY_get_raw_public_key(key, public_key, &len)) {
        fprintf(stderr, "no key in %s\n", o.file);
        exit(1);
    }

    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);

    all = calloc(count, sizeof(tunnel_t));
    ep = epoll_create1(0);

    if (all == NULL || ep == -1) {
        fail("prepare");
    }

    for (int i = 0; i < count; i++) {
        all[i].fd = -1;
        all[i].slot = -1;
    }
}


/* "wait" milliseconds until it is dialled again */

static void
gone(tunnel_t *t, unsigned wait)
{
    if (t->state == IDLE) {
        idle--;
        lost++;

    } else {
        pending--;
    }

    SSL_free(t->ssl);
    close(t->fd);

    t->ssl = NULL;
    t->fd = -1;
    t->len = 0;
    t->skip = 0;
    t->state = GONE;
    t->again = now() + wait;
}


static void
dial(tunnel_t *t)
{
    int                 one;
    char                alpn[32];
    size_t              len;
    struct epoll_event  ev;

    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    t->ssl = SSL_new(ctx);

    if (t->fd == -1 || t->ssl == NULL) {
        fail("dial");
    }

    memcpy(alpn, "\5trp/2", 6);
    len = 6;

    if (t->slot != -1) {
        len += sprintf(alpn + 6, "\13trp-slot/%02d", t->slot);
    }

    one = 1;
    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    SSL_set_alpn_protos(t->ssl, (uint8_t *) alpn, len);
    SSL_set_connect_state(t->ssl);
    SSL_set_fd(t->ssl, t->fd);

    t->state = CONNECTING;
    pending++;

    ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    ev.data.ptr = t;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, t->fd, &ev) == -1) {
        fail("epoll_ctl");
    }

    if (connect(t->fd, (struct sockaddr *) &o.to, sizeof(o.to)) == -1
        && errno != EINPROGRESS)
    {
        gone(t, 1000);
    }
}


/* frames are small, and the socket's buffer is empty but for others of them */

static int
put(tunnel_t *t, int type, const uint8_t *payload, size_t len)
{
    uint8_t  frame[4 + PAYLOAD];

    frame[0] = type;
    frame[1] = 0;
    frame[2] = len >> 8;
    frame[3] = len;

    if (len) {
        memcpy(frame + 4, payload, len);
    }

    return SSL_write(t->ssl, frame, len + 4) == (int) len + 4 ? 0 : -1;
}


static uint8_t *
label(uint8_t *p, const char *text)
{
    size_t  len;

    len = strlen(text);
    *p++ = len;
    memcpy(p, text, len);

    return p + len;
}


/* see "AUTH" of docs/protocol.md */

static int
authenticate(tunnel_t *t)
{
    int          n, ok;
    char         group[32], name[32];
    size_t       len, sign_len;
    uint8_t      claim[256], text[512], nonce[32], exporter[32], sign[64], *p;
    EVP_MD_CTX  *md;

    n = (t - all) / o.tunnels;
    sprintf(group, "many%d", n % o.groups);
    sprintf(name, "agent%05d", n);

    if (!SSL_export_keying_material(t->ssl, exporter, 32,
                                    "EXPORTER-Channel-Binding", 24, NULL, 0, 1)
        || RAND_bytes(nonce, 32) != 1)
    {
        return -1;
    }

    p = claim;
    *p++ = 2;
    *p++ = o.entries ? 1 : 2;
    p = label(p, group);
    p = label(p, name);
    len = p - claim;

    p = text;
    memcpy(p, "trp/2 auth", 11);
    memcpy(p + 11, claim, len);
    p += 11 + len;
    memcpy(p, t->in + 5, 32);
    memcpy(p + 32, nonce, 32);
    memcpy(p + 64, exporter, 32);
    p += 96;

    md = EVP_MD_CTX_new();
    sign_len = sizeof(sign);
    ok = EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1
         && EVP_DigestSign(md, sign, &sign_len, text, p - text) == 1;
    EVP_MD_CTX_free(md);

    if (!ok) {
        return -1;
    }

    p = claim + len;
    memcpy(p, public_key, 32);
    memcpy(p + 32, nonce, 32);
    memcpy(p + 64, sign, 64);
    p += 128;

    /* weight 1, no backup, no flags */

    *p++ = 0;
    *p++ = 1;
    *p++ = 0;
    *p++ = 0;

    return put(t, AUTH, claim, p - claim);
}


/* a whole frame, not DATA: 0, or -1 if this ends the tunnel */

static int
frame(tunnel_t *t, int type, size_t len)
{
    switch (type) {

    case HELLO:
        t->state = GREETED;
        return len < 37 ? -1 : authenticate(t);

    case READY:
        t->slot = t->in[4];
        t->state = IDLE;
        pending--;
        idle++;
        made++;
        return 0;

    case MOVED:
        t->slot = t->in[4] % SLOTS;
        gone(t, 0);
        return 0;

    case ERROR:
        if (told++ < 5) {
            fprintf(stderr, "relay says: %.*s\n",
                    (int) (len < 2 ? 0 : len - 2), t->in + 6);
        }

        return -1;

    case PING:
        return put(t, PONG, NULL, 0);

    case OPEN:
        return put(t, REFUSE, (uint8_t *) "\7\1", 2);

    case END:
    case RESET:
        return put(t, DONE, NULL, 0);

    default:
        return 0;
    }
}


/* what is whole of what has come */

static int
frames(tunnel_t *t)
{
    size_t  len, n;

    for ( ;; ) {
        n = t->skip < t->len ? t->skip : t->len;
        t->skip -= n;
        t->len -= n;
        memmove(t->in, t->in + n, t->len);

        if (t->len < 4) {
            return 0;
        }

        len = t->in[2] << 8 | t->in[3];

        if (t->in[0] == DATA) {
            t->skip = 4 + len;
            continue;
        }

        if (len > PAYLOAD) {
            return -1;
        }

        if (t->len < 4 + len) {
            return 0;
        }

        if (frame(t, t->in[0], len) == -1) {
            return -1;
        }

        if (t->state == GONE) {
            return 0;
        }

        t->skip = 4 + len;
    }
}


static void
progress(tunnel_t *t)
{
    int  n;

    if (t->state == CONNECTING) {
        t->state = SHAKING;
    }

    while (t->state != GONE) {
        ERR_clear_error();

        if (!SSL_is_init_finished(t->ssl)) {
            n = SSL_do_handshake(t->ssl);

            if (n == 1) {
                continue;
            }

        } else {
            n = SSL_read(t->ssl, t->in + t->len, sizeof(t->in) - t->len);

            if (n > 0) {
                t->len += n;

                if (frames(t) == -1) {
                    gone(t, 1000);
                    return;
                }

                continue;
            }
        }

        switch (SSL_get_error(t->ssl, n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return;
        }

        gone(t, 1000);
    }
}


static void
dial_some(void)
{
    uint64_t    time;
    static int  next;

    time = now();

    for (int i = 0; i < count && pending < o.setup; i++) {
        next = next + 1 < count ? next + 1 : 0;

        if (all[next].state == GONE && all[next].again <= time) {
            dial(&all[next]);
        }
    }
}


static void
say(const char *word)
{
    printf("%s tunnels=%d made=%llu lost=%llu\n", word, idle,
           (unsigned long long) made, (unsigned long long) lost);
    fflush(stdout);
}


int
main(int argc, char **argv)
{
    int                 n, ready;
    char                line[64];
    struct epoll_event  ev[EVENTS];

    signal(SIGPIPE, SIG_IGN);
    options(argc, argv);
    prepare();

    ev[0].events = EPOLLIN;
    ev[0].data.ptr = NULL;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev[0]) == -1) {
        fail("standard input");
    }

    for (ready = 0; /* void */ ; /* void */ ) {
        if (idle + pending < count) {
            dial_some();
        }

        n = epoll_wait(ep, ev, EVENTS, 100);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr) {
                progress(ev[i].data.ptr);

            } else if (read(0, line, sizeof(line)) <= 0) {
                return 0;

            } else {
                say("now");
            }
        }

        if (!ready && idle == count) {
            ready = 1;
            say("ready");
        }
    }
}
