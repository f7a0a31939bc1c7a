
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN server of a worker: the types that its files share.
 *
 *     ngx_trp_turn_worker.c     start, end, and messages from other workers
 *     ngx_trp_turn_commands.c   carries out the commands of the core
 *     ngx_trp_turn_data.c       clients' connections to peers (ConnectionBind)
 *     ngx_trp_turn_status.c     servers and users for the operator's view
 *     ngx_trp_turn_peers_tcp.c  TCP connections of peers (RFC 6062)
 *     ngx_trp_turn_tcp.c        clients over TCP and TLS
 *     ngx_trp_turn_relayed.c    relayed addresses: to and from peers
 *     ngx_trp_turn_udp.c        clients over UDP, also through reloads
 *     ngx_trp_turn.c            a server: time, input, and the loop of commands
 *     ngx_trp_turn_debug.c      the text of the debug log
 *     ngx_trp_turn_log.c        a line for each allocation, and variables
 *     ngx_trp_turn_socket.c     sockets and their addresses
 *     ngx_trp_turn_splice.c     two connections, joined
 *     ngx_trp_turn_zone*.c      what workers share
 *
 * Each may use those below it.  The core's commands go down: the file that
 * carries them out calls clients and peers.  Input from outside goes up through
 * a pointer, by which the loop of commands calls the function that carries them
 * out.
 */


#ifndef _NGX_TRP_TURN_TYPES_H_INCLUDED_
#define _NGX_TRP_TURN_TYPES_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_guard.h"
#include "base/trp_assert.h"
#include "status/ngx_trp_status.h"
#include "udp/ngx_trp_udp_batch.h"
#include "turn/ngx_trp_turn_splice.h"
#include "turn/ngx_trp_turn_message.h"
#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_turn_server_s    ngx_trp_turn_server_t;
typedef struct ngx_trp_turn_listener_s  ngx_trp_turn_listener_t;
typedef struct ngx_trp_turn_client_s    ngx_trp_turn_client_t;
typedef struct ngx_trp_turn_record_s    ngx_trp_turn_record_t;
typedef struct ngx_trp_turn_origin_s    ngx_trp_turn_origin_t;
typedef struct ngx_trp_turn_chunk_s     ngx_trp_turn_chunk_t;
typedef struct ngx_trp_turn_status_s    ngx_trp_turn_status_t;
typedef struct ngx_trp_turn_user_s      ngx_trp_turn_user_t;


/* whether an address was this machine's at "time" */

typedef struct {
    trp_addr_t                 addr;
    ngx_msec_t                 time;
    ngx_uint_t                 here;
} ngx_trp_turn_place_t;


/* carries out a command of the core; "origin": of the request, or NULL */

typedef void (*ngx_trp_turn_command_pt)(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);


/* of a "server" with "trp_turn": the workers only read it */

typedef struct {
    trp_turn_conf_t            core;
    trp_addr_t                 local[2];   /* behind a NAT: to send from */
    ngx_uint_t                 quota[NGX_TRP_TURN_NQUOTAS];
    ngx_msec_t                 allocate_timeout;   /* TCP, TLS */
    ngx_uint_t                 max_unauthenticated;
    ngx_uint_t                 max_per_address;
    void                     **main_conf;
    void                     **srv_conf;
    ngx_uint_t                 ctx_index;  /* of clients in sessions */
    ngx_log_t                 *log;
    unsigned                   portal:1;   /* serves after its "init" */
} ngx_trp_turn_conf_t;


/* of a worker process */

typedef struct {
    ngx_trp_turn_zone_t       *zone;
    ngx_trp_mesh_t            *mesh;       /* to other workers */
    ngx_array_t               *confs;      /* ngx_trp_turn_conf_t * */
    ngx_array_t                servers;    /* ngx_trp_turn_server_t * */
    ngx_trp_turn_command_pt    carry_out;
    u_char                    *inherited;  /* 1 for a listen that was */
    ngx_array_t                listeners;  /* ngx_trp_turn_listener_t */
    ngx_uint_t                 reading;    /* listeners that are read */
    ngx_trp_udp_batch_t       batch;
    ngx_queue_t                attached;   /* ngx_trp_turn_client_t */
    ngx_queue_t                lent;       /* peers: to other workers */
    uint64_t                   cookies;    /* given to "attached" */
    ngx_queue_t                holds;      /* ports that are reserved */
    ngx_trp_turn_place_t       places[2];  /* IPv4, IPv6: asked last */
    u_char                    *scratch;
    ngx_event_t                stats;
    ngx_event_t                watch;      /* watches other workers */
    ngx_atomic_uint_t          ends;       /* of workers, as last seen */
    time_t                     warned;     /* of lack of room in the zone */
    time_t                     tidied;
    ngx_atomic_uint_t          removals;   /* of accounts, as last seen */
    ngx_trp_turn_status_t     *status;
    ngx_trp_warnings_t         users;      /* lines about those refused */
    ngx_trp_warnings_t         peers;      /* and about those denied */
    ngx_log_t                 *log;
} ngx_trp_turn_worker_t;


