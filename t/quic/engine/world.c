
/*
 * Copyright (C) the trp authors
 */


/*
 * The world of the engine's tests.
 */


#include "world.h"
#include "stubs.h"

#include <stdlib.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#define MS  1000000ull


size_t __sanitizer_get_current_allocated_bytes(void);


typedef struct packet_s  packet_t;

struct packet_s {
    packet_t            *next;
    uint64_t             at;
    unsigned             to_server;
    struct sockaddr_in   from;
    struct sockaddr_in   to;
    size_t               len;
    u_char               data[];
};


end_t                client, server;
net_t                net;
ngx_trp_quic_conf_t  client_conf, server_conf;
u_char               world_secret[NGX_TRP_QUIC_SECRET_LEN];

static ngx_log_t     world_log;
static SSL_CTX      *client_ctx, *server_ctx;
static packet_t     *packets;
static uint64_t      deadline;
static uint64_t      seed;
static const ngx_trp_quic_handlers_t         client_handlers, server_handlers;
static const ngx_trp_quic_stream_handlers_t  stream_handlers;


unsigned
world_random(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;

    return (unsigned) (seed >> 33) % n;
}


uint64_t
world_now(void)
{
    return stubs_now();
}


size_t
world_allocated(void)
{
    return __sanitizer_get_current_allocated_bytes();
}


/* the network */

void
end_path(end_t *end, ngx_trp_quic_path_t *path)
{
    path->local = (struct sockaddr *) &end->addr;
    path->local_len = sizeof(end->addr);
    path->remote = (struct sockaddr *)
                   (end->server ? &client.addr : &server.addr);
    path->remote_len = sizeof(struct sockaddr_in);
}


static void
net_put(packet_t *packet)
{
    packet_t  **p;

    for (p = &packets; *p && (*p)->at <= packet->at; p = &(*p)->next) {
        /* void */
    }

    packet->next = *p;
    *p = packet;
}


static void
net_send(end_t *end, const struct sockaddr_in *from,
    const struct sockaddr_in *to, u_char *p, size_t len)
{
    uint64_t   at;
    unsigned   copies;
    packet_t  *packet;

    end->packets++;
    net.sent[end->server] += len;

    if (net.dead || world_random(1000) < net.loss) {
        return;
    }

    at = world_now();

    if (net.rate) {
        at = ngx_max(at, net.busy[end->server]);

        if (at > world_now() + 50 * MS) {
            return;     /* the queue is full */
        }

        at += len * MS / net.rate;
        net.busy[end->server] = at;
    }

    copies = 1 + (world_random(1000) < net.twice);

    while (copies--) {
        packet = malloc(sizeof(packet_t) + len);
        packet->at = at + net.delay * MS;
        packet->to_server = !end->server;
        packet->from = *from;
        packet->to = *to;
        packet->len = len;
        memcpy(packet->data, p, len);

        if (world_random(1000) < net.reorder) {
            packet->at += (1 + world_random(20)) * MS;
        }

        if (net.tap) {
            net.tap(packet->data, &packet->len, packet->to_server);
        }

        net_put(packet);
    }
}


void
net_inject(u_char *p, size_t len, int to_server, struct sockaddr_in *from)
{
    packet_t  *packet;

    packet = malloc(sizeof(packet_t) + len);
    packet->at = world_now();
    packet->to_server = to_server;
    packet->from = *from;
    packet->to = to_server ? server.addr : client.addr;
    packet->len = len;
    memcpy(packet->data, p, len);

    net_put(packet);
}


static ngx_int_t
end_send(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    const ngx_trp_quic_packets_t *packets)
{
    end_t   *end = ngx_trp_quic_data(q);
    size_t   n, pos;

    if (end->full) {
        return NGX_AGAIN;
    }

    end->bursts++;

    for (pos = 0; pos < packets->len; pos += n) {
        n = ngx_min(packets->segment, packets->len - pos);
        net_send(end, (struct sockaddr_in *) path->local,
                 (struct sockaddr_in *) path->remote, packets->data + pos, n);
    }

    return NGX_OK;
}


