
/*
 * Copyright (C) the trp authors
 */


/*
 * Which peers a client may reach, and be reached by: permissions (RFC 8656,
 * section 9), channels (section 12), and data in both directions.
 */


#include "turn/trp_turn_peer.h"
#include "turn/trp_turn.h"
#include "turn/trp_turn_answer.h"
#include "turn/trp_turn_command.h"

#include <string.h>


#define TRP_TURN_MAX_PEERS_ASKED  32       /* by one CreatePermission */

/* data of a Data indication that fits into a datagram */
#define TRP_TURN_DATA_MAX         65400


static unsigned trp_turn_peer_code(trp_turn_t *turn,
    const trp_turn_alloc_t *alloc, const trp_taddr_t *peer, int with_port,
    unsigned *restricted);
static int trp_turn_port_open(const trp_turn_alloc_t *alloc,
    unsigned restricted, const trp_taddr_t *peer);
static int trp_turn_relayed_addr(const trp_turn_alloc_t *alloc,
    const trp_addr_t *addr);
static int trp_turn_own_addr(const trp_turn_alloc_t *alloc,
    const trp_addr_t *addr);
static trp_turn_permission_t *trp_turn_permission_find(
    const trp_turn_alloc_t *alloc, const trp_addr_t *addr);
static uint64_t trp_turn_hash_addr(const trp_turn_alloc_t *alloc,
    const trp_addr_t *addr);
static int trp_turn_permit(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_addr_t *addr, unsigned restricted);
static trp_turn_channel_t *trp_turn_channel_by_number(
    const trp_turn_alloc_t *alloc, uint32_t number);
static trp_turn_channel_t *trp_turn_channel_by_peer(
    const trp_turn_alloc_t *alloc, const trp_taddr_t *peer);
static uint64_t trp_turn_hash_taddr(const trp_hash_t *table,
    const trp_taddr_t *addr);
static void trp_turn_channel_free(trp_turn_t *turn,
    trp_turn_channel_t *channel);
static void trp_turn_to_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, const uint8_t *data, size_t len,
    unsigned dont_fragment);
static void trp_turn_drop(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    size_t len);


/* one check for permissions, channels, indications and connections */

unsigned
trp_turn_check_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, int with_port, unsigned *restricted)
{
    unsigned  code;

    code = trp_turn_peer_code(turn, alloc, peer, with_port, restricted);

    if (code == 403) {
        trp_turn_report_peer(turn, alloc, peer);
    }

    return code;
}


static unsigned
trp_turn_peer_code(trp_turn_t *turn, const trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, int with_port, unsigned *restricted)
{
    int                own;
    unsigned           family, by_port;
    trp_addr_t         inside;
    trp_turn_access_e  rc;

    *restricted = 0;
    by_port = 0;

    family = trp_turn_family(&peer->addr);

    if (!(alloc->families & family)) {
        return 443;
    }

    rc = with_port ? trp_turn_access(&turn->conf->access, &peer->addr,
                                     peer->port)
                   : trp_turn_access_any(&turn->conf->access, &peer->addr,
                                         &by_port);

    if (by_port) {
        *restricted = TRP_TURN_SOME_PORTS;
    }

    if (rc == TRP_TURN_ALLOWED_BY_RULE) {
        return 0;
    }

    /*
     * Two clients of this server may talk to each other, but not to anything
     * else on this machine.
     */

    /* a detour through a NAT64 would lead to this machine, too */

    if (trp_turn_embedded(&peer->addr, &inside)
        && (trp_turn_own_addr(alloc, &inside)
            || trp_addr_equal(&alloc->tuple.server.addr, &inside)))
    {
        return 403;
    }

    own = trp_turn_own_addr(alloc, &peer->addr);

    /* even if the rules deny it: the client that is reached has a permission */

    if (rc <= TRP_TURN_DENIED && trp_turn_relayed_addr(alloc, &peer->addr)) {
        rc = TRP_TURN_ALLOWED;
    }

    if (own || trp_addr_equal(&alloc->tuple.server.addr, &peer->addr)) {
        *restricted |= TRP_TURN_OWN_PORTS;

        if (with_port && !trp_turn_own_port(alloc, peer->port)) {
            rc = TRP_TURN_DENIED;
        }
    }

    return (rc <= TRP_TURN_DENIED) ? 403 : 0;
}


/* 1 if what was allowed without a port is allowed with this one */

static int
trp_turn_port_open(const trp_turn_alloc_t *alloc, unsigned restricted,
    const trp_taddr_t *peer)
{
    unsigned  again;

    if (restricted & TRP_TURN_SOME_PORTS) {
        return trp_turn_peer_code(alloc->turn, alloc, peer, 1, &again) == 0;
    }

    return restricted == 0 || trp_turn_own_port(alloc, peer->port);
}


