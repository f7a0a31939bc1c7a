
/*
 * Copyright (C) the trp authors
 */


/*
 * The messages of STUN (RFC 8489), TURN (RFC 8656) and TURN's extension for
 * TCP (RFC 6062): parsing, building, integrity and fingerprint, and telling
 * them from ChannelData on the wire.
 *
 * Messages are read and written byte by byte, so they need no alignment.
 */


#ifndef TRP_STUN_H_INCLUDED
#define TRP_STUN_H_INCLUDED


#include "base/trp_bytes.h"


#pragma GCC visibility push(hidden)


#define TRP_STUN_HEADER_LEN    20
#define TRP_STUN_ID_LEN        12
#define TRP_STUN_COOKIE        0x2112a442

#define TRP_CHANNEL_HEADER_LEN  4

/* RFC 8489, sections 14.3, 14.9 to 14.11: limits what strangers make us hash */
#define TRP_STUN_USERNAME_MAX  508
#define TRP_STUN_REALM_MAX     763
#define TRP_STUN_SOFTWARE_MAX  763
#define TRP_STUN_USERHASH_LEN  32


typedef enum {
    TRP_STUN_REQUEST = 0,
    TRP_STUN_INDICATION,
    TRP_STUN_SUCCESS,
    TRP_STUN_ERROR
} trp_stun_class_e;


typedef enum {
    TRP_STUN_BINDING = 0x001,
    TRP_STUN_ALLOCATE = 0x003,
    TRP_STUN_REFRESH = 0x004,
    TRP_STUN_SEND = 0x006,
    TRP_STUN_DATA = 0x007,
    TRP_STUN_CREATE_PERMISSION = 0x008,
    TRP_STUN_CHANNEL_BIND = 0x009,
    TRP_STUN_CONNECT = 0x00a,
    TRP_STUN_CONNECTION_BIND = 0x00b,
    TRP_STUN_CONNECTION_ATTEMPT = 0x00c
} trp_stun_method_e;


typedef enum {
    TRP_STUN_MAPPED_ADDRESS = 0x0001,
    TRP_STUN_USERNAME = 0x0006,
    TRP_STUN_MESSAGE_INTEGRITY = 0x0008,
    TRP_STUN_ERROR_CODE = 0x0009,
    TRP_STUN_UNKNOWN_ATTRIBUTES = 0x000a,
    TRP_STUN_CHANNEL_NUMBER = 0x000c,
    TRP_STUN_LIFETIME = 0x000d,
    TRP_STUN_XOR_PEER_ADDRESS = 0x0012,
    TRP_STUN_DATA_ATTRIBUTE = 0x0013,
    TRP_STUN_REALM = 0x0014,
    TRP_STUN_NONCE = 0x0015,
    TRP_STUN_XOR_RELAYED_ADDRESS = 0x0016,
    TRP_STUN_REQUESTED_ADDRESS_FAMILY = 0x0017,
    TRP_STUN_EVEN_PORT = 0x0018,
    TRP_STUN_REQUESTED_TRANSPORT = 0x0019,
    TRP_STUN_DONT_FRAGMENT = 0x001a,
    TRP_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
    TRP_STUN_PASSWORD_ALGORITHM = 0x001d,
    TRP_STUN_USERHASH = 0x001e,
    TRP_STUN_XOR_MAPPED_ADDRESS = 0x0020,
    TRP_STUN_RESERVATION_TOKEN = 0x0022,
    TRP_STUN_CONNECTION_ID = 0x002a,
    TRP_STUN_ADDITIONAL_ADDRESS_FAMILY = 0x8000,
    TRP_STUN_ADDRESS_ERROR_CODE = 0x8001,
    TRP_STUN_PASSWORD_ALGORITHMS = 0x8002,
    TRP_STUN_ICMP = 0x8004,
    TRP_STUN_SOFTWARE = 0x8022,
    TRP_STUN_ALTERNATE_SERVER = 0x8023,
    TRP_STUN_FINGERPRINT = 0x8028
} trp_stun_attribute_e;


/* the values of PASSWORD-ALGORITHM (RFC 8489, section 18.5.1) */

#define TRP_STUN_ALGORITHM_MD5     0x0001
#define TRP_STUN_ALGORITHM_SHA256  0x0002


#define TRP_STUN_NATTRIBUTES  24
#define TRP_STUN_UNKNOWN_MAX  8


