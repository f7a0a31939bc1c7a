
/*
 * Copyright (C) the trp authors
 */


/*
 * Reads key files, checks their mode, and wipes secrets when the configuration
 * is freed.
 */


#include "base/ngx_trp_key_file.h"
#include "base/trp_str.h"

#include <sodium.h>


#define NGX_TRP_KEY_SIZE         (16 * 1024)
#define NGX_TRP_AUTHORIZED_SIZE  (16 * 1024 * 1024)


/* in the cleanup that wipes it */

typedef struct {
    u_char               secret[TRP_KEY_SECRET_LEN];
    ngx_str_t            file;
} ngx_trp_key_secret_t;


static ngx_trp_key_secret_t *ngx_trp_key_file_loaded(ngx_conf_t *cf,
    const ngx_str_t *file);
static ngx_int_t ngx_trp_key_file_rules(ngx_conf_t *cf,
    trp_authorized_key_t *key);
static ngx_int_t ngx_trp_key_file_read(ngx_conf_t *cf, const char *what,
    ngx_str_t *file, ngx_uint_t secret, size_t max, ngx_str_t *text);
static ngx_int_t ngx_trp_key_file_check(ngx_conf_t *cf, const char *what,
    ngx_str_t *file, ngx_str_t *text, ngx_file_info_t *fi);
static ngx_uint_t ngx_trp_key_file_is_open(ngx_file_info_t *fi);
static void ngx_trp_key_file_wipe(void *data);


u_char *
ngx_trp_key_file_secret(ngx_conf_t *cf, ngx_str_t *file)
{
    ngx_str_t              text;
    const char            *err;
    ngx_pool_cleanup_t    *cln;
    ngx_trp_key_secret_t  *key;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NULL;
    }

    key = ngx_trp_key_file_loaded(cf, file);

    if (key) {
        return key->secret;
    }

    if (ngx_trp_key_file_read(cf, "key", file, 1, NGX_TRP_KEY_SIZE, &text)
        != NGX_OK)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_trp_key_secret_t));
    if (cln == NULL) {
        sodium_memzero(text.data, text.len);
        return NULL;
    }

    key = cln->data;
    key->file = *file;

    cln->handler = ngx_trp_key_file_wipe;

    err = trp_key_parse(key->secret, ngx_trp_str(&text));

    sodium_memzero(text.data, text.len);

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\" %s",
                           file, err);
        return NULL;
    }

    return key->secret;
}


/* a key that other agents of this configuration have, too, is loaded once */

static ngx_trp_key_secret_t *
ngx_trp_key_file_loaded(ngx_conf_t *cf, const ngx_str_t *file)
{
    ngx_pool_cleanup_t    *cln;
    ngx_trp_key_secret_t  *key;

    for (cln = cf->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_trp_key_file_wipe) {
            key = cln->data;

            if (ngx_trp_str_same(&key->file, file)) {
                return key;
            }
        }
    }

    return NULL;
}


ngx_array_t *
ngx_trp_key_file_authorized(ngx_conf_t *cf, ngx_str_t *file)
{
    int                    rc;
    u_char                *p, *last, *end;
    trp_str_t              line, option;
    ngx_str_t              text;
    ngx_uint_t             number;
    const char            *err;
    ngx_array_t           *keys;
    trp_authorized_key_t  *key, parsed;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NULL;
    }

    if (ngx_trp_key_file_read(cf, "key", file, 0, NGX_TRP_AUTHORIZED_SIZE,
                              &text)
        != NGX_OK)
    {
        return NULL;
    }

    keys = ngx_array_create(cf->pool, 4, sizeof(trp_authorized_key_t));
    if (keys == NULL) {
        return NULL;
    }

    last = text.data + text.len;
    number = 0;

    for (p = text.data; p < last; p = end + 1) {

        number++;
        err = NULL;

        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        line.data = p;
        line.len = end - p;

        rc = trp_authorized_key_parse(&parsed, line, &err, &option);

        if (rc == TRP_DECLINED) {
            continue;
        }

        if (rc == TRP_OK && ngx_trp_key_find(keys, parsed.public_key)) {
            err = "repeats a key from above";
        }

        if (err && option.len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "authorized keys file \"%V\", line %ui, %s: "
                               "\"%s\"", file, number, err,
                               ngx_trp_text(option.data, option.len).data);
            return NULL;
        }

        if (err) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "authorized keys file \"%V\", line %ui, %s",
                               file, number, err);
            return NULL;
        }

        key = ngx_array_push(keys);
        if (key == NULL) {
            return NULL;
        }

        *key = parsed;

        if (ngx_trp_key_file_rules(cf, key) != NGX_OK) {
            return NULL;
        }

        if (parsed.low_bits.data && cf->conf_file) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "authorized keys file \"%V\", line %ui, low "
                               "address bits of \"%*s\" are meaningless",
                               file, number, parsed.low_bits.len,
                               parsed.low_bits.data);
        }
    }

    if (keys->nelts == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "authorized keys file \"%V\" has no key, "
                           "no agent can connect", file);
    }

    return keys;
}