/* 1 if it is this allocation's relayed address, which others may share */

static int
trp_turn_relayed_addr(const trp_turn_alloc_t *alloc, const trp_addr_t *addr)
{
    int  i;

    i = (addr->family == 4) ? 0 : 1;

    return trp_addr_equal(&alloc->relayed[i].addr, addr);
}


/* the same, or the address of allocations of another server */

static int
trp_turn_own_addr(const trp_turn_alloc_t *alloc, const trp_addr_t *addr)
{
    size_t                  i;
    const trp_turn_conf_t  *conf;

    conf = alloc->turn->conf;

    if (trp_turn_relayed_addr(alloc, addr)
        || trp_addr_equal(&conf->external[addr->family == 4 ? 0 : 1],
                               addr))
    {
        return 1;
    }

    for (i = 0; i < conf->nown; i++) {
        if (trp_addr_equal(&conf->own[i], addr)) {
            return 1;
        }
    }

    return 0;
}


int
trp_turn_own_port(const trp_turn_alloc_t *alloc, uint16_t port)
{
    const trp_turn_shared_t  *shared;

    shared = &alloc->turn->shared;

    return trp_turn_port_is_set(alloc->protocol == TRP_PROTO_TCP
                                ? shared->tcp : shared->udp, port);
}


int
trp_turn_port_is_set(volatile const uint8_t *map, uint32_t port)
{
    return (map[port / 8] >> (port % 8)) & 1;
}


/*
 * RFC 8656, section 10.2: all of the addresses are allowed, or none.  (With
 * 508, those before the one for which there was no room have a permission.)
 */

void
trp_turn_create_permission(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m)
{
    size_t             offset, i, n;
    unsigned           code, restricted[TRP_TURN_MAX_PEERS_ASKED];
    trp_str_t          value;
    trp_taddr_t        peers[TRP_TURN_MAX_PEERS_ASKED];
    trp_stun_writer_t  w;

    n = 0;
    offset = 0;

    while (trp_stun_each(m, TRP_STUN_XOR_PEER_ADDRESS, &offset, &value)
           == TRP_OK)
    {
        if (n == TRP_TURN_MAX_PEERS_ASKED
            || trp_stun_addr(m, value, &peers[n]) != TRP_OK)
        {
            trp_turn_error(turn, 400);
            return;
        }

        code = trp_turn_check_peer(turn, alloc, &peers[n], 0,
                                   &restricted[n]);

        if (code) {
            trp_turn_error(turn, code);
            return;
        }

        n++;
    }

    if (n == 0) {
        trp_turn_error(turn, 400);
        return;
    }

    for (i = 0; i < n; i++) {
        if (trp_turn_permit(turn, alloc, &peers[i].addr, restricted[i])
            != TRP_OK)
        {
            trp_turn_error(turn, 508);
            return;
        }
    }

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);
    trp_turn_answer_end(turn, &w);
}


static int
trp_turn_permit(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_addr_t *addr, unsigned restricted)
{
    trp_turn_permission_t  *permission;

    permission = trp_turn_permission_find(alloc, addr);

    if (permission == NULL) {

        if (alloc->permissions.n == TRP_TURN_MAX_PERMISSIONS) {
            return TRP_DECLINED;
        }

        permission = trp_memory_get(&turn->memory,
                                    sizeof(trp_turn_permission_t));
        if (permission == NULL) {
            return TRP_DECLINED;
        }

        permission->timer.kind = TRP_TURN_TIMER_PERMISSION;
        permission->alloc = alloc;
        permission->addr = *addr;
        permission->restricted = restricted;

        trp_hash_insert(&alloc->permissions, &permission->node,
                        trp_turn_hash_addr(alloc, addr));

        turn->stats.permissions++;
    }

    trp_timer_set(&turn->timers, &permission->timer,
                  turn->now + TRP_TURN_PERMISSION_TIME);

    return TRP_OK;
}


int
trp_turn_permitted(const trp_turn_alloc_t *alloc, const trp_taddr_t *peer)
{
    trp_turn_permission_t  *permission;

    permission = trp_turn_permission_find(alloc, &peer->addr);

    return permission && permission->timer.node.expires > alloc->turn->now
           && trp_turn_port_open(alloc, permission->restricted, peer);
}


