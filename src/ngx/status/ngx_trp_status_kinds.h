
/*
 * Copyright (C) the trp authors
 */


/*
 * The kinds of rows in the table of an operator's view: what their texts,
 * counters and gauges mean.  Those that a reader shows, and how it calls them,
 * are in http/ngx_trp_http_fields.c.
 *
 * Times are seconds since the Epoch; a counter that is a time is set, not
 * added to.  Traffic is payload of streams, in bytes, as the row's owner sees
 * it: "received" comes from it.
 */


#ifndef _NGX_TRP_STATUS_KINDS_H_INCLUDED_
#define _NGX_TRP_STATUS_KINDS_H_INCLUDED_


/* refused streams: this and a trp_code_e */

#define NGX_TRP_STATUS_CODES     16      /* trp_code_e, and room for more */


typedef enum {
    NGX_TRP_STATUS_WORKER = 1,
    NGX_TRP_STATUS_SERVER,               /* with "trp_relay" */
    NGX_TRP_STATUS_AGENT,                /* at a relay */
    NGX_TRP_STATUS_GROUP,
    NGX_TRP_STATUS_SERVICE,              /* a published name */
    NGX_TRP_STATUS_RELAY,                /* as an agent sees it */
    NGX_TRP_STATUS_ROUTE,                /* of an entry */
    NGX_TRP_STATUS_REVERSE,              /* a server {} with "trp_reverse" */
    NGX_TRP_STATUS_TURN,                 /* a TURN server */
    NGX_TRP_STATUS_TURN_USER,
    NGX_TRP_STATUS_SOCKS,                /* a server {} with "trp_socks5" */
    NGX_TRP_STATUS_SOCKS_USER
} ngx_trp_status_kind_e;


/* a process; opened by each module, the last one to know sets a gauge */

enum {
    NGX_TRP_WORKER_PID = 0,              /* name */
    NGX_TRP_WORKER_TEXTS
};

enum {
    NGX_TRP_WORKER_STARTED = 0,          /* time */
    NGX_TRP_WORKER_EXITING,              /* 1: yes */
    NGX_TRP_WORKER_CONNECTIONS           /* in use */
};


/* a relay: what it counts for all agents, also for those that are refused */

enum {
    NGX_TRP_SERVER_LISTEN = 0,           /* name: its first address */
    NGX_TRP_SERVER_TEXTS
};

enum {
    NGX_TRP_SERVER_UNAUTHENTICATED = 0,  /* connections */
    NGX_TRP_SERVER_TUNNELS,
    NGX_TRP_SERVER_STREAMS,
    NGX_TRP_SERVER_EXPIRES               /* time: its first certificate */
};

enum {
    NGX_TRP_SERVER_ACCEPTED = 0,         /* connections */
    NGX_TRP_SERVER_AUTHENTICATED,        /* tunnels */
    NGX_TRP_SERVER_OPENED,               /* streams */
    NGX_TRP_SERVER_RECEIVED,             /* from entries or users */
    NGX_TRP_SERVER_SENT,                 /* to them */
    NGX_TRP_SERVER_REFUSED_PROTOCOL,     /* no TLS, no agent, no time */
    NGX_TRP_SERVER_REFUSED_KEY,
    NGX_TRP_SERVER_REFUSED_SIGNATURE,
    NGX_TRP_SERVER_REFUSED_ROLE,
    NGX_TRP_SERVER_REFUSED_GROUP,
    NGX_TRP_SERVER_REFUSED_ADDRESS,
    NGX_TRP_SERVER_REFUSED_EXPIRED,
    NGX_TRP_SERVER_REFUSED_LIMIT,
    NGX_TRP_SERVER_REJECTED,             /* an agent refused its certificate */
    NGX_TRP_SERVER_REFUSED_STREAMS       /* and a trp_code_e */
};


/* an agent at a relay: key, name, group and role */

