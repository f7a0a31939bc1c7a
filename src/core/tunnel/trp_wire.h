
/*
 * Copyright (C) the trp authors
 */


/*
 * The wire format of trp/2, see docs/protocol.md.
 *
 * A frame is a header of 4 bytes (type, flags, payload length in network
 * order) and a payload.  All frames but DATA are control frames with a
 * payload of at most TRP_CONTROL_MAX bytes.
 */


#ifndef TRP_WIRE_H_INCLUDED
#define TRP_WIRE_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_VERSION          2
#define TRP_ALPN             "trp/2"
#define TRP_ALPN_SLOT        "trp-slot/"
#define TRP_SLOTS            64

#define TRP_HEADER_LEN       4
#define TRP_DATA_MAX         16380   /* header and data fill a TLS record */
#define TRP_CONTROL_MAX      1024

#define TRP_NONCE_LEN        32
#define TRP_SIGNATURE_LEN    64
#define TRP_STREAM_ID_LEN    8
#define TRP_LABEL_MAX        64      /* names of groups and agents */
#define TRP_TEXT_MAX         128     /* texts in ERROR and REFUSE */

#define TRP_FLAG_OPTIONAL    0x80    /* skip the frame if it is unknown */


typedef enum {
    TRP_HELLO = 1,
    TRP_AUTH,
    TRP_READY,
    TRP_MOVED,
    TRP_ERRMSG,                      /* ERROR in docs/protocol.md */
    TRP_OPEN = 16,
    TRP_ACCEPT,
    TRP_REFUSE,
    TRP_DATA,
    TRP_END,
    TRP_RESET,
    TRP_DONE,
    TRP_PING = 32,
    TRP_PONG,
    TRP_DRAIN,
    TRP_AGENTS,                      /* optional, as those that follow */
    TRP_PUBLISH,
    TRP_PUBLISHED
} trp_frame_type_e;


/* flags in HELLO and AUTH: what their sender can do, beyond the version */

#define TRP_CAN_ANSWER       0x1     /* PING before ACCEPT or REFUSE */

/* another flag in AUTH: this tunnel is for no streams */

#define TRP_IS_PROBE         0x2


/* bits: an agent has exactly one role, but a key may allow both */

#define TRP_ROLE_ENTRY       0x1
#define TRP_ROLE_REVERSE     0x2


typedef enum {
    TRP_CODE_NONE = 0,
    TRP_CODE_PROTOCOL,               /* the peer broke the protocol */
    TRP_CODE_NOT_AUTHORIZED,
    TRP_CODE_NO_AGENT,               /* no reverse of the group in time */
    TRP_CODE_DRAINING,
    TRP_CODE_NOT_ALLOWED,
    TRP_CODE_NO_SUCH_HOST,
    TRP_CODE_REFUSED,                /* by the destination */
    TRP_CODE_TIMED_OUT,
    TRP_CODE_LIMIT,
    TRP_CODE_FAILED,                 /* anything else */
    TRP_CODE_NET_UNREACHABLE,
    TRP_CODE_HOST_UNREACHABLE,
    TRP_CODE_NOT_PUBLISHED,          /* no such service */
    TRP_CODE_TAKEN                   /* its name is published by others */
} trp_code_e;


typedef struct {
    uint8_t     type;
    uint8_t     flags;
    uint16_t    len;
} trp_frame_t;


/*
 * Reads frames from bytes that arrive in pieces of any size.  The payload of a
 * control frame is collected in "buf"; that of DATA is not copied, the caller
 * reads it directly.
 */

typedef struct {
    trp_frame_t  frame;              /* valid after the header */
    size_t       have;               /* bytes of this header or payload */
    size_t       left;               /* bytes of DATA not yet taken */
    unsigned     payload:1;
    unsigned     skip:1;
    unsigned     data:1;             /* a DATA frame is not yet fully taken */
    uint8_t      header[TRP_HEADER_LEN];
    uint8_t     *buf;                /* the caller's */
} trp_reader_t;


typedef struct {
    uint8_t      version;
    uint8_t      nonce[TRP_NONCE_LEN];
    uint32_t     heartbeat;          /* milliseconds, 0: none */
    uint8_t      flags;              /* TRP_CAN_* */
} trp_hello_t;


