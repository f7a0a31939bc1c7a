
/*
 * Copyright (C) the trp authors
 */


/*
 * Packets without a connection: their headers, and answers to them.
 *
 * A Retry token is encrypted and good for one address, one connection id and
 * half a minute:
 *
 *     type (1), nonce (12), { time (8), first id }, tag (16)
 */


#include "quic/ngx_trp_quic_crypto.h"
#include "quic/ngx_trp_quic_packet.h"


#define NGX_TRP_QUIC_TOKEN_RETRY  0xa7
#define NGX_TRP_QUIC_TOKEN_TIME   30
#define NGX_TRP_QUIC_TOKEN_HEAD   (1 + NGX_TRP_QUIC_IV_LEN)
#define NGX_TRP_QUIC_TOKEN_MAX                                                \
    (NGX_TRP_QUIC_TOKEN_HEAD + 8 + NGX_TRP_QUIC_CID_MAX + NGX_TRP_QUIC_TAG_LEN)

#define NGX_TRP_QUIC_RESET_MIN    (NGTCP2_MIN_STATELESS_RESET_RANDLEN         \
                                   + NGTCP2_STATELESS_RESET_TOKENLEN)
#define NGX_TRP_QUIC_RESET_MAX    43


static void
ngx_trp_quic_packet_cid(ngx_trp_quic_cid_t *cid, const u_char *p, size_t len)
{
    cid->len = len;
    ngx_memcpy(cid->data, p, len);
}


ngx_int_t
ngx_trp_quic_packet(ngx_trp_quic_packet_t *packet, u_char *p, size_t len,
    size_t cid_len)
{
    int                 rc;
    ngtcp2_pkt_hd       hd;
    ngtcp2_version_cid  ids;

    ngx_memzero(packet, sizeof(ngx_trp_quic_packet_t));

    if (len == 0) {
        return NGX_ERROR;
    }

    packet->is_long = p[0] >> 7;

    rc = ngtcp2_pkt_decode_version_cid(&ids, p, len, cid_len);

    if ((rc != 0 && rc != NGTCP2_ERR_VERSION_NEGOTIATION)
        || ids.dcidlen > NGX_TRP_QUIC_CID_MAX
        || ids.scidlen > NGX_TRP_QUIC_CID_MAX)
    {
        return NGX_ERROR;
    }

    ngx_trp_quic_packet_cid(&packet->dcid, ids.dcid, ids.dcidlen);

    if (!packet->is_long) {
        return NGX_OK;
    }

    ngx_trp_quic_packet_cid(&packet->scid, ids.scid, ids.scidlen);
    packet->version = ids.version;

    if (ids.version == 0) {
        return NGX_ERROR;       /* a Version Negotiation, which servers send */
    }

    if (ids.version != NGTCP2_PROTO_VER_V1) {
        return NGX_DECLINED;
    }

    if (len >= NGX_TRP_QUIC_INITIAL && ngtcp2_accept(&hd, p, len) == 0) {
        packet->is_initial = 1;
        packet->token.len = hd.tokenlen;
        packet->token.data = (u_char *) hd.token;
    }

    return NGX_OK;
}


/* what a token is bound to; its length, 0: no such address */

static size_t
ngx_trp_quic_token_bound(u_char *buf, const ngx_trp_quic_path_t *path,
    const ngx_trp_quic_cid_t *id)
{
    u_char               *p;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    p = buf;

    switch (path->remote->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) path->remote;
        p = ngx_cpymem(p, &sin6->sin6_addr, 16);
        p = ngx_cpymem(p, &sin6->sin6_port, 2);
        break;
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) path->remote;
        p = ngx_cpymem(p, &sin->sin_addr, 4);
        p = ngx_cpymem(p, &sin->sin_port, 2);
        break;

    default:
        return 0;
    }

    p = ngx_cpymem(p, id->data, id->len);

    return p - buf;
}


static EVP_CIPHER_CTX *
ngx_trp_quic_token_cipher(const u_char *secret, const u_char *nonce,
    int encrypt)
{
    u_char           key[NGX_TRP_QUIC_SECRET_LEN];
    EVP_CIPHER_CTX  *ctx;

    if (ngx_trp_quic_derive(key, secret, "retry token") != NGX_OK) {
        return NULL;
    }

    ctx = EVP_CIPHER_CTX_new();

    if (ctx
        && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt)
           != 1)
    {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }

    OPENSSL_cleanse(key, sizeof(key));

    return ctx;
}


