
/*
 * Copyright (C) the trp authors
 */


/*
 * Allocate (RFC 8656, section 7), Refresh (section 8) and the end of an
 * allocation.
 */


#include "turn/trp_turn_alloc.h"
#include "turn/trp_turn.h"
#include "turn/trp_turn_answer.h"
#include "turn/trp_turn_command.h"
#include "turn/trp_turn_peer.h"
#include "turn/trp_turn_tcp.h"
#include "turn/trp_turn_tuple.h"

#include <string.h>


/* ports tried that are free in the map, but bound by other programs */
#define TRP_TURN_MAX_TRIES  64


static unsigned trp_turn_allocate_check(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc);
static unsigned trp_turn_check_transport(trp_turn_t *turn,
    const trp_stun_t *m, trp_turn_alloc_t *alloc);
static unsigned trp_turn_check_families(trp_turn_t *turn,
    const trp_stun_t *m, trp_turn_alloc_t *alloc);
static int trp_turn_has_family(const trp_turn_t *turn, unsigned family);
static unsigned trp_turn_check_port(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc);
static int trp_turn_lifetime(const trp_turn_t *turn, const trp_stun_t *m,
    uint32_t *lifetime);
static trp_turn_alloc_t *trp_turn_alloc_create(trp_turn_t *turn,
    const trp_turn_alloc_t *asked, uint32_t lifetime);
static void trp_turn_bind(trp_turn_t *turn, trp_turn_alloc_t *alloc);
static uint16_t trp_turn_pick_port(trp_turn_t *turn,
    const trp_turn_alloc_t *alloc);
static void trp_turn_allocated(trp_turn_t *turn,
    const trp_turn_alloc_t *alloc);
static void trp_turn_not_allocated(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    unsigned code);
static void trp_turn_unbind(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    uint8_t family);


/* RFC 8656, section 7.2 */

void
trp_turn_allocate(trp_turn_t *turn, const trp_stun_t *m)
{
    unsigned           code;
    uint32_t           lifetime;
    trp_turn_alloc_t  *alloc, asked;

    alloc = trp_turn_find(turn, &turn->from);

    if (alloc) {

        /* a retransmission gets the same answer */

        if (memcmp(alloc->id, turn->request.id, TRP_STUN_ID_LEN) == 0) {
            trp_turn_allocated(turn, alloc);

        } else {
            trp_turn_error(turn, 437);
        }

        return;
    }

    memset(&asked, 0, sizeof(trp_turn_alloc_t));

    if (trp_turn_lifetime(turn, m, &lifetime) != TRP_OK) {
        trp_turn_error(turn, 400);
        return;
    }

    code = trp_turn_allocate_check(turn, m, &asked);

    if (code) {
        trp_turn_error(turn, code);
        return;
    }

    alloc = trp_turn_alloc_create(turn, &asked, lifetime);

    if (alloc == NULL) {
        trp_turn_error(turn, 508);
        return;
    }

    turn->tries = 0;

    trp_turn_bind(turn, alloc);
}


static unsigned
trp_turn_allocate_check(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc)
{
    unsigned  code;

    code = trp_turn_check_transport(turn, m, alloc);

    if (code == 0) {
        code = trp_turn_check_families(turn, m, alloc);
    }

    /* last, because a token is valid only once */

    if (code == 0) {
        code = trp_turn_check_port(turn, m, alloc);
    }

    return code;
}


static unsigned
trp_turn_check_transport(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc)
{
    trp_str_t  value;

    value = trp_stun_get(m, TRP_STUN_REQUESTED_TRANSPORT);

    if (value.len != 4) {
        return 400;
    }

    alloc->protocol = value.data[0];

    if (alloc->protocol == TRP_PROTO_UDP) {
        return 0;
    }

    if (alloc->protocol != TRP_PROTO_TCP || !turn->conf->tcp) {
        return 442;
    }

    /* RFC 6062, section 5.1 */

    if (turn->from.transport == TRP_TRANSPORT_UDP
        || trp_stun_get(m, TRP_STUN_EVEN_PORT).data
        || trp_stun_get(m, TRP_STUN_RESERVATION_TOKEN).data
        || trp_stun_get(m, TRP_STUN_DONT_FRAGMENT).data)
    {
        return 400;
    }

    return 0;
}


