
/*
 * Copyright (C) the trp authors
 */


/*
 * Writes a line for each allocation, whose final state is kept in a record, and
 * lines about refusals, not too many; and provides the variables.
 */


#include "turn/ngx_trp_turn_log.h"
#include "turn/ngx_trp_turn_socket.h"
#include "turn/ngx_trp_turn_zone_stats.h"
#include "stock/ngx_trp_log_session.h"


/* "ADDRESS:PORT, " with brackets */
#define NGX_TRP_TURN_ADDR_LEN  (TRP_ADDR_TEXT_LEN + sizeof("[]:65535, ") - 1)

/* lines about refusals that are no warnings: per second, and at once */
#define NGX_TRP_TURN_REPORTS   10


/* the final state of an allocation, for its line in the log */

struct ngx_trp_turn_record_s {
    ngx_str_t            username;
    ngx_str_t            relayed;
    ngx_str_t            peers;
    ngx_str_t            end;
    trp_turn_traffic_t   up;
    trp_turn_traffic_t   down;
};


typedef struct {
    ngx_str_t                    name;
    size_t                       offset;   /* in a record, or the counters */
} ngx_trp_turn_variable_t;


/* the functions of the module, for the variables' handlers */

typedef struct {
    ngx_trp_turn_record_pt          record;
    ngx_trp_turn_zone_pt            zone;
    const ngx_trp_turn_variable_t  *variable;
} ngx_trp_turn_source_t;


static ngx_uint_t ngx_trp_turn_log_level(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command);
static ngx_trp_turn_record_t *ngx_trp_turn_log_record(
    ngx_trp_turn_alloc_t *alloc, ngx_pool_t *pool);
static ngx_int_t ngx_trp_turn_log_addr(ngx_str_t *text,
    const trp_taddr_t *addr);
static ngx_int_t ngx_trp_turn_log_session(ngx_trp_turn_alloc_t *alloc,
    ngx_pool_t *pool, ngx_trp_turn_record_t *record);
static ngx_int_t ngx_trp_turn_log_connection(ngx_trp_turn_alloc_t *alloc,
    ngx_connection_t *c);
static ngx_int_t ngx_trp_turn_log_add(ngx_conf_t *cf,
    ngx_trp_turn_source_t *source, ngx_stream_get_variable_pt handler,
    ngx_uint_t flags);
static ngx_int_t ngx_trp_turn_text_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_trp_turn_number_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_trp_turn_counter_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_trp_turn_set_number(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uint64_t number);


/* in the order of trp_turn_free_e */

static const ngx_str_t  ngx_trp_turn_ends[] = {
    ngx_string("expired"),
    ngx_string("deleted"),
    ngx_string("disconnected"),
    ngx_string("account removed"),
    ngx_string("shutdown"),
    ngx_string("failed")
};


static const ngx_trp_turn_variable_t  ngx_trp_turn_texts[] = {
    { ngx_string("trp_turn_username"),
      offsetof(ngx_trp_turn_record_t, username) },
    { ngx_string("trp_turn_relayed_addr"),
      offsetof(ngx_trp_turn_record_t, relayed) },
    { ngx_string("trp_turn_peers"),
      offsetof(ngx_trp_turn_record_t, peers) },
    { ngx_string("trp_turn_end"),
      offsetof(ngx_trp_turn_record_t, end) },
    { ngx_null_string, 0 }
};


static const ngx_trp_turn_variable_t  ngx_trp_turn_numbers[] = {
    { ngx_string("trp_turn_bytes_to_peers"),
      offsetof(ngx_trp_turn_record_t, up.bytes) },
    { ngx_string("trp_turn_packets_to_peers"),
      offsetof(ngx_trp_turn_record_t, up.packets) },
    { ngx_string("trp_turn_bytes_from_peers"),
      offsetof(ngx_trp_turn_record_t, down.bytes) },
    { ngx_string("trp_turn_packets_from_peers"),
      offsetof(ngx_trp_turn_record_t, down.packets) },
    { ngx_null_string, 0 }
};


