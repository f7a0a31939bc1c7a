
/*
 * Copyright (C) the trp authors
 */


/*
 * Private keys: every form, cut at every length, with every bit flipped.  The
 * keys were made for this test by openssl and ssh-keygen and are in use
 * nowhere.
 */


#include <stdlib.h>

#include <sodium.h>

#include "tap.h"

#include "tunnel/trp_key.h"


#define UNKNOWN                                                               \
    "is not a private key, which is a PEM file, an OpenSSH key or 64 bytes"
#define MAKE      "make an Ed25519 key with \"ssh-keygen -t ed25519\""
#define RSA       "is an RSA key, " MAKE
#define ECDSA     "is an ECDSA key, " MAKE
#define DSA       "is a DSA key, " MAKE
#define OTHER                                                                 \
    "is not an Ed25519 key, make one with \"ssh-keygen -t ed25519\""
#define PUBLIC    "is a public key, the private key is needed"
#define PKCS8     "is not a well-formed PKCS#8 key"
#define OPENSSH   "is not a well-formed OpenSSH key"
#define PAIR      "has a public half that does not belong to its private half"


static const char  p8_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIMGzCO0vP0ItWbIN1sygIqt+ed1OY86+fx+cLf5dwYj9\n"
    "-----END PRIVATE KEY-----\n";

