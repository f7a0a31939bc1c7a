
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream of bytes in the frames of a WebSocket: RFC 6455, section 5.  The
 * limits of messages and frames mean nothing; a header is written before the
 * bytes, and taken out from between those that have come.
 */


#ifndef TRP_WEBSOCKET_H_INCLUDED
#define TRP_WEBSOCKET_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_WEBSOCKET_HEAD     14        /* of a frame, at most */
#define TRP_WEBSOCKET_CONTROL  125       /* payload of a control frame */
#define TRP_WEBSOCKET_MASK     4


typedef enum {
    TRP_WEBSOCKET_MORE = 0,              /* of a message in several frames */
    TRP_WEBSOCKET_TEXT,
    TRP_WEBSOCKET_BINARY,
    TRP_WEBSOCKET_CLOSE = 8,
    TRP_WEBSOCKET_PING,
    TRP_WEBSOCKET_PONG
} trp_websocket_opcode_e;


/* codes of a close frame: section 7.4.1 */

typedef enum {
    TRP_WEBSOCKET_NORMAL = 1000,
    TRP_WEBSOCKET_GOING_AWAY = 1001,
    TRP_WEBSOCKET_PROTOCOL = 1002,
    TRP_WEBSOCKET_UNSUPPORTED = 1003,
    TRP_WEBSOCKET_NO_CODE = 1005,        /* it had none */
    TRP_WEBSOCKET_POLICY = 1008
} trp_websocket_code_e;


/* what is read; initially all zero, but "server" */

typedef struct {
    uint64_t    left;                    /* of the payload of this frame */
    uint8_t     head[TRP_WEBSOCKET_HEAD];
    uint8_t     have;                    /* bytes of the header */
    uint8_t     mask[TRP_WEBSOCKET_MASK];
    uint8_t     opcode;
    uint8_t     len;                     /* of the control frame, so far */
    uint8_t     control[TRP_WEBSOCKET_CONTROL];
    uint16_t    code;                    /* trp_websocket_code_e */
    unsigned    server:1;                /* the peer's frames are masked */
    unsigned    payload:1;               /* the header is complete */
    unsigned    message:1;               /* its last frame is still to come */
} trp_websocket_t;


/*
 * Takes frames from "*src" up to "end", and writes their payload to "*dst",
 * which is not after "*src", and may be the same.  TRP_OK: all was taken.
 * TRP_DECLINED: a control frame was taken, "opcode", "control" and "len" are
 * valid until the next call, which goes on; "code" is set if it is a close
 * frame.  TRP_ERROR: "code" is what to close with.
 */

int trp_websocket_read(trp_websocket_t *ws, uint8_t **dst, uint8_t **src,
    uint8_t *end);

/*
 * Writes the header of a frame that is a message of its own, and returns its
 * length; "mask" is NULL in a server.
 */

size_t trp_websocket_head(uint8_t *p, unsigned opcode, uint64_t len,
    const uint8_t *mask);

/*
 * Masks bytes, or removes the mask, which is then that of the next byte.  "dst"
 * is not after "src", or does not overlap it.
 */

void trp_websocket_mask(uint8_t *dst, const uint8_t *src, size_t len,
    uint8_t *mask);


#pragma GCC visibility pop


#endif /* TRP_WEBSOCKET_H_INCLUDED */
