
/*
 * Copyright (C) the trp authors
 */


/*
 * Knows by the alert of TLS why an agent rejects the relay's certificate.  For
 * OpenSSL, and so for the stock module, all of this is a failed handshake.
 */


#include "relay/ngx_trp_rejected.h"
#include "base/ngx_trp_ssl.h"
#include "status/ngx_trp_status_kinds.h"


/* of what a client offers, in the log */

#define NGX_TRP_REJECTED_LIST  128
#define NGX_TRP_REJECTED_NAME  16


static const char *ngx_trp_rejected_hint(ngx_uint_t alert);
static ngx_uint_t ngx_trp_rejected_level(ngx_trp_relay_t *relay,
    ngx_connection_t *c, ngx_uint_t alert);


void
ngx_trp_rejected_alert(ngx_trp_relay_t *relay, ngx_connection_t *c,
    const u_char *data)
{
    unsigned       len;
    ngx_uint_t     alert, level;
    const char    *hint;
    const u_char  *alpn;

    alert = data[1];
    hint = ngx_trp_rejected_hint(alert);

    if (data[0] != SSL3_AL_FATAL || hint == NULL) {
        return;
    }

    SSL_get0_alpn_selected(c->ssl->connection, &alpn, &len);

    level = NGX_LOG_INFO;

    if (len) {

        /* it has asked for the protocol of a relay: it is no stranger */

        ngx_trp_guard_settle(ngx_trp_guard_find(c));
        ngx_trp_status_count(&relay->status, NGX_TRP_SERVER_REJECTED, 1);

        level = ngx_trp_rejected_level(relay, c, alert);
    }

    ngx_log_error(level, c->log, 0,
                  "%s rejected the certificate of this relay: %s%s",
                  len ? "agent" : "client",
                  SSL_alert_desc_string_long((int) alert), hint);
}


/* NULL: the alert is not about the certificate */

static const char *
ngx_trp_rejected_hint(ngx_uint_t alert)
{
    switch (alert) {

    case SSL_AD_UNKNOWN_CA:
        return ", see \"trp_..._ssl_trusted_certificate\" of the agent";

    case SSL_AD_BAD_CERTIFICATE:
        return ", it may have another name than that in \"server\" of the "
               "agent";

    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return "";

    default:
        return NULL;
    }
}


/* an agent that dials again and again is worth one warning */

static ngx_uint_t
ngx_trp_rejected_level(ngx_trp_relay_t *relay, ngx_connection_t *c,
    ngx_uint_t alert)
{
    u_char  *p, buf[128];

    p = ngx_snprintf(buf, sizeof(buf), "rejected %ui %ui %V", alert,
                     relay->conf->number, &c->addr_text);

    return ngx_trp_warnings_level(&relay->worker->refusals.strangers,
                                  ngx_trp_warnings_id(buf, p - buf));
}


void
ngx_trp_rejected_alpn(ngx_connection_t *c, const u_char *list, size_t len)
{
    size_t           i, n;
    u_char          *p, *last;
    ngx_trp_text_t   name;
    u_char           text[NGX_TRP_REJECTED_LIST];

    p = text;
    last = text + sizeof(text);

    for (i = 0; i < len; i += 1 + n) {
        n = ngx_min(list[i], len - i - 1);
        name = ngx_trp_text(&list[i + 1], ngx_min(n, NGX_TRP_REJECTED_NAME));

        p = ngx_slprintf(p, last, "%s\"%s\"", i ? ", " : "", name.data);
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "client does not speak " TRP_ALPN ", it offers %*s",
                  p - text, text);

    ngx_trp_ssl_explained(c);
}
