
/*
 * Copyright (C) the trp authors
 */


/*
 * A joint: one stream at the relay, between the tunnel of an entry and the
 * tunnel of a reverse.  Frames are forwarded unchanged; the relay parses only
 * their headers, to know when the stream is over.
 */


#ifndef _NGX_TRP_JOINT_H_INCLUDED_
#define _NGX_TRP_JOINT_H_INCLUDED_


#include "relay/ngx_trp_joint_types.h"


#pragma GCC visibility push(hidden)


/* a record of plain text, with room for a header in front */

#define NGX_TRP_SCRATCH_SIZE  (TRP_HEADER_LEN + 16384)

/* what an entry may send while it waits for a reverse: bytes in frames */

#define NGX_TRP_EARLY_MAX     32768


/*
 * An entry has sent OPEN.  NULL: no memory, or an invalid frame.  Once "opened"
 * is set, the entry counts one more stream until the joint is freed.
 */

ngx_trp_joint_t *ngx_trp_joint_create(ngx_trp_peer_t *entry,
    trp_frame_t *frame);

/* 1 if the entry can ask another relay */

ngx_uint_t ngx_trp_joint_elsewhere(ngx_trp_joint_t *joint);

/*
 * Takes a reverse, or waits for one; the stream is refused after "timeout"
 * milliseconds.
 */

void ngx_trp_joint_pair(ngx_trp_joint_t *joint, ngx_msec_t timeout);

/* 1 while the peer's stream waits for a reverse */

ngx_uint_t ngx_trp_joint_waits(ngx_trp_peer_t *peer);

/*
 * The relay itself ends a stream that has no reverse; the caller logs why, and
 * the entry is told "why" unless it is NULL.
 */

void ngx_trp_joint_refuse(ngx_trp_joint_t *joint, ngx_uint_t code,
    const char *why, ngx_uint_t retry);


/* the same, but without a fault: its entry dials again, "why" is logged */

void ngx_trp_joint_refuse_draining(ngx_trp_joint_t *joint, const char *why);


/* reads a tunnel's frames, authenticated or not; "scratch" is the worker's */

void ngx_trp_joint_readable(ngx_trp_peer_t *peer, u_char *scratch);
void ngx_trp_joint_writable(ngx_trp_peer_t *peer);

/* END, RESET, REFUSE, ACCEPT, DONE of a peer */

void ngx_trp_joint_frame(ngx_trp_peer_t *peer, trp_frame_t *frame);

/*
 * A reverse does not answer, see ngx_trp_tunnel_doubt.h: if there is another
 * one, the stream leaves it, and its entry opens it once more.
 */

void ngx_trp_joint_silent(ngx_trp_peer_t *peer, ngx_uint_t safe);

/* the peer's tunnel is free again, or gone: it leaves the stream */

void ngx_trp_joint_leave(ngx_trp_peer_t *peer, ngx_uint_t gone);


#pragma GCC visibility pop


#endif /* _NGX_TRP_JOINT_H_INCLUDED_ */
