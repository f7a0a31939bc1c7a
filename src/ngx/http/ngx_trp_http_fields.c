
/*
 * Copyright (C) the trp authors
 */


/*
 * The one table of what is shown, and what it is computed from.  A field that
 * is added here is in JSON and in metrics; docs/status.md describes it.
 */


#include "http/ngx_trp_http_fields.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/trp_wire.h"


static ngx_atomic_uint_t ngx_trp_http_sum(const ngx_trp_status_copy_t *row,
    ngx_uint_t i);
static ngx_atomic_uint_t ngx_trp_http_max(const ngx_trp_status_copy_t *row,
    ngx_uint_t i);
static ngx_atomic_uint_t ngx_trp_http_earliest(
    const ngx_trp_status_copy_t *row, ngx_uint_t i);
static ngx_atomic_uint_t ngx_trp_http_busy(const ngx_trp_status_copy_t *row,
    ngx_uint_t tunnels, ngx_uint_t idle);


#define ngx_trp_http_end   { NGX_TRP_HTTP_END, 0, NULL, NULL, NULL, NULL,     \
                             NULL, 0 }

#define ngx_trp_http_text(index, json)                                        \
    { NGX_TRP_HTTP_TEXT, index, json, NULL, NULL, NULL, NULL, 0 }

#define ngx_trp_http_plain(type, index, json, metric, help)                   \
    { type, index, json, metric, help, NULL, NULL, 0 }

#define ngx_trp_http_part(type, index, json, metric, help, label, value)      \
    { type, index, json, metric, help, label, value, 0 }

#define ngx_trp_http_words(type, index, json, metric, help, label)            \
    { type, index, json, metric, help, label, NULL, 0 }


static const char  *ngx_trp_http_reasons[] = {
    "protocol", "key", "signature", "role", "group", "address", "expired",
    "limit", NULL
};


