
/*
 * Copyright (C) the trp authors
 */


/*
 * A user's session of UDP outlives a reload: its datagrams come in on a socket
 * that nginx closes when a worker is to exit.  In place of it the session gets
 * one of its own, and goes on to its end.
 */


#ifndef _NGX_TRP_ENTRY_UDP_H_INCLUDED_
#define _NGX_TRP_ENTRY_UDP_H_INCLUDED_


#include "base/ngx_trp.h"
#include "stock/ngx_trp_listener.h"


#pragma GCC visibility push(hidden)


/* of a worker; zeroed by the caller */

typedef struct {
    ngx_queue_t        sessions;
    ngx_uint_t         nsessions;
    ngx_connection_t  *exiting;    /* NULL: no session yet */
    ngx_socket_t       fd;         /* of the process, for the connection */
    ngx_event_t        wait;       /* for the old worker */
} ngx_trp_entry_udp_t;


/* of a session; zeroed by the caller */

typedef struct {
    ngx_queue_t           queue;
    ngx_connection_t     *user;    /* NULL: it is not in the queue */
    ngx_trp_entry_udp_t  *udp;
} ngx_trp_entry_udp_session_t;


/*
 * In the master, for each new configuration: sets the buffers of sockets that
 * pass the check, and notes in "inherited", an array of as many elements as
 * there are listening sockets, which of them an old worker may be reading.
 */

void ngx_trp_entry_udp_init_sockets(ngx_cycle_t *cycle, u_char *inherited,
    ngx_trp_listener_check_pt check);

/*
 * In a worker: it lets an old worker read those of its sockets that pass the
 * check, until that has been told to exit.  Otherwise each of them would have a
 * part of the datagrams of a session.  "fd" is that of ngx_trp_fake_socket().
 */

void ngx_trp_entry_udp_start(ngx_trp_entry_udp_t *udp, ngx_cycle_t *cycle,
    ngx_socket_t fd, const u_char *inherited, ngx_trp_listener_check_pt check);

/* a session begins, and ends: from here to the log */

void ngx_trp_entry_udp_begin(ngx_trp_entry_udp_t *udp,
    ngx_trp_entry_udp_session_t *us, ngx_connection_t *user);
void ngx_trp_entry_udp_end(ngx_trp_entry_udp_session_t *us);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_UDP_H_INCLUDED_ */