static unsigned
trp_turn_check_families(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc)
{
    trp_str_t  requested, additional;

    requested = trp_stun_get(m, TRP_STUN_REQUESTED_ADDRESS_FAMILY);
    additional = trp_stun_get(m, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY);

    if ((requested.data && additional.data)
        || (requested.data && requested.len != 4)
        || (additional.data && additional.len != 4))
    {
        return 400;
    }

    if (additional.data) {

        if (additional.data[0] != 0x02) {
            return 400;
        }

        alloc->families = TRP_TURN_V4;

        if (trp_turn_has_family(turn, TRP_TURN_V6)) {
            alloc->families |= TRP_TURN_V6;

        } else {
            alloc->failed_v6 = 1;
        }

        return trp_turn_has_family(turn, TRP_TURN_V4) ? 0 : 440;
    }

    if (requested.data == NULL || requested.data[0] == 0x01) {
        alloc->families = TRP_TURN_V4;

    } else if (requested.data[0] == 0x02) {
        alloc->families = TRP_TURN_V6;

    } else {
        return 440;
    }

    /* a reservation has its own family */

    return (trp_turn_has_family(turn, alloc->families)
            || trp_stun_get(m, TRP_STUN_RESERVATION_TOKEN).data) ? 0 : 440;
}


/* with no external address, it is the address that the client has reached */

static int
trp_turn_has_family(const trp_turn_t *turn, unsigned family)
{
    int                i;
    uint8_t            wanted;
    const trp_addr_t  *external;

    external = turn->conf->external;
    i = (family == TRP_TURN_V4) ? 0 : 1;

    if (external[0].family || external[1].family) {
        return external[i].family != 0;
    }

    wanted = (family == TRP_TURN_V4) ? 4 : 6;

    return turn->from.server.addr.family == wanted;
}


static unsigned
trp_turn_check_port(trp_turn_t *turn, const trp_stun_t *m,
    trp_turn_alloc_t *alloc)
{
    trp_str_t  even, token;

    even = trp_stun_get(m, TRP_STUN_EVEN_PORT);
    token = trp_stun_get(m, TRP_STUN_RESERVATION_TOKEN);

    if (token.data) {

        if (token.len != TRP_TURN_TOKEN_LEN
            || even.data
            || trp_stun_get(m, TRP_STUN_REQUESTED_ADDRESS_FAMILY).data
            || trp_stun_get(m, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY).data)
        {
            return 400;
        }

        alloc->port = turn->shared.redeem(turn->shared.data, token.data);

        if (alloc->port == 0) {
            return 508;
        }

        /* the family of the allocation that made the reservation */

        alloc->families = (token.data[0] & 1) ? TRP_TURN_V6 : TRP_TURN_V4;

        return trp_turn_has_family(turn, alloc->families) ? 0 : 440;
    }

    if (even.data) {

        if (even.len != 1) {
            return 400;
        }

        alloc->even = 1;
        alloc->reserve = (even.data[0] & 0x80) ? 1 : 0;

        if (alloc->reserve
            && trp_stun_get(m, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY).data)
        {
            return 400;
        }
    }

    return 0;
}


/* a client may ask for more than the default, or for 0, but not for less */

static int
trp_turn_lifetime(const trp_turn_t *turn, const trp_stun_t *m,
    uint32_t *lifetime)
{
    int  rc;

    *lifetime = turn->conf->lifetime;

    rc = trp_stun_get_u32(m, TRP_STUN_LIFETIME, lifetime);

    if (rc == TRP_ERROR) {
        return TRP_ERROR;
    }

    if (*lifetime == 0 && m->method == TRP_STUN_REFRESH) {
        return TRP_OK;
    }

    if (*lifetime < turn->conf->lifetime) {
        *lifetime = turn->conf->lifetime;
    }

    if (*lifetime > turn->conf->max_lifetime) {
        *lifetime = turn->conf->max_lifetime;
    }

    return TRP_OK;
}


static trp_turn_alloc_t *
trp_turn_alloc_create(trp_turn_t *turn, const trp_turn_alloc_t *asked,
    uint32_t lifetime)
{
    trp_turn_alloc_t  *alloc;

    alloc = trp_memory_get(&turn->memory,
                           sizeof(trp_turn_alloc_t) + turn->username.len);
    if (alloc == NULL) {
        return NULL;
    }

    *alloc = *asked;

    alloc->timer.kind = TRP_TURN_TIMER_ALLOC;
    alloc->turn = turn;
    alloc->tuple = turn->from;
    alloc->lifetime = lifetime;
    alloc->created = turn->now;
    alloc->key = turn->request.key;

    memcpy(alloc->id, turn->request.id, TRP_STUN_ID_LEN);

    alloc->username.len = turn->username.len;
    alloc->username.data = alloc->text;
    memcpy(alloc->text, turn->username.data, turn->username.len);

    trp_hash_init(&alloc->permissions, turn->hash_key, &turn->memory);
    trp_hash_init(&alloc->numbers, turn->hash_key, &turn->memory);
    trp_hash_init(&alloc->peers, turn->hash_key, &turn->memory);

    return alloc;
}


