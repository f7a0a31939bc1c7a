
/*
 * Copyright (C) the trp authors
 */


/*
 * Ports: a map of those that are taken by allocations or reservations, and
 * maps of those that sockets are bound to.  Each port has an index into the
 * "homes": the few different relayed addresses that allocations have.
 */


#include "turn/ngx_trp_turn_zone_ports.h"
#include "base/trp_assert.h"

#include <sodium.h>


static void ngx_trp_turn_zone_expire_reservations(ngx_trp_turn_shared_t *sh);


ngx_int_t
ngx_trp_turn_zone_take_port(ngx_trp_turn_zone_t *zone, in_port_t port)
{
    ngx_int_t               rc;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;
    rc = NGX_BUSY;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    if (!((sh->ports[port / 8] >> (port % 8)) & 1)) {
        ngx_trp_turn_zone_set_port(sh->ports, port, 1);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


void
ngx_trp_turn_zone_give_port(ngx_trp_turn_zone_t *zone, in_port_t port)
{
    trp_assert((zone->shared->ports[port / 8] >> (port % 8)) & 1);

    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_set_port(zone->shared->ports, port, 0);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_bind_port(ngx_trp_turn_zone_t *zone, in_port_t port,
    ngx_uint_t tcp)
{
    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_set_port(zone->shared->bound[tcp], port, 1);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


ngx_uint_t
ngx_trp_turn_zone_home(ngx_trp_turn_zone_t *zone, ngx_uint_t tcp,
    in_port_t port, ngx_uint_t v6, trp_addr_t *addr)
{
    ngx_trp_turn_shared_t  *sh;

    trp_assert(tcp < 2 && v6 < 2);

    sh = zone->shared;

    if (!((sh->bound[tcp][port / 8] >> (port % 8)) & 1)) {
        return 0;
    }

    *addr = sh->homes[sh->home[port]].addr[v6];

    return addr->family != 0;
}


/* entry 0 means that there is none */

uint8_t
ngx_trp_turn_zone_take_home(ngx_trp_turn_shared_t *sh,
    const trp_addr_t *relayed)
{
    ngx_uint_t            i, empty;
    ngx_trp_turn_home_t  *home;

    empty = 0;

    for (i = 1; i <= NGX_TRP_TURN_HOMES; i++) {
        home = &sh->homes[i];

        if (home->n == 0) {
            empty = empty ? empty : i;

        } else if (ngx_memcmp(home->addr, relayed, sizeof(home->addr)) == 0) {
            home->n++;
            return (uint8_t) i;
        }
    }

    if (empty) {
        ngx_memcpy(sh->homes[empty].addr, relayed, sizeof(home->addr));
        sh->homes[empty].n = 1;
    }

    return (uint8_t) empty;
}


void
ngx_trp_turn_zone_set_port(u_char *map, in_port_t port, ngx_uint_t on)
{
    u_char  bit;

    bit = (u_char) (1 << (port % 8));

    if (on) {
        map[port / 8] |= bit;

    } else {
        map[port / 8] &= (u_char) ~bit;
    }
}


int
ngx_trp_turn_zone_reserve(ngx_trp_turn_zone_t *zone, in_port_t port,
    const uint8_t *token)
{
    int                          rc;
    ngx_uint_t                   i;
    ngx_trp_turn_shared_t       *sh;
    ngx_trp_turn_reservation_t  *reservation;

    sh = zone->shared;
    rc = TRP_DECLINED;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port || ((sh->ports[port / 8] >> (port % 8)) & 1)) {
            continue;
        }

        ngx_memcpy(reservation->token, token, TRP_TURN_TOKEN_LEN);
        reservation->port = port;
        reservation->expires = ngx_current_msec + TRP_TURN_RESERVATION_TIME;

        ngx_trp_turn_zone_set_port(sh->ports, port, 1);

        rc = TRP_OK;
        break;
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


in_port_t
ngx_trp_turn_zone_redeem(ngx_trp_turn_zone_t *zone, const uint8_t *token)
{
    ngx_uint_t                   i;
    in_port_t                    port;
    ngx_trp_turn_shared_t       *sh;
    ngx_trp_turn_reservation_t  *reservation;

    sh = zone->shared;
    port = 0;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port
            && sodium_memcmp(reservation->token, token, TRP_TURN_TOKEN_LEN)
               == 0)
        {
            port = reservation->port;
            reservation->port = 0;
            ngx_trp_turn_zone_set_port(sh->ports, port, 0);
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return port;
}


void
ngx_trp_turn_zone_tidy(ngx_trp_turn_zone_t *zone)
{
    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_expire_reservations(zone->shared);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


static void
ngx_trp_turn_zone_expire_reservations(ngx_trp_turn_shared_t *sh)
{
    ngx_uint_t                   i;
    ngx_trp_turn_reservation_t  *reservation;

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port
            && (ngx_msec_int_t) (reservation->expires - ngx_current_msec) <= 0)
        {
            ngx_trp_turn_zone_set_port(sh->ports, reservation->port, 0);
            reservation->port = 0;
        }
    }
}