static SSL *
ssl_new(SSL_CTX *ctx, int is_server)
{
    SSL  *ssl;

    ssl = SSL_new(ctx);

    if (is_server) {
        SSL_set_accept_state(ssl);

    } else {
        SSL_set_connect_state(ssl);
        SSL_set_alpn_protos(ssl, (u_char *) "\5trp/2", 6);
        SSL_set_tlsext_host_name(ssl, "relay");
    }

    return ssl;
}


/* an answer of the server without a connection */

static void
server_answer(packet_t *packet, u_char *buf, size_t len)
{
    if (len) {
        net_send(&server, &packet->to, &packet->from, buf, len);
    }
}


static void
server_accept(packet_t *packet, ngx_trp_quic_packet_t *initial)
{
    u_char                buf[NGX_TRP_QUIC_INITIAL];
    ngx_int_t             rc;
    ngx_trp_quic_cid_t    id;
    ngx_trp_quic_path_t   path;
    ngx_trp_quic_retry_t  retry;

    path.local = (struct sockaddr *) &packet->to;
    path.local_len = sizeof(struct sockaddr_in);
    path.remote = (struct sockaddr *) &packet->from;
    path.remote_len = sizeof(struct sockaddr_in);

    rc = ngx_trp_quic_token(initial, &path, world_secret,
                            world_now() / 1000 / MS, &retry);

    if (rc == NGX_ERROR) {
        server_answer(packet, buf,
                      ngx_trp_quic_write_refusal(buf, initial,
                                                 NGX_TRP_QUIC_BAD_TOKEN));
        return;
    }

    if (net.retry && rc == NGX_DECLINED) {
        id.len = server_conf.cid_len;
        RAND_bytes(id.data, id.len);
        server_answer(packet, buf,
                      ngx_trp_quic_write_retry(buf, initial, &path, &id,
                                               world_secret,
                                               world_now() / 1000 / MS));
        return;
    }

    SSL_free(server.ssl);

    server.ssl = ssl_new(server_ctx, 1);
    server.q = ngx_trp_quic_server(&server_conf, server.ssl, &path, initial,
                                   rc == NGX_OK ? &retry : NULL,
                                   &server_handlers, &server, &world_log);

    if (server.q) {
        ngx_trp_quic_input(server.q, &path, packet->data, packet->len, 0);
    }
}


static void
server_input(packet_t *packet)
{
    u_char                 buf[NGX_TRP_QUIC_INITIAL];
    unsigned               i;
    ngx_int_t              rc;
    ngx_trp_quic_path_t    path;
    ngx_trp_quic_packet_t  head;

    rc = ngx_trp_quic_packet(&head, packet->data, packet->len,
                             server_conf.cid_len);
    if (rc == NGX_ERROR) {
        return;
    }

    if (rc == NGX_DECLINED || net.versions) {

        if (packet->len >= NGX_TRP_QUIC_INITIAL) {
            server_answer(packet, buf, ngx_trp_quic_write_versions(buf, &head));
        }

        return;
    }

    path.local = (struct sockaddr *) &packet->to;
    path.local_len = sizeof(struct sockaddr_in);
    path.remote = (struct sockaddr *) &packet->from;
    path.remote_len = sizeof(struct sockaddr_in);

    if (server.q && !net.stateless) {
        for (i = 0; i < server.nids; i++) {
            if (server.ids[i].len == head.dcid.len
                && memcmp(server.ids[i].data, head.dcid.data, head.dcid.len)
                   == 0)
            {
                ngx_trp_quic_input(server.q, &path, packet->data, packet->len,
                                   0);
                return;
            }
        }
    }

    if (head.is_initial && server.q == NULL) {
        memcpy(net.initial, packet->data, packet->len);
        net.last_initial = packet->len;
        server_accept(packet, &head);
        return;
    }

    if (!head.is_long) {
        server_answer(packet, buf,
                      ngx_trp_quic_write_reset(buf, &head, packet->len,
                                               world_secret));
    }
}