static size_t
ngx_trp_quic_token_write(u_char *buf, const ngx_trp_quic_packet_t *packet,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_cid_t *id,
    const u_char *secret, time_t now)
{
    int              n;
    u_char           bound[18 + NGX_TRP_QUIC_CID_MAX];
    u_char           text[8 + NGX_TRP_QUIC_CID_MAX], *p;
    size_t           len, done;
    uint64_t         seconds;
    EVP_CIPHER_CTX  *ctx;

    len = ngx_trp_quic_token_bound(bound, path, id);

    buf[0] = NGX_TRP_QUIC_TOKEN_RETRY;

    if (len == 0 || RAND_bytes(buf + 1, NGX_TRP_QUIC_IV_LEN) != 1) {
        return 0;
    }

    ctx = ngx_trp_quic_token_cipher(secret, buf + 1, 1);
    if (ctx == NULL) {
        return 0;
    }

    seconds = now;

    p = ngx_cpymem(text, &seconds, 8);
    p = ngx_cpymem(p, packet->dcid.data, packet->dcid.len);

    done = 0;

    if (EVP_CipherUpdate(ctx, NULL, &n, bound, (int) len) == 1
        && EVP_CipherUpdate(ctx, buf + NGX_TRP_QUIC_TOKEN_HEAD, &n, text,
                            (int) (p - text))
           == 1)
    {
        done = NGX_TRP_QUIC_TOKEN_HEAD + (p - text);

        if (EVP_CipherFinal_ex(ctx, buf + done, &n) == 1
            && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
                                   NGX_TRP_QUIC_TAG_LEN, buf + done)
               == 1)
        {
            done += NGX_TRP_QUIC_TAG_LEN;

        } else {
            done = 0;
        }
    }

    EVP_CIPHER_CTX_free(ctx);

    return done;
}


