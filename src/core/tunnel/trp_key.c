
/*
 * Copyright (C) the trp authors
 */


/*
 * Private keys in PEM, DER and OpenSSH's own format.  Lengths in DER must have
 * the shortest encoding, every copy of a secret is wiped, and for other types
 * of keys the error names the type.
 */


#include <string.h>

#include <sodium.h>

#include "tunnel/trp_key.h"
#include "tunnel/trp_ssh.h"
#include "base/trp_str.h"


#define TRP_KEY_SEED_LEN      32

/* an Ed25519 key takes 500 bytes; the rest is for the comment */

#define TRP_PEM_MAX_LEN       8192
#define TRP_DER_MAX_LEN       (TRP_PEM_MAX_LEN / 4 * 3)

#define TRP_DER_INTEGER       0x02
#define TRP_DER_OCTET_STRING  0x04
#define TRP_DER_OID           0x06
#define TRP_DER_SEQUENCE      0x30
#define TRP_DER_ATTRIBUTES    0xa0     /* [0] IMPLICIT, RFC 5958, section 2 */
#define TRP_DER_PUBLIC_KEY    0x81     /* [1] IMPLICIT */


typedef struct {
    trp_str_t     id;
    const char   *err;
} trp_key_kind_t;


static const char *trp_key_read(uint8_t *secret, trp_str_t file);
static const char *trp_key_read_pem(uint8_t *secret, trp_str_t text);
static const char *trp_pem_split(trp_str_t text, trp_str_t *label,
    trp_str_t *body);
static const char *trp_pem_decode(uint8_t *buf, trp_str_t *out,
    trp_str_t body);
static const char *trp_key_read_pkcs8(uint8_t *secret, trp_str_t der);
static int trp_der_read(trp_str_t *in, uint8_t tag, trp_str_t *value);
static const char *trp_key_read_openssh(uint8_t *secret, trp_str_t in);
static const char *trp_key_read_openssh_private(uint8_t *secret, trp_str_t in,
    const uint8_t *public_key);
static const char *trp_key_derive(uint8_t *secret, const uint8_t *seed,
    const uint8_t *public_key);
static const char *trp_key_kind_error(const trp_key_kind_t *kind,
    trp_str_t id);


static const trp_str_t  trp_pem_begin = trp_string("-----BEGIN ");
static const trp_str_t  trp_pem_end = trp_string("-----END ");
static const trp_str_t  trp_pem_dashes = trp_string("-----");

static const trp_str_t  trp_pem_pkcs8 = trp_string("PRIVATE KEY");
static const trp_str_t  trp_pem_openssh = trp_string("OPENSSH PRIVATE KEY");

/* the null byte is part of it */

static const trp_str_t  trp_openssh_magic = {
    15, (const uint8_t *) "openssh-key-v1"
};

static const trp_str_t  trp_ssh_none = trp_string("none");

static const trp_str_t  trp_putty = trp_string("PuTTY-User-Key-File-");
static const trp_str_t  trp_rfc4716 = trp_string("---- BEGIN SSH2 PUBLIC KEY");

static const trp_str_t  trp_oid_ed25519 = trp_string("\x2b\x65\x70");


static const char  trp_key_rsa[] =
    "is an RSA key, make an Ed25519 key with \"ssh-keygen -t ed25519\"";
static const char  trp_key_ecdsa[] =
    "is an ECDSA key, make an Ed25519 key with \"ssh-keygen -t ed25519\"";
static const char  trp_key_dsa[] =
    "is a DSA key, make an Ed25519 key with \"ssh-keygen -t ed25519\"";
static const char  trp_key_other[] =
    "is not an Ed25519 key, make one with \"ssh-keygen -t ed25519\"";
static const char  trp_key_public[] =
    "is a public key, the private key is needed";
static const char  trp_key_unknown[] =
    "is not a private key, which is a PEM file, an OpenSSH key or 64 bytes";
static const char  trp_key_bad_pkcs8[] = "is not a well-formed PKCS#8 key";
static const char  trp_key_bad_openssh[] = "is not a well-formed OpenSSH key";
static const char  trp_key_bad_pair[] =
    "has a public half that does not belong to its private half";


/* the last entry of each list is the default */

static const trp_key_kind_t  trp_pem_kinds[] = {
    { trp_string("ENCRYPTED PRIVATE KEY"),
      "is encrypted, remove the passphrase with \"openssl pkey\"" },
    { trp_string("RSA PRIVATE KEY"), trp_key_rsa },
    { trp_string("EC PRIVATE KEY"), trp_key_ecdsa },
    { trp_string("EC PARAMETERS"), trp_key_ecdsa },
    { trp_string("DSA PRIVATE KEY"), trp_key_dsa },
    { trp_string("PUBLIC KEY"), trp_key_public },
    { trp_string("RSA PUBLIC KEY"), trp_key_public },
    { trp_string("CERTIFICATE"),
      "is a certificate, the private key is needed" },
    { { 0, NULL }, trp_key_unknown }
};

