
/*
 * Copyright (C) the trp authors
 */


/*
 * The text of requests, answers and commands for the debug log, in one place.
 * Each line begins with the address of its client, so that the lines of one
 * client can be found with grep.  What a client has sent is printed only if it
 * is valid; keys, passwords, nonces and tokens are never printed.
 */


#include "turn/ngx_trp_turn_debug.h"
#include "turn/ngx_trp_turn_socket.h"


#if (NGX_DEBUG)


#define NGX_TRP_TURN_DEBUG_SIZE  512


static const char *ngx_trp_turn_debug_method(ngx_uint_t method);
static u_char *ngx_trp_turn_debug_attributes(u_char *p, u_char *last,
    const trp_stun_t *m);
static void ngx_trp_turn_debug_alloc(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command);


void
ngx_trp_turn_debug_request_line(ngx_trp_turn_server_t *server,
    const trp_turn_tuple_t *tuple, const u_char *data, size_t len)
{
    u_char      *p, *last;
    u_char       line[NGX_TRP_TURN_DEBUG_SIZE];
    trp_stun_t   m;

    static const char *const  transports[] = { "UDP", "TCP", "TLS" };

    /* ChannelData, or Send, which is also data */

    if (len < 2
        || !trp_stun_is_message(data[0])
        || (data[0] == 0 && (data[1] & 0x10))
        || trp_stun_parse(&m, data, len) != TRP_OK
        || m.type != TRP_STUN_REQUEST)
    {
        return;
    }

    p = line;
    last = line + NGX_TRP_TURN_DEBUG_SIZE;

    p = ngx_trp_turn_debug_attributes(p, last, &m);

    ngx_log_debug5(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: %s request over %s%*s",
                   ngx_trp_turn_text(&tuple->client).data,
                   ngx_trp_turn_debug_method(m.method),
                   transports[tuple->transport], p - line, line);
}


static const char *
ngx_trp_turn_debug_method(ngx_uint_t method)
{
    switch (method) {

    case TRP_STUN_BINDING:
        return "Binding";

    case TRP_STUN_ALLOCATE:
        return "Allocate";

    case TRP_STUN_REFRESH:
        return "Refresh";

    case TRP_STUN_CREATE_PERMISSION:
        return "CreatePermission";

    case TRP_STUN_CHANNEL_BIND:
        return "ChannelBind";

    case TRP_STUN_CONNECT:
        return "Connect";

    case TRP_STUN_CONNECTION_BIND:
        return "ConnectionBind";

    case TRP_STUN_CONNECTION_ATTEMPT:
        return "ConnectionAttempt";
    }

    return "unknown";
}


static u_char *
ngx_trp_turn_debug_attributes(u_char *p, u_char *last, const trp_stun_t *m)
{
    size_t       offset;
    uint32_t     value;
    trp_str_t    name, peer;
    trp_taddr_t  addr;

    name = trp_stun_get(m, TRP_STUN_USERNAME);

    if (name.data) {
        p = ngx_slprintf(p, last, ", user:\"%s\"",
                         ngx_trp_text(name.data, name.len).data);
    }

    if (trp_stun_get_u32(m, TRP_STUN_LIFETIME, &value) == TRP_OK) {
        p = ngx_slprintf(p, last, ", lifetime:%uD", value);
    }

    if (trp_stun_get_u32(m, TRP_STUN_CHANNEL_NUMBER, &value) == TRP_OK) {
        p = ngx_slprintf(p, last, ", channel:0x%xD", value >> 16);
    }

    if (trp_stun_get_u32(m, TRP_STUN_CONNECTION_ID, &value) == TRP_OK) {
        p = ngx_slprintf(p, last, ", connection:%uD", value);
    }

    for (offset = 0;
         trp_stun_each(m, TRP_STUN_XOR_PEER_ADDRESS, &offset, &peer) == TRP_OK;
         /* void */ )
    {
        if (trp_stun_addr(m, peer, &addr) == TRP_OK) {
            p = ngx_slprintf(p, last, ", peer:%s",
                             ngx_trp_turn_text(&addr).data);
        }
    }

    return p;
}


