
/*
 * Copyright (C) the trp authors
 */


/*
 * The QUIC engine, client and server, in memory.
 */


#include "world.h"
#include "tap.h"


static void
begin(const char *name)
{
    printf("# %s\n", name);
    world_init();
}


static void
both_ready(void)
{
    world_connect();
    until(5000, client.ready && server.ready);
}


static void
test_handshake(void)
{
    u_char               one[32], two[32];
    ngx_trp_quic_info_t  info;

    begin("handshake");
    both_ready();

    ok(client.ready && server.ready, "both ends are ready");
    is_int(ngx_trp_quic_exporter(client.q, "EXPORTER-x", one, 32), NGX_OK,
           "exporter of the client");
    is_int(ngx_trp_quic_exporter(server.q, "EXPORTER-x", two, 32), NGX_OK,
           "exporter of the server");
    ok(memcmp(one, two, 32) == 0, "they are equal");
    ok(!ngx_trp_quic_reused(client.q), "a new session");

    world_run(200);
    ngx_trp_quic_info(client.q, &info);
    ok(info.rtt >= 19 && info.rtt < 40, "round trip is %d ms", (int) info.rtt);
    ok(client.session != NULL, "a ticket");
    is_int(ngx_trp_quic_streams_left(client.q), 2000, "streams left");
    is_int(ngx_trp_quic_streams_left(server.q), 0, "none for the server");

    world_done();
    is_int(server.nids, 0, "all ids are removed");
}


static void
test_resumption(void)
{
    SSL_SESSION  *session;

    begin("resumption");
    both_ready();
    world_run(200);
    session = client.session;
    client.session = NULL;
    world_done();

    world_init();
    client.session = session;
    both_ready();

    ok(client.ready, "connected with a session");
    ok(ngx_trp_quic_reused(client.q), "the client has resumed it");
    ok(ngx_trp_quic_reused(server.q), "so has the server");

    world_done();
}


/* FIN one way, and the answer after it */

static void
answers(void)
{
    unsigned  i;

    for (i = 0; i < server.nstreams; i++) {
        server.streams[i]->fin_wanted = 1;

        if (server.streams[i]->s && server.streams[i]->fin) {
            stream_pump(server.streams[i]);
        }
    }
}


static void
exchange(const char *name, uint64_t size, ngx_msec_t ms)
{
    unsigned   n;
    stream_t  *st, *peer;

    n = server.nstreams;
    server.answer = size;
    st = stream_new(&client, size, 1);

    ok(st != NULL, "%s: a stream", name);

    until(ms, server.nstreams > n && server.streams[n]->fin);

    peer = server.streams[n];
    ok(peer->fin && peer->received == size && !peer->wrong,
       "%s: the server has %d bytes and the end", name, (int) peer->received);

    answers();
    until(ms, st->closed);

    ok(st->closed && st->fin && !st->error && !st->lost, "%s: it is over",
       name);
    ok(st->received == size && !st->wrong, "%s: the client has %d bytes", name,
       (int) st->received);
    until(ms, peer->closed);
    ok(peer->closed && !peer->lost, "%s: at the server, too", name);
}


static void
test_exchange(void)
{
    begin("exchange");
    both_ready();

    exchange("few bytes", 10, 5000);
    exchange("one block", 16384, 5000);
    exchange("nothing", 0, 5000);
    exchange("10 MB", 10000000, 60000);

    world_done();
}


static void
test_ciphers(void)
{
    begin("ciphers");
    net.ciphers = "TLS_AES_256_GCM_SHA384";
    both_ready();
    exchange("AES-256", 300000, 20000);
    world_done();

    world_init();
    net.ciphers = "TLS_CHACHA20_POLY1305_SHA256";
    both_ready();
    exchange("ChaCha20", 300000, 20000);
    world_done();
}


static void
test_network(void)
{
    begin("a bad network");
    net.loss = 50;
    net.twice = 20;
    net.reorder = 50;
    both_ready();
    ok(client.ready, "ready in spite of it");
    exchange("bad network", 3000000, 120000);
    world_done();

    world_init();
    client_conf.cubic = server_conf.cubic = 1;
    client_conf.payload = server_conf.payload = 1452;
    net.loss = 10;
    both_ready();
    exchange("CUBIC, 1452 bytes", 3000000, 120000);
    world_done();
}


