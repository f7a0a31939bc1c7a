
/*
 * Copyright (C) the trp authors
 */


/*
 * Challenges and their parameters are both separated by commas (RFC 9110,
 * section 11.6.1): a word without "=" after it begins the next challenge.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "proxy/trp_challenge.h"


#define TRP_CHALLENGE_HEX    (2 * TRP_DIGEST_MAX)


/* one of the challenges while it is read */

typedef struct {
    trp_challenge_t  *best;
    trp_challenge_t   next;
    unsigned          bad:1;       /* cannot be answered */
} trp_challenge_list_t;


/* a digest in hexadecimal digits */

typedef struct {
    trp_digest_e      type;
    int               rc;
    size_t            len;
    uint8_t           text[TRP_CHALLENGE_HEX];
} trp_challenge_hash_t;


static void trp_challenge_begin(trp_challenge_list_t *list, trp_str_t scheme);
static void trp_challenge_end(trp_challenge_list_t *list);
static int trp_challenge_param(trp_challenge_list_t *list, trp_str_t name,
    trp_str_t *text);
static void trp_challenge_set(trp_challenge_list_t *list, trp_str_t name,
    trp_str_t value);
static void trp_challenge_algorithm(trp_challenge_list_t *list,
    trp_str_t value);
static void trp_challenge_qop(trp_challenge_list_t *list, trp_str_t value);
static void trp_challenge_copy(trp_challenge_list_t *list, uint8_t *p,
    size_t size, uint16_t *len, trp_str_t value);
static void trp_challenge_blanks(trp_str_t *text);
static trp_str_t trp_challenge_token(trp_str_t *text);
static int trp_challenge_is_token(uint8_t c);
static void trp_challenge_token68(trp_str_t *text);
static size_t trp_challenge_basic(uint8_t *p, trp_str_t user,
    trp_str_t password);
static size_t trp_challenge_digest(trp_challenge_t *challenge, uint8_t *p,
    trp_str_t user, trp_str_t password, trp_str_t method, trp_str_t uri,
    trp_str_t cnonce);
static uint8_t *trp_challenge_params(const trp_challenge_t *challenge,
    uint8_t *p, trp_str_t uri, trp_str_t response, trp_str_t cnonce,
    trp_str_t nc);
static void trp_challenge_hash(trp_challenge_hash_t *hash,
    const trp_str_t *parts, size_t n);
static trp_str_t trp_challenge_hashed(const trp_challenge_hash_t *hash);
static uint8_t *trp_challenge_put(uint8_t *p, const char *text);
static uint8_t *trp_challenge_put_str(uint8_t *p, trp_str_t text);
static uint8_t *trp_challenge_put_quoted(uint8_t *p, trp_str_t text);
static size_t trp_challenge_unquote(uint8_t *p, trp_str_t text);


static const trp_str_t  trp_challenge_colon = trp_string(":");


void
trp_challenge_parse(trp_challenge_t *challenge, trp_str_t value)
{
    trp_str_t             word;
    trp_challenge_list_t  list;

    memset(&list, 0, sizeof(trp_challenge_list_t));

    list.best = challenge;
    list.bad = 1;

    for ( ;; ) {

        while (value.len
               && (trp_is_blank(value.data[0]) || value.data[0] == ','))
        {
            trp_str_skip(&value, 1);
        }

        word = trp_challenge_token(&value);

        if (word.len == 0) {

            /* the end; or what nothing can be made of, with all behind it */

            if (value.len) {
                list.bad = 1;
            }

            break;
        }

        trp_challenge_blanks(&value);

        if (value.len && value.data[0] == '=') {
            trp_str_skip(&value, 1);

            if (trp_challenge_param(&list, word, &value) != TRP_OK) {
                list.bad = 1;
                break;
            }

            continue;
        }

        trp_challenge_end(&list);
        trp_challenge_begin(&list, word);
        trp_challenge_token68(&value);
    }

    trp_challenge_end(&list);
}


static void
trp_challenge_begin(trp_challenge_list_t *list, trp_str_t scheme)
{
    static const trp_str_t  basic = trp_string("Basic");
    static const trp_str_t  digest = trp_string("Digest");

    memset(&list->next, 0, sizeof(trp_challenge_t));

    list->bad = 0;

    if (trp_name_equal(scheme, basic)) {
        list->next.scheme = TRP_CHALLENGE_BASIC;

    } else if (trp_name_equal(scheme, digest)) {
        list->next.scheme = TRP_CHALLENGE_MD5;

    } else {
        list->bad = 1;
    }
}


static void
trp_challenge_end(trp_challenge_list_t *list)
{
    trp_challenge_t  *next;

    next = &list->next;

    if (list->bad || next->scheme <= list->best->scheme) {
        return;
    }

    if (next->scheme > TRP_CHALLENGE_BASIC && next->nonce_len == 0) {
        return;
    }

    *list->best = *next;
}