enum {
    NGX_TRP_AGENT_ROLE = 0,              /* "entry", "reverse" */
    NGX_TRP_AGENT_NAME,
    NGX_TRP_AGENT_GROUP,
    NGX_TRP_AGENT_KEY,                   /* public, in base64 */
    NGX_TRP_AGENT_KEYS,                  /* the row's name are those */
    NGX_TRP_AGENT_COMMENT = NGX_TRP_AGENT_KEYS,
    NGX_TRP_AGENT_ADDRESS,               /* of its last new tunnel */
    NGX_TRP_AGENT_WHY,                   /* it was lost last */
    NGX_TRP_AGENT_TEXTS
};

enum {
    NGX_TRP_AGENT_TUNNELS = 0,
    NGX_TRP_AGENT_IDLE,                  /* of those */
    NGX_TRP_AGENT_STREAMS
};

enum {
    NGX_TRP_AGENT_JOINED = 0,            /* tunnels */
    NGX_TRP_AGENT_OPENED,                /* streams */
    NGX_TRP_AGENT_RECEIVED,
    NGX_TRP_AGENT_SENT,
    NGX_TRP_AGENT_LOSSES,                /* of its last tunnel */
    NGX_TRP_AGENT_LOST,                  /* time of the last one of those */
    NGX_TRP_AGENT_REFUSED                /* and a trp_code_e */
};


/* a group at a relay */

enum {
    NGX_TRP_GROUP_NAME = 0,
    NGX_TRP_GROUP_TEXTS
};

enum {
    NGX_TRP_GROUP_ENTRIES = 0,           /* agents */
    NGX_TRP_GROUP_REVERSES,
    NGX_TRP_GROUP_WAITING,               /* streams without a reverse */
    NGX_TRP_GROUP_STREAMS
};

enum {
    NGX_TRP_GROUP_OPENED = 0,            /* streams */
    NGX_TRP_GROUP_REFUSED                /* and a trp_code_e */
};


/* what reverses publish at a relay */

enum {
    NGX_TRP_SERVICE_NAME = 0,            /* a name or a port */
    NGX_TRP_SERVICE_GROUP,
    NGX_TRP_SERVICE_KEYS,
    NGX_TRP_SERVICE_COMMENT = NGX_TRP_SERVICE_KEYS,   /* of the key */
    NGX_TRP_SERVICE_TEXTS
};

enum {
    NGX_TRP_SERVICE_AGENTS = 0,
    NGX_TRP_SERVICE_STREAMS
};

enum {
    NGX_TRP_SERVICE_OPENED = 0           /* streams */
};


/* a relay, as an agent sees it: its pools of tunnels in all workers */

enum {
    NGX_TRP_RELAY_ROLE = 0,
    NGX_TRP_RELAY_NAME,                  /* of the agent */
    NGX_TRP_RELAY_GROUP,
    NGX_TRP_RELAY_HOST,                  /* as configured, with its port */
    NGX_TRP_RELAY_ADDRESS,
    NGX_TRP_RELAY_KEYS,
    NGX_TRP_RELAY_BY = NGX_TRP_RELAY_KEYS,      /* the way that is used */
    NGX_TRP_RELAY_ERROR,                 /* the last one */
    NGX_TRP_RELAY_TEXTS
};

enum {
    NGX_TRP_RELAY_TUNNELS = 0,
    NGX_TRP_RELAY_IDLE,                  /* of those */
    NGX_TRP_RELAY_DIALING,
    NGX_TRP_RELAY_FAILURES,              /* rounds of dialling, in a row */
    NGX_TRP_RELAY_NEXT                   /* time of the next try; 0: none */
};

enum {
    NGX_TRP_RELAY_DIALLED = 0,           /* tunnels that worked */
    NGX_TRP_RELAY_FAILED,                /* attempts */
    NGX_TRP_RELAY_LOST,                  /* tunnels in use or idle */
    NGX_TRP_RELAY_FAILED_AT,             /* time of the last failure */
    NGX_TRP_RELAY_SINCE,                 /* time: it has tunnels, or none */
    NGX_TRP_RELAY_CHANGES,               /* of the way */

