
/*
 * Copyright (C) the trp authors
 */


/*
 * Key files: an agent's private key, the relay's authorized keys; and tokens.
 */


#ifndef _NGX_TRP_KEY_FILE_H_INCLUDED_
#define _NGX_TRP_KEY_FILE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * Both take the name of a file, relative to nginx's configuration, and log
 * errors at EMERG with the file, and the line if there is one.  NULL on error.
 * The secret is wiped when the configuration is freed.
 */

u_char *ngx_trp_key_file_secret(ngx_conf_t *cf, ngx_str_t *file);

/* an array of trp_authorized_key_t */

ngx_array_t *ngx_trp_key_file_authorized(ngx_conf_t *cf, ngx_str_t *file);

/* the same later, in a worker; NULL, logged, if it can no longer be read */

ngx_array_t *ngx_trp_key_file_reread(ngx_pool_t *pool,
    const ngx_str_t *file);


/* the entry for a public key, or NULL */

trp_authorized_key_t *ngx_trp_key_find(const ngx_array_t *keys,
    const u_char *public_key);


/* a word in a file that only its owner may read; the caller wipes it */

ngx_int_t ngx_trp_key_file_token(ngx_conf_t *cf, ngx_str_t *file,
    ngx_str_t *token);


/* the text of a file that is not secret; "what" describes it in errors */

ngx_int_t ngx_trp_key_file_text(ngx_conf_t *cf, const char *what,
    ngx_str_t *file, ngx_str_t *text);


#pragma GCC visibility pop


#endif /* _NGX_TRP_KEY_FILE_H_INCLUDED_ */