static void
net_deliver(packet_t *packet)
{
    ngx_trp_quic_path_t  path;

    if (packet->to_server) {

        if (net.rebind) {
            packet->from.sin_port = htons(7777);
        }

        server_input(packet);
        return;
    }

    if (net.rebind && packet->to.sin_port == htons(7777)) {
        packet->to = client.addr;
    }

    path.local = (struct sockaddr *) &packet->to;
    path.local_len = sizeof(struct sockaddr_in);
    path.remote = (struct sockaddr *) &packet->from;
    path.remote_len = sizeof(struct sockaddr_in);

    if (client.q) {
        ngx_trp_quic_input(client.q, &path, packet->data, packet->len, 0);
    }
}


void
world_until(ngx_msec_t ms)
{
    deadline = world_now() + ms * MS;
}


int
world_step(void)
{
    uint64_t   next;
    packet_t  *packet;

    stubs_events();

    next = stubs_timer();

    if (packets) {
        next = ngx_min(next, packets->at);
    }

    if (!ngx_queue_empty(&ngx_posted_events)) {
        next = world_now();
    }

    if (next > deadline) {
        stubs_advance(deadline);
        return 0;
    }

    stubs_advance(next);

    while (packets && packets->at <= world_now()) {
        packet = packets;
        packets = packet->next;
        net_deliver(packet);
        free(packet);
    }

    return 1;
}


void
world_run(ngx_msec_t ms)
{
    world_until(ms);

    while (world_step()) { /* void */ }
}


/* streams */

static u_char
pattern(uint64_t offset)
{
    return (u_char) (offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}


static stream_t *
stream_add(end_t *end)
{
    stream_t  *st;

    st = calloc(1, sizeof(stream_t));
    st->end = end;
    end->streams[end->nstreams++] = st;

    return st;
}


stream_t *
stream_new(end_t *end, uint64_t to_send, int fin)
{
    stream_t               *st;
    ngx_trp_quic_stream_t  *s;

    st = stream_add(end);

    s = ngx_trp_quic_stream_open(end->q, &stream_handlers, st);
    if (s == NULL) {
        end->nstreams--;
        free(st);
        return NULL;
    }

    st->s = s;
    st->to_send = to_send;
    st->fin_wanted = fin;

    stream_pump(st);

    return st;
}


stream_t *
stream_peer(stream_t *st)
{
    end_t     *end;
    unsigned   i;

    end = st->end->server ? &client : &server;

    for (i = 0; i < end->nstreams; i++) {
        if (end->streams[i]->s
            && ngx_trp_quic_stream_id(end->streams[i]->s)
               == ngx_trp_quic_stream_id(st->s))
        {
            return end->streams[i];
        }
    }

    return NULL;
}


void
stream_pump(stream_t *st)
{
    u_char   buf[16000];
    size_t   n, i;
    ssize_t  rc;

    while (st->s && st->sent < st->to_send) {
        n = ngx_min(sizeof(buf), st->to_send - st->sent);

        for (i = 0; i < n; i++) {
            buf[i] = pattern(st->sent + i);
        }

        rc = ngx_trp_quic_stream_send(st->s, buf, n);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_ERROR) {
            st->send_error = 1;
            return;
        }

        st->sent += rc;
        st->most_unsent = ngx_max(st->most_unsent,
                                  ngx_trp_quic_stream_unsent(st->s));
    }

    if (st->s && st->fin_wanted && !st->finished && st->sent == st->to_send) {
        st->finished = 1;
        ngx_trp_quic_stream_finish(st->s);
    }
}


void
stream_read(stream_t *st)
{
    u_char   buf[10000];
    ssize_t  n, i;

    while (st->s && !st->fin && !st->error) {
        n = ngx_trp_quic_stream_recv(st->s, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            st->error = 1;
            st->code = ngx_trp_quic_stream_code(st->s);
            break;
        }

        for (i = 0; i < n; i++) {
            if (buf[i] != pattern(st->received + i)) {
                st->wrong = 1;
            }
        }

        st->received += n;

        if (n == 0) {
            st->fin = 1;
            st->to_send += st->end->server ? st->end->answer : 0;
            st->fin_wanted |= st->echo;
        }

        if (st->echo) {
            st->to_send += n;
        }
    }

    stream_pump(st);
}