static const ngx_trp_http_field_t  ngx_trp_http_worker_fields[] = {

    { NGX_TRP_HTTP_NUMBER, NGX_TRP_WORKER_PID, "pid", NULL, NULL, NULL, NULL,
      0 },

    ngx_trp_http_plain(NGX_TRP_HTTP_EARLIEST, NGX_TRP_WORKER_STARTED,
        "started", "start_time_seconds",
        "When the worker process has started."),

    ngx_trp_http_plain(NGX_TRP_HTTP_BOOL, NGX_TRP_WORKER_EXITING,
        "exiting", "exiting",
        "Whether the worker process only finishes what it has."),

    ngx_trp_http_plain(NGX_TRP_HTTP_MAX, NGX_TRP_WORKER_CONNECTIONS,
        "connections", "connections",
        "Connections of nginx in use, of worker_connections."),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_server_fields[] = {

    ngx_trp_http_text(NGX_TRP_SERVER_LISTEN, "listen"),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_SERVER_UNAUTHENTICATED,
        "unauthenticated", "unauthenticated_connections",
        "Connections that have not authenticated yet."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_SERVER_TUNNELS,
        "tunnels", "tunnels", "Tunnels of agents."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_SERVER_STREAMS,
        "streams", "streams", "Streams under way."),

    ngx_trp_http_plain(NGX_TRP_HTTP_EARLIEST, NGX_TRP_SERVER_EXPIRES,
        "certificate_expires", "certificate_expiry_timestamp_seconds",
        "When the first of the relay's certificates expires."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_ACCEPTED,
        "accepted_total", "connections_total", "Accepted connections."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_AUTHENTICATED,
        "authenticated_total", "tunnels_total",
        "Tunnels that have authenticated."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_OPENED,
        "streams_total", "streams_total", "Streams that were opened."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_RECEIVED,
        "received_bytes_total", "received_bytes_total",
        "Payload of streams from entries and users."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_SENT,
        "sent_bytes_total", "sent_bytes_total",
        "Payload of streams to entries and users."),

    ngx_trp_http_words(NGX_TRP_HTTP_REASONS, NGX_TRP_SERVER_REFUSED_PROTOCOL,
        "refused_agents_total", "refused_agents_total",
        "Connections of agents that were refused.", "reason"),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVER_REJECTED,
        "rejected_certificates_total", "rejected_certificates_total",
        "TLS handshakes in which an agent rejected the certificate."),

    ngx_trp_http_words(NGX_TRP_HTTP_CODES, NGX_TRP_SERVER_REFUSED_STREAMS,
        "refused_streams_total", "refused_streams_total",
        "Streams that were refused.", "status"),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_agent_fields[] = {

    ngx_trp_http_text(NGX_TRP_AGENT_ROLE, "role"),
    ngx_trp_http_text(NGX_TRP_AGENT_NAME, "name"),
    ngx_trp_http_text(NGX_TRP_AGENT_GROUP, "group"),
    ngx_trp_http_text(NGX_TRP_AGENT_KEY, "key"),
    ngx_trp_http_text(NGX_TRP_AGENT_COMMENT, "comment"),
    ngx_trp_http_text(NGX_TRP_AGENT_ADDRESS, "address"),

    { NGX_TRP_HTTP_HERE, 0, "up", "up", "Whether the agent has a tunnel.",
      "comment", NULL, NGX_TRP_AGENT_COMMENT },

    ngx_trp_http_plain(NGX_TRP_HTTP_SINCE, 0, "since", NULL, NULL),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_AGENT_TUNNELS,
        "tunnels", NULL, NULL),

    ngx_trp_http_part(NGX_TRP_HTTP_SUM, NGX_TRP_AGENT_IDLE,
        "idle", "tunnels", "Tunnels of the agent.", "state", "idle"),

    ngx_trp_http_part(NGX_TRP_HTTP_AGENT_BUSY, 0,
        NULL, "tunnels", NULL, "state", "busy"),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_AGENT_STREAMS,
        "streams", "streams", "Streams under way."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_AGENT_JOINED,
        "tunnels_total", "tunnels_total", "Tunnels that have authenticated."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_AGENT_OPENED,
        "streams_total", "streams_total", "Streams that were opened."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_AGENT_RECEIVED,
        "received_bytes_total", "received_bytes_total",
        "Payload of streams from the agent."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_AGENT_SENT,
        "sent_bytes_total", "sent_bytes_total",
        "Payload of streams to the agent."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_AGENT_LOSSES,
        "losses_total", "losses_total",
        "How often the agent has lost its last tunnel."),

    ngx_trp_http_plain(NGX_TRP_HTTP_TIME, NGX_TRP_AGENT_LOST,
        "lost", "last_loss_timestamp_seconds",
        "When the agent has last lost its last tunnel."),

    ngx_trp_http_text(NGX_TRP_AGENT_WHY, "why"),

    ngx_trp_http_words(NGX_TRP_HTTP_CODES, NGX_TRP_AGENT_REFUSED,
        "refused_streams_total", "refused_streams_total",
        "Streams of the agent, or to it, that were refused.", "status"),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_group_fields[] = {

    ngx_trp_http_text(NGX_TRP_GROUP_NAME, "name"),

    ngx_trp_http_part(NGX_TRP_HTTP_SUM, NGX_TRP_GROUP_ENTRIES,
        "entries", "agents", "Agents of the group.", "role", "entry"),

    ngx_trp_http_part(NGX_TRP_HTTP_SUM, NGX_TRP_GROUP_REVERSES,
        "reverses", "agents", NULL, "role", "reverse"),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_GROUP_WAITING,
        "waiting", "waiting_streams", "Streams that wait for a reverse."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_GROUP_STREAMS,
        "streams", "streams", "Streams under way."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_GROUP_OPENED,
        "streams_total", "streams_total", "Streams that were opened."),

    ngx_trp_http_words(NGX_TRP_HTTP_CODES, NGX_TRP_GROUP_REFUSED,
        "refused_streams_total", "refused_streams_total",
        "Streams that were refused.", "status"),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_service_fields[] = {

    ngx_trp_http_text(NGX_TRP_SERVICE_NAME, "name"),
    ngx_trp_http_text(NGX_TRP_SERVICE_GROUP, "group"),
    ngx_trp_http_text(NGX_TRP_SERVICE_COMMENT, "comment"),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_SERVICE_AGENTS,
        "agents", "agents", "Agents that publish the service."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_SERVICE_STREAMS,
        "streams", "streams", "Streams under way."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_SERVICE_OPENED,
        "streams_total", "streams_total", "Streams that were opened."),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_relay_fields[] = {

    ngx_trp_http_text(NGX_TRP_RELAY_ROLE, "role"),
    ngx_trp_http_text(NGX_TRP_RELAY_NAME, "name"),
    ngx_trp_http_text(NGX_TRP_RELAY_GROUP, "group"),
    ngx_trp_http_text(NGX_TRP_RELAY_HOST, "host"),
    ngx_trp_http_text(NGX_TRP_RELAY_ADDRESS, "address"),

    ngx_trp_http_plain(NGX_TRP_HTTP_RELAY_STATE, 0, "state", NULL, NULL),

    ngx_trp_http_plain(NGX_TRP_HTTP_TIME, NGX_TRP_RELAY_SINCE,
        "since", NULL, NULL),

    ngx_trp_http_plain(NGX_TRP_HTTP_RELAY_UP, 0, NULL, "up",
        "Whether there is a tunnel to the relay."),

    ngx_trp_http_text(NGX_TRP_RELAY_BY, "way"),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_RELAY_CHANGES,
        "way_changes_total", "way_changes_total",
        "How often another way to the relay was taken."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_RELAY_TUNNELS,
        "tunnels", NULL, NULL),

    ngx_trp_http_part(NGX_TRP_HTTP_SUM, NGX_TRP_RELAY_IDLE,
        "idle", "tunnels", "Tunnels to the relay.", "state", "idle"),

    ngx_trp_http_part(NGX_TRP_HTTP_RELAY_BUSY, 0,
        NULL, "tunnels", NULL, "state", "busy"),

    ngx_trp_http_part(NGX_TRP_HTTP_SUM, NGX_TRP_RELAY_DIALING,
        "dialing", "tunnels", NULL, "state", "dialing"),

    ngx_trp_http_plain(NGX_TRP_HTTP_MAX, NGX_TRP_RELAY_FAILURES,
        "failures", "failures", "Rounds of dialling that failed, in a row."),

    ngx_trp_http_plain(NGX_TRP_HTTP_EARLIEST, NGX_TRP_RELAY_NEXT,
        "next", "next_try_timestamp_seconds",
        "When the relay will be dialled again."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_RELAY_DIALLED,
        "tunnels_total", "tunnels_total", "Tunnels that were made."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_RELAY_FAILED,
        "failed_total", "failed_total", "Tunnels that could not be made."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_RELAY_LOST,
        "lost_total", "lost_total", "Tunnels that were lost."),

    ngx_trp_http_text(NGX_TRP_RELAY_ERROR, "error"),

    ngx_trp_http_plain(NGX_TRP_HTTP_TIME, NGX_TRP_RELAY_FAILED_AT,
        "failed_at", NULL, NULL),

    ngx_trp_http_end
};