/*
 * A parsed message; it points into the caller's bytes.  If an attribute occurs
 * more than once, the first one counts.  What follows MESSAGE-INTEGRITY is
 * ignored, apart from MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
 */

typedef struct {
    trp_stun_class_e  type;
    uint16_t          method;
    const uint8_t    *data;
    size_t            len;             /* with the header */
    size_t            end;             /* of the attributes that are covered */
    size_t            sha1;            /* of MESSAGE-INTEGRITY, 0: absent */
    size_t            sha256;
    unsigned          fingerprint:1;   /* is present, and correct */
    unsigned          nunknown;
    uint16_t          unknown[TRP_STUN_UNKNOWN_MAX];
    trp_str_t         attributes[TRP_STUN_NATTRIBUTES];
} trp_stun_t;


/*
 * Whether the first byte is that of a message (RFC 7983), or of ChannelData.
 * RFC 8656 limits channels to 0x40..0x4f, so that they can share a port with
 * RTP.  There is no RTP here, and clients of RFC 5766 use all up to 0x7f.
 */

int trp_stun_is_message(uint8_t first);
int trp_stun_is_channel(uint8_t first);

/*
 * The length of the message or ChannelData at the beginning of a byte stream,
 * padding included (RFC 8656, section 12.5); TRP_AGAIN if more bytes are needed
 * to tell; TRP_ERROR if it is neither.
 */

int trp_stun_frame(const uint8_t *data, size_t len);


/*
 * TRP_OK, or TRP_ERROR if it is not a valid STUN message: wrong cookie,
 * inconsistent lengths, a FINGERPRINT that is wrong or not the last attribute.
 */

int trp_stun_parse(trp_stun_t *m, const uint8_t *data, size_t len);


/* the value of an attribute; data is NULL if it is absent */

trp_str_t trp_stun_get(const trp_stun_t *m, trp_stun_attribute_e type);

/* TRP_OK, TRP_DECLINED if it is absent, TRP_ERROR if its length is wrong */

int trp_stun_get_u32(const trp_stun_t *m, trp_stun_attribute_e type,
    uint32_t *value);

/*
 * The next attribute of this type, from *offset on, which is 0 at first and is
 * advanced.  TRP_OK, or TRP_DECLINED if there are no more.
 */

int trp_stun_each(const trp_stun_t *m, trp_stun_attribute_e type,
    size_t *offset, trp_str_t *value);

/* an XOR-…-ADDRESS; TRP_OK or TRP_ERROR */

int trp_stun_addr(const trp_stun_t *m, trp_str_t value, trp_taddr_t *addr);

/* an address that is not XORed: MAPPED-ADDRESS, ALTERNATE-SERVER */

int trp_stun_plain_addr(trp_str_t value, trp_taddr_t *addr);

/* the code of ERROR-CODE, 300 to 699; 0 if there is none */

unsigned trp_stun_error(const trp_stun_t *m);


/*
 * TRP_OK if the integrity attribute is correct, else TRP_DECLINED.  The caller
 * must have checked that m->sha1, or m->sha256, is not 0.
 */

int trp_stun_check_sha1(const trp_stun_t *m, trp_str_t key);
int trp_stun_check_sha256(const trp_stun_t *m, trp_str_t key);


/* a message being built; "full" is set, and stays so, once it does not fit */

typedef struct {
    uint8_t          *data;
    size_t            len;
    size_t            size;
    unsigned          full:1;
} trp_stun_writer_t;


void trp_stun_begin(trp_stun_writer_t *w, uint8_t *buf, size_t size,
    trp_stun_class_e type, uint16_t method, const uint8_t *id);

/* padded with zeros */

void trp_stun_put(trp_stun_writer_t *w, trp_stun_attribute_e type,
    const void *data, size_t len);
void trp_stun_put_u32(trp_stun_writer_t *w, trp_stun_attribute_e type,
    uint32_t value);
void trp_stun_put_addr(trp_stun_writer_t *w, trp_stun_attribute_e type,
    const trp_taddr_t *addr);

/* the reason phrase may be empty: answers to strangers must be short */

void trp_stun_put_error(trp_stun_writer_t *w, unsigned code,
    const char *reason);

/* in this order, each one at most once */

void trp_stun_put_sha1(trp_stun_writer_t *w, trp_str_t key);
void trp_stun_put_sha256(trp_stun_writer_t *w, trp_str_t key);
void trp_stun_put_fingerprint(trp_stun_writer_t *w);


#pragma GCC visibility pop


#endif /* TRP_STUN_H_INCLUDED */
