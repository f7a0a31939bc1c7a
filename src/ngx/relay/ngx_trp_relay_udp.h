
/*
 * Copyright (C) the trp authors
 */


/*
 * Packets of QUIC: the UDP sockets of the relays of a worker, and which
 * connection gets what arrives there, or which other worker.
 *
 * A connection belongs to one worker for its whole life.  The ids that it gets
 * from here say so; any other worker that reads such a packet passes it on, and
 * so do the workers of a newer configuration.
 */


#ifndef _NGX_TRP_RELAY_UDP_H_INCLUDED_
#define _NGX_TRP_RELAY_UDP_H_INCLUDED_


#include "base/ngx_trp.h"

#if (NGX_TRP_QUIC)

#include "base/ngx_trp_mesh.h"
#include "quic/ngx_trp_quic.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_relay_udp_s  ngx_trp_relay_udp_t;


/* of all workers, in shared memory */

typedef struct {
    ngx_trp_slots_shared_t     slots;
    u_char                     secret[NGX_TRP_QUIC_SECRET_LEN];
    u_char                     hash_key[16];
} ngx_trp_relay_udp_shared_t;


/* a "listen ... udp" */

typedef struct {
    ngx_trp_relay_udp_t       *udp;
    ngx_uint_t                 number;      /* of its relay */
    ngx_listening_t           *listening;
    ngx_connection_t          *connection;  /* to send, and maybe to receive */
    ngx_queue_t                blocked;     /* ngx_trp_relay_route_t */
    unsigned                   reads:1;
} ngx_trp_relay_socket_t;


/* whose a packet is: the beginning of a connection */

typedef struct {
    ngx_trp_quic_t            *quic;        /* NULL: not yet */
    ngx_trp_relay_socket_t    *socket;
    ngx_queue_t                ids;
    ngx_queue_t                queue;       /* in socket->blocked */
    unsigned                   blocked:1;
} ngx_trp_relay_route_t;


typedef struct {
    ngx_trp_quic_path_t        path;
    u_char                    *data;
    size_t                     len;
    ngx_uint_t                 ecn;
} ngx_trp_relay_datagram_t;


/* an Initial that is no connection's */

typedef void (*ngx_trp_relay_initial_pt)(void *data,
    ngx_trp_relay_socket_t *socket, const ngx_trp_quic_packet_t *packet,
    ngx_trp_relay_datagram_t *datagram);


/* in the zone, which is new; NULL: no memory */

ngx_trp_relay_udp_shared_t *ngx_trp_relay_udp_create_shared(
    ngx_slab_pool_t *shpool);

/*
 * In the master, for each cycle: "number" gives those of the relays, "old" is
 * what the last cycle had, or NULL.  NULL without sockets, or without memory,
 * which is logged.
 */

ngx_trp_relay_udp_t *ngx_trp_relay_udp_create(ngx_cycle_t *cycle,
    ngx_trp_relay_udp_shared_t *shared, ngx_slab_pool_t *shpool,
    ngx_int_t (*number)(void *data, void **srv_conf), void *data,
    ngx_trp_relay_udp_t *old);

/* in a worker; "udp" may be NULL */

ngx_int_t ngx_trp_relay_udp_start(ngx_cycle_t *cycle, ngx_trp_relay_udp_t *udp,
    ngx_trp_relay_initial_pt initial, void *data);
void ngx_trp_relay_udp_stop(ngx_trp_relay_udp_t *udp);


const u_char *ngx_trp_relay_udp_secret(ngx_trp_relay_udp_t *udp);

/* ids of a connection; NGX_ERROR: no memory */

void ngx_trp_relay_udp_make_id(ngx_trp_relay_udp_t *udp, u_char *buf);
ngx_int_t ngx_trp_relay_udp_add(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_cid_t *id);
void ngx_trp_relay_udp_remove(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_cid_t *id);

/* the connection is gone: all of its ids */

void ngx_trp_relay_udp_forget(ngx_trp_relay_route_t *route);

/* as the handler of ngx_trp_quic.h; and one without a connection */

ngx_int_t ngx_trp_relay_udp_send(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packets_t *packets);
void ngx_trp_relay_udp_answer(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_path_t *path, u_char *p, size_t len);


#pragma GCC visibility pop

#endif


#endif /* _NGX_TRP_RELAY_UDP_H_INCLUDED_ */