/* of a server in the operator's view; "told": counts up to now */

typedef struct {
    ngx_trp_status_entry_t     entry;
    ngx_atomic_uint_t          told[NGX_TRP_STATUS_COUNTERS];
} ngx_trp_turn_row_t;


/* of a server in this worker */

struct ngx_trp_turn_server_s {
    ngx_trp_turn_worker_t     *worker;
    const ngx_trp_turn_conf_t *conf;
    trp_turn_t                *turn;
    ngx_event_t                timer;
    ngx_trp_guard_t            guard;      /* of TCP and TLS clients */
    trp_rate_t                 reports;
    ngx_uint_t                 unreported;
    uint64_t                   realm;      /* a hash */
    ngx_trp_turn_row_t         row;
    ngx_log_t                 *log;
    unsigned                   running:1;  /* ngx_trp_turn_run() is */
};


/* where a message came from, and where its answer goes */

struct ngx_trp_turn_origin_s {
    ngx_trp_turn_listener_t   *listener;
    ngx_connection_t          *socket;     /* a client's own, UDP */
    ngx_trp_turn_client_t     *client;     /* TCP, TLS */
};


/* the glue's part of an allocation: trp_turn_alloc_t.data */

typedef struct {
    ngx_trp_turn_server_t     *server;
    trp_turn_alloc_t          *alloc;
    ngx_trp_turn_origin_t      origin;
    ngx_connection_t          *relayed[2]; /* IPv4, IPv6 */
    trp_addr_t                 source[2];  /* family 0: any */
    ngx_queue_t                queue;      /* of the listener */
    ngx_queue_t                shown;      /* of worker->status */
    ngx_trp_turn_user_t       *user;       /* NULL: without memory */
    trp_turn_traffic_t         told_up;    /* to the operator's view */
    trp_turn_traffic_t         told_down;
    ngx_trp_turn_owner_t       owner;
    ngx_uint_t                 number;
    ngx_listening_t           *listening;
    time_t                     start_sec;
    ngx_msec_t                 start_msec;
    unsigned                   dont_fragment:2;    /* of each socket */
} ngx_trp_turn_alloc_t;


/* what a client calls after ConnectionBind: see ngx_trp_turn_data.c */

typedef struct {
    void                     (*timedout)(ngx_trp_turn_client_t *client);
    void                     (*ended)(ngx_trp_turn_client_t *client);
} ngx_trp_turn_data_handlers_t;


/* a client over TCP or TLS; the context of its session */

struct ngx_trp_turn_client_s {
    ngx_trp_turn_record_t     *record;     /* of an allocation that ended */
    ngx_trp_turn_server_t     *server;
    ngx_stream_session_t      *session;
    ngx_connection_t          *connection;
    trp_turn_tuple_t           tuple;

    u_char                    *part;       /* of a message */
    size_t                     part_len;

    ngx_trp_turn_chunk_t      *out;        /* waits to be sent */
    ngx_trp_turn_chunk_t     **last;
    size_t                     queued;

    /* from ConnectionBind on: no messages, but a peer's data */
    const ngx_trp_turn_data_handlers_t  *data;
    ngx_queue_t                queue;      /* of the worker */
    trp_turn_request_t         request;
    uint32_t                   id;
    uint64_t                   cookie;
    ngx_atomic_uint_t          epoch;      /* of the connection's worker */
    trp_str_t                  username;   /* if "unasked" */
    ngx_trp_turn_splice_t     *splice;

    ngx_trp_guest_t           *guest;
    ngx_msec_t                 deadline;   /* without an allocation */

    unsigned                   attaching:1;
    unsigned                   unasked:1;  /* worker not reachable yet */
    unsigned                   failed:1;
    unsigned                   known:1;    /* has had an allocation */
    unsigned                   more:1;     /* messages in "part" */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_TYPES_H_INCLUDED_ */
