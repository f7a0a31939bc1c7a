
/*
 * Copyright (C) the trp authors
 */


/*
 * Packet and header protection: keys are derived by HKDF, whose outputs are all
 * one block of the hash or less, and each key has a context that is kept.
 */


#include "quic/ngx_trp_quic_crypto.h"

#include <openssl/hmac.h>


#define NGX_TRP_QUIC_LABEL_MAX  32


static const u_char  ngx_trp_quic_salt[] = {
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
    0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a
};


void
ngx_trp_quic_crypto_initial(ngtcp2_crypto_ctx *ctx)
{
    ctx->aead.native_handle = (void *) EVP_aes_128_gcm();
    ctx->aead.max_overhead = NGX_TRP_QUIC_TAG_LEN;
    ctx->md.native_handle = (void *) EVP_sha256();
    ctx->hp.native_handle = (void *) EVP_aes_128_ecb();
    ctx->max_encryption = 0;
    ctx->max_decryption_failure = 0;
}


/* limits of RFC 9001, 6.6 */

ngx_int_t
ngx_trp_quic_crypto_negotiated(ngtcp2_crypto_ctx *ctx, SSL *ssl)
{
    const SSL_CIPHER  *cipher;

    cipher = SSL_get_current_cipher(ssl);
    if (cipher == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_quic_crypto_initial(ctx);

    ctx->max_encryption = 1ull << 23;
    ctx->max_decryption_failure = 1ull << 52;

    switch (SSL_CIPHER_get_id(cipher)) {

    case TLS1_3_CK_AES_128_GCM_SHA256:
        return NGX_OK;

    case TLS1_3_CK_AES_256_GCM_SHA384:
        ctx->aead.native_handle = (void *) EVP_aes_256_gcm();
        ctx->md.native_handle = (void *) EVP_sha384();
        ctx->hp.native_handle = (void *) EVP_aes_256_ecb();
        return NGX_OK;

    case TLS1_3_CK_CHACHA20_POLY1305_SHA256:
        ctx->aead.native_handle = (void *) EVP_chacha20_poly1305();
        ctx->hp.native_handle = (void *) EVP_chacha20();
        ctx->max_encryption = 1ull << 62;
        ctx->max_decryption_failure = 1ull << 36;
        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


/* HKDF-Expand-Label of RFC 8446 without a context, one block */

static ngx_int_t
ngx_trp_quic_expand(u_char *out, size_t len, const EVP_MD *md,
    const u_char *secret, size_t secret_len, const char *label)
{
    u_char        info[NGX_TRP_QUIC_LABEL_MAX], block[EVP_MAX_MD_SIZE], *p;
    size_t        n;
    unsigned int  size;

    n = ngx_strlen(label);

    p = info;
    *p++ = (u_char) (len >> 8);
    *p++ = (u_char) len;
    *p++ = (u_char) (sizeof("tls13 ") - 1 + n);
    p = ngx_cpymem(p, "tls13 ", sizeof("tls13 ") - 1);
    p = ngx_cpymem(p, label, n);
    *p++ = 0;
    *p++ = 1;       /* the block's number */

    if (HMAC(md, secret, (int) secret_len, info, p - info, block, &size)
        == NULL
        || size < len)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(out, block, len);

    OPENSSL_cleanse(block, sizeof(block));

    return NGX_OK;
}


static EVP_CIPHER_CTX *
ngx_trp_quic_cipher(const EVP_CIPHER *cipher, const u_char *key,
    ngx_uint_t encrypt)
{
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return NULL;
    }

    if (EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, (int) encrypt) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }

    (void) EVP_CIPHER_CTX_set_padding(ctx, 0);

    return ctx;
}


static ngx_int_t
ngx_trp_quic_keys_aead(ngx_trp_quic_keys_t *keys,
    const ngtcp2_crypto_ctx *ctx, const u_char *secret, size_t len,
    ngx_uint_t encrypt)
{
    u_char             key[NGX_TRP_QUIC_KEY_MAX];
    const EVP_MD      *md;
    const EVP_CIPHER  *cipher;

    md = ctx->md.native_handle;
    cipher = ctx->aead.native_handle;

    if (ngx_trp_quic_expand(key, EVP_CIPHER_key_length(cipher), md, secret,
                            len, "quic key")
        != NGX_OK
        || ngx_trp_quic_expand(keys->iv, NGX_TRP_QUIC_IV_LEN, md, secret, len,
                               "quic iv")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    keys->aead.native_handle = ngx_trp_quic_cipher(cipher, key, encrypt);

    OPENSSL_cleanse(key, sizeof(key));

    return keys->aead.native_handle ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trp_quic_keys(ngx_trp_quic_keys_t *keys, const ngtcp2_crypto_ctx *ctx,
    const u_char *secret, size_t len, ngx_uint_t encrypt)
{
    u_char             key[NGX_TRP_QUIC_KEY_MAX];
    const EVP_CIPHER  *cipher;

    ngx_memzero(keys, sizeof(ngx_trp_quic_keys_t));

    cipher = ctx->hp.native_handle;

    if (ngx_trp_quic_keys_aead(keys, ctx, secret, len, encrypt) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_quic_expand(key, EVP_CIPHER_key_length(cipher),
                            ctx->md.native_handle, secret, len, "quic hp")
        == NGX_OK)
    {
        keys->hp.native_handle = ngx_trp_quic_cipher(cipher, key, 1);
    }

    OPENSSL_cleanse(key, sizeof(key));

    if (keys->hp.native_handle == NULL) {
        ngx_trp_quic_keys_free(keys);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_trp_quic_keys_free(ngx_trp_quic_keys_t *keys)
{
    EVP_CIPHER_CTX_free(keys->aead.native_handle);
    EVP_CIPHER_CTX_free(keys->hp.native_handle);

    keys->aead.native_handle = NULL;
    keys->hp.native_handle = NULL;
}


ngx_int_t
ngx_trp_quic_keys_initial(ngx_trp_quic_keys_t *keys, const u_char *cid,
    size_t len, ngx_uint_t server, ngx_uint_t encrypt)
{
    u_char             common[EVP_MAX_MD_SIZE], secret[EVP_MAX_MD_SIZE];
    unsigned int       size;
    ngtcp2_crypto_ctx  ctx;

    ngx_trp_quic_crypto_initial(&ctx);

    /* HKDF-Extract */

    if (HMAC(EVP_sha256(), ngx_trp_quic_salt, sizeof(ngx_trp_quic_salt), cid,
             len, common, &size)
        == NULL)
    {
        return NGX_ERROR;
    }

    if (ngx_trp_quic_expand(secret, size, EVP_sha256(), common, size,
                            server ? "server in" : "client in")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trp_quic_keys(keys, &ctx, secret, size, encrypt);
}


ngx_int_t
ngx_trp_quic_retry_aead(ngtcp2_crypto_aead_ctx *aead)
{
    aead->native_handle = ngx_trp_quic_cipher(EVP_aes_128_gcm(),
                                              (u_char *) NGTCP2_RETRY_KEY_V1,
                                              1);

    return aead->native_handle ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trp_quic_derive(u_char *key, const u_char *secret, const char *label)
{
    unsigned int  size;

    return HMAC(EVP_sha256(), secret, NGX_TRP_QUIC_SECRET_LEN,
                (u_char *) label, ngx_strlen(label), key, &size)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trp_quic_reset_token(u_char *token, const u_char *secret,
    const u_char *cid, size_t len)
{
    u_char        key[NGX_TRP_QUIC_SECRET_LEN], mac[EVP_MAX_MD_SIZE];
    unsigned int  size;

    if (ngx_trp_quic_derive(key, secret, "stateless reset") != NGX_OK
        || HMAC(EVP_sha256(), key, sizeof(key), cid, len, mac, &size) == NULL)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(token, mac, NGTCP2_STATELESS_RESET_TOKENLEN);

    return NGX_OK;
}


int
ngx_trp_quic_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *text, size_t len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *aad,
    size_t aad_len)
{
    int              n;
    EVP_CIPHER_CTX  *c;

    c = ctx->native_handle;

    if (EVP_EncryptInit_ex(c, NULL, NULL, NULL, nonce) != 1
        || EVP_EncryptUpdate(c, NULL, &n, aad, (int) aad_len) != 1
        || EVP_EncryptUpdate(c, dest, &n, text, (int) len) != 1
        || EVP_EncryptFinal_ex(c, dest + n, &n) != 1
        || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, NGX_TRP_QUIC_TAG_LEN,
                               dest + len)
           != 1)
    {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    return 0;
}


int
ngx_trp_quic_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *text, size_t len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *aad,
    size_t aad_len)
{
    int              n;
    EVP_CIPHER_CTX  *c;

    if (len < NGX_TRP_QUIC_TAG_LEN) {
        return NGTCP2_ERR_DECRYPT;
    }

    c = ctx->native_handle;
    len -= NGX_TRP_QUIC_TAG_LEN;

    if (EVP_DecryptInit_ex(c, NULL, NULL, NULL, nonce) != 1
        || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, NGX_TRP_QUIC_TAG_LEN,
                               (void *) (text + len))
           != 1
        || EVP_DecryptUpdate(c, NULL, &n, aad, (int) aad_len) != 1
        || EVP_DecryptUpdate(c, dest, &n, text, (int) len) != 1
        || EVP_DecryptFinal_ex(c, dest + n, &n) != 1)
    {
        return NGTCP2_ERR_DECRYPT;
    }

    return 0;
}


int
ngx_trp_quic_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
    const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample)
{
    int              n;
    EVP_CIPHER_CTX  *c;

    static const u_char  zeroes[NGTCP2_HP_MASKLEN];

    c = ctx->native_handle;

    if (hp->native_handle != (void *) EVP_chacha20()) {
        return EVP_EncryptUpdate(c, dest, &n, sample, NGTCP2_HP_SAMPLELEN) == 1
               ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
    }

    if (EVP_EncryptInit_ex(c, NULL, NULL, NULL, sample) != 1
        || EVP_EncryptUpdate(c, dest, &n, zeroes, NGTCP2_HP_MASKLEN) != 1)
    {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    return 0;
}


static int
ngx_trp_quic_update_key(ngtcp2_conn *conn, uint8_t *rx_secret,
    uint8_t *tx_secret, ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
    ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv, const uint8_t *rx_current,
    const uint8_t *tx_current, size_t len, void *data)
{
    ngx_trp_quic_keys_t       rx, tx;
    const ngtcp2_crypto_ctx  *ctx;

    ctx = ngtcp2_conn_get_crypto_ctx(conn);

    ngx_memzero(&rx, sizeof(ngx_trp_quic_keys_t));
    ngx_memzero(&tx, sizeof(ngx_trp_quic_keys_t));

    if (ngx_trp_quic_expand(rx_secret, len, ctx->md.native_handle, rx_current,
                            len, "quic ku")
        != NGX_OK
        || ngx_trp_quic_expand(tx_secret, len, ctx->md.native_handle,
                               tx_current, len, "quic ku")
           != NGX_OK
        || ngx_trp_quic_keys_aead(&rx, ctx, rx_secret, len, 0) != NGX_OK
        || ngx_trp_quic_keys_aead(&tx, ctx, tx_secret, len, 1) != NGX_OK)
    {
        ngx_trp_quic_keys_free(&rx);
        ngx_trp_quic_keys_free(&tx);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    *rx_ctx = rx.aead;
    *tx_ctx = tx.aead;
    ngx_memcpy(rx_iv, rx.iv, NGX_TRP_QUIC_IV_LEN);
    ngx_memcpy(tx_iv, tx.iv, NGX_TRP_QUIC_IV_LEN);

    return 0;
}


static void
ngx_trp_quic_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *ctx,
    void *data)
{
    EVP_CIPHER_CTX_free(ctx->native_handle);
}


static void
ngx_trp_quic_delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *ctx,
    void *data)
{
    EVP_CIPHER_CTX_free(ctx->native_handle);
}


void
ngx_trp_quic_crypto_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->encrypt = ngx_trp_quic_encrypt;
    callbacks->decrypt = ngx_trp_quic_decrypt;
    callbacks->hp_mask = ngx_trp_quic_hp_mask;
    callbacks->update_key = ngx_trp_quic_update_key;
    callbacks->delete_crypto_aead_ctx = ngx_trp_quic_delete_aead;
    callbacks->delete_crypto_cipher_ctx = ngx_trp_quic_delete_cipher;
}