static void
trp_turn_bind(trp_turn_t *turn, trp_turn_alloc_t *alloc)
{
    uint16_t             port;
    trp_turn_command_t  *command;

    port = alloc->port;

    while (port == 0) {

        if (turn->tries++ == TRP_TURN_MAX_TRIES) {
            trp_turn_not_allocated(turn, alloc, 508);
            return;
        }

        port = trp_turn_pick_port(turn, alloc);

        if (port == 0) {
            trp_turn_not_allocated(turn, alloc, 508);
            return;
        }

        if (alloc->reserve) {
            trp_random_bytes(&turn->random, alloc->token, TRP_TURN_TOKEN_LEN);

            alloc->token[0] &= 0xfe;
            alloc->token[0] |= (alloc->families == TRP_TURN_V6);

            if (turn->shared.reserve(turn->shared.data, port + 1, alloc->token)
                != TRP_OK)
            {
                port = 0;
            }
        }
    }

    command = trp_turn_command(turn, TRP_TURN_BIND);

    command->alloc = alloc;
    command->port = port;
}


/* the first free port from a random one on; 0 if there is none */

static uint16_t
trp_turn_pick_port(trp_turn_t *turn, const trp_turn_alloc_t *alloc)
{
    uint32_t  i, n, start, port;

    n = turn->conf->last_port - turn->conf->first_port + 1;
    start = trp_random_below(&turn->random, n);

    for (i = 0; i < n; i++) {
        port = turn->conf->first_port + (start + i) % n;

        if (trp_turn_port_is_set(turn->shared.ports, port)
            || (alloc->even && port % 2))
        {
            continue;
        }

        if (alloc->reserve
            && (port == turn->conf->last_port
                || trp_turn_port_is_set(turn->shared.ports, port + 1)))
        {
            continue;
        }

        return (uint16_t) port;
    }

    return 0;
}


const trp_addr_t *
trp_turn_relayed(const trp_turn_alloc_t *alloc, int v6)
{
    const trp_addr_t  *external;

    external = &alloc->turn->conf->external[v6];

    return external->family ? external : &alloc->tuple.server.addr;
}


void
trp_turn_bound(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    trp_turn_bound_e result, uint8_t families, uint16_t port)
{
    int  i;

    trp_assert(turn->in_hand
               && turn->commands[turn->first].type == TRP_TURN_BIND
               && turn->commands[turn->first].alloc == alloc);
    trp_assert(result != TRP_TURN_BOUND
               || (families && (families & ~alloc->families) == 0));

    if (result != TRP_TURN_BOUND && alloc->reserve) {
        (void) turn->shared.redeem(turn->shared.data, alloc->token);
    }

    switch (result) {

    case TRP_TURN_BOUND:
        break;

    case TRP_TURN_PORT_IN_USE:

        if (alloc->port) {

            /* a reserved port has no substitute */
            trp_turn_not_allocated(turn, alloc, 508);
            return;
        }

        trp_turn_bind(turn, alloc);
        return;

    case TRP_TURN_QUOTA:
        trp_turn_not_allocated(turn, alloc, 486);
        return;

    default: /* TRP_TURN_NO_CAPACITY */
        trp_turn_not_allocated(turn, alloc, 508);
        return;
    }

    if ((alloc->families & TRP_TURN_V6) && !(families & TRP_TURN_V6)) {
        alloc->failed_v6 = 1;
    }

    alloc->families = families;
    alloc->port = port;

    for (i = 0; i < 2; i++) {

        if (families & (i == 0 ? TRP_TURN_V4 : TRP_TURN_V6)) {
            alloc->relayed[i].addr = *trp_turn_relayed(alloc, i);
            alloc->relayed[i].port = port;
        }
    }

    trp_hash_insert(&turn->allocs, &alloc->node,
                    trp_turn_hash_tuple(turn, &alloc->tuple));

    trp_timer_set(&turn->timers, &alloc->timer,
                  turn->now + (uint64_t) alloc->lifetime * 1000);

    turn->stats.allocations++;
    turn->stats.total_allocations++;

    trp_turn_allocated(turn, alloc);
}