static const char  p8_pub[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAugxrgHEnM+9QHuAvNBPhpkNn3oqMmNsPxHoMAGSlUSc=\n"
    "-----END PUBLIC KEY-----\n";

static const char  p8_encrypted_pem[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjl0DK3MNRh1wICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEACcot3h86EWV50Fd/ze4csEQGNa\n"
    "VikJRPdJx9q6vaIvj780FACGDPKbXELLLVOTu/1AZmp3ke9lmfk+oBfdsqhOh0ka\n"
    "xuwe/xOomH7Z4cia/fE=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char  rfc8410_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
    "oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n"
    "Z9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PRIVATE KEY-----\n";

static const char  rfc8410_pub[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n";

static const char  rsa_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKoL3Jda97Nlv6g7\n"
    "5AQfg4zxJKE4Yucc5xLEk16VXn7pme2cSjtUdpb47CWXgyCBojounf7PqkPArm0A\n"
    "E/UmXajACq8ku6osD9zTwMH+pmdv9CDZIMiynaaKxmh1v5S/1bhpnRC+B7jreZj7\n"
    "ovxxi/pAAs/H8Olz+RbQRVWD9TTDAgMBAAECgYAiDLwAJrwA1Tf6dPukg7bwyvyd\n"
    "t8++HYB7tpcX0msYmKg09x26IaCZfIC0ylD8eljEs775XhXm+Tc0JlbYuPT52MD2\n"
    "pONc7CuaOoHZxdBFsKCtY1KXS6eOl4W1cbGSrqK1tqktwTbSM2/cjXOzeYkAdZPg\n"
    "i/+W0dJFnhijqbaw8QJBANzjDtgQVBpW4/FcYnLEoCYPPfbqdhDWg7PNTR1bwY9J\n"
    "VzDNyfaDEgZPry1PtFCAT4edIGTJRt7uhBPXl97cuIkCQQDFE9tpK4F2qjJzFFPZ\n"
    "K7P1XCMBbMu7LgjamHxUcvSkLrxf08ZQMpgkbRQhskktim2hWh1V2Q+9TbDUTRbs\n"
    "x5frAkAkAnAdESxkzt2CL4ltJFjnW3zCkB6HSDFYUpPLwXWgolgwgJv4MA30MXFh\n"
    "dajzprdQaHErfRSsqz2k7nS3xEvhAkBaqJvScZUIxZqXnc5EpPoP8OaZjTbbUH36\n"
    "MRNgtdEchfNaEc20rtGWUCdmqOFI9dkg1JeSGlxHNSoXP69AFUEpAkEArdSdIlDK\n"
    "3BcPKv6UZTe633EuQDEHiMh5yCez9s8HhnmcYU01aG63s74vSsXH/cGI2Chy8xTS\n"
    "7/zEa7RyKOGvxw==\n"
    "-----END PRIVATE KEY-----\n";

static const char  rsa_pkcs1_pem[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXAIBAAKBgQCqC9yXWvezZb+oO+QEH4OM8SShOGLnHOcSxJNelV5+6ZntnEo7\n"
    "VHaW+Owll4MggaI6Lp3+z6pDwK5tABP1Jl2owAqvJLuqLA/c08DB/qZnb/Qg2SDI\n"
    "sp2misZodb+Uv9W4aZ0Qvge463mY+6L8cYv6QALPx/Dpc/kW0EVVg/U0wwIDAQAB\n"
    "AoGAIgy8ACa8ANU3+nT7pIO28Mr8nbfPvh2Ae7aXF9JrGJioNPcduiGgmXyAtMpQ\n"
    "/HpYxLO++V4V5vk3NCZW2Lj0+djA9qTjXOwrmjqB2cXQRbCgrWNSl0unjpeFtXGx\n"
    "kq6itbapLcE20jNv3I1zs3mJAHWT4Iv/ltHSRZ4Yo6m2sPECQQDc4w7YEFQaVuPx\n"
    "XGJyxKAmDz326nYQ1oOzzU0dW8GPSVcwzcn2gxIGT68tT7RQgE+HnSBkyUbe7oQT\n"
    "15fe3LiJAkEAxRPbaSuBdqoycxRT2Suz9VwjAWzLuy4I2ph8VHL0pC68X9PGUDKY\n"
    "JG0UIbJJLYptoVodVdkPvU2w1E0W7MeX6wJAJAJwHREsZM7dgi+JbSRY51t8wpAe\n"
    "h0gxWFKTy8F1oKJYMICb+DAN9DFxYXWo86a3UGhxK30UrKs9pO50t8RL4QJAWqib\n"
    "0nGVCMWal53ORKT6D/DmmY0221B9+jETYLXRHIXzWhHNtK7RllAnZqjhSPXZINSX\n"
    "khpcRzUqFz+vQBVBKQJBAK3UnSJQytwXDyr+lGU3ut9xLkAxB4jIecgns/bPB4Z5\n"
    "nGFNNWhut7O+L0rFx/3BiNgocvMU0u/8xGu0cijhr8c=\n"
    "-----END RSA PRIVATE KEY-----\n";

static const char  ec_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXe7fdyTn+AmN2DaC\n"
    "yUVDmIuS162aCVOLQ45YQkNlUw2hRANCAATtR3o1oU/IPZkELkNKMnTKvNXDSP0j\n"
    "6WrzeX2EUa0sp9cMYDp8FJmvC8KKPF39g5rIDUY8ryI1CP9Dd2+HoFWv\n"
    "-----END PRIVATE KEY-----\n";

static const char  ec_sec1_pem[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIF3u33ck5/gJjdg2gslFQ5iLktetmglTi0OOWEJDZVMNoAoGCCqGSM49\n"
    "AwEHoUQDQgAE7Ud6NaFPyD2ZBC5DSjJ0yrzVw0j9I+lq83l9hFGtLKfXDGA6fBSZ\n"
    "rwvCijxd/YOayA1GPK8iNQj/Q3dvh6BVrw==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char  x25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEILh9EidJwlK74bFTey/okACwubpg8YfFVI395TSUM/RI\n"
    "-----END PRIVATE KEY-----\n";

static const char  ed448_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MEcCAQAwBQYDK2VxBDsEObej/VO/f4AqXshjB0aYIx5n75VDS4wB6b1lQoJLdUZl\n"
    "MFje+IPeNJoMf5A9mIF5IXsrBUF4xcx+TA==\n"
    "-----END PRIVATE KEY-----\n";

static const char  ssh_pem[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACB8QAtu6cPEnypjXP2/vxX9CawspXljWVlTFDhJuapqkQAAAJA9i699PYuv\n"
    "fQAAAAtzc2gtZWQyNTUxOQAAACB8QAtu6cPEnypjXP2/vxX9CawspXljWVlTFDhJuapqkQ\n"
    "AAAECTNW9fFgRmsCsD6dCw2jj/8ExOBHIbXTsWM7eimvZhvnxAC27pw8SfKmNc/b+/Ff0J\n"
    "rCyleWNZWVMUOEm5qmqRAAAACHRlc3RAdHJwAQIDBAU=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char  ssh_nocomment_pem[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBlgWhkEv+jowKJjE4GJVNqka57tpVsHWOVeqeAp263jgAAAIg6L56oOi+e\n"
    "qAAAAAtzc2gtZWQyNTUxOQAAACBlgWhkEv+jowKJjE4GJVNqka57tpVsHWOVeqeAp263jg\n"
    "AAAEArSYHetyMYA72Qu8HCp69WRo3FqcnN3V1HERbyPrmZ9mWBaGQS/6OjAomMTgYlU2qR\n"
    "rnu2lWwdY5V6p4CnbreOAAAAAAECAwQF\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char  ssh_encrypted_pem[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBNYg1Z55\n"
    "7MEk6lg59NzS9DAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINpzlwHWsONXkxo7\n"
    "+LkaD/hbfIV/Q6LULbg3Ev/9dtaRAAAAkG542qks15G5Qk8bYg5/U127iuHxmC9nablQOF\n"
    "XwucW0E2FIEn4fMnuu+pNp+jzFwsar30khMEDKprTV3p8DtE/NrFGZpWY8Gk+eZ1YYikG0\n"
    "X1vjNw855N/KHANqfrBR6oWsPQebrshFL0+o+eYdGdt9yloQ5/YeUC5LgCTvcvHMNGKaj/\n"
    "rOfWanf5+Z1q84ig==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char  ssh_rsa_pem[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn\n"
    "NhAAAAAwEAAQAAAIEAvqDNkd7syqjtT0+YJ9/iq5li6UChRoeHfgS5UejJQGLL4XcIMsGu\n"
    "thABQI2UL1gl0NVZ7RIoWIo73SooJgINcDMgH/Yak0cZlfniofoVOvZipiJc5VegsbGIjI\n"
    "VZt7Bf5pOjU+8qeyVUBY+b7jIYy66bR4liufvIvs2rG71feDcAAAH41HuYydR7mMkAAAAH\n"
    "c3NoLXJzYQAAAIEAvqDNkd7syqjtT0+YJ9/iq5li6UChRoeHfgS5UejJQGLL4XcIMsGuth\n"
    "ABQI2UL1gl0NVZ7RIoWIo73SooJgINcDMgH/Yak0cZlfniofoVOvZipiJc5VegsbGIjIVZ\n"
    "t7Bf5pOjU+8qeyVUBY+b7jIYy66bR4liufvIvs2rG71feDcAAAADAQABAAAAgE9qoJnf3J\n"
    "iFjfAXwdUC4eUJjvqL8WR3vAvVHfuw1n8bacLxmxnCNO4mds8U7KJYv9BjwgYRJXvVgyEd\n"
    "mgJTopLembDwEQBwrd5GoTCUONEN834G1dZVz/HLzXq9MvuIgzDzCkbGsX/0rGJiqlCcgI\n"
    "5a9V4JeujkWl7cM5t0F0IhAAAAQHdyihzL+jrixWUqGae8TT/iOwm5kxiN6BWtpRplYMrB\n"
    "098l8g2EiiBby7QqRhey2Zy3k+KonLuUTMQDZAaGztcAAABBAOUXEb/XjcGaE40pLjLdzh\n"
    "pUsli736gLey7pABcCKOuIou9j1SQsLGOEr2d/WimqmCch8vc+Z7u23th09677BtEAAABB\n"
    "ANUFJmLf5n+Y92hZyMnzXqgfp6Y5u1N3xnAtdAJGHGlSYSpOwvVotA559K496IPGChc27+\n"
    "Y/VxYBZhRy5JKI4IcAAAABcgEC\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char  ssh_ecdsa_pem[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQS7OPE1DRT1cs4wmOco5dIyGS0Oswq4\n"
    "jcRTGA+TCTwXnMP2dCxEBzFM3x/BddW/toIubAXeMPesimhDVYqDAzywAAAAoH08c059PH\n"
    "NOAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLs48TUNFPVyzjCY\n"
    "5yjl0jIZLQ6zCriNxFMYD5MJPBecw/Z0LEQHMUzfH8F11b+2gi5sBd4w96yKaENVioMDPL\n"
    "AAAAAgKT/SpRG/qulI+H16fSo2GVwA0WgyiC1NXkcBdTxTwPYAAAABZQECAwQFBgc=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";


/* what "openssl pkey -text" prints of p8_pem */

static const uint8_t  p8_secret[64] = {
    0xc1, 0xb3, 0x08, 0xed, 0x2f, 0x3f, 0x42, 0x2d,
    0x59, 0xb2, 0x0d, 0xd6, 0xcc, 0xa0, 0x22, 0xab,
    0x7e, 0x79, 0xdd, 0x4e, 0x63, 0xce, 0xbe, 0x7f,
    0x1f, 0x9c, 0x2d, 0xfe, 0x5d, 0xc1, 0x88, 0xfd,
    0xba, 0x0c, 0x6b, 0x80, 0x71, 0x27, 0x33, 0xef,
    0x50, 0x1e, 0xe0, 0x2f, 0x34, 0x13, 0xe1, 0xa6,
    0x43, 0x67, 0xde, 0x8a, 0x8c, 0x98, 0xdb, 0x0f,
    0xc4, 0x7a, 0x0c, 0x00, 0x64, 0xa5, 0x51, 0x27
};


static const char  *valid[] = {
    p8_pem, rfc8410_pem, ssh_pem, ssh_nocomment_pem
};


static const char  ssh_pub[] =
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIHxAC27pw8SfKmNc/b+/Ff0JrCyleWNZWVMUOEm5qmqR"
    " test@trp\n";

static const char  rsa_pub[] =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC+oM2R3uzKqO1PT5gn3+KrmWLpQKFG"
    "h4d+BLlR6MlAYsvhdwgywa62EAFAjZQvWCXQ1VntEihYijvdKigmAg1wMyAf9hqTRxmV"
    "+eKh+hU69mKmIlzlV6CxsYiMhVm3sF/mk6NT7yp7JVQFj5vuMhjLrptHiWK5+8i+zasb"
    "vV94Nw== r";


/* of ssh_pem and ssh_pub */

static const uint8_t  ssh_public[32] = {
    0x7c, 0x40, 0x0b, 0x6e, 0xe9, 0xc3, 0xc4, 0x9f,
    0x2a, 0x63, 0x5c, 0xfd, 0xbf, 0xbf, 0x15, 0xfd,
    0x09, 0xac, 0x2c, 0xa5, 0x79, 0x63, 0x59, 0x59,
    0x53, 0x14, 0x38, 0x49, 0xb9, 0xaa, 0x6a, 0x91
};


/* a copy without a byte to spare, so that ASan sees reads past the end */

static trp_str_t
text_n(const void *s, size_t len)
{
    static char      *slot[64];
    static unsigned   next;

    trp_str_t         str;

    next = (next + 1) % 64;
    free(slot[next]);

    slot[next] = malloc(len);
    memcpy(slot[next], s, len);

    str.len = len;
    str.data = (uint8_t *) slot[next];

    return str;
}


static int
all_zero(const void *data, size_t len)
{
    return sodium_is_zero(data, len);
}


/* the error for these bytes; "secret" is the key, or zero */

static const char *
parse_n(uint8_t *secret, const void *file, size_t len)
{
    const char  *err;

    memset(secret, 0xa5, TRP_KEY_SECRET_LEN);
    err = trp_key_parse(secret, text_n(file, len));

    if (err && !all_zero(secret, TRP_KEY_SECRET_LEN)) {
        return "left something in the secret";
    }

    return err;
}


static const char *
parse(const char *file)
{
    uint8_t  secret[TRP_KEY_SECRET_LEN];

    return parse_n(secret, file, strlen(file));
}


static const char *
parse_pem(uint8_t *secret, const char *label, const uint8_t *der, size_t len)
{
    char  pem[4096], base64[3072];

    sodium_bin2base64(base64, sizeof(base64), der, len,
                      sodium_base64_VARIANT_ORIGINAL);

    snprintf(pem, sizeof(pem), "-----BEGIN %s-----\n%s\n-----END %s-----\n",
             label, base64, label);

    return parse_n(secret, pem, strlen(pem));
}


static size_t
decode_pem(uint8_t *der, size_t size, const char *pem)
{
    size_t       len;
    const char  *start, *end;

    start = strchr(pem, '\n');
    end = strstr(pem, "-----END");

    if (sodium_base642bin(der, size, start, end - start, "\n", &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL)
        != 0)
    {
        return 0;
    }

    return len;
}


/* is the second half what follows from the first? */

static int
is_pair(const uint8_t *secret)
{
    uint8_t  pk[32], sk[64];

    crypto_sign_ed25519_seed_keypair(pk, sk, secret);

    return memcmp(sk, secret, sizeof(sk)) == 0;
}


static void
test_good(void)
{
    char        *crlf, *p;
    size_t       i;
    uint8_t      secret[TRP_KEY_SECRET_LEN], der[512];
    const char  *s;

    is_str(parse_n(secret, p8_pem, strlen(p8_pem)), NULL, "PKCS#8, version 1");
    ok(memcmp(secret, p8_secret, 64) == 0, "the seed and the public key");

    is_str(parse_n(secret, rfc8410_pem, strlen(rfc8410_pem)), NULL,
           "PKCS#8, version 2, with attributes: RFC 8410, section 10.3");
    decode_pem(der, sizeof(der), rfc8410_pub);
    ok(memcmp(secret + 32, der + 12, 32) == 0, "the public key of the RFC");

    is_str(parse_n(secret, ssh_pem, strlen(ssh_pem)), NULL, "OpenSSH");
    ok(memcmp(secret + 32, ssh_public, 32) == 0, "the public key");
    ok(is_pair(secret), "the seed");

    is_str(parse(ssh_nocomment_pem), NULL, "OpenSSH without a comment");

    is_str(parse_n(secret, p8_secret, 64), NULL, "64 raw bytes");
    ok(memcmp(secret, p8_secret, 64) == 0, "as they were");

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        crlf = malloc(strlen(valid[i]) * 2 + 1);
        p = crlf;

        for (s = valid[i]; *s; s++) {
            if (*s == '\n') {
                *p++ = '\r';
            }

            *p++ = *s;
        }

        *p = '\0';

        is_str(parse(crlf), NULL, "key %d with CRLF", (int) i);
        free(crlf);
    }
}


static void
test_bad(void)
{
    size_t     i;
    uint8_t    secret[TRP_KEY_SECRET_LEN], raw[66];
    trp_str_t  file;

    static const struct {
        const char  *in;
        const char  *err;
    } bad[] = {
        { "", "is empty" },
        { "\n", "is empty" },
        { " \r\n\t", "is empty" },
        { "x", UNKNOWN },
        { "ssh", UNKNOWN },
        { "-----BEGIN ", UNKNOWN },
        { "-----BEGIN PRIVATE KEY", UNKNOWN },
        { "-----BEGIN PRIVATE KEY\n-----", UNKNOWN },
        { "-----BEGIN -----\n-----END -----\n", UNKNOWN },
        { "-----BEGIN X-----\n-----END X-----\n", UNKNOWN },
        { "-----BEGIN PRIVATE KEY-----", "is cut off, it has no END line" },
        { "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n",
          "is cut off, it has no END line" },
        { "-----BEGIN PRIVATE KEY-----\nMC4C-AQAw\n",
          "has an invalid END line" },
        { "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY----\n",
          "has an invalid END line" },
        { "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PUBLIC KEY-----\n",
          "has an END line that does not match its BEGIN line" },
        { "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
          PKCS8 },
        { "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n",
          "has invalid base64" },
        { "-----BEGIN PRIVATE KEY-----\nMC_C\n-----END PRIVATE KEY-----\n",
          "has invalid base64" },
        { "-----BEGIN PRIVATE KEY-----\nMC=4\n-----END PRIVATE KEY-----\n",
          "has invalid base64" },
        { "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----\n",
          PKCS8 },
        { "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n",
          PKCS8 },
        { "-----BEGIN OPENSSH PRIVATE KEY-----\nMC4C\n"
          "-----END OPENSSH PRIVATE KEY-----\n", OPENSSH },
        { "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"
          "-----BEGIN CERTIFICATE-----\n", "has text after the key" },
        { p8_encrypted_pem,
          "is encrypted, remove the passphrase with \"openssl pkey\"" },
        { ssh_encrypted_pem,
          "is encrypted, remove the passphrase with \"ssh-keygen -p\"" },
        { rsa_pem, RSA },
        { rsa_pkcs1_pem, RSA },
        { ssh_rsa_pem, RSA },
        { ec_pem, ECDSA },
        { ec_sec1_pem, ECDSA },
        { ssh_ecdsa_pem, ECDSA },
        { x25519_pem, OTHER },
        { ed448_pem, OTHER },
        { "-----BEGIN DSA PRIVATE KEY-----\nMC4C\n"
          "-----END DSA PRIVATE KEY-----\n", DSA },
        { p8_pub, PUBLIC },
        { ssh_pub, PUBLIC },
        { rsa_pub, PUBLIC },
        { "---- BEGIN SSH2 PUBLIC KEY ----\n", PUBLIC },
        { "-----BEGIN CERTIFICATE-----\nMC4C\n-----END CERTIFICATE-----\n",
          "is a certificate, the private key is needed" },
        { "PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n",
          "is a PuTTY key, convert it with "
          "\"puttygen -O private-openssh-new\"" },
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_str(parse(bad[i].in), bad[i].err, "bad key %d: %.*s", (int) i,
               (int) strcspn(bad[i].in, "\r\n"), bad[i].in);

        file.data = (const uint8_t *) bad[i].in;
        file.len = strlen(bad[i].in);

        is_int(trp_key_is_public(file), strcmp(bad[i].err, PUBLIC) == 0,
               "whether it is public");
    }

    memcpy(raw, p8_secret, 64);
    memset(raw + 64, '\n', 2);
    is_str(parse_n(secret, raw, 63), UNKNOWN, "63 raw bytes");
    is_str(parse_n(secret, raw, 65), UNKNOWN, "65 raw bytes");
    is_str(parse_n(secret, raw, 32), UNKNOWN, "32 raw bytes");

    memset(raw, 'a', 64);
    is_str(parse_n(secret, raw, 64), PAIR, "64 letters");
}


/* base64 with something in its middle, where strchr() would find a null */

static void
test_base64(void)
{
    int       c, want;
    char     *buf;
    size_t    len, wrong;
    uint8_t   secret[TRP_KEY_SECRET_LEN];

    static char  huge[20000];

    len = strlen(p8_pem);
    buf = malloc(len + 2);
    wrong = 0;

    for (c = 0; c < 256; c++) {
        memcpy(buf, p8_pem, 40);
        buf[40] = (char) c;
        memcpy(buf + 41, p8_pem + 40, len - 40);

        want = (c == ' ' || c == '\t' || c == '\r' || c == '\n');

        if ((parse_n(secret, buf, len + 1) == NULL) != want) {
            wrong++;
            printf("# byte %d\n", c);
        }
    }

    is_int(wrong, 0, "every byte put into base64");

    memcpy(buf, p8_pem, len);
    memcpy(buf + len, "\0", 1);
    is_str(parse_n(secret, buf, len + 1), "has text after the key",
           "a null byte behind the key");
    free(buf);

    /* 6141 bytes, and then one space more than fits */

    memset(huge, 'A', sizeof(huge));
    memcpy(huge, "-----BEGIN PRIVATE KEY-----\n\n\n\n", 31);
    memcpy(huge + 27 + 8192, "-----END PRIVATE KEY-----", 25);
    is_str(parse_n(secret, huge, 27 + 8192 + 25), PKCS8, "8192 bytes");

    huge[27 + 8192] = ' ';
    memcpy(huge + 27 + 8193, "-----END PRIVATE KEY-----", 25);
    is_str(parse_n(secret, huge, 27 + 8193 + 25),
           "is too long for an Ed25519 key", "8193 bytes");
}


static void
test_truncated(void)
{
    size_t       i, n, len, wrong;
    uint8_t      secret[TRP_KEY_SECRET_LEN], der[512];
    const char  *label;

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        wrong = 0;

        for (n = 0; n < strlen(valid[i]) - 1; n++) {
            wrong += parse_n(secret, valid[i], n) == NULL
                     || !all_zero(secret, 64);
        }

        is_int(wrong, 0, "key %d, its text cut at every length", (int) i);

        len = decode_pem(der, sizeof(der), valid[i]);
        label = strstr(valid[i], "OPENSSH") ? "OPENSSH PRIVATE KEY"
                                            : "PRIVATE KEY";
        wrong = 0;

        for (n = 0; n < len; n++) {
            wrong += parse_pem(secret, label, der, n) == NULL
                     || !all_zero(secret, 64);
        }

        is_int(wrong, 0, "key %d, its DER cut at every length", (int) i);
        is_str(parse_pem(secret, label, der, len), NULL, "not cut");

        der[len] = 0;
        ok(parse_pem(secret, label, der, len + 1) != NULL, "a null more");
        der[len] = (uint8_t) (der[len - 1] + 1);
        ok(parse_pem(secret, label, der, len + 1) != NULL, "a byte more");
    }

    wrong = 0;

    for (n = 0; n < 64; n++) {
        wrong += parse_n(secret, p8_secret, n) == NULL;
    }

    is_int(wrong, 0, "raw key cut at every length");
}


/*
 * A flipped bit is an error, or hits what is no part of the key: white space
 * and labels of the text, the comment.  Only a version 1 key has nothing to
 * find another seed by.
 */

static void
test_flipped(void)
{
    char     *buf;
    size_t    i, n, bit, len, wrong;
    uint8_t   secret[TRP_KEY_SECRET_LEN], want[TRP_KEY_SECRET_LEN];

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        len = strlen(valid[i]);
        buf = malloc(len);
        memcpy(buf, valid[i], len);
        parse_n(want, buf, len);
        wrong = 0;

        for (n = 0; n < len * 8; n++) {
            bit = 1 << n % 8;
            buf[n / 8] ^= (char) bit;

            if (parse_n(secret, buf, len) == NULL) {
                wrong += !is_pair(secret);
                wrong += i != 0 && memcmp(secret, want, 64) != 0;
            }

            buf[n / 8] ^= (char) bit;
        }

        is_int(wrong, 0, "key %d, every bit of its text flipped", (int) i);
        free(buf);
    }

    wrong = 0;

    for (n = 0; n < 64 * 8; n++) {
        memcpy(want, p8_secret, 64);
        want[n / 8] ^= (uint8_t) (1 << n % 8);
        wrong += parse_n(secret, want, 64) == NULL;
    }

    is_int(wrong, 0, "raw key, every bit flipped");
}


/*
 * Bytes first..last may have any value; of all the values that all the other
 * bytes may have instead, "others" make a key, and the same key.
 */

static void
flip_der(const char *pem, const char *label, size_t first, size_t last,
    size_t others, const char *what)
{
    size_t    n, k, len, good, wrong, outside;
    uint8_t   secret[TRP_KEY_SECRET_LEN], want[TRP_KEY_SECRET_LEN];
    uint8_t   der[512], save[4];

    parse_n(want, pem, strlen(pem));
    len = decode_pem(der, sizeof(der), pem);
    outside = 0;
    wrong = 0;

    for (n = 0; n < len; n++) {
        good = 0;

        for (k = 1; k < 256; k++) {
            der[n] ^= (uint8_t) k;

            if (parse_pem(secret, label, der, len) == NULL) {
                good++;
                wrong += !is_pair(secret);
                wrong += (n < first || n > last)
                         && memcmp(secret, want, 64) != 0;
            }

            der[n] ^= (uint8_t) k;
        }

        if (n >= first && n <= last) {
            wrong += (good != 255);

        } else {
            outside += good;
        }
    }

    is_int(outside, others, "%s, every byte with every other value", what);
    is_int(wrong, 0, "%s, no other key", what);

    wrong = 0;

    for (n = 0; n + 4 <= len; n++) {
        memcpy(save, der + n, 4);
        memset(der + n, 0xff, 4);
        wrong += parse_pem(secret, label, der, len) == NULL
                 && (n < first || n + 3 > last);
        memcpy(der + n, save, 4);
    }

    is_int(wrong, 0, "%s, a huge length at every place", what);
}


static void
test_pkcs8(void)
{
    size_t       i, len;
    uint8_t      secret[TRP_KEY_SECRET_LEN], der[512];
    const char  *p;

    /* S and P stand for the seed and the public key */

    static const struct {
        const char  *what;
        const char  *hex;
        const char  *err;
    } forms[] = {
        { "version 1", "302e020100300506032b657004220420S", NULL },
        { "version 2", "3051020101300506032b657004220420S812100P", NULL },
        { "version 1, attributes",
          "3030020100300506032b657004220420Sa000", NULL },
        { "version 2, attributes",
          "3053020101300506032b657004220420Sa000812100P", NULL },
        { "version 2 without a public key",
          "302e020101300506032b657004220420S", PKCS8 },
        { "version 1 with a public key",
          "3051020100300506032b657004220420S812100P", PKCS8 },
        { "version 3", "302e020102300506032b657004220420S", PKCS8 },
        { "version of two bytes",
          "302f02020000300506032b657004220420S", PKCS8 },
        { "no version", "302b300506032b657004220420S", PKCS8 },
        { "empty version", "302d0200300506032b657004220420S", PKCS8 },
        { "unused bits", "3051020101300506032b657004220420S812101P", PKCS8 },
        { "constructed public key",
          "3053020101300506032b657004220420Sa123032100P", PKCS8 },
        { "public key of 33 bytes",
          "3052020101300506032b657004220420S812200P00", PKCS8 },
        { "public key of 31 bytes",
          "3050020101300506032b657004220420S8120P", PKCS8 },
        { "another public key",
          "3051020101300506032b657004220420S812100S", PAIR },
        { "two public keys",
          "3074020101300506032b657004220420S812100P812100P", PKCS8 },
        { "public key before the attributes",
          "3053020101300506032b657004220420S812100Pa000", PKCS8 },
        { "attributes twice",
          "3032020100300506032b657004220420Sa000a000", PKCS8 },
        { "attributes past the end",
          "3030020100300506032b657004220420Sa001", PKCS8 },
        { "NULL as parameters",
          "3030020100300706032b6570050004220420S", PKCS8 },
        { "long form of a short length",
          "30812e020100300506032b657004220420S", PKCS8 },
        { "indefinite length",
          "3080020100300506032b657004220420S0000", PKCS8 },
        { "length with a leading zero",
          "3082002e020100300506032b657004220420S", PKCS8 },
        { "length of three bytes",
          "308300002e020100300506032b657004220420S", PKCS8 },
        { "length of 127 bytes", "30ff", PKCS8 },
        { "nothing but a tag", "30", PKCS8 },
        { "empty sequence", "3000", PKCS8 },
        { "seed of 31 bytes",
          "302d020100300506032b65700421041f"
          "00000000000000000000000000000000000000000000000000000000000000",
          PKCS8 },
        { "seed of 33 bytes",
          "302f020100300506032b657004230421S00", PKCS8 },
        { "seed without the inner string",
          "302c020100300506032b65700420S", PKCS8 },
        { "byte behind the inner string",
          "302f020100300506032b657004230420S00", PKCS8 },
        { "byte behind the outer string",
          "302f020100300506032b657004220420S00", PKCS8 },
        { "byte behind the sequence",
          "302e020100300506032b657004220420S00", PKCS8 },
        { "empty OID", "302b0201003002060004220420S", OTHER },
        { "OID with a byte more",
          "302f020100300606042b65700004220420S", OTHER },
    };

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        len = 0;

        for (p = forms[i].hex; *p; p++) {
            if (*p == 'S' || *p == 'P') {
                memcpy(der + len, p8_secret + (*p == 'S' ? 0 : 32), 32);
                len += 32;
                continue;
            }

            sodium_hex2bin(der + len++, 1, p++, 2, NULL, NULL, NULL);
        }

        is_str(parse_pem(secret, "PRIVATE KEY", der, len), forms[i].err,
               "%s", forms[i].what);

        if (forms[i].err == NULL) {
            ok(memcmp(secret, p8_secret, 64) == 0, "the same key");
        }
    }

    flip_der(p8_pem, "PRIVATE KEY", 16, 47, 0, "version 1");

    /* the attributes are not looked at */

    flip_der(rfc8410_pem, "PRIVATE KEY", 50, 80, 0, "version 2");
}


static void
test_openssh(void)
{
    size_t   i, len;
    uint8_t  secret[TRP_KEY_SECRET_LEN], der[512], good[512], seed[64];

    /* "len" bytes at "at" become "bytes" */

    static const struct {
        const char  *what;
        size_t       at;
        size_t       len;
        const char  *bytes;
        const char  *err;
    } forms[] = {
        { "nothing changed", 0, 1, "o", NULL },
        { "other magic", 13, 1, "2", OPENSSH },
        { "magic without its null byte", 14, 1, " ", OPENSSH },
        { "another cipher", 19, 4, "nond",
          "is encrypted, remove the passphrase with \"ssh-keygen -p\"" },
        { "another kdf", 27, 4, "nond", OPENSSH },
        { "no key", 35, 4, "\0\0\0\0", "does not have exactly one key" },
        { "two keys", 35, 4, "\0\0\0\2", "does not have exactly one key" },
        { "another type outside", 47, 11, "ssh-ed25518", OTHER },
        { "another type inside", 110, 11, "ssh-ed25518", OPENSSH },
        { "check1", 98, 4, "\0\0\0\0", OPENSSH },
        { "check1 and check2", 98, 8, "\0\0\0\0\0\0\0\0", NULL },
        { "the public key outside", 62, 1, "\0", PAIR },
        { "the public key inside", 125, 1, "\0", PAIR },
        { "the public key behind the seed", 193, 1, "\0", PAIR },
        { "the seed", 161, 1, "\0", PAIR },
        { "the comment", 229, 8, "\0\0\0\0\0\0\0\0", NULL },
        { "padding that starts with 0", 237, 5, "\0\1\2\3\4", OPENSSH },
        { "padding of the same byte", 237, 5, "\1\1\1\1\1", OPENSSH },
        { "comment that takes the padding", 225, 4, "\0\0\0\15", NULL },
        { "comment past the end", 225, 4, "\0\0\0\16", OPENSSH },
        { "comment short of the padding", 225, 4, "\0\0\0\7", OPENSSH },
        { "private part short by a byte", 94, 4, "\0\0\0\217", OPENSSH },
        { "private part short by a block", 94, 4, "\0\0\0\210", OPENSSH },
        { "private part past the end", 94, 4, "\0\0\0\221", OPENSSH },
        { "private part of 2^32 - 1", 94, 4, "\377\377\377\377", OPENSSH },
        { "public part of 2^31", 39, 4, "\200\0\0\0", OPENSSH },
        { "seed of 32 bytes", 157, 4, "\0\0\0\40", OPENSSH }
    };

    len = decode_pem(good, sizeof(good), ssh_pem);
    is_int(len, 242, "the length that the offsets are of");

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        memcpy(der, good, len);
        memcpy(der + forms[i].at, forms[i].bytes, forms[i].len);

        is_str(parse_pem(secret, "OPENSSH PRIVATE KEY", der, len),
               forms[i].err, "%s", forms[i].what);
    }

    /* all three public keys agree, but belong to another seed */

    parse_n(seed, ssh_pem, strlen(ssh_pem));
    memcpy(der, good, len);
    memcpy(der + 62, p8_secret + 32, 32);
    memcpy(der + 125, p8_secret + 32, 32);
    memcpy(der + 193, p8_secret + 32, 32);
    is_str(parse_pem(secret, "OPENSSH PRIVATE KEY", der, len), PAIR,
           "three public keys of another seed");

    memcpy(der + 161, p8_secret, 32);
    is_str(parse_pem(secret, "OPENSSH PRIVATE KEY", der, len), NULL,
           "and now of this seed");
    ok(memcmp(secret, p8_secret, 64) == 0, "the key");

    /* a comment that takes the padding makes the one other key */

    flip_der(ssh_pem, "OPENSSH PRIVATE KEY", 229, 236, 1, "OpenSSH");
}


static void
test_fingerprint(void)
{
    char  text[TRP_FINGERPRINT_LEN];

    trp_key_fingerprint(text, p8_secret + 32);

    is_str(text, "SHA256:2gbM7ROR1u1NcBRQOwzTwWqWEH75I6H91x9Lh1EEz1E",
           "fingerprint, as ssh-keygen -l");
}


int
main(void)
{
    test_fingerprint();
    test_good();
    test_bad();
    test_base64();
    test_truncated();
    test_flipped();
    test_pkcs8();
    test_openssh();

    return done_testing();
}