/* "permitopen" is checked for each OPEN */

static ngx_int_t
ngx_trp_key_file_rules(ngx_conf_t *cf, trp_authorized_key_t *key)
{
    trp_acl_rule_t  *rules;

    if (key->nrules == 0) {
        return NGX_OK;
    }

    rules = ngx_palloc(cf->pool, key->nrules * sizeof(trp_acl_rule_t));
    if (rules == NULL) {
        return NGX_ERROR;
    }

    trp_authorized_key_rules(key, rules);

    return NGX_OK;
}


/* with no file being parsed, ngx_conf_log_error() adds no file and line */

ngx_array_t *
ngx_trp_key_file_reread(ngx_pool_t *pool, const ngx_str_t *file)
{
    ngx_str_t   name;
    ngx_conf_t  cf;

    name = *file;

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    cf.cycle = (ngx_cycle_t *) ngx_cycle;
    cf.pool = pool;
    cf.log = pool->log;

    return ngx_trp_key_file_authorized(&cf, &name);
}


trp_authorized_key_t *
ngx_trp_key_find(const ngx_array_t *keys, const u_char *public_key)
{
    ngx_uint_t             i;
    trp_authorized_key_t  *key;

    key = keys->elts;

    for (i = 0; i < keys->nelts; i++) {
        if (ngx_memcmp(key[i].public_key, public_key, TRP_KEY_PUBLIC_LEN) == 0)
        {
            return &key[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_trp_key_file_text(ngx_conf_t *cf, const char *what, ngx_str_t *file,
    ngx_str_t *text)
{
    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_key_file_read(cf, what, file, 0, NGX_TRP_AUTHORIZED_SIZE,
                                 text);
}


ngx_int_t
ngx_trp_key_file_token(ngx_conf_t *cf, ngx_str_t *file, ngx_str_t *token)
{
    size_t      i;
    trp_str_t   text;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_key_file_read(cf, "token", file, 1, NGX_TRP_KEY_SIZE, token)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = ngx_trp_str(token);
    trp_str_trim(&text);

    token->len = text.len;
    token->data = (u_char *) text.data;

    for (i = 0; i < token->len; i++) {
        if (token->data[i] <= ' ' || token->data[i] > '~') {
            break;
        }
    }

    if (i == token->len && i != 0) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "token file \"%V\" must hold one line, the token",
                       file);

    sodium_memzero(token->data, token->len);

    return NGX_ERROR;
}


static ngx_int_t
ngx_trp_key_file_read(ngx_conf_t *cf, const char *what, ngx_str_t *file,
    ngx_uint_t secret, size_t max, ngx_str_t *text)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", file);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", file);
        goto done;
    }

    if ((size_t) ngx_file_size(&fi) > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s file \"%V\" is larger than %uz bytes",
                           what, file, max);
        goto done;
    }

    /* freed with the pool, like everything that points into it */

    text->len = ngx_file_size(&fi);
    text->data = ngx_pnalloc(cf->pool, text->len + 1);

    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_fd(fd, text->data, text->len);

    if (n != (ssize_t) text->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, (n == -1) ? ngx_errno : 0,
                           ngx_read_fd_n " \"%V\" failed", file);
        goto done;
    }

    rc = secret ? ngx_trp_key_file_check(cf, what, file, text, &fi) : NGX_OK;

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", file);
    }

    return rc;
}


/* the most common mistake first: the mode of a public key does not matter */

static ngx_int_t
ngx_trp_key_file_check(ngx_conf_t *cf, const char *what, ngx_str_t *file,
    ngx_str_t *text, ngx_file_info_t *fi)
{
    size_t  len;

    if (trp_key_is_public(ngx_trp_str(text))) {
        len = file->len - (sizeof(".pub") - 1);

        if (file->len > sizeof(".pub")
            && ngx_strncmp(&file->data[len], ".pub", sizeof(".pub") - 1) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s file \"%V\" is a public key, the private "
                               "key is needed, write \"%*s\"",
                               what, file, len, file->data);

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s file \"%V\" is a public key, the private "
                               "key is needed", what, file);
        }

        return NGX_ERROR;
    }

    if (!ngx_trp_key_file_is_open(fi)) {
        return NGX_OK;
    }

    sodium_memzero(text->data, text->len);

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "%s file \"%V\" can be read by others, "
                       "run \"chmod 600 %V\"", what, file, file);

    return NGX_ERROR;
}


/*
 * A group may read it if root or this user owns it: secrets mounted by an
 * orchestrator are owned by root with mode 0440, and cannot be changed.
 */

static ngx_uint_t
ngx_trp_key_file_is_open(ngx_file_info_t *fi)
{
    if (fi->st_mode & S_IRWXO) {
        return 1;
    }

    return (fi->st_mode & S_IRWXG) && fi->st_uid != 0
           && fi->st_uid != geteuid();
}


static void
ngx_trp_key_file_wipe(void *data)
{
    ngx_trp_key_secret_t *key = data;

    sodium_memzero(key->secret, TRP_KEY_SECRET_LEN);
}
