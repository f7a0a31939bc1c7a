
/*
 * Copyright (C) the trp authors
 */


/*
 * Asking a proxy for a connection to a host and port: HTTP CONNECT (RFC 9110,
 * section 9.3.6; RFC 9112) or SOCKS5 (RFC 1928, RFC 1929).
 */


#ifndef TRP_PROXY_H_INCLUDED
#define TRP_PROXY_H_INCLUDED


#include "base/trp_addr.h"
#include "proxy/trp_challenge.h"


#pragma GCC visibility push(hidden)


#define TRP_PROXY_OUT      4096
#define TRP_PROXY_LINE     2048
#define TRP_PROXY_TEXT     96
#define TRP_PROXY_RANDOM   16

/* the header of a response, with all of its lines */
#define TRP_PROXY_HEADER   65536

/* a body that is not worth a new connection */
#define TRP_PROXY_BODY     65536

/* requests for one connection to a host, and connections to the proxy */
#define TRP_PROXY_TRIES    4


typedef enum {
    TRP_PROXY_HTTP = 0,
    TRP_PROXY_SOCKS5
} trp_proxy_e;


/* why it has failed, with what comes along */

typedef enum {
    TRP_PROXY_NO_ERROR = 0,
    TRP_PROXY_CLOSED,              /* without an answer */
    TRP_PROXY_NOT_HTTP,            /* text: how it begins */
    TRP_PROXY_NOT_SOCKS5,          /* text: how it begins */
    TRP_PROXY_MALFORMED,
    TRP_PROXY_TOO_LONG,
    TRP_PROXY_STATUS,              /* status, text: reason and detail */
    TRP_PROXY_NO_USER,             /* text: what it wants */
    TRP_PROXY_WRONG_USER,          /* text: what it wants; or SOCKS5 */
    TRP_PROXY_NO_SCHEME,           /* text: what it wants */
    TRP_PROXY_NO_MD5,
    TRP_PROXY_REPLY                /* status: a trp_socks5_reply_e */
} trp_proxy_error_e;


/* zeroed, and then set by the caller; the texts must stay */

typedef struct {
    trp_proxy_e        kind;
    trp_str_t          user;       /* empty: none; at most TRP_CHALLENGE_USER */
    trp_str_t          password;

    trp_str_t          host;       /* a name, or an address without brackets */
    uint16_t           port;

    uint8_t            random[TRP_PROXY_RANDOM];
} trp_proxy_conf_t;


typedef struct trp_proxy_s  trp_proxy_t;


/* one attempt; so many fields, as two protocols are read piece by piece */

struct trp_proxy_s {
    trp_proxy_conf_t   conf;
    trp_challenge_t    challenge;  /* what the next request answers */
    trp_challenge_t    asked;      /* of the response that is being read */
    int              (*state)(trp_proxy_t *proxy, uint8_t c);

    trp_proxy_error_e  error;
    unsigned           status;
    unsigned           tries;

    uint64_t           length;     /* of the body, what is left of it */
    size_t             header;     /* bytes of it so far */
    size_t             out_pos;
    size_t             out_len;
    size_t             line_len;
    size_t             text_len;

    unsigned           known:1;    /* "challenge" is of another attempt */
    unsigned           answered:1; /* there was a byte of this response */
    unsigned           again:1;    /* the connection was used before */
    unsigned           close:1;    /* it does not outlive the response */
    unsigned           has_length:1;
    unsigned           detail:1;   /* the text has it */
    unsigned           made:1;     /* there is more to send */

    uint8_t            out[TRP_PROXY_OUT];
    uint8_t            line[TRP_PROXY_LINE];
    uint8_t            text[TRP_PROXY_TEXT];
};


/*
 * "known" is the challenge of an attempt before that, with its count, or NULL.
 * The same structure may not be used for another attempt.
 */

void trp_proxy_init(trp_proxy_t *proxy, const trp_proxy_conf_t *conf,
    const trp_challenge_t *known);

/* there is a connection, a new one; what is to be sent is made */

int trp_proxy_connected(trp_proxy_t *proxy);

/* what is to be sent now, perhaps nothing; and that it has been sent */

trp_str_t trp_proxy_output(const trp_proxy_t *proxy);
void trp_proxy_sent(trp_proxy_t *proxy, size_t n);

/*
 * Bytes have come: *used of them belong to the proxy, the others are not to be
 * taken.  TRP_OK: the way to the host is open.  TRP_AGAIN: send what is to be
 * sent, and read on.  TRP_DECLINED: connect to the proxy again, and call
 * trp_proxy_connected().  TRP_ERROR: see "error".
 */

int trp_proxy_input(trp_proxy_t *proxy, trp_str_t data, size_t *used);

/* the proxy has closed the connection: TRP_DECLINED or TRP_ERROR, as above */

int trp_proxy_closed(trp_proxy_t *proxy);


/* what a reply of SOCKS5 means */

const char *trp_proxy_reply(unsigned reply);


#pragma GCC visibility pop


#endif /* TRP_PROXY_H_INCLUDED */
