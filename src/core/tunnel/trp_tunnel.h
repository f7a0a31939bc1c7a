
/*
 * Copyright (C) the trp authors
 */


/*
 * The state machine of one tunnel, seen from one of its ends.
 *
 *     HELLO → AUTH → READY → IDLE ⇄ STREAM
 *
 * In STREAM, each direction carries OPEN or ACCEPT, then DATA, then END, which
 * the receiver answers with DONE.  RESET and REFUSE also end a direction.
 * RESET may follow END until its sender has consumed the peer's end: it means
 * that the sender will not read any more.
 *
 * A tunnel is idle again when END and DONE have gone both ways: only then has
 * each side consumed what the other one sent, and nothing of an old stream can
 * delay the next one.
 *
 * A short stream cannot delay it, since its reader takes it at once.  So if
 * the opener has sent END and DONE and less than TRP_TUNNEL_SHORT bytes of
 * payload, its END is not answered with DONE: the tunnel is idle.  A DONE or
 * RESET that the other side has sent meanwhile is late, and ignored.  It
 * cannot be mistaken for one of the next stream, where ACCEPT or REFUSE comes
 * first.
 *
 * The relay has one such object for each of the two tunnels of a stream, and
 * reports every frame that it forwards to both.
 */


#ifndef TRP_TUNNEL_H_INCLUDED
#define TRP_TUNNEL_H_INCLUDED


#include "tunnel/trp_wire.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_TUNNEL_HELLO = 0,            /* before HELLO */
    TRP_TUNNEL_AUTH,                 /* before AUTH */
    TRP_TUNNEL_READY,                /* before READY */
    TRP_TUNNEL_IDLE,
    TRP_TUNNEL_STREAM
} trp_tunnel_state_e;


#define TRP_SEEN_ACCEPT  0x01
#define TRP_SEEN_END     0x02
#define TRP_SEEN_DONE    0x04
#define TRP_SEEN_RESET   0x08        /* with END: RESET or REFUSE */

/* the answer to OPEN: ACCEPT or REFUSE, which sets END */

#define TRP_SEEN_ANSWER  (TRP_SEEN_ACCEPT|TRP_SEEN_END)


/* the opener's direction is short if it has less payload than this, bytes */

#define TRP_TUNNEL_SHORT  16384


typedef struct {
    trp_tunnel_state_e  state;
    uint8_t             sent;        /* TRP_SEEN_*, by this end */
    uint8_t             seen;        /* TRP_SEEN_*, by this end's peer */
    uint16_t            payload;     /* the opener's, up to TRP_TUNNEL_SHORT */
    unsigned            relay:1;     /* this end is the relay */
    unsigned            opener:1;    /* this end sends OPEN */
} trp_tunnel_t;


/* a relay may set "opener" later, when AUTH has told the peer's role */

void trp_tunnel_init(trp_tunnel_t *t, int relay, int opener);

/* both ends are in one program, and need no handshake */

void trp_tunnel_trust(trp_tunnel_t *t);

/* who the agent is is known from elsewhere: READY comes first */

void trp_tunnel_known(trp_tunnel_t *t);


/*
 * A frame with "len" bytes of payload is received, or sent.  TRP_OK: it is
 * allowed in this state, and the state is updated.  TRP_DECLINED: it is late,
 * from a stream that is over; drop it.  TRP_ERROR: the peer (or the caller)
 * broke the protocol; the state is unchanged.
 */

int trp_tunnel_recv(trp_tunnel_t *t, unsigned type, size_t len);
int trp_tunnel_send(trp_tunnel_t *t, unsigned type, size_t len);


#define trp_tunnel_idle(t)      ((t)->state == TRP_TUNNEL_IDLE)
#define trp_tunnel_busy(t)      ((t)->state == TRP_TUNNEL_STREAM)
#define trp_tunnel_ready(t)     ((t)->state >= TRP_TUNNEL_IDLE)


#pragma GCC visibility pop


#endif /* TRP_TUNNEL_H_INCLUDED */