/* "text" is what follows the "=" */

static int
trp_challenge_param(trp_challenge_list_t *list, trp_str_t name,
    trp_str_t *text)
{
    size_t     i;
    trp_str_t  value;

    trp_challenge_blanks(text);

    if (text->len == 0 || text->data[0] != '"') {
        value = trp_challenge_token(text);
        trp_challenge_set(list, name, value);
        return TRP_OK;
    }

    trp_str_skip(text, 1);

    for (i = 0; i < text->len && text->data[i] != '"'; i++) {
        if (text->data[i] == '\\') {
            i++;
        }
    }

    if (i >= text->len) {
        return TRP_ERROR;
    }

    value.data = text->data;
    value.len = i;

    trp_str_skip(text, i + 1);
    trp_challenge_set(list, name, value);

    return TRP_OK;
}


static void
trp_challenge_set(trp_challenge_list_t *list, trp_str_t name, trp_str_t value)
{
    trp_challenge_t  *next;

    static const trp_str_t  realm = trp_string("realm");
    static const trp_str_t  nonce = trp_string("nonce");
    static const trp_str_t  opaque = trp_string("opaque");
    static const trp_str_t  stale = trp_string("stale");
    static const trp_str_t  algorithm = trp_string("algorithm");
    static const trp_str_t  qop = trp_string("qop");
    static const trp_str_t  userhash = trp_string("userhash");
    static const trp_str_t  yes = trp_string("true");

    next = &list->next;

    if (trp_name_equal(name, realm)) {
        trp_challenge_copy(list, next->realm, sizeof(next->realm),
                           &next->realm_len, value);

    } else if (next->scheme < TRP_CHALLENGE_MD5) {
        return;

    } else if (trp_name_equal(name, nonce)) {
        trp_challenge_copy(list, next->nonce, sizeof(next->nonce),
                           &next->nonce_len, value);

    } else if (trp_name_equal(name, opaque)) {
        next->has_opaque = 1;
        trp_challenge_copy(list, next->opaque, sizeof(next->opaque),
                           &next->opaque_len, value);

    } else if (trp_name_equal(name, stale)) {
        next->stale = trp_name_equal(value, yes) ? 1 : 0;

    } else if (trp_name_equal(name, userhash)) {
        next->userhash = trp_name_equal(value, yes) ? 1 : 0;

    } else if (trp_name_equal(name, algorithm)) {
        trp_challenge_algorithm(list, value);

    } else if (trp_name_equal(name, qop)) {
        trp_challenge_qop(list, value);
    }
}


static void
trp_challenge_algorithm(trp_challenge_list_t *list, trp_str_t value)
{
    trp_str_t  end;

    static const trp_str_t  md5 = trp_string("MD5");
    static const trp_str_t  sha256 = trp_string("SHA-256");
    static const trp_str_t  session = trp_string("-sess");

    if (value.len > session.len) {
        end.data = value.data + value.len - session.len;
        end.len = session.len;

        if (trp_name_equal(end, session)) {
            list->next.session = 1;
            value.len -= session.len;
        }
    }

    if (trp_name_equal(value, md5)) {
        list->next.scheme = TRP_CHALLENGE_MD5;

    } else if (trp_name_equal(value, sha256)) {
        list->next.scheme = TRP_CHALLENGE_SHA256;

    } else {
        list->bad = 1;
    }
}


/* a list; "auth-int" alone would protect a body, which there is none of */

static void
trp_challenge_qop(trp_challenge_list_t *list, trp_str_t value)
{
    trp_str_t  word;

    static const trp_str_t  auth = trp_string("auth");

    while (value.len) {
        word = trp_challenge_token(&value);

        if (word.len == 0) {
            trp_str_skip(&value, 1);

        } else if (trp_name_equal(word, auth)) {
            list->next.auth = 1;
        }
    }

    if (!list->next.auth) {
        list->bad = 1;
    }
}


static void
trp_challenge_copy(trp_challenge_list_t *list, uint8_t *p, size_t size,
    uint16_t *len, trp_str_t value)
{
    size_t  i;

    if (value.len > size) {
        list->bad = 1;
        return;
    }

    /* it goes back as a line of a request */

    for (i = 0; i < value.len; i++) {
        if ((value.data[i] < 0x20 && value.data[i] != '\t')
            || value.data[i] == 0x7f)
        {
            list->bad = 1;
            return;
        }
    }

    if (value.len) {
        memcpy(p, value.data, value.len);
    }

    *len = (uint16_t) value.len;
}


static void
trp_challenge_blanks(trp_str_t *text)
{
    while (text->len && (text->data[0] == ' ' || text->data[0] == '\t')) {
        trp_str_skip(text, 1);
    }
}