static trp_turn_permission_t *
trp_turn_permission_find(const trp_turn_alloc_t *alloc, const trp_addr_t *addr)
{
    trp_hash_node_t        *node;
    trp_turn_permission_t  *permission;

    if (alloc->permissions.n == 0) {
        return NULL;
    }

    node = trp_hash_find(&alloc->permissions, trp_turn_hash_addr(alloc, addr));

    while (node) {
        permission = trp_of(trp_turn_permission_t, node, node);

        if (trp_addr_equal(&permission->addr, addr)) {
            return permission;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


static uint64_t
trp_turn_hash_addr(const trp_turn_alloc_t *alloc, const trp_addr_t *addr)
{
    return trp_hash(&alloc->permissions, addr->bytes,
                    trp_addr_len(addr));
}


void
trp_turn_permission_expire(trp_turn_t *turn,
    trp_turn_permission_t *permission)
{
    trp_timer_stop(&turn->timers, &permission->timer);
    trp_hash_remove(&permission->alloc->permissions, &permission->node);

    trp_assert(turn->stats.permissions > 0);

    turn->stats.permissions--;

    trp_memory_put(&turn->memory, permission);
}


/* RFC 8656, section 12.2 */

void
trp_turn_channel_bind(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m)
{
    unsigned             code, restricted, others;
    uint32_t             number;
    trp_taddr_t          peer;
    trp_stun_writer_t    w;
    trp_turn_channel_t  *channel;

    if (alloc->protocol != TRP_PROTO_UDP
        || trp_stun_get_u32(m, TRP_STUN_CHANNEL_NUMBER, &number) != TRP_OK
        || trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &peer)
           != TRP_OK
        || peer.port == 0)
    {
        trp_turn_error(turn, 400);
        return;
    }

    number >>= 16;

    if (number < TRP_TURN_CHANNEL_MIN || number > TRP_TURN_CHANNEL_MAX) {
        trp_turn_error(turn, 400);
        return;
    }

    code = trp_turn_check_peer(turn, alloc, &peer, 1, &restricted);

    if (code) {
        trp_turn_error(turn, code);
        return;
    }

    channel = trp_turn_channel_by_number(alloc, number);

    if (channel != trp_turn_channel_by_peer(alloc, &peer)) {
        trp_turn_error(turn, 400);
        return;
    }

    /* the permission is for all allowed ports of the address */

    (void) trp_turn_peer_code(turn, alloc, &peer, 0, &others);

    if (trp_turn_permit(turn, alloc, &peer.addr, others) != TRP_OK) {
        trp_turn_error(turn, 508);
        return;
    }

    if (channel == NULL) {

        channel = (alloc->numbers.n < TRP_TURN_MAX_CHANNELS)
                  ? trp_memory_get(&turn->memory, sizeof(trp_turn_channel_t))
                  : NULL;

        if (channel == NULL) {
            trp_turn_error(turn, 508);
            return;
        }

        channel->timer.kind = TRP_TURN_TIMER_CHANNEL;
        channel->alloc = alloc;
        channel->number = (uint16_t) number;
        channel->peer = peer;
        channel->restricted = restricted;

        /* so few numbers need no secret hash */

        trp_hash_insert(&alloc->numbers, &channel->by_number, number);
        trp_hash_insert(&alloc->peers, &channel->by_peer,
                        trp_turn_hash_taddr(&alloc->peers, &peer));

        turn->stats.channels++;

    } else if (channel->resting) {
        channel->resting = 0;
        turn->stats.channels++;
    }

    trp_timer_set(&turn->timers, &channel->timer,
                  turn->now + TRP_TURN_CHANNEL_TIME);

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);
    trp_turn_answer_end(turn, &w);
}


static trp_turn_channel_t *
trp_turn_channel_by_number(const trp_turn_alloc_t *alloc, uint32_t number)
{
    trp_hash_node_t  *node;

    node = trp_hash_find(&alloc->numbers, number);

    return node ? trp_of(trp_turn_channel_t, by_number, node) : NULL;
}


static trp_turn_channel_t *
trp_turn_channel_by_peer(const trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer)
{
    trp_hash_node_t     *node;
    trp_turn_channel_t  *channel;

    if (alloc->peers.n == 0) {
        return NULL;
    }

    node = trp_hash_find(&alloc->peers,
                         trp_turn_hash_taddr(&alloc->peers, peer));

    while (node) {
        channel = trp_of(trp_turn_channel_t, by_peer, node);

        if (trp_taddr_equal(&channel->peer, peer)) {
            return channel;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


static uint64_t
trp_turn_hash_taddr(const trp_hash_t *table, const trp_taddr_t *addr)
{
    uint8_t  buf[TRP_TADDR_PACKED_MAX];

    return trp_hash(table, buf, trp_taddr_pack(buf, addr) - buf);
}


/* number and peer stay tied to each other for a while */

void
trp_turn_channel_expire(trp_turn_t *turn, trp_turn_channel_t *channel)
{
    if (channel->resting) {
        trp_turn_channel_free(turn, channel);
        return;
    }

    channel->resting = 1;
    turn->stats.channels--;

    trp_timer_set(&turn->timers, &channel->timer,
                  turn->now + TRP_TURN_CHANNEL_REST_TIME);
}


static void
trp_turn_channel_free(trp_turn_t *turn, trp_turn_channel_t *channel)
{
    if (!channel->resting) {
        turn->stats.channels--;
    }

    trp_timer_stop(&turn->timers, &channel->timer);
    trp_hash_remove(&channel->alloc->numbers, &channel->by_number);
    trp_hash_remove(&channel->alloc->peers, &channel->by_peer);

    trp_assert(channel->alloc->numbers.n == channel->alloc->peers.n);

    trp_memory_put(&turn->memory, channel);
}


void
trp_turn_peers_free(trp_turn_t *turn, trp_turn_alloc_t *alloc, uint8_t family)
{
    trp_hash_node_t        *node, *next;
    trp_turn_channel_t     *channel;
    trp_turn_permission_t  *permission;

    for (node = trp_hash_walk(&alloc->permissions, NULL); node; node = next) {
        next = trp_hash_walk(&alloc->permissions, node);
        permission = trp_of(trp_turn_permission_t, node, node);

        if (family == 0 || permission->addr.family == family) {
            trp_turn_permission_expire(turn, permission);
        }
    }

    for (node = trp_hash_walk(&alloc->numbers, NULL); node; node = next) {
        next = trp_hash_walk(&alloc->numbers, node);
        channel = trp_of(trp_turn_channel_t, by_number, node);

        if (family == 0 || channel->peer.addr.family == family) {
            trp_turn_channel_free(turn, channel);
        }
    }
}


/* RFC 8656, section 11.2: an invalid one is dropped silently */

void
trp_turn_send(trp_turn_t *turn, trp_turn_alloc_t *alloc, const trp_stun_t *m)
{
    unsigned     restricted;
    trp_str_t    data;
    trp_taddr_t  peer;

    data = trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE);

    if (alloc->protocol != TRP_PROTO_UDP
        || data.data == NULL
        || trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &peer)
           != TRP_OK
        || peer.port == 0
        || !trp_turn_permitted(alloc, &peer)
        || trp_turn_check_peer(turn, alloc, &peer, 1, &restricted) != 0)
    {
        trp_turn_drop(turn, alloc, data.len);
        return;
    }

    trp_turn_to_peer(turn, alloc, &peer, data.data, data.len,
                     trp_stun_get(m, TRP_STUN_DONT_FRAGMENT).data != NULL);
}


/* RFC 8656, section 12.6; over UDP, padding is optional */

void
trp_turn_channel_data(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const uint8_t *data, size_t len)
{
    size_t               n;
    trp_turn_channel_t  *channel;

    if (len < TRP_CHANNEL_HEADER_LEN) {
        return;
    }

    n = trp_read16(data + 2);

    if (n > len - TRP_CHANNEL_HEADER_LEN) {
        trp_turn_drop(turn, alloc, len);
        return;
    }

    channel = trp_turn_channel_by_number(alloc, trp_read16(data));

    if (channel == NULL || channel->resting
        || !trp_turn_port_open(alloc, channel->restricted, &channel->peer))
    {
        trp_turn_drop(turn, alloc, n);
        return;
    }

    trp_turn_to_peer(turn, alloc, &channel->peer,
                     data + TRP_CHANNEL_HEADER_LEN, n, 0);
}


static void
trp_turn_to_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, const uint8_t *data, size_t len,
    unsigned dont_fragment)
{
    trp_turn_command_t  *command;

    if (trp_rate_take_n(&alloc->up_rate, turn->conf->rate, len, turn->now)
        != TRP_OK)
    {
        trp_turn_drop(turn, alloc, len);
        return;
    }

    alloc->up.bytes += len;
    alloc->up.packets++;
    turn->stats.relayed.bytes += len;
    turn->stats.relayed.packets++;

    if (alloc->nseen < TRP_TURN_NPEERS) {
        trp_turn_peer_seen(alloc, peer);
    }

    command = trp_turn_command(turn, TRP_TURN_TO_PEER);

    command->alloc = alloc;
    command->data = data;
    command->len = len;
    command->peer = *peer;
    command->dont_fragment = dont_fragment;
    command->own = trp_turn_own_addr(alloc, &peer->addr);
}


void
trp_turn_peer_seen(trp_turn_alloc_t *alloc, const trp_taddr_t *peer)
{
    unsigned  i;

    for (i = 0; i < alloc->nseen; i++) {
        if (trp_taddr_equal(&alloc->seen[i], peer)) {
            return;
        }
    }

    if (alloc->nseen < TRP_TURN_NPEERS) {
        alloc->seen[alloc->nseen++] = *peer;
    }
}


static void
trp_turn_drop(trp_turn_t *turn, trp_turn_alloc_t *alloc, size_t len)
{
    alloc->dropped.bytes += len;
    alloc->dropped.packets++;
    turn->stats.dropped.bytes += len;
    turn->stats.dropped.packets++;
}


/* RFC 8656, sections 11.3 and 12.7 */

void
trp_turn_peer_data(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, uint8_t *data, size_t len)
{
    size_t               n;
    uint8_t              id[TRP_STUN_ID_LEN];
    trp_stun_writer_t    w;
    trp_turn_channel_t  *channel;
    trp_turn_command_t  *command;

    trp_assert(trp_turn_idle(turn));
    trp_assert(alloc->turn == turn && !alloc->over
               && alloc->protocol == TRP_PROTO_UDP);

    if (len > TRP_TURN_DATA_MAX
        || !trp_turn_permitted(alloc, peer)
        || trp_rate_take_n(&alloc->down_rate, turn->conf->rate, len, turn->now)
           != TRP_OK)
    {
        trp_turn_drop(turn, alloc, len);
        return;
    }

    alloc->down.bytes += len;
    alloc->down.packets++;
    turn->stats.relayed.bytes += len;
    turn->stats.relayed.packets++;

    command = trp_turn_command(turn, TRP_TURN_TO_CLIENT);

    command->alloc = alloc;
    command->to = &alloc->tuple;
    command->payload = len;

    channel = trp_turn_channel_by_peer(alloc, peer);
    n = (4 - len % 4) % 4;

    if (channel && !channel->resting) {
        data -= TRP_CHANNEL_HEADER_LEN;

        trp_write16(data, channel->number);
        trp_write16(data + 2, (uint16_t) len);

        len += TRP_CHANNEL_HEADER_LEN;

        /* only a stream is padded */

        if (alloc->tuple.transport != TRP_TRANSPORT_UDP) {
            memset(data + len, 0, n);
            len += n;
        }

        command->data = data;
        command->len = len;

        return;
    }

    /* built backwards: the attribute's header, then what precedes it */

    memset(data + len, 0, n);

    data -= 4;
    trp_write16(data, TRP_STUN_DATA_ATTRIBUTE);
    trp_write16(data + 2, (uint16_t) len);

    len += 4 + n;

    n = TRP_STUN_HEADER_LEN + 8 + trp_addr_len(&peer->addr);
    data -= n;
    len += n;

    trp_random_bytes(&turn->random, id, sizeof(id));

    trp_stun_begin(&w, data, n, TRP_STUN_INDICATION, TRP_STUN_DATA, id);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, peer);

    trp_write16(data + 2, (uint16_t) (len - TRP_STUN_HEADER_LEN));

    command->data = data;
    command->len = len;
}