#define NGX_TRP_HTTP_STREAMS                                                  \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_STREAMS_NOW,                 \
        "streams", "streams", "Streams under way."),                          \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_OPENED,          \
        "streams_total", "streams_total", "Streams that were opened."),       \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_RECEIVED,        \
        "received_bytes_total", "received_bytes_total",                       \
        "Payload of streams from users."),                                    \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_SENT,            \
        "sent_bytes_total", "sent_bytes_total",                               \
        "Payload of streams to users."),                                      \
                                                                              \
    ngx_trp_http_words(NGX_TRP_HTTP_CODES, NGX_TRP_STREAMS_REFUSED,           \
        "refused_streams_total", "refused_streams_total",                     \
        "Streams that were refused.", "status")


static const ngx_trp_http_field_t  ngx_trp_http_route_fields[] = {

    ngx_trp_http_text(NGX_TRP_ROUTE_LISTEN, "listen"),
    ngx_trp_http_text(NGX_TRP_ROUTE_DESTINATION, "destination"),
    ngx_trp_http_text(NGX_TRP_ROUTE_UPSTREAM, "upstream"),

    NGX_TRP_HTTP_STREAMS,

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_reverse_fields[] = {

    ngx_trp_http_text(NGX_TRP_REVERSE_GROUP, "group"),
    ngx_trp_http_text(NGX_TRP_REVERSE_NAME, "name"),

    NGX_TRP_HTTP_STREAMS,

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_turn_fields[] = {

    ngx_trp_http_text(NGX_TRP_TURN_REALM, "realm"),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_TURN_ALLOCATIONS,
        "allocations", "allocations", "Allocations."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_TURN_PERMISSIONS,
        "permissions", "permissions", "Permissions of allocations."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_TURN_CHANNELS,
        "channels", "channels", "Channels of allocations."),

    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_TURN_CONNECTIONS,
        "connections", "connections", "TCP connections of peers."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_ALLOCATED,
        "allocations_total", "allocations_total",
        "Allocations that were made."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_RECEIVED,
        "received_bytes_total", "received_bytes_total",
        "Payload from clients."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_SENT,
        "sent_bytes_total", "sent_bytes_total", "Payload to clients."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_RECEIVED_PACKETS,
        "received_packets_total", "received_packets_total",
        "Datagrams from clients to peers."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_SENT_PACKETS,
        "sent_packets_total", "sent_packets_total",
        "Datagrams from peers to clients."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_DROPPED_PACKETS,
        "dropped_packets_total", "dropped_packets_total",
        "Datagrams that were dropped."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_DENIED,
        "denied_total", "denied_total", "Requests for peers that are denied."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_UNAUTHENTICATED,
        "unauthenticated_total", "unauthenticated_total",
        "Requests with wrong credentials."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_REFUSED,
        "refused_total", "refused_total",
        "Allocations that were refused for other reasons."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_BINDINGS,
        "bindings_total", "bindings_total",
        "Requests of STUN that were answered."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_TURN_SILENCED,
        "silenced_total", "silenced_total",
        "Messages of strangers beyond their budget, not answered."),

    ngx_trp_http_end
};