static const ngx_trp_turn_variable_t  ngx_trp_turn_counters[] = {
    { ngx_string("trp_turn_allocations"),
      offsetof(trp_turn_stats_t, allocations) },
    { ngx_string("trp_turn_permissions"),
      offsetof(trp_turn_stats_t, permissions) },
    { ngx_string("trp_turn_channels"),
      offsetof(trp_turn_stats_t, channels) },
    { ngx_string("trp_turn_connections"),
      offsetof(trp_turn_stats_t, connections) },
    { ngx_string("trp_turn_total_allocations"),
      offsetof(trp_turn_stats_t, total_allocations) },
    { ngx_string("trp_turn_bytes"),
      offsetof(trp_turn_stats_t, relayed.bytes) },
    { ngx_string("trp_turn_packets"),
      offsetof(trp_turn_stats_t, relayed.packets) },
    { ngx_string("trp_turn_dropped"),
      offsetof(trp_turn_stats_t, dropped.packets) },
    { ngx_string("trp_turn_denied"),
      offsetof(trp_turn_stats_t, denied) },
    { ngx_string("trp_turn_silenced"),
      offsetof(trp_turn_stats_t, silenced) },
    { ngx_null_string, 0 }
};


void
ngx_trp_turn_log_alloc(ngx_trp_turn_alloc_t *alloc)
{
    ngx_pool_t             *pool;
    ngx_trp_turn_client_t  *client;
    ngx_trp_turn_record_t  *record;

    client = alloc->origin.client;

    if (client && client->record == NULL) {
        client->record = ngx_trp_turn_log_record(alloc,
                                                 client->connection->pool);
        return;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE / 4, alloc->server->log);
    if (pool == NULL) {
        return;
    }

    record = ngx_trp_turn_log_record(alloc, pool);

    if (record) {
        (void) ngx_trp_turn_log_session(alloc, pool, record);
    }

    ngx_destroy_pool(pool);
}


void
ngx_trp_turn_log_report(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command)
{
    u_char           text[3][NGX_TRP_TURN_ADDR_LEN];
    u_char           more[sizeof(", 18446744073709551615 more lines "
                                 "were left out")];
    ngx_str_t        client, local, peer;
    ngx_uint_t       level;
    ngx_trp_text_t   user;

    static const char  *reasons[] = {
        "is not known", "has a time that is over", "has another password"
    };

    level = ngx_trp_turn_log_level(server, command);

    if (level == NGX_LOG_INFO
        && trp_rate_take(&server->reports, NGX_TRP_TURN_REPORTS,
                         ngx_current_msec)
           != TRP_OK)
    {
        server->unreported++;
        return;
    }

    client.len = 0;
    client.data = text[0];
    local.len = 0;
    local.data = text[1];

    ngx_trp_turn_log_addr(&client, &command->to->client);
    ngx_trp_turn_log_addr(&local, &command->to->server);

    user = ngx_trp_text(command->data, command->len);
    more[0] = '\0';

    if (level == NGX_LOG_INFO && server->unreported) {
        *ngx_sprintf(more, ", %ui more lines were left out",
                     server->unreported) = '\0';
        server->unreported = 0;
    }

    if (command->why == TRP_TURN_PEER_DENIED) {
        peer.len = 0;
        peer.data = text[2];

        ngx_trp_turn_log_addr(&peer, &command->peer);

        ngx_log_error(level, server->log, 0,
                      "TURN peer %V is denied, user: \"%s\", client: %V, "
                      "server: %V%s", &peer, user.data, &client, &local, more);
        return;
    }

    ngx_log_error(level, server->log, 0,
                  "TURN user \"%s\" %s, client: %V, server: %V%s",
                  user.data, reasons[command->why], &client, &local, more);
}


/*
 * Each user and client is worth one warning.  Clients ask for peers at private
 * addresses as a matter of course, so of peers, those with the same first byte
 * are.
 */

static ngx_uint_t
ngx_trp_turn_log_level(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command)
{
    u_char                 *p, buf[1 + 16 + TRP_STUN_USERNAME_MAX];
    trp_str_t               name;
    const trp_addr_t       *client;
    ngx_trp_turn_zone_t    *zone;
    ngx_trp_turn_worker_t  *worker;

    worker = server->worker;
    zone = worker->zone;

    if (command->why == TRP_TURN_PEER_DENIED) {
        buf[0] = command->peer.addr.family;
        buf[1] = command->peer.addr.bytes[0];

        return ngx_trp_warnings_level(&worker->peers,
                                      ngx_trp_turn_zone_hash(zone, buf, 2));
    }

    name.data = command->data;
    name.len = command->len;

    client = &command->to->client.addr;

    p = buf;
    *p++ = command->why;
    p = ngx_cpymem(p, client->bytes, trp_addr_len(client));

    if (name.len) {
        name = trp_turn_user_stable(name);
        p = ngx_cpymem(p, name.data, ngx_min(name.len, TRP_STUN_USERNAME_MAX));
    }

    return ngx_trp_warnings_level(&worker->users,
                                  ngx_trp_turn_zone_hash(zone, buf, p - buf));
}


