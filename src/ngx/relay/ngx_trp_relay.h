
/*
 * Copyright (C) the trp authors
 */


/*
 * A relay, as it works: the server {} with "trp_relay" in one worker, and what
 * the relays of a worker share.
 */


#ifndef _NGX_TRP_RELAY_H_INCLUDED_
#define _NGX_TRP_RELAY_H_INCLUDED_


#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_guard.h"
#include "relay/ngx_trp_pair_types.h"
#include "relay/ngx_trp_refusal.h"
#include "relay/ngx_trp_relay_udp.h"
#include "relay/ngx_trp_steer.h"


#pragma GCC visibility push(hidden)


/* of a server {} */

typedef struct {
    ngx_flag_t               enabled;
    ngx_str_t                authorized_keys;
    ngx_array_t             *keys;          /* trp_authorized_key_t */
    ngx_msec_t               auth_timeout;
    ngx_msec_t               open_timeout;
    ngx_msec_t               next_timeout;
    ngx_msec_t               heartbeat;
    ngx_uint_t               max_unauthenticated;
    ngx_uint_t               max_per_address;
    ngx_flag_t               websocket;
    ngx_trp_limits_t         limits;
    ngx_trp_conf_place_t     place;
    ngx_uint_t               number;        /* among the relays */
    ngx_str_t                listen;        /* its first address */
    time_t                   expires;       /* its first certificate; 0 */
    ngx_log_t               *log;
} ngx_trp_relay_conf_t;


/* of all workers, in shared memory; initially all zero */

typedef struct {
    ngx_atomic_t               reloads;
    ngx_trp_warnings_shared_t  strangers;
    ngx_trp_warnings_shared_t  owners;
#if (NGX_TRP_QUIC)
    ngx_trp_relay_udp_shared_t  *udp;
#endif
} ngx_trp_relay_shared_t;


/* what all relays of a worker share */

typedef struct {
    ngx_queue_t              relays;        /* ngx_trp_relay_t */
    ngx_trp_workers_t       *workers;       /* NULL: no other ones */
    ngx_trp_steer_t         *steer;         /* NULL, too */
    ngx_trp_relay_shared_t  *shared;
    ngx_shm_zone_t          *services;      /* of published names */
    ngx_trp_status_t        *status;
    ngx_trp_websocket_bio_conf_t  websocket;
    ngx_atomic_uint_t        reloads;       /* the last one that was seen */
    ngx_event_t              event;
    ngx_trp_refusal_logs_t   refusals;
    u_char                  *scratch;
} ngx_trp_relay_worker_t;


struct ngx_trp_relay_s {
    ngx_queue_t                  queue;     /* in worker->relays */
    const ngx_trp_relay_conf_t  *conf;
    ngx_trp_relay_worker_t      *worker;
    const ngx_array_t           *reread;    /* its keys, when a worker exits */
    ngx_trp_tunnels_t            tunnels;
    ngx_trp_guard_t              guard;
    ngx_trp_pair_t               pair;
    ngx_trp_services_t           services;
    trp_authorized_key_t         near;      /* of users in other workers */
    ngx_log_handler_pt           log_error; /* nginx's own, of a connection */
    ngx_trp_status_entry_t       status;
    ngx_trp_traffic_t            counted;   /* in the row, of reverses */
    ngx_uint_t                   strays;    /* the same */
};


/* in a worker; NULL: no memory */

ngx_trp_relay_worker_t *ngx_trp_relay_start_worker(ngx_cycle_t *cycle,
    ngx_trp_workers_t *workers, ngx_trp_relay_shared_t *shared,
    ngx_shm_zone_t *services, ngx_trp_status_t *status);
ngx_trp_relay_t *ngx_trp_relay_start(ngx_cycle_t *cycle,
    ngx_trp_relay_worker_t *worker, const ngx_trp_relay_conf_t *conf);

/* the one with conf->number, or NULL: this configuration has none */

ngx_trp_relay_t *ngx_trp_relay_numbered(ngx_trp_relay_worker_t *worker,
    ngx_uint_t number);


/* a connection before its TLS handshake; initially all zero */

typedef struct {
    ngx_trp_guest_t             *guest;
    ngx_trp_upgrade_t           *upgrade;   /* it has come by a WebSocket */
} ngx_trp_relay_arrival_t;


/*
 * A handler of a phase; "arrival" is kept between the calls for one session.
 * NGX_DECLINED: the connection is to be served here; NGX_AGAIN; NGX_DONE: the
 * session is gone, its connection is another worker's; a status: it is to be
 * closed.
 */

ngx_int_t ngx_trp_relay_accept(ngx_trp_relay_t *relay,
    ngx_stream_session_t *s, ngx_trp_relay_arrival_t *arrival);

/* after the TLS handshake: from now on the connection is a tunnel */

void ngx_trp_relay_serve(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_guest_t *guest);


/*
 * A tunnel on a connection of several ones; its own is the transport's.
 * NGX_ERROR: no memory, the caller closes the transport.
 */

ngx_int_t ngx_trp_relay_bear(ngx_trp_bearer_t *bearer, ngx_trp_transport_t *tr,
    ngx_trp_guest_t *guest);


/* it counts as unauthenticated, from accept() on; as ngx_trp_relay_accept() */

ngx_int_t ngx_trp_relay_admit(ngx_trp_relay_t *relay, ngx_connection_t *c,
    ngx_trp_relay_arrival_t *arrival);


#pragma GCC visibility pop


#endif /* _NGX_TRP_RELAY_H_INCLUDED_ */
