
/*
 * Copyright (C) the trp authors
 */


/*
 * Included first by every file that uses both nginx and the core.
 */


#ifndef _NGX_TRP_H_INCLUDED_
#define _NGX_TRP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_stream.h>

#include "base/trp_core.h"
#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "tunnel/trp_wire.h"
#include "tunnel/trp_tunnel.h"
#include "tunnel/trp_key.h"
#include "tunnel/trp_authorized.h"
#include "tunnel/trp_recent.h"


#if (nginx_version < 1025005)
typedef ngx_stream_ssl_conf_t  ngx_stream_ssl_srv_conf_t;
#endif


#define NGX_TRP_OPEN_MAX   (TRP_HEADER_LEN + TRP_CONTROL_MAX)


/*
 * One user connection as all three roles know it; the source of the $trp_*
 * variables.
 */

typedef struct {
    ngx_str_t           group;
    ngx_str_t           name;          /* of this agent; at the relay: entry */
    ngx_str_t           host;          /* destination as the user's route has */
    in_port_t           port;
    ngx_str_t           destination;   /* "host:port" to connect to */
    ngx_str_t           entry;         /* names of the agents, if known */
    ngx_str_t           reverse;
    const trp_authorized_key_t  *entry_key;    /* NULL: not known here */
    const trp_authorized_key_t  *reverse_key;
    ngx_uint_t          status;        /* trp_code_e */
    const u_char       *id;            /* of the stream; NULL: not yet known */
    unsigned            aborted:1;     /* ended by a reset or a lost tunnel */
} ngx_trp_info_t;


/* a stream's id as text, the same in all three roles */

#define NGX_TRP_ID_LEN     (2 * TRP_STREAM_ID_LEN)

typedef struct {
    u_char              data[NGX_TRP_ID_LEN + 1];
} ngx_trp_id_text_t;


static ngx_inline ngx_trp_id_text_t
ngx_trp_id_text(const u_char *id)
{
    ngx_trp_id_text_t  text;

    *ngx_hex_dump(text.data, (u_char *) id, TRP_STREAM_ID_LEN) = '\0';

    return text;
}


/* text from a peer, made safe for the log */

#define NGX_TRP_TEXT_LEN   128

typedef struct {
    u_char              data[NGX_TRP_TEXT_LEN + 1];
} ngx_trp_text_t;


static ngx_inline ngx_trp_text_t
ngx_trp_text(const u_char *data, size_t len)
{
    trp_str_t       str;
    ngx_trp_text_t  text;

    str.len = len;
    str.data = data;

    text.data[trp_str_printable(text.data, NGX_TRP_TEXT_LEN, str)] = '\0';

    return text;
}


static ngx_inline trp_str_t
ngx_trp_str(const ngx_str_t *s)
{
    trp_str_t  str;

    str.len = s->len;
    str.data = s->data;

    return str;
}


static ngx_inline ngx_uint_t
ngx_trp_str_same(const ngx_str_t *one, const ngx_str_t *two)
{
    return trp_str_equal(ngx_trp_str(one), ngx_trp_str(two));
}


#endif /* _NGX_TRP_H_INCLUDED_ */