static void
trp_turn_allocated(trp_turn_t *turn, const trp_turn_alloc_t *alloc)
{
    trp_stun_writer_t  w;

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);

    if (alloc->families & TRP_TURN_V4) {
        trp_stun_put_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS,
                          &alloc->relayed[0]);
    }

    if (alloc->families & TRP_TURN_V6) {
        trp_stun_put_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS,
                          &alloc->relayed[1]);
    }

    if (alloc->failed_v6) {

        /* RFC 8656, section 18.12: the family and a code */
        trp_stun_put_u32(&w, TRP_STUN_ADDRESS_ERROR_CODE,
                         0x02000000 | 4 << 8 | 40);
    }

    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, alloc->lifetime);

    if (alloc->reserve) {
        trp_stun_put(&w, TRP_STUN_RESERVATION_TOKEN, alloc->token,
                     TRP_TURN_TOKEN_LEN);
    }

    trp_stun_put_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, &turn->from.client);

    trp_turn_answer_end(turn, &w);
}


static void
trp_turn_not_allocated(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    unsigned code)
{
    trp_memory_put(&turn->memory, alloc);
    trp_turn_error(turn, code);
}


/* RFC 8656, section 8.2 */

void
trp_turn_refresh(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m)
{
    uint32_t           lifetime;
    trp_str_t          family;
    trp_stun_writer_t  w;

    family = trp_stun_get(m, TRP_STUN_REQUESTED_ADDRESS_FAMILY);

    if (family.data) {

        if (family.len != 4) {
            trp_turn_error(turn, 400);
            return;
        }

        if (family.data[0] != 0x01 && family.data[0] != 0x02) {
            trp_turn_error(turn, 440);
            return;
        }

        if (!(alloc->families & family.data[0])) {
            trp_turn_error(turn, 443);
            return;
        }
    }

    if (trp_turn_lifetime(turn, m, &lifetime) != TRP_OK) {
        trp_turn_error(turn, 400);
        return;
    }

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, lifetime);
    trp_turn_answer_end(turn, &w);

    if (lifetime == 0 && family.data && alloc->families != family.data[0]) {
        trp_turn_unbind(turn, alloc, family.data[0]);
        return;
    }

    if (lifetime == 0) {
        trp_turn_free(turn, alloc, TRP_TURN_FREE_DELETED);
        return;
    }

    trp_timer_set(&turn->timers, &alloc->timer,
                  turn->now + (uint64_t) lifetime * 1000);
}


/* gives up one of two families, with what belongs to it */

static void
trp_turn_unbind(trp_turn_t *turn, trp_turn_alloc_t *alloc, uint8_t family)
{
    trp_turn_command_t  *command;

    alloc->families &= (uint8_t) ~family;

    trp_turn_peers_free(turn, alloc, family == TRP_TURN_V4 ? 4 : 6);
    trp_turn_connections_expire(turn, alloc, family == TRP_TURN_V4 ? 4 : 6);

    command = trp_turn_command(turn, TRP_TURN_UNBIND);

    command->alloc = alloc;
    command->peer.addr.family = (family == TRP_TURN_V4) ? 4 : 6;
}


void
trp_turn_free(trp_turn_t *turn, trp_turn_alloc_t *alloc, trp_turn_free_e why)
{
    if (alloc->over) {
        return;
    }

    alloc->over = 1;
    alloc->why = (uint8_t) why;

    trp_timer_stop(&turn->timers, &alloc->timer);
    trp_hash_remove(&turn->allocs, &alloc->node);

    if (turn->last == alloc) {
        turn->last = NULL;
    }

    trp_turn_peers_free(turn, alloc, 0);

    trp_assert(alloc->permissions.n == 0 && alloc->numbers.n == 0
               && alloc->peers.n == 0);

    trp_hash_done(&alloc->permissions);
    trp_hash_done(&alloc->numbers);
    trp_hash_done(&alloc->peers);

    trp_turn_connections_free(turn, alloc);

    turn->stats.allocations--;

    trp_assert(turn->stats.allocations == turn->allocs.n);

    alloc->next_over = turn->ended;
    turn->ended = alloc;
}


void
trp_turn_release(trp_turn_t *turn, trp_turn_alloc_t *alloc)
{
    trp_turn_connection_t  *connection;

    trp_assert(alloc->over && alloc->timer.node.expires == 0);

    while (alloc->connections) {
        connection = alloc->connections;
        alloc->connections = connection->next;
        trp_memory_put(&turn->memory, connection);
    }

    trp_memory_put(&turn->memory, alloc);
}