typedef struct {
    uint8_t      version;
    uint8_t      role;               /* TRP_ROLE_ENTRY or TRP_ROLE_REVERSE */
    trp_str_t    group;
    trp_str_t    name;
    uint8_t      public_key[32];
    uint8_t      nonce[TRP_NONCE_LEN];
    uint8_t      signature[TRP_SIGNATURE_LEN];
    uint16_t     weight;             /* of a reverse in its group, 1.. */
    uint8_t      backup;             /* a reverse, used if no other can be */
    uint8_t      flags;              /* TRP_CAN_*, TRP_IS_PROBE */
    uint64_t     list;               /* trp_publish_add(); 0: no services */
} trp_auth_t;


/* the relay knows PUBLISH; it asks for one, as it does not know the list */

#define TRP_READY_PUBLISH    0x1
#define TRP_READY_TELL       0x2


typedef struct {
    uint8_t      slot;
    uint16_t     wanted;             /* idle tunnels that the relay asks for */
    uint8_t      flags;              /* TRP_READY_* */
} trp_ready_t;


/* there are no more names than these */

#define TRP_PUBLISH_LAST     0x1


/* the names in PUBLISH, taken one by one */

typedef struct {
    uint8_t         flags;           /* TRP_PUBLISH_* */
    const uint8_t  *pos;
    const uint8_t  *end;
} trp_publish_frame_t;


typedef struct {
    uint8_t      code;
    uint8_t      retry;              /* another tunnel may succeed */
    trp_str_t    text;
} trp_refuse_t;


/* the entry can ask another relay; it sends this OPEN again */

#define TRP_OPEN_ELSEWHERE   0x1
#define TRP_OPEN_AGAIN       0x2


/* beside the protocol: the destination is "unix:/PATH", the port is 0 */

#define TRP_PROTO_UNIX       0x40


typedef struct {
    uint8_t      proto;
    uint8_t      id[TRP_STREAM_ID_LEN];
    trp_addr_t   addr;               /* family 0: "host" is a name */
    trp_str_t    host;
    uint16_t     port;
    trp_addr_t   user;
    uint16_t     user_port;
    trp_addr_t   local;              /* that the user connected to */
    uint16_t     local_port;
    trp_str_t    name;               /* of the entry */
    uint8_t      flags;              /* TRP_OPEN_* */
    uint8_t      retries;            /* times it may be retried if refused */
    int16_t      spare;              /* see trp_open_set_spare() */
    uint16_t     spare_at;           /* offset in the payload; 0: absent */
} trp_open_t;


/* writes a header of TRP_HEADER_LEN bytes, returns its end */

uint8_t *trp_header_put(uint8_t *p, unsigned type, size_t len);


/*
 * "buf" has space for TRP_CONTROL_MAX bytes.  If it is NULL, the caller sets
 * it when trp_reader_needs_buf() says so, with space for frame.len bytes.
 *
 * trp_reader_space() tells where to put the next bytes, and how many at most;
 * trp_reader_commit() is told how many there were, and returns
 *
 *     TRP_AGAIN     more bytes are needed
 *     TRP_OK        a control frame is complete: frame, and buf for frame.len
 *     TRP_DECLINED  a DATA frame begins, "left" bytes of payload follow
 *     TRP_ERROR     the peer broke the protocol, or sent an unknown frame
 *
 * After TRP_DECLINED the caller must consume all of "left", in any number of
 * pieces, with trp_reader_take() before it asks for space again.  An empty
 * DATA frame is consumed with 0 bytes.
 */

void trp_reader_init(trp_reader_t *r, uint8_t *buf);

#define trp_reader_needs_buf(r)  ((r)->payload && (r)->buf == NULL)

uint8_t *trp_reader_space(trp_reader_t *r, size_t *size);
int trp_reader_commit(trp_reader_t *r, size_t n);
void trp_reader_take(trp_reader_t *r, size_t n);


/* 1 between two frames */

#define trp_reader_boundary(r)                                               \
    ((r)->have == 0 && (r)->left == 0 && !(r)->payload)


/*
 * Payloads.  A put function writes a whole frame, header included, into at
 * least TRP_HEADER_LEN + TRP_CONTROL_MAX bytes and returns its end.  A get
 * function parses the payload of a frame: TRP_OK or TRP_ERROR; its strings
 * point into the payload.  Bytes after the known fields are ignored, so that
 * fields can be added at the end.
 */