    /* what the log has told of it: for agents only */

    NGX_TRP_RELAY_WAY,                   /* hash of its name */
    NGX_TRP_RELAY_STATE,
    NGX_TRP_RELAY_TOLD_FIRST,            /* time of the first such failure */
    NGX_TRP_RELAY_TOLD_LAST,
    NGX_TRP_RELAY_TOLD_TEXT,             /* hash */
    NGX_TRP_RELAY_TOLD_TEXTS             /* number of them */
};


/* routes, servers with "trp_reverse", with "trp_socks5": streams and traffic */

enum {
    NGX_TRP_ROUTE_LISTEN = 0,            /* address, "/udp" after it */
    NGX_TRP_ROUTE_DESTINATION,           /* or "published" */
    NGX_TRP_ROUTE_UPSTREAM,
    NGX_TRP_ROUTE_TEXTS
};

enum {
    NGX_TRP_REVERSE_GROUP = 0,
    NGX_TRP_REVERSE_NAME,
    NGX_TRP_REVERSE_TEXTS
};

enum {
    NGX_TRP_SOCKS_LISTEN = 0,
    NGX_TRP_SOCKS_TEXTS
};

enum {
    NGX_TRP_STREAMS_NOW = 0
};

enum {
    NGX_TRP_STREAMS_OPENED = 0,
    NGX_TRP_STREAMS_RECEIVED,            /* from users */
    NGX_TRP_STREAMS_SENT,                /* to them */
    NGX_TRP_STREAMS_UNAUTHENTICATED,     /* SOCKS5: wrong password or none */
    NGX_TRP_STREAMS_INVALID,             /* SOCKS5: not the protocol */
    NGX_TRP_STREAMS_ASSOCIATED,          /* SOCKS5: UDP ASSOCIATE */
    NGX_TRP_STREAMS_REFUSED              /* and a trp_code_e */
};


/* a TURN server: gauges and counters of all workers, see trp_turn_stats_t */

enum {
    NGX_TRP_TURN_REALM = 0,
    NGX_TRP_TURN_TEXTS
};

enum {
    NGX_TRP_TURN_ALLOCATIONS = 0,
    NGX_TRP_TURN_PERMISSIONS,
    NGX_TRP_TURN_CHANNELS,
    NGX_TRP_TURN_CONNECTIONS             /* of peers, RFC 6062 */
};

enum {
    NGX_TRP_TURN_ALLOCATED = 0,
    NGX_TRP_TURN_RECEIVED,               /* from clients, payload */
    NGX_TRP_TURN_SENT,                   /* to them */
    NGX_TRP_TURN_RECEIVED_PACKETS,
    NGX_TRP_TURN_SENT_PACKETS,
    NGX_TRP_TURN_DROPPED_PACKETS,
    NGX_TRP_TURN_DENIED,                 /* peers */
    NGX_TRP_TURN_UNAUTHENTICATED,        /* requests with wrong credentials */
    NGX_TRP_TURN_REFUSED,                /* allocations, for other reasons */
    NGX_TRP_TURN_BINDINGS,               /* answered requests of STUN */
    NGX_TRP_TURN_SILENCED                /* strangers over their budget */
};

enum {
    NGX_TRP_USER_NAME = 0,
    NGX_TRP_USER_TEXTS
};

/* the same numbers as those of streams, as far as they go */

enum {
    NGX_TRP_USER_NOW = NGX_TRP_STREAMS_NOW             /* or allocations */
};

enum {
    NGX_TRP_USER_OPENED = NGX_TRP_STREAMS_OPENED,      /* or allocations */
    NGX_TRP_USER_RECEIVED = NGX_TRP_STREAMS_RECEIVED,
    NGX_TRP_USER_SENT = NGX_TRP_STREAMS_SENT,
    NGX_TRP_USER_DENIED                  /* peers, destinations */
};


#endif /* _NGX_TRP_STATUS_KINDS_H_INCLUDED_ */
