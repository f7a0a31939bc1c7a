
/*
 * Copyright (C) the trp authors
 */


/*
 * The states of one tunnel, seen from one of its ends.
 *
 *     HELLO → AUTH → READY → IDLE ⇄ STREAM
 *
 * In STREAM each direction runs OPEN or ACCEPT, DATA, END and, against it,
 * DONE.  RESET and REFUSE are ends as well; RESET may also follow END, as long
 * as its sender has not consumed the peer's end: he will not read any more.
 *
 * A tunnel is idle again when END and DONE have gone both ways: only then has
 * each side consumed what the other one sent, and nothing of an old stream can
 * stand in front of the next one.
 *
 * What was short does not stand in the way, since its reader takes it at once.
 * So the side that has opened the stream, and sent END and DONE and less than
 * TRP_TUNNEL_SHORT bytes, gets no DONE: the tunnel is idle.  A DONE or RESET
 * that the other side has sent meanwhile comes late, and means nothing.  It is
 * not taken for one of the next stream, in which ACCEPT or REFUSE comes first.
 *
 * The relay has one such object for each of the two tunnels of a stream and
 * tells both of every frame that it passes on.
 */


#ifndef TRP_TUNNEL_H_INCLUDED
#define TRP_TUNNEL_H_INCLUDED


#include "tunnel/trp_wire.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_TUNNEL_HELLO = 0,            /* HELLO was not yet seen or sent */
    TRP_TUNNEL_AUTH,                 /* neither was AUTH */
    TRP_TUNNEL_READY,                /* neither was READY */
    TRP_TUNNEL_IDLE,
    TRP_TUNNEL_STREAM
} trp_tunnel_state_e;


#define TRP_SEEN_ACCEPT  0x01
#define TRP_SEEN_END     0x02
#define TRP_SEEN_DONE    0x04
#define TRP_SEEN_RESET   0x08        /* with END: by RESET or REFUSE */

/* what is first from the side that has not opened: ACCEPT or REFUSE */

#define TRP_SEEN_ANSWER  (TRP_SEEN_ACCEPT|TRP_SEEN_END)


/* with less payload than this, in bytes, the opener's direction is short */

#define TRP_TUNNEL_SHORT  16384


typedef struct {
    trp_tunnel_state_e  state;
    uint8_t             sent;        /* TRP_SEEN_*, by this end */
    uint8_t             seen;        /* TRP_SEEN_*, by this end's peer */
    uint16_t            payload;     /* the opener's, up to TRP_TUNNEL_SHORT */
    unsigned            relay:1;     /* this end is the relay */
    unsigned            opener:1;    /* this end sends OPEN */
} trp_tunnel_t;


/* "opener" of a relay's end may be set later, when AUTH told the role */

void trp_tunnel_init(trp_tunnel_t *t, int relay, int opener);


/*
 * A frame came in, or goes out, with "len" bytes of payload.  TRP_OK: it is
 * allowed in this state, and the state has moved.  TRP_DECLINED: it has come
 * late, from a stream that is over, and is to be dropped.  TRP_ERROR: the peer
 * (or the caller) broke the protocol.  Nothing has changed then.
 */

int trp_tunnel_recv(trp_tunnel_t *t, unsigned type, size_t len);
int trp_tunnel_send(trp_tunnel_t *t, unsigned type, size_t len);


#define trp_tunnel_idle(t)      ((t)->state == TRP_TUNNEL_IDLE)
#define trp_tunnel_busy(t)      ((t)->state == TRP_TUNNEL_STREAM)
#define trp_tunnel_ready(t)     ((t)->state >= TRP_TUNNEL_IDLE)


#pragma GCC visibility pop


#endif /* TRP_TUNNEL_H_INCLUDED */
