
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN server of a worker: what its files share.
 *
 *     ngx_trp_turn.c            carries out the commands of the core
 *     ngx_trp_turn_batch.c      datagrams, many at a time
 *     ngx_trp_turn_udp.c        clients over UDP, also through reloads
 *     ngx_trp_turn_tcp.c        clients over TCP and TLS
 *     ngx_trp_turn_relayed.c    relayed addresses: to and from peers
 *     ngx_trp_turn_peers_tcp.c  TCP connections of peers (RFC 6062)
 *     ngx_trp_turn_log.c        a line for each allocation, and variables
 */


#ifndef _NGX_TRP_TURN_H_INCLUDED_
#define _NGX_TRP_TURN_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_guard.h"
#include "turn/ngx_trp_turn_batch.h"
#include "turn/ngx_trp_turn_workers.h"
#include "turn/ngx_trp_turn_splice.h"
#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_turn_server_s    ngx_trp_turn_server_t;
typedef struct ngx_trp_turn_listener_s  ngx_trp_turn_listener_t;
typedef struct ngx_trp_turn_client_s    ngx_trp_turn_client_t;
typedef struct ngx_trp_turn_record_s    ngx_trp_turn_record_t;


/* whether an address is this machine's, as it was at "time" */

typedef struct {
    trp_addr_t                 addr;
    ngx_msec_t                 time;
    ngx_uint_t                 here;
} ngx_trp_turn_place_t;


/* of a worker process */

typedef struct {
    ngx_trp_turn_zone_t       *zone;
    ngx_trp_turn_workers_t    *workers;
    ngx_array_t               *servers;    /* ngx_trp_turn_server_t * */
    u_char                    *inherited;  /* 1 for each listen that was */
    ngx_array_t                listeners;  /* ngx_trp_turn_listener_t */
    ngx_uint_t                 reading;    /* listeners that are read */
    ngx_trp_turn_batch_t       batch;
    ngx_queue_t                attached;   /* ngx_trp_turn_client_t */
    ngx_queue_t                lent;       /* peers, to other workers */
    uint64_t                   cookies;    /* given to them */
    ngx_queue_t                holds;      /* ports that are reserved */
    ngx_trp_turn_place_t       places[2];  /* IPv4, IPv6: asked last */
    u_char                    *scratch;
    ngx_event_t                stats;
    ngx_event_t                watch;      /* over other workers */
    ngx_atomic_uint_t          ends;       /* of those, that it knows of */
    time_t                     warned;     /* of no room in the zone */
    time_t                     tidied;
    ngx_atomic_uint_t          removals;   /* of accounts, that it knows of */
    ngx_log_t                 *log;
} ngx_trp_turn_worker_t;


/* of a "server" with "trp_turn", and of this worker */

struct ngx_trp_turn_server_s {
    ngx_trp_turn_worker_t     *worker;
    trp_turn_conf_t            conf;
    trp_turn_t                *turn;
    trp_addr_t                 local[2];   /* behind a NAT: where from */
    ngx_uint_t                 quota[NGX_TRP_TURN_NQUOTAS];
    ngx_msec_t                 allocate_timeout;   /* TCP, TLS */
    ngx_event_t                timer;
    trp_rate_t                 reports;
    ngx_uint_t                 unreported;
    uint64_t                   realm;      /* a hash */
    void                     **main_conf;
    void                     **srv_conf;
    ngx_uint_t                 ctx_index;  /* of clients in sessions */
    ngx_log_t                 *log;
    unsigned                   portal:1;   /* serves nothing before it says */
    unsigned                   running:1;  /* ngx_trp_turn_run() is */
};


/* where a message came from, and where its answer goes */

typedef struct {
    ngx_trp_turn_listener_t   *listener;
    ngx_connection_t          *socket;     /* a client's own, UDP */
    ngx_trp_turn_client_t     *client;     /* TCP, TLS */
} ngx_trp_turn_origin_t;


/* the glue's part of an allocation: trp_turn_alloc_t.data */