uint8_t *trp_empty_put(uint8_t *p, unsigned type);

uint8_t *trp_hello_put(uint8_t *p, const trp_hello_t *hello);
int trp_hello_get(trp_hello_t *hello, const uint8_t *p, size_t len);

uint8_t *trp_auth_put(uint8_t *p, const trp_auth_t *auth);
int trp_auth_get(trp_auth_t *auth, const uint8_t *p, size_t len);

uint8_t *trp_ready_put(uint8_t *p, const trp_ready_t *ready);
int trp_ready_get(trp_ready_t *ready, const uint8_t *p, size_t len);

uint8_t *trp_moved_put(uint8_t *p, uint8_t slot);
int trp_moved_get(uint8_t *slot, const uint8_t *p, size_t len);

/* "there": the group has a reverse */

uint8_t *trp_agents_put(uint8_t *p, uint8_t there);
int trp_agents_get(uint8_t *there, const uint8_t *p, size_t len);

/*
 * A frame with as many of "n" names as fit, at least one; "put" is set to their
 * number.  It is the last frame if that is all of them.
 */

uint8_t *trp_publish_put(uint8_t *p, const trp_str_t *names, size_t n,
    size_t *put);

/* checks all names; TRP_OK: one is taken, TRP_DECLINED: there are no more */

int trp_publish_get(trp_publish_frame_t *publish, const uint8_t *p,
    size_t len);
int trp_publish_next(trp_publish_frame_t *publish, trp_str_t *name);

/* what has become of a name, trp_code_e */

uint8_t *trp_published_put(uint8_t *p, uint8_t code, trp_str_t name);
int trp_published_get(uint8_t *code, trp_str_t *name, const uint8_t *p,
    size_t len);

/* ERROR and REFUSE have the same format; a text that is too long is cut */

uint8_t *trp_refuse_put(uint8_t *p, unsigned type,
    const trp_refuse_t *refuse);
int trp_refuse_get(trp_refuse_t *refuse, const uint8_t *p, size_t len);

/* these bytes of an encoded frame may be changed later: see trp_open_end() */

#define TRP_OPEN_FLAGS       4       /* bytes before that end */
#define TRP_OPEN_RETRIES     3
#define TRP_OPEN_SPARE       2

uint8_t *trp_open_put(uint8_t *p, const trp_open_t *open);
int trp_open_get(trp_open_t *open, const uint8_t *p, size_t len);

/*
 * In each OPEN, the relay tells a reverse how many more idle tunnels it has
 * from it; a negative number is that of the streams that wait for one.  The
 * entry sends TRP_SPARE_UNKNOWN.  "payload" is what trp_open_get() has parsed.
 */

#define TRP_SPARE_UNKNOWN    (-32768)
#define TRP_SPARE_MAX        32767

void trp_open_set_spare(const trp_open_t *open, uint8_t *payload, int spare);

/* in a frame that trp_open_put() has encoded: the end of what may change */

uint8_t *trp_open_end(uint8_t *frame, size_t len);

/* sets the number in such a frame; "last" is this end */

void trp_open_put_spare(uint8_t *last, int spare);


/* 1 for 1..TRP_LABEL_MAX of A-Z a-z 0-9 . _ - @ : + / */

int trp_label_valid(trp_str_t label);


/* the slot of a group, 0..TRP_SLOTS-1; the slot in a hint, or -1 */

unsigned trp_slot(trp_str_t group);
int trp_slot_parse(trp_str_t alpn);


/* a word for the code, for logs and $trp_status */

const char *trp_code_text(unsigned code);


/* the name of a frame type in docs/protocol.md, or "unknown" */

const char *trp_frame_name(unsigned type);


/*
 * Finds the slot hint at the beginning of a TLS connection, in the ALPN list of
 * the ClientHello (RFC 8446, section 4.1.2, RFC 7301).  A ClientHello in
 * several records is joined in place, which destroys the input.  Returns the
 * slot; TRP_AGAIN if bytes are missing; TRP_DECLINED if there is no hint, or
 * this is not a ClientHello.
 */

int trp_hello_slot(uint8_t *p, size_t len);


#pragma GCC visibility pop


#endif /* TRP_WIRE_H_INCLUDED */