static ngx_trp_turn_record_t *
ngx_trp_turn_log_record(ngx_trp_turn_alloc_t *alloc, ngx_pool_t *pool)
{
    ngx_uint_t              i;
    trp_turn_alloc_t       *a;
    ngx_trp_turn_record_t  *record;

    a = alloc->alloc;

    record = ngx_pcalloc(pool, sizeof(ngx_trp_turn_record_t));
    if (record == NULL) {
        return NULL;
    }

    record->username.data = ngx_pnalloc(pool, a->username.len);
    record->relayed.data = ngx_pnalloc(pool, 2 * NGX_TRP_TURN_ADDR_LEN);
    record->peers.data = ngx_pnalloc(pool, TRP_TURN_NPEERS
                                           * NGX_TRP_TURN_ADDR_LEN);

    if (record->username.data == NULL
        || record->relayed.data == NULL
        || record->peers.data == NULL)
    {
        return NULL;
    }

    record->username.len = a->username.len;
    ngx_memcpy(record->username.data, a->username.data, a->username.len);

    for (i = 0; i < 2; i++) {
        if (a->families & (i == 0 ? TRP_TURN_V4 : TRP_TURN_V6)) {
            ngx_trp_turn_log_addr(&record->relayed, &a->relayed[i]);
        }
    }

    for (i = 0; i < a->nseen; i++) {
        ngx_trp_turn_log_addr(&record->peers, &a->seen[i]);
    }

    record->end = ngx_trp_turn_ends[a->why];
    record->up = a->up;
    record->down = a->down;

    return record;
}


static ngx_int_t
ngx_trp_turn_log_addr(ngx_str_t *text, const trp_taddr_t *addr)
{
    ngx_sockaddr_t  sa;
    socklen_t       len;

    if (text->len) {
        text->len = ngx_cpymem(text->data + text->len, ", ", 2) - text->data;
    }

    len = ngx_trp_turn_sockaddr(&sa, addr);

    text->len += ngx_sock_ntop(&sa.sockaddr, len, text->data + text->len,
                               NGX_TRP_TURN_ADDR_LEN - 2, 1);

    return NGX_OK;
}


/* a session for the time the log handlers run, with what they need */