void
stream_free(stream_t *st)
{
    ngx_trp_quic_stream_free(st->s);
    st->s = NULL;
}


static void
stream_readable(ngx_trp_quic_stream_t *s)
{
    stream_t  *st = ngx_trp_quic_stream_data(s);

    if (!st->paused) {
        stream_read(st);
    }
}


static void
stream_writable(ngx_trp_quic_stream_t *s)
{
    stream_pump(ngx_trp_quic_stream_data(s));
}


static void
stream_closed(ngx_trp_quic_stream_t *s, const ngx_trp_quic_why_t *why)
{
    stream_t  *st = ngx_trp_quic_stream_data(s);

    if (!st->paused) {
        stream_read(st);
    }

    st->closed = 1;
    st->lost = st->end->closed || why->end || why->text.len || why->application;
    st->code = ngx_trp_quic_stream_code(s);

    if (!st->paused) {
        stream_free(st);
    }
}


static const ngx_trp_quic_stream_handlers_t  stream_handlers = {
    stream_readable, stream_writable, stream_closed
};


/* connections */

static void
end_ready(ngx_trp_quic_t *q)
{
    end_t  *end = ngx_trp_quic_data(q);

    end->ready = 1;
}


static void
end_opened(ngx_trp_quic_t *q, ngx_trp_quic_stream_t *s)
{
    end_t     *end = ngx_trp_quic_data(q);
    stream_t  *st;

    end->opened++;

    if (end->refuse || end->nstreams == WORLD_STREAMS) {
        ngx_trp_quic_stream_free(s);
        return;
    }

    st = stream_add(end);
    st->s = s;
    st->echo = end->echo;
    st->fin_wanted = 0;
    st->paused = end->pause;

    ngx_trp_quic_stream_set(s, &stream_handlers, st);

    if (!st->paused) {
        stream_read(st);
    }
}


static void
end_streams(ngx_trp_quic_t *q)
{
    end_t  *end = ngx_trp_quic_data(q);

    end->more_streams++;
}


static void
end_datagram(ngx_trp_quic_t *q, u_char *p, size_t len)
{
    size_t  i;
    end_t  *end = ngx_trp_quic_data(q);

    end->datagrams++;

    for (i = 0; i < len; i++) {
        if (p[i] != pattern(i)) {
            end->wrong_datagrams++;
            break;
        }
    }
}


static void
end_moved(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    ngx_uint_t failed)
{
    end_t  *end = ngx_trp_quic_data(q);

    if (failed) {
        end->failed++;
        return;
    }

    end->moved++;
    end->path = *(struct sockaddr_in *) (end->server ? path->remote
                                                     : path->local);
}


static void
end_closed(ngx_trp_quic_t *q, const ngx_trp_quic_why_t *why)
{
    end_t  *end = ngx_trp_quic_data(q);

    end->closed = 1;
    end->why = *why;

    snprintf(end->text, sizeof(end->text), "%.*s", (int) why->text.len,
             why->text.data);
}


static void
end_gone(ngx_trp_quic_t *q)
{
    end_t  *end = ngx_trp_quic_data(q);

    end->gone = 1;
}


static void
end_cid_make(ngx_trp_quic_t *q, u_char *buf, size_t len)
{
    RAND_bytes(buf, len);
    buf[0] = 0x42;
}


static ngx_int_t
end_cid_added(ngx_trp_quic_t *q, const ngx_trp_quic_cid_t *cid)
{
    if (server.nids == WORLD_IDS) {
        return NGX_ERROR;
    }

    server.ids[server.nids++] = *cid;

    return NGX_OK;
}


static void
end_cid_removed(ngx_trp_quic_t *q, const ngx_trp_quic_cid_t *cid)
{
    unsigned  i;

    for (i = 0; i < server.nids; i++) {
        if (server.ids[i].len == cid->len
            && memcmp(server.ids[i].data, cid->data, cid->len) == 0)
        {
            server.ids[i] = server.ids[--server.nids];
            return;
        }
    }

    printf("# an id is removed twice\n");
    abort();
}