#define ngx_trp_http_user(now, now_help, total, total_help)                   \
                                                                              \
    ngx_trp_http_text(NGX_TRP_USER_NAME, "name"),                             \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_SUM, NGX_TRP_USER_NOW, now, now,          \
        now_help),                                                            \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_USER_OPENED, total,      \
        total, total_help),                                                   \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_USER_RECEIVED,           \
        "received_bytes_total", "received_bytes_total",                       \
        "Payload from the user."),                                            \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_USER_SENT,               \
        "sent_bytes_total", "sent_bytes_total", "Payload to the user."),      \
                                                                              \
    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_USER_DENIED,             \
        "denied_total", "denied_total",                                       \
        "Requests for destinations that are denied."),                        \
                                                                              \
    ngx_trp_http_end


static const ngx_trp_http_field_t  ngx_trp_http_turn_user_fields[] = {
    ngx_trp_http_user("allocations", "Allocations.",
                      "allocations_total", "Allocations that were made.")
};


static const ngx_trp_http_field_t  ngx_trp_http_socks_fields[] = {

    ngx_trp_http_text(NGX_TRP_SOCKS_LISTEN, "listen"),

    NGX_TRP_HTTP_STREAMS,

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_UNAUTHENTICATED,
        "unauthenticated_total", "unauthenticated_total",
        "Clients without a password, or with a wrong one."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_INVALID,
        "invalid_total", "invalid_total",
        "Clients that do not speak SOCKS5."),

    ngx_trp_http_plain(NGX_TRP_HTTP_COUNTER, NGX_TRP_STREAMS_ASSOCIATED,
        "associated_total", "associated_total",
        "Requests for UDP ASSOCIATE that were granted."),

    ngx_trp_http_end
};


static const ngx_trp_http_field_t  ngx_trp_http_socks_user_fields[] = {
    ngx_trp_http_user("streams", "Streams under way.",
                      "streams_total", "Streams that were opened.")
};


const ngx_trp_http_kind_t  ngx_trp_http_kinds[] = {

    { NGX_TRP_STATUS_WORKER, "workers", "trp_worker_",
      { "pid" }, ngx_trp_http_worker_fields, 0 },

    { NGX_TRP_STATUS_SERVER, "servers", "trp_relay_",
      { "listen" }, ngx_trp_http_server_fields, 0 },

    { NGX_TRP_STATUS_AGENT, "agents", "trp_relay_agent_",
      { "role", "name", "group", "key" }, ngx_trp_http_agent_fields, 1 },

    { NGX_TRP_STATUS_GROUP, "groups", "trp_relay_group_",
      { "group" }, ngx_trp_http_group_fields, 0 },

    { NGX_TRP_STATUS_SERVICE, "services", "trp_relay_service_",
      { "name", "group" }, ngx_trp_http_service_fields, 0 },

    { NGX_TRP_STATUS_RELAY, "relays", "trp_agent_relay_",
      { "role", "name", "group", "host", "address" },
      ngx_trp_http_relay_fields, 0 },

    { NGX_TRP_STATUS_ROUTE, "routes", "trp_entry_route_",
      { "listen", "destination", "upstream" }, ngx_trp_http_route_fields, 0 },

    { NGX_TRP_STATUS_REVERSE, "reverses", "trp_reverse_",
      { "group", "name" }, ngx_trp_http_reverse_fields, 0 },

    { NGX_TRP_STATUS_TURN, "turn", "trp_turn_",
      { "realm" }, ngx_trp_http_turn_fields, 0 },

    { NGX_TRP_STATUS_TURN_USER, "turn_users", "trp_turn_user_",
      { "name" }, ngx_trp_http_turn_user_fields, 1 },

    { NGX_TRP_STATUS_SOCKS, "socks5", "trp_socks5_",
      { "listen" }, ngx_trp_http_socks_fields, 0 },

    { NGX_TRP_STATUS_SOCKS_USER, "socks5_users", "trp_socks5_user_",
      { "name" }, ngx_trp_http_socks_user_fields, 1 },

    { 0, NULL, NULL, { NULL }, NULL, 0 }
};