void
ngx_trp_turn_debug_command_line(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command)
{
    switch (command->type) {

    case TRP_TURN_REPLY:
    case TRP_TURN_TO_CLIENT:

        /* ConnectionAttempt is sent to a client as data are */

        if (command->payload == 0) {
            ngx_trp_turn_debug_answer_line(server,
                                           command->alloc
                                           ? &command->alloc->tuple.client
                                           : &command->to->client,
                                           command->data, command->len);
        }

        return;

    case TRP_TURN_ATTACH:
        ngx_log_debug2(NGX_LOG_DEBUG_STREAM, server->log, 0,
                       "trp turn %s: to be attached to connection %uD",
                       ngx_trp_turn_text(&command->to->client).data,
                       command->id);
        return;

    case TRP_TURN_CONNECT:
    case TRP_TURN_DISCONNECT:
        ngx_log_debug4(NGX_LOG_DEBUG_STREAM, server->log, 0,
                       "trp turn %s: connection %uD with peer %s %s",
                       ngx_trp_turn_text(&command->connection->alloc->tuple
                                          .client).data,
                       command->connection->id,
                       ngx_trp_turn_text(&command->connection->peer).data,
                       command->type == TRP_TURN_CONNECT ? "begins" : "ends");
        return;

    case TRP_TURN_BIND:
    case TRP_TURN_END:
    case TRP_TURN_FREE:
    case TRP_TURN_UNBIND:
        ngx_trp_turn_debug_alloc(server, command);
        return;

    default: /* data; REPORT, which has its own line, at another level */
        return;
    }
}


void
ngx_trp_turn_debug_answer_line(ngx_trp_turn_server_t *server,
    const trp_taddr_t *to, const u_char *data, size_t len)
{
    u_char      *p, *last;
    u_char       line[NGX_TRP_TURN_DEBUG_SIZE];
    trp_stun_t   m;

    if (trp_stun_parse(&m, data, len) != TRP_OK
        || m.method == TRP_STUN_DATA)
    {
        return;
    }

    p = line;
    last = line + NGX_TRP_TURN_DEBUG_SIZE;

    p = ngx_trp_turn_debug_attributes(p, last, &m);

    if (m.type == TRP_STUN_ERROR) {
        p = ngx_slprintf(p, last, ", code:%ui",
                         (ngx_uint_t) trp_stun_error(&m));
    }

    ngx_log_debug5(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: %s %s%*s",
                   ngx_trp_turn_text(to).data,
                   ngx_trp_turn_debug_method(m.method),
                   m.type == TRP_STUN_ERROR ? "error"
                   : m.type == TRP_STUN_SUCCESS ? "success" : "indication",
                   p - line, line);
}


static void
ngx_trp_turn_debug_alloc(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command)
{
    const char        *event;
    trp_turn_alloc_t  *a;

    static const char *const  reasons[] = {
        "expires", "is deleted", "ends with its connection",
        "ends with its account", "ends with the worker", "fails"
    };

    a = command->alloc;

    switch (command->type) {

    case TRP_TURN_BIND:
        event = "is to begin";
        break;

    case TRP_TURN_END:
        event = reasons[a->why];
        break;

    case TRP_TURN_FREE:
        event = "is freed";
        break;

    default: /* TRP_TURN_UNBIND */
        event = command->peer.addr.family == 6 ? "gives up IPv6"
                                               : "gives up IPv4";
    }

    ngx_log_debug6(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: allocation of %s port %d%s%s %s",
                   ngx_trp_turn_text(&a->tuple.client).data,
                   a->protocol == TRP_PROTO_TCP ? "TCP" : "UDP",
                   (int) (command->type == TRP_TURN_BIND
                          ? command->port
                          : ((ngx_trp_turn_alloc_t *) a->data)->owner.port),
                   (a->families & TRP_TURN_V4) ? " IPv4" : "",
                   (a->families & TRP_TURN_V6) ? " IPv6" : "", event);
}


const char *
ngx_trp_turn_debug_message(ngx_trp_turn_message_e type)
{
    static const char *const  names[] = {
        "hello", "datagram", "attach", "attached", "detached", "detach",
        "remove account"
    };

    trp_assert(type < sizeof(names) / sizeof(names[0]));

    return names[type];
}


#endif
