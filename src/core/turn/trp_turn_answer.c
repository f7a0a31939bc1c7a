
/*
 * Copyright (C) the trp authors
 */


/*
 * Answers to requests, signed as the request was, and counted by method and
 * code.
 */


#include "turn/trp_turn_answer.h"
#include "turn/trp_turn.h"
#include "turn/trp_turn_command.h"


static unsigned trp_turn_method_index(unsigned method);
static unsigned trp_turn_code_index(unsigned code);


static const struct {
    unsigned     method;
    const char  *name;
} trp_turn_methods[TRP_TURN_NMETHODS] = {
    { 0, "other" },
    { TRP_STUN_BINDING, "binding" },
    { TRP_STUN_ALLOCATE, "allocate" },
    { TRP_STUN_REFRESH, "refresh" },
    { TRP_STUN_CREATE_PERMISSION, "createpermission" },
    { TRP_STUN_CHANNEL_BIND, "channelbind" },
    { TRP_STUN_CONNECT, "connect" },
    { TRP_STUN_CONNECTION_BIND, "connectionbind" }
};


static const struct {
    unsigned     code;
    const char  *reason;
} trp_turn_codes[TRP_TURN_NCODES] = {
    { 200, "" },
    { 400, "Bad Request" },
    { 401, "Unauthenticated" },
    { 403, "Forbidden" },
    { 420, "Unknown Attribute" },
    { 437, "Allocation Mismatch" },
    { 438, "Stale Nonce" },
    { 440, "Address Family not Supported" },
    { 441, "Wrong Credentials" },
    { 442, "Unsupported Transport Protocol" },
    { 443, "Peer Address Family Mismatch" },
    { 446, "Connection Already Exists" },
    { 447, "Connection Timeout or Failure" },
    { 486, "Allocation Quota Reached" },
    { 500, "Server Error" },
    { 508, "Insufficient Capacity" },
    { 0, "" },
    { 0, "" }
};


int
trp_turn_is_request(unsigned method)
{
    unsigned  i;

    for (i = 1; i < TRP_TURN_NMETHODS; i++) {
        if (trp_turn_methods[i].method == method) {
            return 1;
        }
    }

    return 0;
}


void
trp_turn_answer_begin(trp_turn_t *turn, trp_stun_writer_t *w,
    trp_stun_class_e type)
{
    trp_assert(trp_turn_answer_idle(turn));

    trp_stun_begin(w, turn->answer, sizeof(turn->answer), type,
                   turn->request.method, turn->request.id);

    if (type == TRP_STUN_SUCCESS) {
        trp_turn_count(turn, turn->request.method, 200);
    }
}


void
trp_turn_error(trp_turn_t *turn, unsigned code)
{
    trp_stun_writer_t  w;

    trp_turn_answer_begin(turn, &w, TRP_STUN_ERROR);
    trp_turn_put_error(&w, &turn->request, code);

    trp_turn_count(turn, turn->request.method, code);
    trp_turn_answer_end(turn, &w);
}


void
trp_turn_put_error(trp_stun_writer_t *w, const trp_turn_request_t *request,
    unsigned code)
{
    const char  *reason;

    trp_assert(trp_turn_codes[trp_turn_code_index(code)].code == code);

    reason = "";

    if (request->signed_sha1 || request->signed_sha256) {
        reason = trp_turn_codes[trp_turn_code_index(code)].reason;
    }

    trp_stun_put_error(w, code, reason);
}


void
trp_turn_answer_end(trp_turn_t *turn, trp_stun_writer_t *w)
{
    trp_turn_command_t  *command;

    command = trp_turn_command(turn, TRP_TURN_REPLY);

    command->to = &turn->from;
    command->data = turn->answer;
    command->len = trp_turn_sign(turn, w, &turn->request, 0);
}


size_t
trp_turn_sign(trp_turn_t *turn, trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code)
{
    trp_str_t  key;

    if (code) {
        trp_turn_count(turn, request->method, code);
    }

    if (turn->conf->software.len) {
        trp_stun_put(w, TRP_STUN_SOFTWARE, turn->conf->software.data,
                     turn->conf->software.len);
    }

    key.data = request->key.data;
    key.len = request->key.len;

    if (request->signed_sha1) {
        trp_stun_put_sha1(w, key);
    }

    if (request->signed_sha256) {
        trp_stun_put_sha256(w, key);
    }

    if (request->fingerprint) {
        trp_stun_put_fingerprint(w);
    }

    return w->len;
}


void
trp_turn_count(trp_turn_t *turn, unsigned method, unsigned code)
{
    turn->stats.responses[trp_turn_method_index(method)]
                         [trp_turn_code_index(code)]++;

    if (method == TRP_STUN_ALLOCATE && code != 200
        && (turn->request.signed_sha1 || turn->request.signed_sha256))
    {
        turn->stats.refused++;
    }
}


uint64_t
trp_turn_counted(const trp_turn_stats_t *stats, unsigned method,
    unsigned code)
{
    return stats->responses[trp_turn_method_index(method)]
                           [trp_turn_code_index(code)];
}


static unsigned
trp_turn_method_index(unsigned method)
{
    unsigned  i;

    for (i = 1; i < TRP_TURN_NMETHODS; i++) {
        if (trp_turn_methods[i].method == method) {
            return i;
        }
    }

    return 0;
}


static unsigned
trp_turn_code_index(unsigned code)
{
    unsigned  i;

    for (i = 0; i < TRP_TURN_NCODES - 1; i++) {
        if (trp_turn_codes[i].code == code) {
            break;
        }
    }

    return i;
}


const char *
trp_turn_method_name(unsigned i)
{
    return (i < TRP_TURN_NMETHODS) ? trp_turn_methods[i].name : NULL;
}


unsigned
trp_turn_code(unsigned i)
{
    return (i < TRP_TURN_NCODES) ? trp_turn_codes[i].code : 0;
}
