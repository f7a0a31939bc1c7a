
/*
 * Copyright (C) the trp authors
 */


/*
 * A server and a client of the QUIC engine, of which either may be malicious:
 * packets are changed, cut and made up on their way, and what they contain is
 * changed before it is encrypted.  The input is a list of steps.
 */


#include "world.h"

#include <stdlib.h>
#include <openssl/evp.h>


typedef struct {
    const uint8_t  *p;
    const uint8_t  *last;
} input_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __real_EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out,
    int *outl, const unsigned char *in, int inl);
int __wrap_EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out,
    int *outl, const unsigned char *in, int inl);
size_t __sanitizer_get_current_allocated_bytes(void);


static unsigned  change_text, change_packet, cut_packet, change_at, change_by;


static unsigned
take(input_t *in)
{
    return in->p < in->last ? *in->p++ : 0;
}


/* the text of a packet, before it is encrypted */

int
__wrap_EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl,
    const unsigned char *in, int inl)
{
    unsigned char  buf[2048];

    if (change_text == 0 || out == NULL || inl <= 16
        || (size_t) inl > sizeof(buf))
    {
        return __real_EVP_EncryptUpdate(ctx, out, outl, in, inl);
    }

    change_text--;

    memcpy(buf, in, inl);
    buf[change_at % inl] ^= change_by;

    return __real_EVP_EncryptUpdate(ctx, out, outl, buf, inl);
}


static void
tap(u_char *p, size_t *len, unsigned to_server)
{
    if (change_packet) {
        change_packet--;
        p[change_at % *len] ^= change_by;
    }

    if (cut_packet) {
        cut_packet--;
        *len = 1 + change_at % *len;
    }
}


static void
made_up(input_t *in, int to_server)
{
    u_char    buf[1500];
    size_t    i, len;
    unsigned  n;

    len = 1 + (take(in) << 3 | take(in)) % sizeof(buf);
    n = take(in);

    for (i = 0; i < len; i++) {
        buf[i] = i < 40 ? take(in) : world_random(256);
    }

    /* with an id that is known */

    if (to_server && server.nids && (n & 1)) {
        buf[0] = (buf[0] & 0x7f) | 0x40;
        memcpy(buf + 1, server.ids[n % server.nids].data,
               ngx_min(len - 1, server.ids[n % server.nids].len));
    }

    net_inject(buf, len, to_server, to_server ? &client.addr : &server.addr);
}


static void
step_stream(input_t *in)
{
    end_t     *end;
    unsigned   n;
    stream_t  *st;

    end = take(in) & 1 ? &server : &client;
    n = take(in);

    if (end->closed || end->q == NULL || !end->ready) {
        return;
    }

    if ((n & 3) == 0 && end->nstreams < 50) {
        stream_new(end, take(in) * 300, n & 4);
        return;
    }

    if (end->nstreams == 0) {
        return;
    }

    st = end->streams[take(in) % end->nstreams];

    if (st->s == NULL) {
        return;
    }

    switch (n & 15) {

    case 1:
        st->to_send += take(in) * 100;
        st->fin_wanted = n >> 7;
        stream_pump(st);
        break;

    case 2:
        ngx_trp_quic_stream_reset(st->s, take(in));
        break;

    case 3:
        stream_free(st);
        break;

    case 5:
        ngx_trp_quic_stream_finish(st->s);
        st->finished = 1;
        break;

    case 6:
        st->paused = !st->paused;

        if (!st->paused) {
            stream_read(st);
        }
    }
}


static void
step_end(input_t *in)
{
    end_t                *end;
    u_char                buf[100];
    unsigned              n;
    ngx_trp_quic_path_t   path;
    ngx_trp_quic_info_t   info;

    end = take(in) & 1 ? &server : &client;
    n = take(in);

    if (end->q == NULL) {
        return;
    }

    switch (n & 15) {

    case 0:
        ngx_trp_quic_close(end->q, n, "fuzz");
        break;

    case 1:
        (void) ngx_trp_quic_key_update(end->q);
        break;

    case 2:
        client.addr.sin_port = htons(6000 + n);
        end_path(&client, &path);
        (void) ngx_trp_quic_migrate(end->q, &path);
        break;

    case 3:
        memset(buf, 0, sizeof(buf));
        (void) ngx_trp_quic_datagram_send(end->q, buf, n % sizeof(buf));
        break;

    case 4:
        end->full = !end->full;
        ngx_trp_quic_writable(end->q);
        break;

    case 5:
        ngx_trp_quic_streams_allow(end->q, n >> 4);
        break;

    case 6:
        ngx_trp_quic_info(end->q, &info);
        break;

    case 7:
        if (n == 0xf7) {
            ngx_trp_quic_free(end->q);
            end->q = NULL;
        }

        break;

    case 8:
        net.rebind = !net.rebind;
        break;

    case 9:
        net.stateless = !net.stateless;
        break;

    case 10:
        end->refuse = !end->refuse;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t   in;
    unsigned  steps;

    in.p = data;
    in.last = data + size;
    steps = 0;
    change_text = change_packet = cut_packet = 0;

    world_init();
    net.tap = tap;
    net.delay = 1;
    server_conf.streams = 20;
    client_conf.streams = 20;
    server.echo = 1;
    client.echo = 1;

    net.retry = take(&in) & 1;

    world_connect();

    while (in.p < in.last && steps++ < 400) {

        switch (take(&in) & 7) {

        case 0:
            world_run(take(&in));
            break;

        case 1:
            change_packet = 1 + (take(&in) & 3);
            change_at = take(&in);
            change_by = take(&in);
            break;

        case 2:
            change_text = 1 + (take(&in) & 3);
            change_at = take(&in);
            change_by = take(&in);
            break;

        case 3:
            cut_packet = 1;
            change_at = take(&in) << 3;
            break;

        case 4:
            made_up(&in, take(&in) & 1);
            break;

        case 5:
        case 6:
            step_stream(&in);
            break;

        case 7:
            step_end(&in);
        }
    }

    world_run(200);
    world_done();

    return 0;
}