typedef struct {
    ngx_trp_turn_server_t     *server;
    trp_turn_alloc_t          *alloc;
    ngx_trp_turn_origin_t      origin;
    ngx_connection_t          *relayed[2]; /* IPv4, IPv6 */
    trp_addr_t                 source[2];  /* family 0: the kernel knows */
    ngx_queue_t                queue;      /* of the listener */
    ngx_trp_turn_owner_t       owner;
    ngx_uint_t                 number;
    ngx_listening_t           *listening;
    time_t                     start_sec;
    ngx_msec_t                 start_msec;
    unsigned                   dont_fragment:2;    /* of each socket */
} ngx_trp_turn_alloc_t;


/* of ngx_trp_turn.c */

ngx_int_t ngx_trp_turn_init_worker(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);
void ngx_trp_turn_exit_worker(ngx_trp_turn_worker_t *worker);

/* sets the core's time: before anything else is asked of it */

void ngx_trp_turn_time(ngx_trp_turn_server_t *server);

/* NGX_ERROR: what came is neither STUN nor ChannelData */

ngx_int_t ngx_trp_turn_input(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_tuple_t *tuple, u_char *data,
    size_t len);

/*
 * Carries out what the core says, "origin" may be NULL if nobody has asked.
 * If a command that is carried out leads here again, it is the first call
 * that goes on.
 */

void ngx_trp_turn_run(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin);

/* the allocation of this tuple in any server of the worker, or NULL */

ngx_trp_turn_alloc_t *ngx_trp_turn_find(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple);

/* ends all allocations: worker_shutdown_timeout */

void ngx_trp_turn_shutdown(ngx_trp_turn_server_t *server);

void ngx_trp_turn_remove_account(ngx_trp_turn_worker_t *worker,
    u_char *account);


/* there may be other workers: looks after those that die */

void ngx_trp_turn_watch(ngx_trp_turn_worker_t *worker);


/* of ngx_trp_turn_udp.c */

/* in the master, for each cycle; worker->servers is set */

ngx_int_t ngx_trp_turn_udp_init_sockets(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);

ngx_int_t ngx_trp_turn_udp_init_worker(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);

/* a datagram that came to another worker */

void ngx_trp_turn_udp_handed(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple, u_char *data, size_t len);

/* "now": not with the other datagrams of the batch */

void ngx_trp_turn_udp_send(ngx_trp_turn_origin_t *origin,
    ngx_trp_turn_alloc_t *alloc, const trp_turn_tuple_t *tuple,
    const u_char *data, size_t len, ngx_uint_t now);

/* an allocation begins, or ends */

void ngx_trp_turn_udp_add(ngx_trp_turn_alloc_t *alloc);
void ngx_trp_turn_udp_remove(ngx_trp_turn_alloc_t *alloc);


/* of ngx_trp_turn_tcp.c */

/* what waits to be sent to a client */

typedef struct ngx_trp_turn_chunk_s  ngx_trp_turn_chunk_t;


/* a client over TCP or TLS; the context of its session */

struct ngx_trp_turn_client_s {
    ngx_trp_turn_record_t     *record;     /* of an allocation that ended */
    ngx_trp_turn_server_t     *server;
    ngx_stream_session_t      *session;
    ngx_connection_t          *connection;
    trp_turn_tuple_t           tuple;

    u_char                    *part;       /* of a message */
    size_t                     part_len;

    ngx_trp_turn_chunk_t      *out;
    ngx_trp_turn_chunk_t     **last;
    size_t                     queued;

    /* ConnectionBind: from then on no message, but a peer's data */
    ngx_queue_t                queue;      /* of the worker */
    trp_turn_request_t         request;
    uint32_t                   id;
    uint64_t                   cookie;
    ngx_atomic_uint_t          epoch;      /* of the worker that has it */
    trp_str_t                  username;   /* if "unasked" */
    ngx_trp_turn_splice_t     *splice;

    ngx_trp_guest_t           *guest;
    ngx_msec_t                 deadline;   /* without an allocation */

    unsigned                   attaching:1;
    unsigned                   unasked:1;  /* no way to that worker yet */
    unsigned                   failed:1;
    unsigned                   known:1;    /* has had an allocation */
    unsigned                   more:1;     /* messages in "part" */
};


/* the content handler of a server */

void ngx_trp_turn_tcp_handler(ngx_stream_session_t *s,
    ngx_trp_turn_server_t *server);

/*
 * "data": of a peer, may be dropped, as datagrams are, if too much waits, and
 * that is NGX_DECLINED.
 */

ngx_int_t ngx_trp_turn_tcp_send(ngx_trp_turn_client_t *client,
    const u_char *bytes, size_t len, ngx_uint_t data);

