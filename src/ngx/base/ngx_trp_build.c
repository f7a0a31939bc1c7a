
/*
 * Copyright (C) the trp authors
 */


/*
 * QUIC is a part of builds with a libngtcp2 and an OpenSSL that are new
 * enough.  In others, what needs it is an error that says what is missing.
 */


#include "base/ngx_trp_build.h"

#if !(NGX_TRP_QUIC)
#include <openssl/opensslv.h>

#if __has_include(<ngtcp2/version.h>)
#include <ngtcp2/version.h>
#endif

#ifdef NGTCP2_VERSION
#define NGX_TRP_BUILD_NGTCP2  "with libngtcp2 " NGTCP2_VERSION
#else
#define NGX_TRP_BUILD_NGTCP2  "without libngtcp2"
#endif
#endif


ngx_int_t
ngx_trp_build_need_quic(ngx_conf_t *cf, const char *what)
{
#if (NGX_TRP_QUIC)
    return NGX_OK;
#else
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%s\" needs QUIC, and so libngtcp2 1.11 and OpenSSL "
                       "3.5 or newer; this trp was built "
                       NGX_TRP_BUILD_NGTCP2 " and with "
                       OPENSSL_VERSION_TEXT, what);
    return NGX_ERROR;
#endif
}
