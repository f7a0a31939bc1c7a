
#include <string.h>

#include <sodium.h>

#include "trp_acl.h"
#include "trp_addr.h"
#include "trp_keys.h"


#define TRP_KEY_SEED_LEN      32

/* an Ed25519 key takes 500 bytes; the rest is for the comment */

#define TRP_PEM_MAX_LEN       8192
#define TRP_DER_MAX_LEN       (TRP_PEM_MAX_LEN / 4 * 3)

/* uint32 length, "ssh-ed25519", uint32 length, key: RFC 8709, section 4 */

#define TRP_SSH_BLOB_LEN      (4 + 11 + 4 + TRP_KEY_PUBLIC_LEN)

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


typedef struct {
    trp_str_t     name;
    const char *(*parse)(trp_authorized_key_t *key, trp_str_t value);
} trp_key_option_t;


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

static const char *trp_authorized_key_read(trp_authorized_key_t *key,
    trp_str_t line);
static const char *trp_key_options_read(trp_authorized_key_t *key,
    trp_str_t *line);
static const char *trp_key_option_value(trp_str_t *line, trp_str_t *value);
static const char *trp_key_blob_read(uint8_t *public_key, trp_str_t text);
static const char *trp_key_parse_role(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_key_parse_groups(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_key_parse_permitopen(trp_authorized_key_t *key,
    trp_str_t value);
static int trp_permitopen_has_port(trp_str_t text);
static const char *trp_key_parse_from(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_key_parse_expiry(trp_authorized_key_t *key,
    trp_str_t value);
static int64_t trp_days_from_civil(unsigned year, unsigned month,
    unsigned day);
static unsigned trp_days_in_month(unsigned year, unsigned month);

static int trp_list_next(trp_str_t *list, trp_str_t *item, uint8_t alt);
static int trp_wire_uint32(trp_str_t *in, uint32_t *value);
static int trp_wire_string(trp_str_t *in, trp_str_t *value);
static const char *trp_key_kind_error(const trp_key_kind_t *kind,
    trp_str_t id);
static int trp_ssh_type_known(trp_str_t type);
static int trp_str_equal(trp_str_t a, trp_str_t b);
static int trp_str_starts(trp_str_t text, trp_str_t prefix);
static void trp_str_skip(trp_str_t *text, size_t n);
static size_t trp_str_word(trp_str_t text);
static void trp_str_skip_blanks(trp_str_t *text);
static void trp_str_trim(trp_str_t *text);
static int trp_is_blank(uint8_t c);


static const trp_str_t  trp_pem_begin = trp_string("-----BEGIN ");
static const trp_str_t  trp_pem_end = trp_string("-----END ");
static const trp_str_t  trp_pem_dashes = trp_string("-----");

static const trp_str_t  trp_pem_pkcs8 = trp_string("PRIVATE KEY");
static const trp_str_t  trp_pem_openssh = trp_string("OPENSSH PRIVATE KEY");

/* the null byte is a part of it */

static const trp_str_t  trp_openssh_magic = {
    15, (const uint8_t *) "openssh-key-v1"
};

static const trp_str_t  trp_ssh_none = trp_string("none");
static const trp_str_t  trp_ssh_ed25519 = trp_string("ssh-ed25519");
static const trp_str_t  trp_ssh_blob_start = trp_string("AAAA");

static const trp_str_t  trp_putty = trp_string("PuTTY-User-Key-File-");
static const trp_str_t  trp_rfc4716 = trp_string("---- BEGIN SSH2 PUBLIC KEY");

static const trp_str_t  trp_role_entry = trp_string("entry");
static const trp_str_t  trp_role_reverse = trp_string("reverse");

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


/* the last entry of each is for all that is not in the list */

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

/* what the type of a public key starts with in authorized_keys */

static const trp_str_t  trp_ssh_types[] = {
    trp_string("ssh-"),
    trp_string("ecdsa-sha2-"),
    trp_string("sk-ssh-"),
    trp_string("sk-ecdsa-")
};

static const trp_key_option_t  trp_key_options[] = {
    { trp_string("role"), trp_key_parse_role },
    { trp_string("group"), trp_key_parse_groups },
    { trp_string("permitopen"), trp_key_parse_permitopen },
    { trp_string("from"), trp_key_parse_from },
    { trp_string("expiry-time"), trp_key_parse_expiry }
};


#define TRP_KEY_OPTIONS                                                       \
    (sizeof(trp_key_options) / sizeof(trp_key_options[0]))


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

    /* libsodium would skip null bytes: strchr() finds them in " \t\r\n" */

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

    /* the public key is there in version 2 only, whose number is 1 */

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


/* takes one element off "in"; lengths in their shortest form only */

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
    uint32_t   keys;
    trp_str_t  cipher, kdf, kdf_options, blob, type, public_key, private;

    if (!trp_str_starts(in, trp_openssh_magic)) {
        return trp_key_bad_openssh;
    }

    trp_str_skip(&in, trp_openssh_magic.len);

    if (trp_wire_string(&in, &cipher) != TRP_OK
        || trp_wire_string(&in, &kdf) != TRP_OK
        || trp_wire_string(&in, &kdf_options) != TRP_OK
        || trp_wire_uint32(&in, &keys) != TRP_OK)
    {
        return trp_key_bad_openssh;
    }

    if (keys != 1) {
        return "does not have exactly one key";
    }

    if (trp_wire_string(&in, &blob) != TRP_OK
        || trp_wire_string(&in, &private) != TRP_OK
        || trp_wire_string(&blob, &type) != TRP_OK)
    {
        return trp_key_bad_openssh;
    }

    if (!trp_str_equal(type, trp_ssh_ed25519)) {
        return trp_key_kind_error(trp_ssh_kinds, type);
    }

    if (!trp_str_equal(cipher, trp_ssh_none)) {
        return "is encrypted, remove the passphrase with \"ssh-keygen -p\"";
    }

    if (!trp_str_equal(kdf, trp_ssh_none)
        || kdf_options.len != 0
        || trp_wire_string(&blob, &public_key) != TRP_OK
        || public_key.len != TRP_KEY_PUBLIC_LEN
        || blob.len != 0
        || in.len != 0)
    {
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
        || trp_wire_uint32(&in, &check1) != TRP_OK
        || trp_wire_uint32(&in, &check2) != TRP_OK
        || check1 != check2
        || trp_wire_string(&in, &type) != TRP_OK
        || !trp_str_equal(type, trp_ssh_ed25519)
        || trp_wire_string(&in, &pub) != TRP_OK
        || pub.len != TRP_KEY_PUBLIC_LEN
        || trp_wire_string(&in, &pair) != TRP_OK
        || pair.len != TRP_KEY_SECRET_LEN
        || trp_wire_string(&in, &comment) != TRP_OK)
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


/* public_key: what the file says it is, or NULL */

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


int
trp_authorized_key_parse(trp_authorized_key_t *key, trp_str_t line,
    const char **err)
{
    memset(key, 0, sizeof(trp_authorized_key_t));

    trp_str_trim(&line);

    if (line.len == 0 || line.data[0] == '#') {
        return TRP_DECLINED;
    }

    *err = trp_authorized_key_read(key, line);

    if (*err) {
        memset(key, 0, sizeof(trp_authorized_key_t));
        return TRP_ERROR;
    }

    return TRP_OK;
}


static const char *
trp_authorized_key_read(trp_authorized_key_t *key, trp_str_t line)
{
    trp_str_t    word;
    const char  *err;

    if (memchr(line.data, '\0', line.len) != NULL) {
        return "has a null byte";
    }

    key->roles = TRP_ROLE_ENTRY | TRP_ROLE_REVERSE;

    if (trp_str_starts(line, trp_ssh_blob_start)) {
        return "has no key type, write \"ssh-ed25519\" before the key";
    }

    if (!trp_ssh_type_known(line)) {
        err = trp_key_options_read(key, &line);
        if (err) {
            return err;
        }
    }

    word.data = line.data;
    word.len = trp_str_word(line);

    if (!trp_str_equal(word, trp_ssh_ed25519)) {
        return trp_ssh_type_known(word)
               ? "has a key of another type, only \"ssh-ed25519\" is supported"
               : "has an unknown key type, write \"ssh-ed25519\"";
    }

    trp_str_skip(&line, word.len);
    trp_str_skip_blanks(&line);

    word.data = line.data;
    word.len = trp_str_word(line);

    err = trp_key_blob_read(key->public_key, word);
    if (err) {
        return err;
    }

    trp_str_skip(&line, word.len);
    trp_str_skip_blanks(&line);

    key->comment = line;

    return NULL;
}


/* takes the options and the blanks behind them off the line */

static const char *
trp_key_options_read(trp_authorized_key_t *key, trp_str_t *line)
{
    size_t       i, n;
    unsigned     seen;
    trp_str_t    name, value;
    const char  *err;

    seen = 0;

    for ( ;; ) {
        name.data = line->data;

        for (n = 0; n < line->len; n++) {
            if (trp_is_blank(line->data[n]) || line->data[n] == '='
                || line->data[n] == ',' || line->data[n] == '"')
            {
                break;
            }
        }

        name.len = n;
        trp_str_skip(line, n);

        if (name.len == 0) {
            return "has an empty option, "
                   "options are separated by commas without blanks";
        }

        for (i = 0; i < TRP_KEY_OPTIONS; i++) {
            if (trp_name_equal(name, trp_key_options[i].name)) {
                break;
            }
        }

        if (i == TRP_KEY_OPTIONS) {
            return "has an unknown option";
        }

        if (seen & (1U << i)) {
            return "has an option that stands twice";
        }

        seen |= 1U << i;

        err = trp_key_option_value(line, &value);
        if (err) {
            return err;
        }

        err = trp_key_options[i].parse(key, value);
        if (err) {
            return err;
        }

        if (line->len == 0) {
            return "has options but no key";
        }

        if (trp_is_blank(line->data[0])) {
            trp_str_skip_blanks(line);
            return NULL;
        }

        if (line->data[0] != ',') {
            return "has text after a quoted value, "
                   "options are separated by commas";
        }

        trp_str_skip(line, 1);
    }
}


static const char *
trp_key_option_value(trp_str_t *line, trp_str_t *value)
{
    size_t  i;

    if (line->len == 0 || line->data[0] != '=') {
        return "has an option without a value";
    }

    trp_str_skip(line, 1);

    if (line->len == 0 || line->data[0] != '"') {
        return "has an option whose value is not in double quotes";
    }

    trp_str_skip(line, 1);

    for (i = 0; i < line->len; i++) {

        if (line->data[i] == '"') {
            value->len = i;
            value->data = line->data;

            trp_str_skip(line, i + 1);

            return NULL;
        }

        /* a quote is of no use in any value, so the escape is not either */

        if (line->data[i] == '\\') {
            return "has a backslash in a value";
        }
    }

    return "has an option with an unclosed quote";
}


static const char *
trp_key_blob_read(uint8_t *public_key, trp_str_t text)
{
    size_t     len;
    uint8_t    buf[TRP_SSH_BLOB_LEN], unused[TRP_KEY_PUBLIC_LEN];
    trp_str_t  blob, type, value;

    if (text.len == 0) {
        return "has no key after the key type";
    }

    if (sodium_base642bin(buf, sizeof(buf), (const char *) text.data,
                          text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL)
        != 0)
    {
        return "has a key that is not valid base64 of an Ed25519 key";
    }

    blob.len = len;
    blob.data = buf;

    if (trp_wire_string(&blob, &type) != TRP_OK
        || !trp_str_equal(type, trp_ssh_ed25519)
        || trp_wire_string(&blob, &value) != TRP_OK
        || value.len != TRP_KEY_PUBLIC_LEN
        || blob.len != 0)
    {
        return "has a key that is not a whole Ed25519 key";
    }

    /* fails for all that is no point of the curve or of small order */

    if (crypto_sign_ed25519_pk_to_curve25519(unused, value.data) != 0) {
        return "has a key that is not a valid Ed25519 key";
    }

    memcpy(public_key, value.data, TRP_KEY_PUBLIC_LEN);

    return NULL;
}


static const char *
trp_key_parse_role(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t  role;

    key->roles = 0;

    while (trp_list_next(&value, &role, '|')) {

        if (trp_str_equal(role, trp_role_entry)) {
            key->roles |= TRP_ROLE_ENTRY;

        } else if (trp_str_equal(role, trp_role_reverse)) {
            key->roles |= TRP_ROLE_REVERSE;

        } else {
            return "has an invalid role, write \"entry\" or \"reverse\"";
        }
    }

    return NULL;
}


static const char *
trp_key_parse_groups(trp_authorized_key_t *key, trp_str_t value)
{
    size_t     i;
    uint8_t    c;
    trp_str_t  group;

    key->groups = value;

    while (trp_list_next(&value, &group, ',')) {

        if (group.len == 0) {
            return "has an empty group";
        }

        for (i = 0; i < group.len; i++) {
            c = group.data[i];

            if (c <= ' ' || c == 0x7f) {
                return "has a group with a blank in it";
            }

            /* OpenSSH's patterns, which would not do here what they say */

            if (c == '?' || (c == '!' && i == 0)) {
                return "has a group with \"?\" or \"!\", "
                       "only a \"*\" at the end is supported";
            }

            if (c == '*' && i != group.len - 1) {
                return "has a group with \"*\" before its end";
            }
        }
    }

    return NULL;
}


static const char *
trp_key_parse_permitopen(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t       item;
    trp_acl_rule_t  rule;

    key->permitopen = value;

    while (trp_list_next(&value, &item, ',')) {

        if (trp_acl_parse(&rule, item) != NULL) {
            return "has an invalid permitopen, write it as \"HOST:PORT,...\"";
        }

        if (!trp_permitopen_has_port(item)) {
            return "has a permitopen without a port, "
                   "write \"HOST:*\" for every port";
        }
    }

    return NULL;
}


/* of a valid rule: a colon that is not one of an IPv6 address */

static int
trp_permitopen_has_port(trp_str_t text)
{
    const uint8_t  *p, *end;

    p = text.data;
    end = p + text.len;

    if (*p == '[') {
        p = memchr(p, ']', text.len);
        return p != NULL && memchr(p, ':', end - p) != NULL;
    }

    p = memchr(p, ':', text.len);

    return p != NULL && memchr(p + 1, ':', end - p - 1) == NULL;
}


static const char *
trp_key_parse_from(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t   item;
    trp_cidr_t  cidr;

    key->from = value;

    while (trp_list_next(&value, &item, ',')) {

        if (trp_cidr_parse(&cidr, item) != TRP_OK) {
            return "has an invalid from, "
                   "write it as \"ADDRESS,ADDRESS/PREFIX,...\"";
        }
    }

    return NULL;
}


static const char *
trp_key_parse_expiry(trp_authorized_key_t *key, trp_str_t value)
{
    size_t    i;
    unsigned  n[12], year, month, day, hour, minute;

    if (value.len != 0 && value.data[value.len - 1] == 'Z') {
        value.len--;
    }

    if (value.len != 8 && value.len != 12) {
        goto invalid;
    }

    memset(n, 0, sizeof(n));

    for (i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            goto invalid;
        }

        n[i] = value.data[i] - '0';
    }

    year = n[0] * 1000 + n[1] * 100 + n[2] * 10 + n[3];
    month = n[4] * 10 + n[5];
    day = n[6] * 10 + n[7];
    hour = n[8] * 10 + n[9];
    minute = n[10] * 10 + n[11];

    /* the epoch itself would mean "never" */

    if (year < 1971
        || month < 1 || month > 12
        || day < 1 || day > trp_days_in_month(year, month)
        || hour > 23 || minute > 59)
    {
        goto invalid;
    }

    key->expiry = trp_days_from_civil(year, month, day) * 86400
                  + (int64_t) hour * 3600 + (int64_t) minute * 60;

    return NULL;

invalid:

    return "has an invalid expiry-time, write it as \"YYYYMMDD[HHMM]\"";
}


/* days since 1970-01-01; years start in March, so that February is last */

static int64_t
trp_days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t  y, days;

    y = (month > 2) ? year : year - 1;
    month = (month > 2) ? month - 3 : month + 9;

    days = y * 365 + y / 4 - y / 100 + y / 400;
    days += (153 * month + 2) / 5 + (day - 1);

    return days - 719468;
}


static unsigned
trp_days_in_month(unsigned year, unsigned month)
{
    if (month == 2) {
        return ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0)
               ? 29 : 28;
    }

    return (month == 4 || month == 6 || month == 9 || month == 11) ? 30 : 31;
}