/* RFC 8017, appendix A.1; RFC 5480, section 2.1.1; RFC 3279, section 2.3.2 */

static const trp_key_kind_t  trp_oid_kinds[] = {
    { trp_string("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), trp_key_rsa },
    { trp_string("\x2a\x86\x48\xce\x3d\x02\x01"), trp_key_ecdsa },
    { trp_string("\x2a\x86\x48\xce\x38\x04\x01"), trp_key_dsa },
    { { 0, NULL }, trp_key_other }
};

static const trp_key_kind_t  trp_ssh_kinds[] = {
    { trp_string("ssh-rsa"), trp_key_rsa },
    { trp_string("ssh-dss"), trp_key_dsa },
    { trp_string("ecdsa-sha2-nistp256"), trp_key_ecdsa },
    { trp_string("ecdsa-sha2-nistp384"), trp_key_ecdsa },
    { trp_string("ecdsa-sha2-nistp521"), trp_key_ecdsa },
    { trp_string("sk-ssh-ed25519@openssh.com"),
      "is a key of a hardware token, which cannot be used here" },
    { { 0, NULL }, trp_key_other }
};


const char *
trp_key_parse(uint8_t secret[TRP_KEY_SECRET_LEN], trp_str_t file)
{
    const char  *err;

    err = trp_key_read(secret, file);

    if (err) {
        sodium_memzero(secret, TRP_KEY_SECRET_LEN);
    }

    return err;
}


int
trp_key_is_public(trp_str_t file)
{
    trp_str_t    text, label, body;
    const char  *err;

    text = file;
    trp_str_trim(&text);

    if (!trp_str_starts(text, trp_pem_begin)) {
        return trp_ssh_type_known(text) || trp_str_starts(text, trp_rfc4716);
    }

    err = trp_pem_split(text, &label, &body);

    return err == NULL
           && trp_key_kind_error(trp_pem_kinds, label) == trp_key_public;
}


static const char *
trp_key_read(uint8_t *secret, trp_str_t file)
{
    trp_str_t  text;

    text = file;
    trp_str_trim(&text);

    if (text.len == 0) {
        return "is empty";
    }

    if (trp_str_starts(text, trp_pem_begin)) {
        return trp_key_read_pem(secret, text);
    }

    if (trp_ssh_type_known(text) || trp_str_starts(text, trp_rfc4716)) {
        return trp_key_public;
    }

    if (trp_str_starts(text, trp_putty)) {
        return "is a PuTTY key, convert it with "
               "\"puttygen -O private-openssh-new\"";
    }

    if (file.len == TRP_KEY_SECRET_LEN) {
        return trp_key_derive(secret, file.data,
                              file.data + TRP_KEY_SEED_LEN);
    }

    return trp_key_unknown;
}


static const char *
trp_key_read_pem(uint8_t *secret, trp_str_t text)
{
    uint8_t      buf[TRP_DER_MAX_LEN];
    trp_str_t    label, body, der;
    const char  *err;

    err = trp_pem_split(text, &label, &body);
    if (err) {
        return err;
    }

    if (!trp_str_equal(label, trp_pem_pkcs8)
        && !trp_str_equal(label, trp_pem_openssh))
    {
        return trp_key_kind_error(trp_pem_kinds, label);
    }

    err = trp_pem_decode(buf, &der, body);

    if (err == NULL) {
        err = trp_str_equal(label, trp_pem_pkcs8)
              ? trp_key_read_pkcs8(secret, der)
              : trp_key_read_openssh(secret, der);
    }

    sodium_memzero(buf, sizeof(buf));

    return err;
}


static const char *
trp_pem_split(trp_str_t text, trp_str_t *label, trp_str_t *body)
{
    size_t  i;

    trp_str_skip(&text, trp_pem_begin.len);

    *label = text;
    label->len = 0;

    while (text.len && text.data[0] != '-' && text.data[0] != '\n') {
        trp_str_skip(&text, 1);
        label->len++;
    }

    if (!trp_str_starts(text, trp_pem_dashes)) {
        return trp_key_unknown;
    }

    trp_str_skip(&text, trp_pem_dashes.len);

    *body = text;

    for (i = 0; i < text.len && text.data[i] != '-'; i++) { /* void */ }

    body->len = i;
    trp_str_skip(&text, i);

    if (text.len == 0) {
        return "is cut off, it has no END line";
    }

    if (!trp_str_starts(text, trp_pem_end)) {
        return "has an invalid END line";
    }

    trp_str_skip(&text, trp_pem_end.len);

    if (!trp_str_starts(text, *label)) {
        return "has an END line that does not match its BEGIN line";
    }

    trp_str_skip(&text, label->len);

    if (!trp_str_starts(text, trp_pem_dashes)) {
        return "has an invalid END line";
    }

    if (text.len != trp_pem_dashes.len) {
        return "has text after the key";
    }

    return NULL;
}


static const char *
trp_pem_decode(uint8_t *buf, trp_str_t *out, trp_str_t body)
{
    size_t  len;

    if (body.len > TRP_PEM_MAX_LEN) {
        return "is too long for an Ed25519 key";
    }

    /* libsodium would skip null bytes: its strchr(" \t\r\n") finds them */

    if (memchr(body.data, '\0', body.len) != NULL
        || sodium_base642bin(buf, TRP_DER_MAX_LEN, (const char *) body.data,
                             body.len, " \t\r\n", &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL)
           != 0)
    {
        return "has invalid base64";
    }

    out->len = len;
    out->data = buf;

    return NULL;
}


static const char *
trp_key_read_pkcs8(uint8_t *secret, trp_str_t der)
{
    trp_str_t       seq, version, algorithm, oid, seed, attributes, bits;
    const uint8_t  *public_key;

    if (trp_der_read(&der, TRP_DER_SEQUENCE, &seq) != TRP_OK
        || der.len != 0
        || trp_der_read(&seq, TRP_DER_INTEGER, &version) != TRP_OK
        || version.len != 1
        || version.data[0] > 1
        || trp_der_read(&seq, TRP_DER_SEQUENCE, &algorithm) != TRP_OK
        || trp_der_read(&algorithm, TRP_DER_OID, &oid) != TRP_OK)
    {
        return trp_key_bad_pkcs8;
    }

    if (!trp_str_equal(oid, trp_oid_ed25519)) {
        return trp_key_kind_error(trp_oid_kinds, oid);
    }

    /* an OCTET STRING in an OCTET STRING: RFC 8410, section 7 */

    if (algorithm.len != 0
        || trp_der_read(&seq, TRP_DER_OCTET_STRING, &bits) != TRP_OK
        || trp_der_read(&bits, TRP_DER_OCTET_STRING, &seed) != TRP_OK
        || bits.len != 0
        || seed.len != TRP_KEY_SEED_LEN)
    {
        return trp_key_bad_pkcs8;
    }

    if (seq.len != 0 && seq.data[0] == TRP_DER_ATTRIBUTES
        && trp_der_read(&seq, TRP_DER_ATTRIBUTES, &attributes) != TRP_OK)
    {
        return trp_key_bad_pkcs8;
    }

    public_key = NULL;

    /* only version 2, encoded as 1, has a public key */

    if (version.data[0] == 1) {
        if (trp_der_read(&seq, TRP_DER_PUBLIC_KEY, &bits) != TRP_OK
            || bits.len != 1 + TRP_KEY_PUBLIC_LEN
            || bits.data[0] != 0)
        {
            return trp_key_bad_pkcs8;
        }

        public_key = bits.data + 1;
    }

    if (seq.len != 0) {
        return trp_key_bad_pkcs8;
    }

    return trp_key_derive(secret, seed.data, public_key);
}


/* removes one element from "in"; its length must have the shortest encoding */

static int
trp_der_read(trp_str_t *in, uint8_t tag, trp_str_t *value)
{
    size_t  len, n;

    if (in->len < 2 || in->data[0] != tag) {
        return TRP_ERROR;
    }

    len = in->data[1];
    trp_str_skip(in, 2);

    if (len & 0x80) {
        n = len & 0x7f;

        if (n < 1 || n > 2 || n > in->len || in->data[0] == 0) {
            return TRP_ERROR;
        }

        for (len = 0; n; n--) {
            len = len << 8 | in->data[0];
            trp_str_skip(in, 1);
        }

        if (len < 0x80) {
            return TRP_ERROR;
        }
    }

    if (len > in->len) {
        return TRP_ERROR;
    }

    value->len = len;
    value->data = in->data;

    trp_str_skip(in, len);

    return TRP_OK;
}


/* PROTOCOL.key of OpenSSH */

static const char *
trp_key_read_openssh(uint8_t *secret, trp_str_t in)
{
    int        rc;
    uint32_t   keys;
    trp_str_t  cipher, kdf, kdf_options, blob, type, public_key, private;

    if (!trp_str_starts(in, trp_openssh_magic)) {
        return trp_key_bad_openssh;
    }

    trp_str_skip(&in, trp_openssh_magic.len);

    if (trp_ssh_string(&in, &cipher) != TRP_OK
        || trp_ssh_string(&in, &kdf) != TRP_OK
        || trp_ssh_string(&in, &kdf_options) != TRP_OK
        || trp_ssh_uint32(&in, &keys) != TRP_OK)
    {
        return trp_key_bad_openssh;
    }

    if (keys != 1) {
        return "does not have exactly one key";
    }

    if (trp_ssh_string(&in, &blob) != TRP_OK
        || trp_ssh_string(&in, &private) != TRP_OK)
    {
        return trp_key_bad_openssh;
    }

    rc = trp_ssh_public_key(&blob, &type, &public_key);

    if (rc == TRP_DECLINED) {
        return trp_key_kind_error(trp_ssh_kinds, type);
    }

    if (rc != TRP_OK || blob.len != 0 || in.len != 0) {
        return trp_key_bad_openssh;
    }

    if (!trp_str_equal(cipher, trp_ssh_none)) {
        return "is encrypted, remove the passphrase with \"ssh-keygen -p\"";
    }

    if (!trp_str_equal(kdf, trp_ssh_none) || kdf_options.len != 0) {
        return trp_key_bad_openssh;
    }

    return trp_key_read_openssh_private(secret, private, public_key.data);
}


static const char *
trp_key_read_openssh_private(uint8_t *secret, trp_str_t in,
    const uint8_t *public_key)
{
    size_t     i;
    uint32_t   check1, check2;
    trp_str_t  type, pub, pair, comment;

    /* 8 is the block size of the cipher "none" */

    if (in.len % 8 != 0
        || trp_ssh_uint32(&in, &check1) != TRP_OK
        || trp_ssh_uint32(&in, &check2) != TRP_OK
        || check1 != check2
        || trp_ssh_public_key(&in, &type, &pub) != TRP_OK
        || trp_ssh_string(&in, &pair) != TRP_OK
        || pair.len != TRP_KEY_SECRET_LEN
        || trp_ssh_string(&in, &comment) != TRP_OK)
    {
        return trp_key_bad_openssh;
    }

    for (i = 0; i < in.len; i++) {
        if (in.data[i] != ((i + 1) & 0xff)) {
            return trp_key_bad_openssh;
        }
    }

    if (memcmp(pub.data, public_key, TRP_KEY_PUBLIC_LEN) != 0
        || memcmp(pair.data + TRP_KEY_SEED_LEN, public_key,
                  TRP_KEY_PUBLIC_LEN)
           != 0)
    {
        return trp_key_bad_pair;
    }

    return trp_key_derive(secret, pair.data, public_key);
}


/* "public_key" is the one in the file, or NULL */

static const char *
trp_key_derive(uint8_t *secret, const uint8_t *seed,
    const uint8_t *public_key)
{
    uint8_t  derived[TRP_KEY_PUBLIC_LEN];

    crypto_sign_ed25519_seed_keypair(derived, secret, seed);

    if (public_key != NULL
        && memcmp(derived, public_key, TRP_KEY_PUBLIC_LEN) != 0)
    {
        return trp_key_bad_pair;
    }

    return NULL;
}


static const char *
trp_key_kind_error(const trp_key_kind_t *kind, trp_str_t id)
{
    while (kind->id.len != 0 && !trp_str_equal(kind->id, id)) {
        kind++;
    }

    return kind->err;
}


void
trp_key_fingerprint(char text[TRP_FINGERPRINT_LEN],
    const uint8_t public_key[TRP_KEY_PUBLIC_LEN])
{
    /* the blob of RFC 8709, section 4 */

    static const char  start[] = "\0\0\0\013ssh-ed25519\0\0\0\040";

    uint8_t  blob[sizeof(start) - 1 + TRP_KEY_PUBLIC_LEN];
    uint8_t  hash[crypto_hash_sha256_BYTES];

    memcpy(blob, start, sizeof(start) - 1);
    memcpy(blob + sizeof(start) - 1, public_key, TRP_KEY_PUBLIC_LEN);

    (void) crypto_hash_sha256(hash, blob, sizeof(blob));

    memcpy(text, "SHA256:", sizeof("SHA256:"));

    sodium_bin2base64(text + sizeof("SHA256:") - 1,
                      TRP_FINGERPRINT_LEN - (sizeof("SHA256:") - 1), hash,
                      sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