/* 100 Mbit/s and 20 ms: the time is the world's, so the figures are steady */

static void
slow_link(const char *name, unsigned loss, int cubic, double least)
{
    double     rate;
    uint64_t   start;
    stream_t  *st;

    world_init();
    net.rate = 12500;
    net.loss = loss;
    client_conf.cubic = server_conf.cubic = cubic;
    both_ready();

    start = world_now();
    st = stream_new(&client, 20000000, 1);
    until(600000, server.nstreams && server.streams[0]->fin);

    rate = 20000000 * 8e3 / (world_now() - start);
    ok(server.streams[0]->fin && rate >= least, "%s: %.1f Mbit/s", name, rate);
    ok(st->finished, "all was sent");

    world_done();
}


static void
test_slow(void)
{
    begin("a slow link");
    slow_link("no loss", 0, 0, 75);
    slow_link("1 % lost", 10, 0, 60);
    slow_link("5 % lost", 50, 0, 8);
    slow_link("CUBIC, no loss", 0, 1, 70);
}


/* both ways at once, by many streams */

static void
test_many(void)
{
    size_t     before, after;
    unsigned   i, good;

    begin("1,000 streams");
    server.echo = 1;
    both_ready();

    for (i = 0; i < 1000; i++) {
        ok(stream_new(&client, 0, 0) != NULL, "stream %u", i) || (i = 1000);
    }

    for (i = 0; i < client.nstreams; i++) {
        client.streams[i]->to_send = 2000 + i;
        client.streams[i]->fin_wanted = 1;
        stream_pump(client.streams[i]);
    }

    until(60000, client.streams[999]->closed && client.streams[0]->closed
                 && client.streams[500]->closed);
    world_run(2000);

    for (i = 0, good = 0; i < client.nstreams; i++) {
        good += client.streams[i]->closed && client.streams[i]->fin
                && client.streams[i]->received == 2000 + i
                && !client.streams[i]->wrong && !client.streams[i]->lost;
    }

    is_int(good, 1000, "streams that were echoed");

    for (i = 0, good = 0; i < server.nstreams; i++) {
        good += server.streams[i]->closed;
    }

    is_int(good, 1000, "streams closed at the server");
    world_done();

    world_init();
    server.echo = 1;
    both_ready();
    before = world_allocated();

    for (i = 0; i < 1000; i++) {
        stream_new(&client, 4, 0);
    }

    world_run(5000);
    after = world_allocated();

    is_int(client.streams[999]->received, 4, "the last one was echoed");
    ok((after - before) / 1000 < 2000, "%d bytes for both ends of a stream",
       (int) ((after - before) / 1000));
    world_done();
}


static void
test_memory(void)
{
    size_t    before, after;
    unsigned  i;

    begin("memory returns");
    both_ready();
    exchange("once", 2000000, 60000);
    world_done();
    before = world_allocated();

    for (i = 0; i < 5; i++) {
        world_init();
        both_ready();
        exchange("again", 2000000, 60000);
        world_done();
    }

    after = world_allocated();
    ok(after < before + 20000, "%d bytes more", (int) (after - before));
}


static void
test_stalled(void)
{
    unsigned   i;
    stream_t  *stalled[20], *st;

    begin("readers that stall");
    server.pause = 1;
    both_ready();

    for (i = 0; i < 20; i++) {
        stalled[i] = stream_new(&client, 5000000, 1);
    }

    world_run(5000);
    server.pause = 0;

    ok(stalled[0]->most_unsent <= 1048576 + 16000, "at most %d bytes unsent",
       (int) stalled[0]->most_unsent);
    ok(stalled[0]->sent < 3000000, "%d bytes are taken",
       (int) stalled[0]->sent);

    st = stream_new(&client, 1000000, 1);
    until(10000, server.nstreams == 21 && server.streams[20]->fin);
    is_int(server.streams[20]->received, 1000000, "another stream goes on");

    for (i = 0; i < 20; i++) {
        server.streams[i]->paused = 0;
        stream_read(server.streams[i]);
    }

    until(60000, server.streams[0]->fin && server.streams[19]->fin);
    world_run(5000);
    is_int(server.streams[0]->received, 5000000, "the first has all");
    is_int(server.streams[19]->received, 5000000, "the last has all");
    ok(!server.streams[0]->wrong, "in order");
    ok(st->finished, "and the other one");
    world_done();
}


