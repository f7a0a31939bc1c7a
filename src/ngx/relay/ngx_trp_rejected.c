
/*
 * Copyright (C) the trp authors
 */


/*
 * Knows by the alert of TLS why an agent rejects the relay's certificate.  For
 * OpenSSL, and so for the stock module, this is one failed handshake of many.
 */


#include "relay/ngx_trp_rejected.h"


static const char *ngx_trp_rejected_hint(ngx_uint_t alert);


void
ngx_trp_rejected_alert(ngx_trp_relay_t *relay, ngx_connection_t *c,
    const u_char *data)
{
    unsigned       len;
    ngx_uint_t     alert;
    const char    *hint;
    const u_char  *alpn;

    alert = data[1];
    hint = ngx_trp_rejected_hint(alert);

    if (data[0] != SSL3_AL_FATAL || hint == NULL) {
        return;
    }

    SSL_get0_alpn_selected(c->ssl->connection, &alpn, &len);

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
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
