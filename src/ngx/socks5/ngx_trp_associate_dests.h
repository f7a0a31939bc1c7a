
/*
 * Copyright (C) the trp authors
 */


/*
 * The destinations of an association's datagrams, and the path that takes them
 * there.  A destination that is not used for some time is forgotten.
 */


#ifndef _NGX_TRP_ASSOCIATE_DESTS_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_DESTS_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/trp_hash.h"
#include "socks5/trp_socks5.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_associate_s        ngx_trp_associate_t;
typedef struct ngx_trp_associate_dest_s   ngx_trp_associate_dest_t;
typedef struct ngx_trp_associate_dests_s  ngx_trp_associate_dests_t;


/* what a path does with a destination */

typedef struct {

    /* of its own structure, which begins with an ngx_trp_associate_dest_t */
    size_t                  size;

    /* what follows is zeroed; NGX_ERROR: it could not be opened */
    ngx_int_t             (*open)(ngx_trp_associate_dest_t *dest);

    /*
     * Sends a datagram; may be called from within open().  A drop is reported
     * with ngx_trp_associate_dropped().
     */
    void                  (*send)(ngx_trp_associate_dest_t *dest, u_char *p,
                                  size_t len);

    /* not called for a destination that was refused */
    void                  (*close)(ngx_trp_associate_dest_t *dest);

    /* it resolves names itself, and asks whether their addresses are allowed */
    ngx_uint_t              resolves;

} ngx_trp_associate_path_t;


struct ngx_trp_associate_dest_s {
    ngx_trp_associate_t             *associate;
    ngx_trp_associate_dests_t       *dests;
    trp_hash_node_t                  node;
    ngx_queue_t                      queue;
    trp_socks5_addr_t                addr;   /* a name points into "key" */
    ngx_msec_t                       used;
    unsigned                         refused:1;
    size_t                           len;
    u_char                          *key;    /* the address as bytes */
};


/* a table, and a queue that begins with the one used last */

struct ngx_trp_associate_dests_s {
    ngx_trp_associate_t             *associate;
    const ngx_trp_associate_path_t  *path;
    ngx_msec_t                       timeout;
    ngx_log_t                       *log;

    trp_hash_t                       hash;
    ngx_queue_t                      queue;
    ngx_event_t                      timer;  /* of the last in the queue */
    trp_memory_t                     memory;
    u_char                           key[TRP_HASH_KEY_LEN];
    unsigned                         evicted:1;  /* has been logged */
};


/* the first four members are set by the caller */

void ngx_trp_associate_dests_init(ngx_trp_associate_dests_t *dests);
void ngx_trp_associate_dests_close(ngx_trp_associate_dests_t *dests);

/* NGX_DECLINED: dropped, as the destination was refused recently */

ngx_int_t ngx_trp_associate_dests_send(ngx_trp_associate_dests_t *dests,
    trp_socks5_addr_t *to, u_char *p, size_t len);
void ngx_trp_associate_dests_used(ngx_trp_associate_dest_t *dest);

/* of the open ones, the one not used for the longest time, or NULL */

ngx_trp_associate_dest_t *ngx_trp_associate_dests_last(
    ngx_trp_associate_dests_t *dests);


/*
 * The path has closed the destination: it is forgotten, or refused for a while:
 * datagrams to it are dropped, so that not each of them opens it again.
 */

void ngx_trp_associate_forget(ngx_trp_associate_dest_t *dest);
void ngx_trp_associate_refuse(ngx_trp_associate_dest_t *dest);

/* its tunnel is given to another destination */

void ngx_trp_associate_evict(ngx_trp_associate_dest_t *dest);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_DESTS_H_INCLUDED_ */
