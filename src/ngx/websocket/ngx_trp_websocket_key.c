
/*
 * Copyright (C) the trp authors
 */


/*
 * What shows that an answer to a request for a WebSocket is one, and no copy of
 * an older one.
 */


#include "websocket/ngx_trp_websocket_key.h"

#include <ngx_sha1.h>
#include <sodium.h>


#define NGX_TRP_WEBSOCKET_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


void
ngx_trp_websocket_key(u_char *key)
{
    u_char     nonce[16];
    ngx_str_t  in, out;

    randombytes_buf(nonce, sizeof(nonce));

    in.data = nonce;
    in.len = sizeof(nonce);
    out.data = key;

    ngx_encode_base64(&out, &in);
}


void
ngx_trp_websocket_accept(u_char *accept, const u_char *key, size_t len)
{
    u_char      digest[20];
    ngx_str_t   in, out;
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key, len);
    ngx_sha1_update(&sha1, NGX_TRP_WEBSOCKET_GUID,
                    sizeof(NGX_TRP_WEBSOCKET_GUID) - 1);
    ngx_sha1_final(digest, &sha1);

    in.data = digest;
    in.len = sizeof(digest);
    out.data = accept;

    ngx_encode_base64(&out, &in);
}
