
/*
 * Copyright (C) the trp authors
 */


/*
 * A world of two ends of QUIC connections, with a network between them that
 * delays, loses, repeats and reorders packets, and with its own time.
 */


#ifndef WORLD_H_INCLUDED
#define WORLD_H_INCLUDED


#include "quic/ngx_trp_quic.h"


#define WORLD_IDS      64
#define WORLD_STREAMS  1100


typedef struct end_s  end_t;


/* bytes of a stream are a pattern by their offsets, so each end checks them */

typedef struct {
    ngx_trp_quic_stream_t  *s;              /* NULL: freed */
    end_t                  *end;
    uint64_t                to_send;
    uint64_t                sent;
    uint64_t                received;
    uint64_t                code;
    size_t                  most_unsent;
    unsigned                fin_wanted:1;
    unsigned                finished:1;
    unsigned                fin:1;          /* received */
    unsigned                error:1;        /* recv() said so */
    unsigned                send_error:1;
    unsigned                closed:1;
    unsigned                wrong:1;        /* a byte is not the right one */
    unsigned                paused:1;       /* does not read */
    unsigned                echo:1;
    unsigned                lost:1;         /* with the connection */
} stream_t;


struct end_s {
    ngx_trp_quic_t         *q;
    SSL                    *ssl;
    SSL_SESSION            *session;
    unsigned                server:1;
    unsigned                ready:1;
    unsigned                closed:1;
    unsigned                gone:1;
    unsigned                echo:1;         /* streams of the peer */
    unsigned                pause:1;
    unsigned                refuse:1;
    unsigned                full:1;         /* send() says NGX_AGAIN */
    unsigned                moved;
    unsigned                failed;
    unsigned                more_streams;
    unsigned                opened;
    unsigned                datagrams;
    unsigned                wrong_datagrams;
    unsigned                packets;
    unsigned                bursts;
    uint64_t                answer;         /* bytes after FIN, on each */
    ngx_trp_quic_why_t      why;
    char                    text[128];
    struct sockaddr_in      addr;
    struct sockaddr_in      path;           /* of moved() */
    ngx_trp_quic_cid_t      ids[WORLD_IDS];
    unsigned                nids;
    stream_t               *streams[WORLD_STREAMS];
    unsigned                nstreams;
};


typedef struct {
    ngx_msec_t              delay;          /* one way */
    unsigned                loss;           /* per thousand */
    unsigned                rate;           /* bytes in a ms; 0: no limit */
    uint64_t                busy[2];        /* until then, by direction */
    unsigned                twice;
    unsigned                reorder;
    unsigned                dead:1;         /* all is lost */
    unsigned                retry:1;        /* the server demands it */
    unsigned                stateless:1;    /* the server has forgotten all */
    unsigned                rebind:1;       /* the client's port is another */
    unsigned                versions:1;     /* answers as if it were too old */
    const char             *ciphers;
    size_t                  payload;
    size_t                  sent[2];        /* bytes of client, server */
    size_t                  last_initial;   /* length of a kept Initial */
    u_char                  initial[1500];
    void                  (*tap)(u_char *p, size_t *len, unsigned to_server);
} net_t;


extern end_t                client, server;
extern net_t                net;
extern ngx_trp_quic_conf_t  client_conf, server_conf;
extern u_char               world_secret[NGX_TRP_QUIC_SECRET_LEN];


/* everything from the beginning; then the client's connection */

void world_init(void);
void world_connect(void);

/* ends of connections and streams are freed; what is left is a leak */

void world_done(void);

/* time passes until a condition holds, at most so many ms: whether it does */

#define until(ms, condition)                                                  \
    (world_until(ms), (void) 0, until_loop(condition))
#define until_loop(condition)                                                 \
    ({ while (!(condition) && world_step()) { /* void */ } (condition); })

void world_until(ngx_msec_t ms);
int world_step(void);
void world_run(ngx_msec_t ms);
uint64_t world_now(void);

stream_t *stream_new(end_t *end, uint64_t to_send, int fin);
void stream_read(stream_t *st);
void stream_pump(stream_t *st);
void stream_free(stream_t *st);
stream_t *stream_peer(stream_t *st);

void end_path(end_t *end, ngx_trp_quic_path_t *path);
void net_inject(u_char *p, size_t len, int to_server, struct sockaddr_in *from);
unsigned world_random(unsigned n);
size_t world_allocated(void);


#endif /* WORLD_H_INCLUDED */
