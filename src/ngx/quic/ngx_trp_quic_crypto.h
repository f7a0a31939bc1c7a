
/*
 * Copyright (C) the trp authors
 */


/*
 * Packet and header protection of QUIC version 1, RFC 9001, over OpenSSL.
 */


#ifndef _NGX_TRP_QUIC_CRYPTO_H_INCLUDED_
#define _NGX_TRP_QUIC_CRYPTO_H_INCLUDED_


#include "quic/ngx_trp_quic_impl.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_QUIC_TAG_LEN  16
#define NGX_TRP_QUIC_IV_LEN   12
#define NGX_TRP_QUIC_KEY_MAX  32


/* what one side protects its packets with */

typedef struct {
    ngtcp2_crypto_aead_ctx   aead;
    ngtcp2_crypto_cipher_ctx hp;
    u_char                   iv[NGX_TRP_QUIC_IV_LEN];
} ngx_trp_quic_keys_t;


/* those of Initials; those of a connection, NGX_ERROR: not for QUIC */

void ngx_trp_quic_crypto_initial(ngtcp2_crypto_ctx *ctx);
ngx_int_t ngx_trp_quic_crypto_negotiated(ngtcp2_crypto_ctx *ctx, SSL *ssl);

/*
 * Keys from a secret, for encryption or decryption; ngx_trp_quic_keys_free()
 * is for those that ngtcp2 has not taken over.
 */

ngx_int_t ngx_trp_quic_keys(ngx_trp_quic_keys_t *keys,
    const ngtcp2_crypto_ctx *ctx, const u_char *secret, size_t len,
    ngx_uint_t encrypt);
void ngx_trp_quic_keys_free(ngx_trp_quic_keys_t *keys);

/* those of Initials, of the client or the server, from the first id */

ngx_int_t ngx_trp_quic_keys_initial(ngx_trp_quic_keys_t *keys,
    const u_char *cid, size_t len, ngx_uint_t server, ngx_uint_t encrypt);

/* AES-128-GCM for the tag of a Retry */

ngx_int_t ngx_trp_quic_retry_aead(ngtcp2_crypto_aead_ctx *aead);

/* what a server tells its clients to expect of a stateless reset */

ngx_int_t ngx_trp_quic_reset_token(u_char *token, const u_char *secret,
    const u_char *cid, size_t len);

/* a key of 32 bytes for something else, from a server's secret */

ngx_int_t ngx_trp_quic_derive(u_char *key, const u_char *secret,
    const char *label);


/* callbacks of ngtcp2 */

int ngx_trp_quic_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *text, size_t len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *aad,
    size_t aad_len);
int ngx_trp_quic_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *text, size_t len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *aad,
    size_t aad_len);
int ngx_trp_quic_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
    const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample);

void ngx_trp_quic_crypto_callbacks(ngtcp2_callbacks *callbacks);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_CRYPTO_H_INCLUDED_ */