static ngx_int_t
ngx_trp_turn_log_session(ngx_trp_turn_alloc_t *alloc, ngx_pool_t *pool,
    ngx_trp_turn_record_t *record)
{
    ngx_connection_t       *c;
    ngx_stream_session_t   *s;
    ngx_trp_turn_client_t  *client;
    ngx_trp_turn_server_t  *server;
    ngx_trp_log_session_t  *ls;

    server = alloc->server;

    client = ngx_pcalloc(pool, sizeof(ngx_trp_turn_client_t));
    ls = ngx_trp_log_session_create(pool, server->conf->main_conf,
                                    server->conf->srv_conf);

    if (client == NULL || ls == NULL) {
        return NGX_ERROR;
    }

    s = &ls->session;
    c = &ls->connection;

    client->record = record;
    s->ctx[server->conf->ctx_index] = client;

    s->start_sec = alloc->start_sec;
    s->start_msec = alloc->start_msec;
    s->received = record->up.bytes;
    s->status = NGX_STREAM_OK;

    c->sent = record->down.bytes;

    if (ngx_trp_turn_log_connection(alloc, c) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_log_session_run(ls);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_log_connection(ngx_trp_turn_alloc_t *alloc, ngx_connection_t *c)
{
    ngx_pool_t            *pool;
    trp_turn_tuple_t      *tuple;
    ngx_trp_turn_client_t *client;

    pool = c->pool;
    tuple = &alloc->alloc->tuple;
    client = alloc->origin.client;

    c->log = alloc->server->log;
    c->type = client ? SOCK_STREAM : SOCK_DGRAM;
    c->listening = client ? client->connection->listening : alloc->listening;
    c->number = alloc->number;
    c->start_time = alloc->alloc->created;

    c->read = ngx_pcalloc(pool, sizeof(ngx_event_t));
    c->write = ngx_pcalloc(pool, sizeof(ngx_event_t));
    c->sockaddr = ngx_pcalloc(pool, sizeof(ngx_sockaddr_t));
    c->local_sockaddr = ngx_pcalloc(pool, sizeof(ngx_sockaddr_t));
    c->addr_text.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

    if (c->read == NULL || c->write == NULL || c->sockaddr == NULL
        || c->local_sockaddr == NULL || c->addr_text.data == NULL)
    {
        return NGX_ERROR;
    }

    c->socklen = ngx_trp_turn_sockaddr((ngx_sockaddr_t *) c->sockaddr,
                                       &tuple->client);
    c->local_socklen = ngx_trp_turn_sockaddr(
                                        (ngx_sockaddr_t *) c->local_sockaddr,
                                        &tuple->server);

    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);
    return NGX_OK;
}


ngx_int_t
ngx_trp_turn_log_add_variables(ngx_conf_t *cf, ngx_trp_turn_record_pt record,
    ngx_trp_turn_zone_pt zone)
{
    ngx_uint_t              i;
    ngx_trp_turn_source_t   source;

    struct {
        const ngx_trp_turn_variable_t  *variables;
        ngx_stream_get_variable_pt      handler;
        ngx_uint_t                      flags;
    } kinds[] = {
        { ngx_trp_turn_texts, ngx_trp_turn_text_variable, 0 },
        { ngx_trp_turn_numbers, ngx_trp_turn_number_variable, 0 },
        { ngx_trp_turn_counters, ngx_trp_turn_counter_variable,
          NGX_STREAM_VAR_NOCACHEABLE }
    };

    source.record = record;
    source.zone = zone;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {

        for (source.variable = kinds[i].variables;
             source.variable->name.len;
             source.variable++)
        {
            if (ngx_trp_turn_log_add(cf, &source, kinds[i].handler,
                                     kinds[i].flags)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_log_add(ngx_conf_t *cf, ngx_trp_turn_source_t *source,
    ngx_stream_get_variable_pt handler, ngx_uint_t flags)
{
    ngx_str_t               name;
    ngx_stream_variable_t  *var;
    ngx_trp_turn_source_t  *copy;

    copy = ngx_palloc(cf->pool, sizeof(ngx_trp_turn_source_t));

    name = source->variable->name;
    var = ngx_stream_add_variable(cf, &name, flags);

    if (copy == NULL || var == NULL) {
        return NGX_ERROR;
    }

    *copy = *source;

    var->get_handler = handler;
    var->data = (uintptr_t) copy;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_text_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_trp_turn_source_t *source = (ngx_trp_turn_source_t *) data;

    ngx_str_t              *text;
    ngx_trp_turn_record_t  *record;

    record = source->record(s);

    if (record == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((u_char *) record + source->variable->offset);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = text->len;
    v->data = text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_number_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_trp_turn_source_t *source = (ngx_trp_turn_source_t *) data;

    ngx_trp_turn_record_t  *record;

    record = source->record(s);

    if (record == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_trp_turn_set_number(s, v,
                    *(uint64_t *) ((u_char *) record
                                   + source->variable->offset));
}


static ngx_int_t
ngx_trp_turn_counter_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_trp_turn_source_t *source = (ngx_trp_turn_source_t *) data;

    trp_turn_stats_t      stats;
    ngx_trp_turn_zone_t  *zone;

    zone = source->zone(s);

    if (zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_trp_turn_zone_sum(zone, &stats);

    return ngx_trp_turn_set_number(s, v,
                    *(uint64_t *) ((u_char *) &stats
                                   + source->variable->offset));
}


ngx_int_t
ngx_trp_turn_log_responses(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, ngx_str_t *name,
    ngx_trp_turn_zone_t *zone)
{
    size_t             len;
    u_char            *p, *last;
    ngx_int_t          code;
    ngx_uint_t         i, j;
    const char        *method;
    trp_turn_stats_t   stats;

    p = name->data + sizeof(NGX_TRP_TURN_RESPONSES) - 1;
    last = name->data + name->len;

    for (i = 0; (method = trp_turn_method_name(i)) != NULL; i++) {
        len = ngx_strlen(method);

        if ((size_t) (last - p) != len + 4
            || ngx_strncmp(p, method, len) != 0 || p[len] != '_')
        {
            continue;
        }

        code = ngx_atoi(p + len + 1, 3);

        for (j = 0; j < TRP_TURN_NCODES; j++) {

            if (code > 0 && trp_turn_code(j) == (ngx_uint_t) code) {
                ngx_trp_turn_zone_sum(zone, &stats);
                return ngx_trp_turn_set_number(s, v, stats.responses[i][j]);
            }
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_set_number(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uint64_t number)
{
    v->data = ngx_pnalloc(s->connection->pool, NGX_INT64_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(v->data, "%uL", number) - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
