
/*
 * Copyright (C) the trp authors
 */


/*
 * The state machine of the control connection to a portal, which tells the TURN
 * server which accounts to serve: a Phoenix channel, "relay", over a WebSocket.
 *
 *     CONNECTING → OPENING → JOINING → RUNNING
 *
 * From each of them, any end that is not fatal leads to WAITING, and from
 * there to CONNECTING.
 *
 * Each function below may queue one or two commands, to be executed in order:
 *
 *     trp_portal_message(p, &message, now, random);
 *     while (trp_portal_next(p, &command) == TRP_OK) { execute it }
 *     set a timer for trp_portal_deadline(p)
 *
 * If a command cannot be executed, trp_portal_lost() or trp_portal_stop() may
 * be called from within the loop.
 *
 * Times are milliseconds of any monotonic clock; "random" is 32 unpredictable
 * bits, used to randomize the delay before the next attempt.
 */


#ifndef TRP_PORTAL_H_INCLUDED
#define TRP_PORTAL_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_PORTAL_SECRET_LEN   64          /* hex */

#define TRP_PORTAL_NEVER        0           /* as a deadline */

/*
 * Commands that wait at once: two of the function that was called, and two of
 * trp_portal_lost() or trp_portal_stop() while one of them is carried out.
 */

#define TRP_PORTAL_COMMANDS     4

#define TRP_PORTAL_CONNECT_TIME 5000        /* TCP, all addresses */
#define TRP_PORTAL_OPEN_TIME    15000       /* TCP, TLS and HTTP */
#define TRP_PORTAL_JOIN_TIME    5000
#define TRP_PORTAL_BEAT_TIME    10000
#define TRP_PORTAL_BEATS        3           /* that may be unanswered */

#define TRP_PORTAL_RETRY_TIME   1000        /* until it has worked once */
#define TRP_PORTAL_BACKOFF_MAX  32000
#define TRP_PORTAL_LATER_MAX    3600        /* seconds, of Retry-After */


typedef enum {
    TRP_PORTAL_STOPPED = 0,
    TRP_PORTAL_WAITING,
    TRP_PORTAL_CONNECTING,                  /* TCP */
    TRP_PORTAL_OPENING,                     /* TLS and HTTP */
    TRP_PORTAL_JOINING,
    TRP_PORTAL_RUNNING
} trp_portal_state_e;


typedef enum {
    TRP_PORTAL_CONNECT = 0,                 /* to addresses[address] */
    TRP_PORTAL_SEND,                        /* text */
    TRP_PORTAL_CLOSE,                       /* why, unless the caller knows */
    TRP_PORTAL_JOINED,                      /* for information only */
    TRP_PORTAL_INIT,                        /* with this message's accounts */
    TRP_PORTAL_ACCOUNT_ADDED,               /* text */
    TRP_PORTAL_ACCOUNT_REMOVED,             /* text */
    TRP_PORTAL_FATAL                        /* why, perhaps text: it is over */
} trp_portal_command_e;


/* "text" points into the message received, or into the trp_portal_t */

typedef struct {
    trp_portal_command_e    type;
    uint32_t                address;
    trp_str_t               text;
    const char             *why;            /* NULL, or what the portal did */
} trp_portal_command_t;


/* the members of a message in JSON; those that are absent are empty */

typedef struct {
    trp_str_t               topic;
    trp_str_t               event;
    trp_str_t               status;         /* of a reply */
    trp_str_t               reason;         /* of an error, of "disconnect" */
    trp_str_t               account;
    int64_t                 ref;            /* -1: none */
} trp_portal_message_t;


typedef struct {
    trp_portal_state_e      state;
    uint64_t                deadline;

    uint64_t                opened;         /* deadline of this attempt */
    uint32_t                addresses;
    uint32_t                address;        /* in use now, or tried first */
    uint32_t                left;           /* addresses not yet tried */

    uint32_t                failures;       /* since it last worked */
    uint64_t                beat;           /* number of the last one */
    uint32_t                unanswered;     /* beats */

    char                    secret[TRP_PORTAL_SECRET_LEN];
    char                    text[256];

    trp_portal_command_t    commands[TRP_PORTAL_COMMANDS + 1];
    uint32_t                first;
    uint32_t                ncommands;

    unsigned                validation:1;
    unsigned                worked:1;       /* has joined before */
} trp_portal_t;


/*
 * "secret" is TRP_PORTAL_SECRET_LEN hex digits, "validation" requests the list
 * of accounts, "addresses" is the number of addresses that the portal has.
 */

void trp_portal_init(trp_portal_t *p, const uint8_t *secret, int validation,
    uint32_t addresses);

/* the portal has other addresses now, used from the next attempt on */

void trp_portal_addresses(trp_portal_t *p, uint32_t addresses);

void trp_portal_start(trp_portal_t *p, uint64_t now);
void trp_portal_stop(trp_portal_t *p);


/* the TCP connection is established; the WebSocket is open */

void trp_portal_connected(trp_portal_t *p);
void trp_portal_opened(trp_portal_t *p, uint64_t now);

/*
 * The HTTP status was not 101; "later" is Retry-After in seconds, 0 if there
 * is none.
 */

void trp_portal_refused(trp_portal_t *p, unsigned status, uint64_t later,
    uint64_t now, uint32_t random);

void trp_portal_message(trp_portal_t *p, const trp_portal_message_t *m,
    uint64_t now, uint32_t random);

/* the connection, in any state, has failed or was closed */

void trp_portal_lost(trp_portal_t *p, uint64_t now, uint32_t random);


/* TRP_PORTAL_NEVER: nothing is waited for */

uint64_t trp_portal_deadline(const trp_portal_t *p);
void trp_portal_expire(trp_portal_t *p, uint64_t now, uint32_t random);

/* TRP_OK, or TRP_DECLINED if there is no more */

int trp_portal_next(trp_portal_t *p, trp_portal_command_t *command);


#pragma GCC visibility pop


#endif /* TRP_PORTAL_H_INCLUDED */