static void
test_reset(void)
{
    stream_t  *st, *peer;

    begin("resets");
    both_ready();

    st = stream_new(&client, 5000000, 0);
    world_run(100);
    peer = stream_peer(st);
    ngx_trp_quic_stream_reset(st->s, 77);
    until(5000, peer->closed && st->closed);
    ok(peer->error && peer->code == 77, "by the writer, code %d",
       (int) peer->code);
    ok(st->closed && !st->lost, "closed at the writer");
    ok(peer->closed && !peer->lost, "closed at the reader");

    st = stream_new(&client, 5000000, 0);
    world_run(100);
    peer = stream_peer(st);
    ngx_trp_quic_stream_reset(peer->s, 78);
    until(5000, peer->closed && st->closed);
    ok(st->error && st->code == 78, "by the reader, code %d", (int) st->code);
    ok(st->send_error, "the writer has learnt it");
    ok(st->closed && peer->closed, "closed at both ends");

    st = stream_new(&client, 5000000, 0);
    world_run(100);
    peer = stream_peer(st);
    stream_free(st);
    until(5000, peer->closed);
    ok(peer->error && peer->code == 0, "freed by the writer");
    st->closed = 1;

    st = stream_new(&client, 500000, 1);
    stream_free(st);
    until(5000, peer != server.streams[server.nstreams - 1]
                && server.streams[server.nstreams - 1]->fin);
    peer = server.streams[server.nstreams - 1];
    ok(peer->fin && peer->received == 500000 && !peer->error,
       "freed after FIN: %d bytes arrive", (int) peer->received);

    server.pause = 1;
    st = stream_new(&client, 5000000, 0);
    world_run(2000);
    peer = stream_peer(st);
    ok(st->sent < 5000000, "a writer waits");
    ngx_trp_quic_stream_finish(peer->s);
    stream_free(peer);
    until(5000, st->send_error);
    ok(st->send_error, "it learns that nobody reads");
    ok(st->fin && !st->error, "after an orderly end of the other direction");
    st->fin_wanted = 1;
    ngx_trp_quic_stream_finish(st->s);
    until(5000, st->closed);
    ok(st->closed, "and closes");

    server.pause = 0;
    exchange("after that", 100000, 5000);

    server.refuse = 1;
    st = stream_new(&client, 100000, 0);
    until(5000, st->closed);
    ok(st->closed && st->error, "refused at once");

    world_done();
}


static void
test_close(void)
{
    stream_t             *st;
    ngx_trp_quic_info_t   info;

    begin("close");
    both_ready();
    st = stream_new(&client, 1000000, 0);
    world_run(15);
    ngx_trp_quic_close(client.q, 5, "enough");
    ok(!client.closed, "not from inside");
    until(1000, client.closed && server.closed);
    ok(client.closed && st->closed && st->lost, "the client's stream is lost");
    is_int(client.why.end, NGX_TRP_QUIC_CLOSED, "closed here");
    is_int(server.why.end, NGX_TRP_QUIC_PEER, "closed by the peer");
    ok(server.why.application && server.why.code == 5, "with code %d",
       (int) server.why.code);
    is_str(server.text, "enough", "with text");
    ok(server.nstreams == 1 && server.streams[0]->lost,
       "the server's stream is lost");
    ok(stream_new(&client, 1, 1) == NULL, "no stream any more");
    ngx_trp_quic_info(client.q, &info);
    until(5000, client.gone && server.gone);
    ok(client.gone && server.gone, "both are gone");
    world_done();

    world_init();
    both_ready();
    stream_new(&client, 50000000, 0);
    world_run(100);
    ngx_trp_quic_close(server.q, 9, "");
    net.dead = 1;
    until(1000, server.closed);
    world_run(20);
    net.dead = 0;
    until(3000, client.closed);
    ok(client.closed && client.why.code == 9,
       "a lost CONNECTION_CLOSE comes again: %d, %d, %s", client.closed,
       (int) client.why.code, client.text);
    world_done();

    world_init();
    both_ready();
    st = stream_new(&client, 1000000, 0);
    world_run(100);
    st->paused = 1;
    ngx_trp_quic_close(client.q, 9, "");
    until(1000, client.closed);
    ngx_trp_quic_free(client.q);
    world_run(1);
    client.q = NULL;
    ok(st->s != NULL, "a stream may outlive its connection");
    is_int(ngx_trp_quic_stream_send(st->s, (u_char *) "x", 1), NGX_ERROR,
           "nothing can be sent");
    stream_free(st);
    world_done();
}