/* what has been read behind ConnectionBind goes to the peer */

void ngx_trp_turn_tcp_feed(ngx_trp_turn_client_t *client);

/* its allocation has ended: it has some time to get another one */

void ngx_trp_turn_tcp_freed(ngx_trp_turn_client_t *client);

/* everything ends: the connection, what is queued and what belongs to it */

void ngx_trp_turn_tcp_close(ngx_trp_turn_client_t *client, ngx_uint_t rc);


/* of ngx_trp_turn_relay.c */

trp_turn_bound_e ngx_trp_turn_relayed_bind(ngx_trp_turn_alloc_t *alloc,
    in_port_t port, uint8_t *families);
void ngx_trp_turn_relayed_send(ngx_trp_turn_alloc_t *alloc,
    const trp_turn_command_t *command);
void ngx_trp_turn_relayed_unbind(ngx_trp_turn_alloc_t *alloc, ngx_uint_t v6);
void ngx_trp_turn_relayed_close(ngx_trp_turn_alloc_t *alloc);

/*
 * The way to "to", and where from; a family of 0: from any address.  To an
 * allocation of this machine it is inside of it, and who comes that way has
 * the address that the other one was told: it is put into "peer".
 */

void ngx_trp_turn_relayed_way(ngx_trp_turn_alloc_t *alloc, ngx_uint_t own,
    trp_taddr_t *to, trp_addr_t *from);
void ngx_trp_turn_relayed_peer(ngx_trp_turn_alloc_t *alloc, trp_taddr_t *peer);

/* as in trp_turn_shared_t, for a worker: nobody else gets the port by chance */

int ngx_trp_turn_relayed_reserve(void *data, uint16_t port,
    const uint8_t *token);
uint16_t ngx_trp_turn_relayed_redeem(void *data, const uint8_t *token);

/* gives up what is held for reservations */

void ngx_trp_turn_relayed_exit(ngx_trp_turn_worker_t *worker);


/* of ngx_trp_turn_log.c */

/* one line of access_log, for a TCP client when its connection ends */

void ngx_trp_turn_log_alloc(ngx_trp_turn_alloc_t *alloc);

/* a line of error_log for TRP_TURN_REPORT, unless there are many */

void ngx_trp_turn_log_report(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command);

/* what is logged of a session; NULL if that is nothing */

typedef ngx_trp_turn_record_t *(*ngx_trp_turn_record_pt)(
    ngx_stream_session_t *s);

/* the zone of the configuration that the session is of; NULL if none */

typedef ngx_trp_turn_zone_t *(*ngx_trp_turn_zone_pt)(ngx_stream_session_t *s);

ngx_int_t ngx_trp_turn_log_add_variables(ngx_conf_t *cf,
    ngx_trp_turn_record_pt record, ngx_trp_turn_zone_pt zone);

/* a variable of this prefix: how many answers to METHOD had this CODE */

#define NGX_TRP_TURN_RESPONSES  "trp_turn_responses_"

ngx_int_t ngx_trp_turn_log_responses(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, ngx_str_t *name,
    ngx_trp_turn_zone_t *zone);


/* addresses of the core and of sockets */

void ngx_trp_turn_taddr(trp_taddr_t *addr, struct sockaddr *sa);
socklen_t ngx_trp_turn_sockaddr(ngx_sockaddr_t *sa, const trp_taddr_t *addr);

/* any address of the family with this port */

socklen_t ngx_trp_turn_wildcard(ngx_sockaddr_t *sa, ngx_uint_t v6,
    in_port_t port);

/*
 * A socket for addresses of this family, IPv4 and IPv6 apart; -1 with the
 * error in ngx_socket_errno, which closing it after a failure keeps.
 */

ngx_socket_t ngx_trp_turn_socket(int family, int type);
void ngx_trp_turn_socket_failed(ngx_socket_t s);

/* a socket of the worker, NULL and no socket any more if that fails */

ngx_connection_t *ngx_trp_turn_connection(ngx_trp_turn_worker_t *worker,
    ngx_socket_t s, ngx_event_handler_pt handler, void *data);
void ngx_trp_turn_close_connection(ngx_trp_turn_worker_t *worker,
    ngx_connection_t **c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_H_INCLUDED_ */