static trp_str_t
trp_challenge_token(trp_str_t *text)
{
    trp_str_t  word;

    word = *text;

    while (text->len && trp_challenge_is_token(text->data[0])) {
        trp_str_skip(text, 1);
    }

    word.len -= text->len;

    return word;
}


/* RFC 9110, section 5.6.2 */

static int
trp_challenge_is_token(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}


/* what may follow a scheme in place of parameters: skips it if it is there */

static void
trp_challenge_token68(trp_str_t *text)
{
    uint8_t    c;
    trp_str_t  rest;

    rest = *text;

    while (rest.len) {
        c = rest.data[0];

        if (!trp_challenge_is_token(c) && c != '/') {
            break;
        }

        trp_str_skip(&rest, 1);
    }

    if (rest.len == text->len) {
        return;
    }

    while (rest.len && rest.data[0] == '=') {
        trp_str_skip(&rest, 1);
    }

    trp_challenge_blanks(&rest);

    if (rest.len == 0 || rest.data[0] == ',') {
        *text = rest;
    }
}


size_t
trp_challenge_answer(trp_challenge_t *challenge, uint8_t *p, trp_str_t user,
    trp_str_t password, trp_str_t method, trp_str_t uri, trp_str_t cnonce)
{
    trp_assert(challenge->scheme != TRP_CHALLENGE_NONE);
    trp_assert(user.len <= TRP_CHALLENGE_USER);
    trp_assert(password.len <= TRP_CHALLENGE_USER);
    trp_assert(cnonce.len <= TRP_CHALLENGE_CNONCE);

    challenge->count++;

    if (challenge->scheme == TRP_CHALLENGE_BASIC) {
        return trp_challenge_basic(p, user, password);
    }

    return trp_challenge_digest(challenge, p, user, password, method, uri,
                                cnonce);
}


static size_t
trp_challenge_basic(uint8_t *p, trp_str_t user, trp_str_t password)
{
    size_t    i, len;
    uint8_t  *start, *text;
    uint32_t  bits;
    uint8_t   buf[2 * TRP_CHALLENGE_USER + 1 + 2];

    static const uint8_t  digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    text = trp_challenge_put_str(buf, user);
    *text++ = ':';
    text = trp_challenge_put_str(text, password);
    text[0] = 0;
    text[1] = 0;

    len = (size_t) (text - buf);

    start = p;
    p = trp_challenge_put(p, "Basic ");

    for (i = 0; i < len; i += 3) {
        bits = (uint32_t) buf[i] << 16 | (uint32_t) buf[i + 1] << 8
               | buf[i + 2];

        *p++ = digits[bits >> 18];
        *p++ = digits[bits >> 12 & 63];
        *p++ = (i + 1 < len) ? digits[bits >> 6 & 63] : '=';
        *p++ = (i + 2 < len) ? digits[bits & 63] : '=';
    }

    return (size_t) (p - start);
}


static size_t
trp_challenge_digest(trp_challenge_t *challenge, uint8_t *p, trp_str_t user,
    trp_str_t password, trp_str_t method, trp_str_t uri, trp_str_t cnonce)
{
    int                   i;
    uint8_t              *start;
    uint8_t               count[8], plain[TRP_CHALLENGE_REALM];
    uint8_t               plain_nonce[TRP_CHALLENGE_VALUE];
    trp_str_t             realm, nonce, nc, colon, qop;
    trp_challenge_hash_t  a1, a2, name, response;

    static const uint8_t  hex[] = "0123456789abcdef";

    colon = trp_challenge_colon;

    realm.data = plain;
    realm.len = challenge->realm_len;
    realm.len = trp_challenge_unquote(plain,
                          (trp_str_t) { realm.len, challenge->realm });

    nonce.data = plain_nonce;
    nonce.len = trp_challenge_unquote(plain_nonce,
                          (trp_str_t) { challenge->nonce_len,
                                        challenge->nonce });

    for (i = 0; i < 8; i++) {
        count[i] = hex[challenge->count >> (28 - 4 * i) & 15];
    }

    nc.data = count;
    nc.len = sizeof(count);

    qop.data = (const uint8_t *) "auth";
    qop.len = 4;

    memset(&a1, 0, sizeof(a1));

    a1.type = (challenge->scheme == TRP_CHALLENGE_SHA256) ? TRP_SHA256
                                                          : TRP_MD5;
    a1.rc = TRP_OK;
    a2 = a1;
    name = a1;
    response = a1;

    trp_challenge_hash(&a1, (trp_str_t[]) { user, colon, realm, colon,
                                            password }, 5);

    if (challenge->session) {
        trp_challenge_hash(&a1, (trp_str_t[]) { trp_challenge_hashed(&a1),
                                                colon, nonce, colon, cnonce },
                           5);
    }

    trp_challenge_hash(&a2, (trp_str_t[]) { method, colon, uri }, 3);
    trp_challenge_hash(&name, (trp_str_t[]) { user, colon, realm }, 3);

    if (challenge->auth) {
        trp_challenge_hash(&response,
                           (trp_str_t[]) { trp_challenge_hashed(&a1), colon,
                                           nonce, colon, nc, colon, cnonce,
                                           colon, qop, colon,
                                           trp_challenge_hashed(&a2) }, 11);

    } else {
        trp_challenge_hash(&response,
                           (trp_str_t[]) { trp_challenge_hashed(&a1), colon,
                                           nonce, colon,
                                           trp_challenge_hashed(&a2) }, 5);
    }

    if (a1.rc != TRP_OK || a2.rc != TRP_OK || name.rc != TRP_OK
        || response.rc != TRP_OK)
    {
        return 0;
    }

    start = p;

    p = trp_challenge_put(p, "Digest username=\"");
    p = challenge->userhash
        ? trp_challenge_put_str(p, trp_challenge_hashed(&name))
        : trp_challenge_put_quoted(p, user);

    p = trp_challenge_params(challenge, p, uri, trp_challenge_hashed(&response),
                             cnonce, nc);

    return (size_t) (p - start);
}