static void
test_lost(void)
{
    begin("lost");
    client_conf.handshake = 2000;
    net.dead = 1;
    world_connect();
    until(5000, client.closed);
    is_int(client.why.end, NGX_TRP_QUIC_UNANSWERED, "unanswered: %s",
           client.text);
    world_done();

    world_init();
    client_conf.idle = 3000;
    both_ready();
    net.dead = 1;
    stream_new(&client, 100, 0);
    until(20000, client.closed && server.closed);
    is_int(client.why.end, NGX_TRP_QUIC_SILENT, "silent: %s", client.text);
    is_int(server.why.end, NGX_TRP_QUIC_SILENT, "silent: %s", server.text);
    world_done();

    world_init();
    client_conf.idle = 3000;
    client_conf.keepalive = 1000;
    both_ready();
    world_run(10000);
    ok(!client.closed && !server.closed, "kept alive");
    world_done();

    world_init();
    client_conf.idle = 3000;
    server_conf.keepalive = 1000;
    both_ready();
    world_run(10000);
    ok(!client.closed && !server.closed, "kept alive by the server");
    world_done();

    world_init();
    both_ready();
    world_run(200);
    net.stateless = 1;
    stream_new(&client, 100, 0);
    until(3000, client.closed);
    is_int(client.why.end, NGX_TRP_QUIC_LOST, "lost: %s", client.text);
    world_done();

    world_init();
    net.versions = 1;
    world_connect();
    until(3000, client.closed);
    ok(client.closed || !client.ready, "another version: %s", client.text);
    world_done();
}


static int
verify_fail(int preverify, X509_STORE_CTX *ctx)
{
    return 0;
}


static void
test_tls(void)
{
    begin("TLS fails");
    world_connect();
    SSL_set_verify(client.ssl, SSL_VERIFY_PEER, verify_fail);
    until(3000, client.closed && server.closed);
    is_int(client.why.end, NGX_TRP_QUIC_TLS, "at the client: %s", client.text);
    is_int(server.why.end, NGX_TRP_QUIC_PEER, "told the server: %d",
           (int) server.why.code);
    world_done();

    world_init();
    world_connect();
    SSL_set_alpn_protos(client.ssl, (u_char *) "\3abc", 4);
    until(3000, client.closed && server.closed);
    is_int(server.why.end, NGX_TRP_QUIC_TLS, "no ALPN: %s", server.text);
    ok(client.why.end == NGX_TRP_QUIC_PEER && client.why.code == 0x100 + 120,
       "the client knows: 0x%x", (int) client.why.code);
    world_done();
}


static void
test_retry(void)
{
    u_char                 buf[NGX_TRP_QUIC_INITIAL];
    size_t                 n;
    ngx_trp_quic_cid_t     id;
    ngx_trp_quic_path_t    path, other;
    ngx_trp_quic_retry_t   retry;
    ngx_trp_quic_packet_t  packet;

    begin("retry");
    net.retry = 1;
    both_ready();
    ok(client.ready && server.ready, "connected by a Retry");
    exchange("after a Retry", 100000, 5000);

    ok(ngx_trp_quic_packet(&packet, net.initial, net.last_initial, 12)
       == NGX_OK && packet.is_initial && packet.token.len,
       "the Initial has a token");

    path.remote = (struct sockaddr *) &client.addr;
    other.remote = (struct sockaddr *) &server.addr;

    n = world_now() / 1000000000;
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n, &retry), NGX_OK,
           "it is good");
    is_int(retry.first.len, 16, "and tells the first id");
    is_int(ngx_trp_quic_token(&packet, &other, world_secret, n, &retry),
           NGX_ERROR, "not for another address");
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n + 31, &retry),
           NGX_ERROR, "not later");
    packet.dcid.data[3] ^= 1;
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n, &retry),
           NGX_ERROR, "not for another id");
    packet.dcid.data[3] ^= 1;
    packet.token.data[packet.token.len - 1] ^= 1;
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n, &retry),
           NGX_ERROR, "not when changed");
    packet.token.len = 20;
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n, &retry),
           NGX_ERROR, "not when cut");
    packet.token.data[0] = 1;
    is_int(ngx_trp_quic_token(&packet, &path, world_secret, n, &retry),
           NGX_DECLINED, "another token is none");

    id.len = 20;
    ok(ngx_trp_quic_write_retry(buf, &packet, &path, &id, world_secret, n) > 0,
       "the longest id fits");
    ok(ngx_trp_quic_write_refusal(buf, &packet, NGX_TRP_QUIC_REFUSED) > 0,
       "a refusal");
    is_int(ngx_trp_quic_write_reset(buf, &packet, 21, world_secret), 0,
           "no reset for a short packet");
    is_int(ngx_trp_quic_write_reset(buf, &packet, 30, world_secret), 29,
           "a reset is shorter than its cause");
    is_int(ngx_trp_quic_write_reset(buf, &packet, 1200, world_secret), 43,
           "but not long");
    world_done();
}