static const ngx_trp_quic_handlers_t  client_handlers = {
    end_ready, end_opened, end_streams, end_datagram, end_moved, end_closed,
    end_gone, end_send, NULL, NULL, NULL
};

static const ngx_trp_quic_handlers_t  server_handlers = {
    end_ready, end_opened, end_streams, end_datagram, end_moved, end_closed,
    end_gone, end_send, end_cid_make, end_cid_added, end_cid_removed
};


/* TLS */

static int
alpn_select(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
    if (SSL_select_next_proto((u_char **) out, outlen, (u_char *) "\5trp/2", 6,
                              in, inlen)
        != OPENSSL_NPN_NEGOTIATED)
    {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    return SSL_TLSEXT_ERR_OK;
}


static int
new_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(client.session);
    client.session = session;

    return 1;
}


static void
tls_init(void)
{
    X509      *cert;
    EVP_PKEY  *key;

    key = EVP_EC_gen("P-256");
    cert = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (u_char *) "relay", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_sign(cert, key, EVP_sha256());

    server_ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_use_certificate(server_ctx, cert);
    SSL_CTX_use_PrivateKey(server_ctx, key);
    SSL_CTX_set_alpn_select_cb(server_ctx, alpn_select, NULL);

    client_ctx = SSL_CTX_new(TLS_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), cert);
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT
                                       |SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, new_session);

    X509_free(cert);
    EVP_PKEY_free(key);
}


static void
addr_init(struct sockaddr_in *sin, const char *addr, int port)
{
    memset(sin, 0, sizeof(*sin));
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = inet_addr(addr);
    sin->sin_port = htons(port);
}


void
world_init(void)
{
    if (client_ctx == NULL) {
        tls_init();
        RAND_bytes(world_secret, sizeof(world_secret));
        stubs_init();
    }

    seed = 1;
    memset(&client, 0, sizeof(client));
    memset(&server, 0, sizeof(server));
    memset(&net, 0, sizeof(net));
    memset(&client_conf, 0, sizeof(client_conf));

    server.server = 1;

    addr_init(&client.addr, "192.0.2.1", 5000);
    addr_init(&server.addr, "192.0.2.2", 4433);

    net.delay = 10;

    client_conf.idle = 30000;
    client_conf.handshake = 10000;
    client_conf.payload = 1200;
    client_conf.datagram = 65535;

    server_conf = client_conf;
    server_conf.streams = 2000;
    server_conf.cid_len = 12;
    server_conf.secret = world_secret;
}


void
world_connect(void)
{
    ngx_trp_quic_cid_t   first;
    ngx_trp_quic_path_t  path;

    if (net.ciphers) {
        SSL_CTX_set_ciphersuites(server_ctx, net.ciphers);

    } else {
        SSL_CTX_set_ciphersuites(server_ctx, "TLS_AES_128_GCM_SHA256");
    }

    first.len = 16;
    RAND_bytes(first.data, 16);

    end_path(&client, &path);

    client.ssl = ssl_new(client_ctx, 0);

    if (client.session) {
        SSL_set_session(client.ssl, client.session);
    }

    client.q = ngx_trp_quic_client(&client_conf, client.ssl, &path, &first,
                                   &client_handlers, &client, &world_log);
}


static void
end_done(end_t *end)
{
    unsigned  i;

    if (end->q) {
        ngx_trp_quic_free(end->q);
        end->q = NULL;
    }

    SSL_free(end->ssl);
    end->ssl = NULL;

    SSL_SESSION_free(end->session);
    end->session = NULL;

    stubs_events();

    for (i = 0; i < end->nstreams; i++) {

        if (end->streams[i]->s) {
            ngx_trp_quic_stream_free(end->streams[i]->s);
        }

        free(end->streams[i]);
    }

    end->nstreams = 0;
}


void
world_done(void)
{
    packet_t  *packet;

    end_done(&client);
    end_done(&server);

    while (packets) {
        packet = packets;
        packets = packet->next;
        free(packet);
    }

    stubs_events();
}