static ngx_int_t
ngx_trp_quic_token_read(u_char *text, size_t *text_len, const u_char *token,
    size_t len, const u_char *bound, size_t bound_len, const u_char *secret)
{
    int              n, rc;
    u_char           rest[NGX_TRP_QUIC_TAG_LEN];
    EVP_CIPHER_CTX  *ctx;

    if (bound_len == 0
        || len < NGX_TRP_QUIC_TOKEN_HEAD + 8 + NGX_TRP_QUIC_TAG_LEN
        || len > NGX_TRP_QUIC_TOKEN_MAX)
    {
        return NGX_ERROR;
    }

    ctx = ngx_trp_quic_token_cipher(secret, token + 1, 0);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    *text_len = len - NGX_TRP_QUIC_TOKEN_HEAD - NGX_TRP_QUIC_TAG_LEN;

    rc = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, NGX_TRP_QUIC_TAG_LEN,
                             (void *) (token + len - NGX_TRP_QUIC_TAG_LEN));

    if (rc == 1) {
        rc = EVP_CipherUpdate(ctx, NULL, &n, bound, (int) bound_len);
    }

    if (rc == 1) {
        rc = EVP_CipherUpdate(ctx, text, &n, token + NGX_TRP_QUIC_TOKEN_HEAD,
                              (int) *text_len);
    }

    if (rc == 1) {
        rc = EVP_CipherFinal_ex(ctx, rest, &n);
    }

    EVP_CIPHER_CTX_free(ctx);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trp_quic_token(const ngx_trp_quic_packet_t *packet,
    const ngx_trp_quic_path_t *path, const u_char *secret, time_t now,
    ngx_trp_quic_retry_t *retry)
{
    u_char    bound[18 + NGX_TRP_QUIC_CID_MAX];
    u_char    text[8 + NGX_TRP_QUIC_CID_MAX];
    size_t    len;
    uint64_t  seconds;

    ngx_memzero(retry, sizeof(ngx_trp_quic_retry_t));

    if (packet->token.len == 0
        || packet->token.data[0] != NGX_TRP_QUIC_TOKEN_RETRY)
    {
        return NGX_DECLINED;
    }

    len = ngx_trp_quic_token_bound(bound, path, &packet->dcid);

    if (ngx_trp_quic_token_read(text, &len, packet->token.data,
                                packet->token.len, bound, len, secret)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(&seconds, text, 8);

    if ((uint64_t) now < seconds
        || (uint64_t) now - seconds > NGX_TRP_QUIC_TOKEN_TIME)
    {
        return NGX_ERROR;
    }

    ngx_trp_quic_packet_cid(&retry->first, text + 8, len - 8);
    retry->retry = packet->dcid;

    return NGX_OK;
}


size_t
ngx_trp_quic_write_versions(u_char *buf, const ngx_trp_quic_packet_t *packet)
{
    u_char        random;
    ngtcp2_ssize  n;

    static const uint32_t  versions[] = { NGTCP2_PROTO_VER_V1 };

    if (RAND_bytes(&random, 1) != 1) {
        return 0;
    }

    n = ngtcp2_pkt_write_version_negotiation(buf, NGX_TRP_QUIC_INITIAL, random,
                                             packet->scid.data,
                                             packet->scid.len,
                                             packet->dcid.data,
                                             packet->dcid.len, versions, 1);

    return n > 0 ? n : 0;
}


size_t
ngx_trp_quic_write_retry(u_char *buf, const ngx_trp_quic_packet_t *packet,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_cid_t *id,
    const u_char *secret, time_t now)
{
    u_char                  token[NGX_TRP_QUIC_TOKEN_MAX];
    size_t                  len;
    ngtcp2_cid              dcid, scid, odcid;
    ngtcp2_ssize            n;
    ngtcp2_crypto_aead      aead;
    ngtcp2_crypto_aead_ctx  ctx;

    len = ngx_trp_quic_token_write(token, packet, path, id, secret, now);

    if (len == 0 || ngx_trp_quic_retry_aead(&ctx) != NGX_OK) {
        return 0;
    }

    ngtcp2_cid_init(&dcid, packet->scid.data, packet->scid.len);
    ngtcp2_cid_init(&scid, id->data, id->len);
    ngtcp2_cid_init(&odcid, packet->dcid.data, packet->dcid.len);

    aead.native_handle = NULL;
    aead.max_overhead = NGX_TRP_QUIC_TAG_LEN;

    n = ngtcp2_pkt_write_retry(buf, NGX_TRP_QUIC_INITIAL, packet->version,
                               &dcid, &scid, &odcid, token, len,
                               ngx_trp_quic_encrypt, &aead, &ctx);

    EVP_CIPHER_CTX_free(ctx.native_handle);

    return n > 0 ? n : 0;
}


size_t
ngx_trp_quic_write_refusal(u_char *buf, const ngx_trp_quic_packet_t *packet,
    uint64_t code)
{
    ngtcp2_cid           dcid, scid;
    ngtcp2_ssize         n;
    ngtcp2_crypto_ctx    ctx;
    ngx_trp_quic_keys_t  keys;

    ngx_trp_quic_crypto_initial(&ctx);

    if (ngx_trp_quic_keys_initial(&keys, packet->dcid.data, packet->dcid.len,
                                  1, 1)
        != NGX_OK)
    {
        return 0;
    }

    ngtcp2_cid_init(&dcid, packet->scid.data, packet->scid.len);
    ngtcp2_cid_init(&scid, packet->dcid.data, packet->dcid.len);

    n = ngtcp2_pkt_write_connection_close(buf, NGX_TRP_QUIC_INITIAL,
                                          packet->version, &dcid, &scid, code,
                                          NULL, 0, ngx_trp_quic_encrypt,
                                          &ctx.aead, &keys.aead, keys.iv,
                                          ngx_trp_quic_hp_mask, &ctx.hp,
                                          &keys.hp);

    ngx_trp_quic_keys_free(&keys);

    return n > 0 ? n : 0;
}


size_t
ngx_trp_quic_write_reset(u_char *buf, const ngx_trp_quic_packet_t *packet,
    size_t len, const u_char *secret)
{
    u_char        token[NGTCP2_STATELESS_RESET_TOKENLEN];
    u_char        random[NGX_TRP_QUIC_RESET_MAX];
    ngtcp2_ssize  n;

    if (len <= NGX_TRP_QUIC_RESET_MIN) {
        return 0;
    }

    len = ngx_min(len - 1, NGX_TRP_QUIC_RESET_MAX);

    if (RAND_bytes(random, sizeof(random)) != 1
        || ngx_trp_quic_reset_token(token, secret, packet->dcid.data,
                                    packet->dcid.len)
           != NGX_OK)
    {
        return 0;
    }

    n = ngtcp2_pkt_write_stateless_reset(buf, len, token, random,
                                         sizeof(random));

    return n > 0 ? n : 0;
}