static void
test_keys(void)
{
    stream_t  *st;

    begin("key update");
    server.echo = 1;
    world_connect();
    is_int(ngx_trp_quic_key_update(client.q), NGX_AGAIN,
           "not before the handshake");
    until(5000, client.ready && server.ready);
    world_run(200);
    st = stream_new(&client, 3000000, 1);
    world_run(60);
    is_int(ngx_trp_quic_key_update(client.q), NGX_OK, "begun by the client");
    is_int(ngx_trp_quic_key_update(client.q), NGX_AGAIN, "not twice");
    world_run(300);
    is_int(ngx_trp_quic_key_update(server.q), NGX_OK, "by the server");
    until(60000, st->closed);
    ok(st->fin && st->received == 3000000 && !st->wrong, "all bytes are back");
    world_done();
}


static void
test_move(void)
{
    stream_t            *st;
    in_port_t            port;
    ngx_trp_quic_path_t  path;

    begin("migration");
    server.echo = 1;
    world_connect();
    end_path(&client, &path);
    is_int(ngx_trp_quic_migrate(client.q, &path), NGX_OK,
           "to the same address, at once");
    port = client.addr.sin_port;
    client.addr.sin_port = htons(6002);
    end_path(&client, &path);
    is_int(ngx_trp_quic_migrate(client.q, &path), NGX_AGAIN,
           "not before the handshake");
    client.addr.sin_port = port;
    end_path(&client, &path);
    until(5000, client.ready && server.ready);
    is_int(ngx_trp_quic_migrate(server.q, &path), NGX_ERROR,
           "not by a server");
    world_run(200);

    st = stream_new(&client, 5000000, 1);
    world_run(100);
    ok(st->sent > 0 && !st->closed, "in mid-transfer");
    end_path(&client, &path);
    is_int(ngx_trp_quic_migrate(client.q, &path), NGX_OK,
           "to the same address");
    world_run(100);
    ok(!client.moved && !server.moved, "that is no move");
    client.addr.sin_port = htons(6001);
    end_path(&client, &path);
    is_int(ngx_trp_quic_migrate(client.q, &path), NGX_OK, "to another port");
    until(60000, st->closed);
    ok(st->fin && st->received == 5000000 && !st->wrong, "no byte is lost");
    ok(client.moved >= 1 && ntohs(client.path.sin_port) == 6001,
       "the client was told");
    ok(server.moved >= 1 && ntohs(server.path.sin_port) == 6001,
       "so was the server");

    /* the old path is dead, and nothing on it arrives */

    st = stream_new(&client, 5000000, 1);
    world_run(100);
    net.dead = 1;
    world_run(500);
    net.dead = 0;
    client.addr.sin_addr.s_addr = inet_addr("192.0.2.77");
    end_path(&client, &path);
    is_int(ngx_trp_quic_migrate(client.q, &path), NGX_OK,
           "to another address after a loss of 0.5 s");
    until(60000, st->closed);
    ok(st->fin && st->received == 5000000 && !st->wrong, "no byte is lost");

    /* the client does not know */

    server.moved = 0;
    st = stream_new(&client, 5000000, 1);
    world_run(100);
    net.rebind = 1;
    until(60000, st->closed);
    ok(st->fin && st->received == 5000000 && !st->wrong,
       "no byte is lost when a NAT changes the port");
    ok(server.moved >= 1 && ntohs(server.path.sin_port) == 7777,
       "the server was told");

    ok(!client.closed && !server.closed, "the connection lives");

    /* there and back, before the new path is known to be good */

    st = stream_new(&client, 5000000, 1);
    world_run(100);
    net.rebind = 0;
    world_run(3);
    net.rebind = 1;
    world_run(3);
    net.rebind = 0;
    until(60000, st->closed);
    ok(st->fin && st->received == 5000000 && !st->wrong,
       "no byte is lost when it comes back at once");
    world_done();
}