void
trp_turn_undelivered(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    size_t payload)
{
    trp_assert(alloc->down.packets > 0 && alloc->down.bytes >= payload);

    alloc->down.bytes -= payload;
    alloc->down.packets--;
    turn->stats.relayed.bytes -= payload;
    turn->stats.relayed.packets--;

    trp_turn_drop(turn, alloc, payload);
}


void
trp_turn_peer_icmp(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, uint8_t type, uint8_t code, uint32_t data)
{
    uint8_t              value[8], id[TRP_STUN_ID_LEN];
    trp_stun_writer_t    w;
    trp_turn_command_t  *command;

    trp_assert(trp_turn_idle(turn));

    if (!trp_turn_permitted(alloc, peer)) {
        return;
    }

    /* RFC 8656, section 18.13: 7 bits of the type, 9 of the code */

    memset(value, 0, sizeof(value));
    trp_write16(value + 2, (uint16_t) (type << 9 | code));
    trp_write32(value + 4, data);

    trp_random_bytes(&turn->random, id, sizeof(id));

    trp_stun_begin(&w, turn->answer, sizeof(turn->answer),
                   TRP_STUN_INDICATION, TRP_STUN_DATA, id);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, peer);
    trp_stun_put(&w, TRP_STUN_ICMP, value, sizeof(value));

    command = trp_turn_command(turn, TRP_TURN_TO_CLIENT);

    command->alloc = alloc;
    command->to = &alloc->tuple;
    command->data = turn->answer;
    command->len = w.len;
}