ngx_atomic_uint_t
ngx_trp_http_number(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row)
{
    ngx_int_t  n;

    switch (field->type) {

    case NGX_TRP_HTTP_NUMBER:
        n = ngx_atoi(row->texts[field->index].data,
                     row->texts[field->index].len);

        return (n == NGX_ERROR) ? 0 : (ngx_atomic_uint_t) n;

    case NGX_TRP_HTTP_SUM:
        return ngx_trp_http_sum(row, field->index);

    case NGX_TRP_HTTP_MAX:
        return ngx_trp_http_max(row, field->index);

    case NGX_TRP_HTTP_BOOL:
        return ngx_trp_http_max(row, field->index) != 0;

    case NGX_TRP_HTTP_EARLIEST:
        return ngx_trp_http_earliest(row, field->index);

    case NGX_TRP_HTTP_COUNTER:
    case NGX_TRP_HTTP_TIME:
        return row->counters[field->index];

    case NGX_TRP_HTTP_HERE:
        return row->nparts != 0;

    case NGX_TRP_HTTP_SINCE:
        return row->since;

    case NGX_TRP_HTTP_AGENT_BUSY:
        return ngx_trp_http_busy(row, NGX_TRP_AGENT_TUNNELS,
                                 NGX_TRP_AGENT_IDLE);

    case NGX_TRP_HTTP_RELAY_BUSY:
        return ngx_trp_http_busy(row, NGX_TRP_RELAY_TUNNELS,
                                 NGX_TRP_RELAY_IDLE);

    case NGX_TRP_HTTP_RELAY_UP:
        return ngx_trp_http_sum(row, NGX_TRP_RELAY_TUNNELS) != 0;

    default:
        return 0;
    }
}


const char *
ngx_trp_http_word(const ngx_trp_http_field_t *field, ngx_uint_t i)
{
    const char  *word;

    if (field->type == NGX_TRP_HTTP_REASONS) {
        return ngx_trp_http_reasons[i];
    }

    /* codes that have no name yet are the last ones */

    word = trp_code_text(i);

    if (i >= NGX_TRP_STATUS_CODES
        || (i != TRP_CODE_FAILED && word == trp_code_text(TRP_CODE_FAILED)))
    {
        return NULL;
    }

    return word;
}


const char *
ngx_trp_http_relay_state(const ngx_trp_status_copy_t *row)
{
    if (ngx_trp_http_sum(row, NGX_TRP_RELAY_TUNNELS)) {
        return "up";
    }

    if (ngx_trp_http_sum(row, NGX_TRP_RELAY_DIALING)) {
        return "dialing";
    }

    return ngx_trp_http_sum(row, NGX_TRP_RELAY_NEXT) ? "waiting" : "down";
}


static ngx_atomic_uint_t
ngx_trp_http_sum(const ngx_trp_status_copy_t *row, ngx_uint_t i)
{
    ngx_uint_t         n;
    ngx_atomic_uint_t  sum;

    sum = 0;

    for (n = 0; n < row->nparts; n++) {
        sum += row->gauges[n][i];
    }

    return sum;
}


static ngx_atomic_uint_t
ngx_trp_http_max(const ngx_trp_status_copy_t *row, ngx_uint_t i)
{
    ngx_uint_t         n;
    ngx_atomic_uint_t  max;

    max = 0;

    for (n = 0; n < row->nparts; n++) {
        max = ngx_max(max, row->gauges[n][i]);
    }

    return max;
}


/* of those that are known */

static ngx_atomic_uint_t
ngx_trp_http_earliest(const ngx_trp_status_copy_t *row, ngx_uint_t i)
{
    ngx_uint_t         n;
    ngx_atomic_uint_t  value, min;

    min = 0;

    for (n = 0; n < row->nparts; n++) {
        value = row->gauges[n][i];

        if (value && (min == 0 || value < min)) {
            min = value;
        }
    }

    return min;
}


/* the gauges of a worker are not stored at once */

static ngx_atomic_uint_t
ngx_trp_http_busy(const ngx_trp_status_copy_t *row, ngx_uint_t tunnels,
    ngx_uint_t idle)
{
    ngx_atomic_uint_t  all, unused;

    all = ngx_trp_http_sum(row, tunnels);
    unused = ngx_trp_http_sum(row, idle);

    return (all > unused) ? all - unused : 0;
}