static void
test_datagrams(void)
{
    u_char    buf[1500];
    size_t    max, i;
    unsigned  sent;

    begin("datagrams");

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (u_char) (i * 31 + (i >> 8) * 7);
    }

    world_connect();
    is_int(ngx_trp_quic_datagram_send(client.q, buf, 1), NGX_DECLINED,
           "not before the handshake");
    until(5000, client.ready && server.ready);

    max = ngx_trp_quic_datagram_max(client.q);
    ok(max > 1140 && max < 1180, "at most %d bytes", (int) max);
    is_int(ngx_trp_quic_datagram_send(client.q, buf, max + 1), NGX_DECLINED,
           "not more");

    for (sent = 0; sent < 100; sent++) {
        ngx_trp_quic_datagram_send(client.q, buf, 1 + sent * 11);
    }

    ngx_trp_quic_datagram_send(client.q, buf, max);
    ngx_trp_quic_datagram_send(server.q, buf,
                               ngx_trp_quic_datagram_max(server.q));
    until(3000, server.datagrams == 101 && client.datagrams == 1);
    is_int(server.datagrams, 101, "all arrive");
    is_int(client.datagrams, 1, "the other way, too");
    is_int(server.wrong_datagrams + client.wrong_datagrams, 0, "as they were");

    for (sent = 0; ngx_trp_quic_datagram_send(client.q, buf, 1000) == NGX_OK
         && sent < 5000; sent++)
    { /* void */ }

    ok(sent == 256, "%u can wait", sent);
    exchange("beside them", 100000, 5000);
    world_done();

    world_init();
    server_conf.datagram = 0;
    both_ready();
    is_int(ngx_trp_quic_datagram_max(client.q), 0, "the peer takes none");
    is_int(ngx_trp_quic_datagram_send(client.q, buf, 1), NGX_DECLINED,
           "none is taken");
    world_done();
}


static void
test_full(void)
{
    stream_t  *st;

    begin("a socket that is full");
    server.echo = 1;
    both_ready();
    st = stream_new(&client, 1000000, 1);
    world_run(50);
    client.full = 1;
    world_run(300);
    client.full = 0;
    ngx_trp_quic_writable(client.q);
    until(30000, st->closed);
    ok(st->fin && st->received == 1000000 && !st->wrong, "it goes on");
    world_done();
}


static void
test_limit(void)
{
    stream_t  *st;

    begin("limit of streams");
    server_conf.streams = 1;
    server.echo = 1;
    both_ready();
    is_int(ngx_trp_quic_streams_left(client.q), 1, "one is allowed");
    st = stream_new(&client, 10, 0);
    ok(stream_new(&client, 10, 0) == NULL, "a second one is not");
    world_run(100);
    ngx_trp_quic_streams_allow(server.q, 9);
    until(1000, client.more_streams);
    ok(client.more_streams, "the client is told");
    is_int(ngx_trp_quic_streams_left(client.q), 9, "nine more");
    st->fin_wanted = 1;
    stream_pump(st);
    until(1000, st->closed);
    world_run(100);
    is_int(ngx_trp_quic_streams_left(client.q), 10, "one that is over counts");
    world_done();
}


int
main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);

    test_handshake();
    test_resumption();
    test_exchange();
    test_ciphers();
    test_network();
    test_slow();
    test_many();
    test_memory();
    test_stalled();
    test_reset();
    test_close();
    test_lost();
    test_tls();
    test_retry();
    test_keys();
    test_move();
    test_datagrams();
    test_full();
    test_limit();

    return done_testing();
}