static uint8_t *
trp_challenge_params(const trp_challenge_t *challenge, uint8_t *p,
    trp_str_t uri, trp_str_t response, trp_str_t cnonce, trp_str_t nc)
{
    p = trp_challenge_put(p, "\", realm=\"");
    p = trp_challenge_put_str(p, (trp_str_t) { challenge->realm_len,
                                               challenge->realm });
    p = trp_challenge_put(p, "\", nonce=\"");
    p = trp_challenge_put_str(p, (trp_str_t) { challenge->nonce_len,
                                               challenge->nonce });
    p = trp_challenge_put(p, "\", uri=\"");
    p = trp_challenge_put_str(p, uri);
    p = trp_challenge_put(p, "\", response=\"");
    p = trp_challenge_put_str(p, response);

    p = trp_challenge_put(p, "\", algorithm=");
    p = trp_challenge_put(p, (challenge->scheme == TRP_CHALLENGE_MD5)
                             ? "MD5" : "SHA-256");

    if (challenge->session) {
        p = trp_challenge_put(p, "-sess");
    }

    if (challenge->auth || challenge->session) {
        p = trp_challenge_put(p, ", cnonce=\"");
        p = trp_challenge_put_str(p, cnonce);
        p = trp_challenge_put(p, "\"");
    }

    if (challenge->auth) {
        p = trp_challenge_put(p, ", qop=auth, nc=");
        p = trp_challenge_put_str(p, nc);
    }

    if (challenge->has_opaque) {
        p = trp_challenge_put(p, ", opaque=\"");
        p = trp_challenge_put_str(p, (trp_str_t) { challenge->opaque_len,
                                                   challenge->opaque });
        p = trp_challenge_put(p, "\"");
    }

    if (challenge->userhash) {
        p = trp_challenge_put(p, ", userhash=true");
    }

    return p;
}


static void
trp_challenge_hash(trp_challenge_hash_t *hash, const trp_str_t *parts,
    size_t n)
{
    size_t    i;
    uint8_t   out[TRP_DIGEST_MAX];

    static const uint8_t  hex[] = "0123456789abcdef";

    if (hash->rc != TRP_OK) {
        return;
    }

    hash->rc = trp_digest(hash->type, out, parts, n);

    if (hash->rc != TRP_OK) {
        return;
    }

    hash->len = 2 * trp_digest_len(hash->type);

    for (i = 0; i < hash->len / 2; i++) {
        hash->text[2 * i] = hex[out[i] >> 4];
        hash->text[2 * i + 1] = hex[out[i] & 15];
    }
}


static trp_str_t
trp_challenge_hashed(const trp_challenge_hash_t *hash)
{
    return (trp_str_t) { hash->len, hash->text };
}


static uint8_t *
trp_challenge_put(uint8_t *p, const char *text)
{
    return trp_challenge_put_str(p, (trp_str_t) { strlen(text),
                                                  (const uint8_t *) text });
}


static uint8_t *
trp_challenge_put_str(uint8_t *p, trp_str_t text)
{
    if (text.len) {
        memcpy(p, text.data, text.len);
    }

    return p + text.len;
}


static uint8_t *
trp_challenge_put_quoted(uint8_t *p, trp_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] == '"' || text.data[i] == '\\') {
            *p++ = '\\';
        }

        *p++ = text.data[i];
    }

    return p;
}


static size_t
trp_challenge_unquote(uint8_t *p, trp_str_t text)
{
    size_t    i;
    uint8_t  *start;

    start = p;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] == '\\' && i + 1 < text.len) {
            i++;
        }

        *p++ = text.data[i];
    }

    return (size_t) (p - start);
}