int
trp_authorized_key_allows_group(const trp_authorized_key_t *key,
    trp_str_t group)
{
    trp_str_t  list, pattern;

    if (key->groups.data == NULL) {
        return 1;
    }

    list = key->groups;

    while (trp_list_next(&list, &pattern, ',')) {

        if (pattern.len != 0 && pattern.data[pattern.len - 1] == '*') {
            pattern.len--;

            if (trp_str_starts(group, pattern)) {
                return 1;
            }

        } else if (trp_str_equal(group, pattern)) {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_allows_from(const trp_authorized_key_t *key,
    const trp_addr_t *addr)
{
    trp_str_t   list, item;
    trp_cidr_t  cidr;

    if (key->from.data == NULL) {
        return 1;
    }

    list = key->from;

    while (trp_list_next(&list, &item, ',')) {

        if (trp_cidr_parse(&cidr, item) == TRP_OK
            && trp_cidr_match(&cidr, addr))
        {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_allows_open(const trp_authorized_key_t *key,
    const trp_addr_t *addr, trp_str_t name, uint16_t port)
{
    trp_str_t       list, item;
    trp_acl_rule_t  rule;

    if (key->permitopen.data == NULL) {
        return 1;
    }

    list = key->permitopen;

    while (trp_list_next(&list, &item, ',')) {

        if (trp_acl_parse(&rule, item) != NULL) {
            continue;
        }

        if (addr->family != 0 ? trp_acl_match_addr(&rule, addr, port)
                              : trp_acl_match_name(&rule, name, port))
        {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_expired(const trp_authorized_key_t *key, int64_t now)
{
    return key->expiry != 0 && now >= key->expiry;
}


/*
 * Takes the next item off a list; an empty list has one empty item.  Items
 * are separated by commas, or by "alt".
 */

static int
trp_list_next(trp_str_t *list, trp_str_t *item, uint8_t alt)
{
    size_t  i;

    if (list->data == NULL) {
        return 0;
    }

    for (i = 0; i < list->len; i++) {
        if (list->data[i] == ',' || list->data[i] == alt) {
            break;
        }
    }

    item->len = i;
    item->data = list->data;

    if (i == list->len) {
        list->len = 0;
        list->data = NULL;

    } else {
        trp_str_skip(list, i + 1);
    }

    return 1;
}


/* RFC 4251, section 5 */

static int
trp_wire_uint32(trp_str_t *in, uint32_t *value)
{
    if (in->len < 4) {
        return TRP_ERROR;
    }

    *value = (uint32_t) in->data[0] << 24 | (uint32_t) in->data[1] << 16
             | (uint32_t) in->data[2] << 8 | in->data[3];

    trp_str_skip(in, 4);

    return TRP_OK;
}


static int
trp_wire_string(trp_str_t *in, trp_str_t *value)
{
    uint32_t  len;

    if (trp_wire_uint32(in, &len) != TRP_OK || len > in->len) {
        return TRP_ERROR;
    }

    value->len = len;
    value->data = in->data;

    trp_str_skip(in, len);

    return TRP_OK;
}


static const char *
trp_key_kind_error(const trp_key_kind_t *kind, trp_str_t id)
{
    while (kind->id.len != 0 && !trp_str_equal(kind->id, id)) {
        kind++;
    }

    return kind->err;
}


static int
trp_ssh_type_known(trp_str_t type)
{
    size_t  i;

    for (i = 0; i < sizeof(trp_ssh_types) / sizeof(trp_ssh_types[0]); i++) {
        if (trp_str_starts(type, trp_ssh_types[i])) {
            return 1;
        }
    }

    return 0;
}


static int
trp_str_equal(trp_str_t a, trp_str_t b)
{
    return a.len == b.len && trp_str_starts(a, b);
}


static int
trp_str_starts(trp_str_t text, trp_str_t prefix)
{
    return text.len >= prefix.len
           && (prefix.len == 0
               || memcmp(text.data, prefix.data, prefix.len) == 0);
}


static void
trp_str_skip(trp_str_t *text, size_t n)
{
    text->data += n;
    text->len -= n;
}


/* the length of what stands before the first blank */

static size_t
trp_str_word(trp_str_t text)
{
    size_t  n;

    for (n = 0; n < text.len && !trp_is_blank(text.data[n]); n++) {
        /* void */
    }

    return n;
}


static void
trp_str_skip_blanks(trp_str_t *text)
{
    while (text->len != 0 && trp_is_blank(text->data[0])) {
        trp_str_skip(text, 1);
    }
}


static void
trp_str_trim(trp_str_t *text)
{
    trp_str_skip_blanks(text);

    while (text->len != 0 && trp_is_blank(text->data[text->len - 1])) {
        text->len--;
    }
}


static int
trp_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
