
/*
 * Copyright (C) the trp authors
 */


/*
 * Lines of authorized keys: options and what they allow, mistakes, lines cut
 * at every length.  The keys were made for this test and are in use nowhere.
 */


#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "tap.h"

#include "base/trp_addr.h"
#include "tunnel/trp_authorized.h"


#define BOTH      (TRP_ROLE_ENTRY | TRP_ROLE_REVERSE)

#define QUOTES    "has an option whose value is not in double quotes"
#define AFTER                                                                 \
    "has text after a quoted value, options are separated by commas"
#define EMPTY                                                                 \
    "has an empty option, options are separated by commas without blanks"
#define TWICE     "has a duplicate option"
#define ROLE      "has an invalid role, write \"entry\" or \"reverse\""
#define PATTERN                                                               \
    "has a group with \"?\" or \"!\", only a \"*\" at the end is supported"
#define PERMIT    "has an invalid permitopen, write it as \"HOST:PORT,...\""
#define NO_PORT                                                               \
    "has a permitopen without a port, write \"HOST:*\" for every port"
#define FROM                                                                  \
    "has an invalid from, write it as \"ADDRESS,ADDRESS/PREFIX,...\""
#define LISTEN                                                                \
    "has an invalid permitlisten, "                                           \
    "write it as \"PORT,PORT-PORT,NAME,*.NAME,...\""
#define EXPIRY    "has an invalid expiry-time, write it as \"YYYYMMDD[HHMM]\""
#define LIMIT                                                                 \
    "has an invalid limit, "                                                  \
    "write it as \"tunnels=N,streams=N,opens=Nr/s,publish=N,rate=SIZE\""
#define TYPE                                                                  \
    "has an unknown key type, write \"ssh-ed25519\", and options without "     \
    "blanks between them"
#define KEY_TYPE                                                              \
    "has a key of another type, only \"ssh-ed25519\" is supported"
#define BASE64    "has a key that is not valid base64 of an Ed25519 key"
#define WHOLE     "has a key that is not a whole Ed25519 key"
#define POINT     "has a key that is not a valid Ed25519 key"


static const char  ssh_blob[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAIHxAC27pw8SfKmNc/b+/Ff0JrCyleWNZWVMUOEm5qmqR";

static const char  rsa_pub[] =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC+oM2R3uzKqO1PT5gn3+KrmWLpQKFG"
    "h4d+BLlR6MlAYsvhdwgywa62EAFAjZQvWCXQ1VntEihYijvdKigmAg1wMyAf9hqTRxmV"
    "+eKh+hU69mKmIlzlV6CxsYiMhVm3sF/mk6NT7yp7JVQFj5vuMhjLrptHiWK5+8i+zasb"
    "vV94Nw== r";

static const char  ecdsa_blob[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLs48TUNFPVyzjCY"
    "5yjl0jIZLQ6zCriNxFMYD5MJPBecw/Z0LEQHMUzfH8F11b+2gi5sBd4w96yKaENVioMD"
    "PLA=";


/* what ssh_blob has */

static const uint8_t  ssh_public[32] = {
    0x7c, 0x40, 0x0b, 0x6e, 0xe9, 0xc3, 0xc4, 0x9f,
    0x2a, 0x63, 0x5c, 0xfd, 0xbf, 0xbf, 0x15, 0xfd,
    0x09, 0xac, 0x2c, 0xa5, 0x79, 0x63, 0x59, 0x59,
    0x53, 0x14, 0x38, 0x49, 0xb9, 0xaa, 0x6a, 0x91
};


/*
 * A copy without a byte to spare, so that ASan sees reads past the end.  It
 * lives for 64 calls: an authorized key points into its line.
 */

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


static trp_str_t
text(const char *s)
{
    return text_n(s, strlen(s));
}


static const char *
string(trp_str_t s)
{
    static char  buf[512];

    snprintf(buf, sizeof(buf), "%.*s", (int) s.len, (const char *) s.data);

    return s.data ? buf : NULL;
}


static int
all_zero(const void *data, size_t len)
{
    return sodium_is_zero(data, len);
}


/* what the last error is about */

static trp_str_t  about;


/* puts the key after "options" and reads the line */

static const char *
authorized_n(trp_authorized_key_t *key, const char *line, size_t len)
{
    int          rc;
    const char  *err;

    err = "err was not set";
    memset(key, 0xa5, sizeof(trp_authorized_key_t));

    rc = trp_authorized_key_parse(key, text_n(line, len), &err,
                                  &about);

    if (rc != TRP_OK && !all_zero(key, sizeof(trp_authorized_key_t))) {
        return "left something in the key";
    }

    return rc == TRP_OK ? NULL : rc == TRP_DECLINED ? "DECLINED" : err;
}


static const char *
authorized(trp_authorized_key_t *key, const char *line)
{
    return authorized_n(key, line, strlen(line));
}


static const char *
options(trp_authorized_key_t *key, const char *value)
{
    char         line[4096];
    const char  *err;

    static trp_acl_rule_t  rules[16];

    snprintf(line, sizeof(line), "%s ssh-ed25519 %s me", value, ssh_blob);

    err = authorized(key, line);

    if (key->nrules && key->nrules <= sizeof(rules) / sizeof(rules[0])) {
        trp_authorized_key_rules(key, rules);
    }

    return err;
}


static void
test_good(void)
{
    char                   line[512];
    size_t                 i;
    trp_authorized_key_t   key, same;

    static const char  *forms[] = {
        "ssh-ed25519 %s me",
        "  ssh-ed25519 %s me  ",
        "\tssh-ed25519 \t%s\t me\r",
        "role=\"entry,reverse\" ssh-ed25519 %s me",
        "ROLE=\"reverse|entry\"\tssh-ed25519 %s me",
        "Role=\"entry|reverse\"   ssh-ed25519 %s me\r\n"
    };

    static const struct {
        const char  *in;
        unsigned     roles;
        const char  *groups;
        const char  *permitopen;
        const char  *from;
    } good[] = {
        { "role=\"entry\"", TRP_ROLE_ENTRY, NULL, NULL, NULL },
        { "role=\"reverse\"", TRP_ROLE_REVERSE, NULL, NULL, NULL },
        { "group=\"a,b*,*\"", BOTH, "a,b*,*", NULL, NULL },
        { "permitopen=\"h:1\"", BOTH, NULL, "h:1", NULL },
        { "permitopen=\"h:*,[::1]:1-2,*.a:3,all:4,10.0.0.0/8:*\"", BOTH,
          NULL, "h:*,[::1]:1-2,*.a:3,all:4,10.0.0.0/8:*", NULL },
        { "from=\"10.0.0.1\"", BOTH, NULL, NULL, "10.0.0.1" },
        { "from=\"10.0.0.0/8,::1,[::1]/64\"", BOTH, NULL, NULL,
          "10.0.0.0/8,::1,[::1]/64" },
        { "Group=\"g\",ROLE=\"entry\",From=\"::1\",PermitOpen=\"h:1\","
          "Expiry-Time=\"20300101\"", TRP_ROLE_ENTRY, "g", "h:1", "::1" }
    };

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        snprintf(line, sizeof(line), forms[i], ssh_blob);
        is_str(authorized(&key, line), NULL, "line %d", (int) i);
        ok(memcmp(key.public_key, ssh_public, 32) == 0, "its key");
        is_int(key.roles, BOTH, "its roles");
        is_str(string(key.comment), "me", "its comment");
        ok(key.groups.data == NULL && key.permitopen.data == NULL
           && key.from.data == NULL && key.expiry == 0, "no restriction");
    }

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_str(options(&key, good[i].in), NULL, "%s", good[i].in);
        is_int(key.roles, good[i].roles, "roles");
        is_str(string(key.groups), good[i].groups, "groups");
        is_str(string(key.permitopen), good[i].permitopen, "permitopen");
        is_str(string(key.from), good[i].from, "from");
    }

    is_str(options(&key, "limit=\"streams=7,tunnels=999999999\""), NULL,
           "limits");
    is_int(key.limits.streams, 7, "streams");
    is_int(key.limits.tunnels, 999999999, "tunnels");
    is_int(key.limits.opens, 0, "no limit of opens");
    is_str(options(&key, "limit=\"opens=50r/s\""), NULL, "opens");
    is_int(key.limits.opens, 50, "their limit");
    is_str(options(&key, "limit=\"publish=5\""), NULL, "names");
    is_int(key.limits.publish, 5, "how many");

    snprintf(line, sizeof(line), "ssh-ed25519 %s", ssh_blob);
    is_str(authorized(&key, line), NULL, "no comment");
    is_int(key.comment.len, 0, "it is empty");

    snprintf(line, sizeof(line), "ssh-ed25519 %s a \"b\" # c,d", ssh_blob);
    is_str(authorized(&same, line), NULL, "a comment of many words");
    is_str(string(same.comment), "a \"b\" # c,d", "all of it");

    is_str(authorized(&key, ""), "DECLINED", "empty line");
    is_str(authorized(&key, " \t\r"), "DECLINED", "blank line");
    is_str(authorized(&key, "# ssh-ed25519"), "DECLINED", "comment line");
    is_str(authorized(&key, "  #"), "DECLINED", "indented comment line");
}


static int
listens(const char *list, const char *name)
{
    char                  line[256];
    trp_authorized_key_t  key;

    snprintf(line, sizeof(line), "permitlisten=\"%s\"", list);

    if (options(&key, line) != NULL) {
        return -1;
    }

    return trp_authorized_key_allows_listen(&key, text(name));
}


static void
test_permitlisten(void)
{
    size_t                i;
    trp_authorized_key_t  key;

    static const struct {
        const char  *list;
        const char  *name;
        int          allowed;
    } rows[] = {
        { "20000-20009", "20000", 1 },
        { "20000-20009", "20009", 1 },
        { "20000-20009", "19999", 0 },
        { "20000-20009", "20010", 0 },
        { "20000-20009", "a.example", 0 },
        { "22,20000", "22", 1 },
        { "22,20000", "20000", 1 },
        { "22,20000", "2", 0 },
        { "a.example", "a.example", 1 },
        { "a.example", "A.Example.", 1 },
        { "A.example.", "a.EXAMPLE", 1 },
        { "a.example", "b.a.example", 0 },
        { "a.example", "22", 0 },
        { "*.a.example", "b.a.example", 1 },
        { "*.a.example", "c.b.A.example", 1 },
        { "*.a.example", "a.example", 0 },
        { "*.a.example", ".a.example", 0 },
        { "*.a.example", "ba.example", 0 },
        { "*.a.example", "22", 0 },
        { "1,*.dev.example,git", "git", 1 },
        { "1,*.dev.example,git", "x.dev.example", 1 },
        { "1,*.dev.example,git", "1", 1 },
        { "1,*.dev.example,git", "dev.example", 0 },
        { "*", "65535", 1 },
        { "*", "any.example", 1 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_int(listens(rows[i].list, rows[i].name), rows[i].allowed,
               "\"%s\", %s", rows[i].list, rows[i].name);
    }

    is_str(options(&key, "role=\"reverse\""), NULL, "no permitlisten");
    is_int(trp_authorized_key_allows_listen(&key, text("22")), 0,
           "allows no port");
    is_int(trp_authorized_key_allows_listen(&key, text("a")), 0,
           "and no name");
}


static void
test_bad(void)
{
    char                  c, line[1024];
    size_t                i, n, len, wrong;
    trp_authorized_key_t  key;

    static const struct {
        const char  *in;
        const char  *err;
    } bad[] = {
        { "nosuch=\"x\"", "has an unknown option" },
        { "restrict", "has an unknown option" },
        { "role=\"entry\",no-pty", "has an unknown option" },
        { "role2=\"entry\"", "has an unknown option" },
        { "rol=\"entry\"", "has an unknown option" },
        { "role", "has an option without a value" },
        { "role =\"entry\"", "has an option without a value" },
        { "role,group=\"a\"", "has an option without a value" },
        { "role\"entry\"", "has an option without a value" },
        { "role=entry", QUOTES },
        { "role=", QUOTES },
        { "role='entry'", QUOTES },
        { "role= \"entry\"", QUOTES },
        { "role=\"entry", "has an option with an unclosed quote" },
        { "group=\"a\\\"b\"", "has a backslash in a value" },
        { "group=\"a\\b\"", "has a backslash in a value" },
        { "role=\"entry\"x", AFTER },
        { "role=\"entry\"\"reverse\"", AFTER },
        { "role=\"entry\";group=\"a\"", AFTER },
        { ",role=\"entry\"", EMPTY },
        { "role=\"entry\",", EMPTY },
        { "role=\"entry\",,group=\"a\"", EMPTY },
        { "role=\"entry\", group=\"a\"", EMPTY },
        { "=\"entry\"", EMPTY },
        { "\"entry\"", EMPTY },
        { "role=\"entry\",role=\"entry\"", TWICE },
        { "role=\"entry\",ROLE=\"reverse\"", TWICE },
        { "from=\"::1\",group=\"a\",From=\"::2\"", TWICE },

        { "role=\"\"", ROLE },
        { "role=\"Entry\"", ROLE },
        { "role=\"entry,\"", ROLE },
        { "role=\"|entry\"", ROLE },
        { "role=\"entry reverse\"", ROLE },
        { "role=\"entryreverse\"", ROLE },
        { "role=\"relay\"", ROLE },
        { "role=\"*\"", ROLE },

        { "group=\"\"", "has an empty group" },
        { "group=\",\"", "has an empty group" },
        { "group=\"a,\"", "has an empty group" },
        { "group=\"a,,b\"", "has an empty group" },
        { "group=\"a b\"", "has a group with a blank in it" },
        { "group=\"a, b\"", "has a group with a blank in it" },
        { "group=\"*a\"", "has a group with \"*\" before its end" },
        { "group=\"a*b\"", "has a group with \"*\" before its end" },
        { "group=\"a**\"", "has a group with \"*\" before its end" },
        { "group=\"*,!a\"", PATTERN },
        { "group=\"a?\"", PATTERN },

        { "permitopen=\"\"", PERMIT },
        { "permitopen=\"h:1,\"", PERMIT },
        { "permitopen=\"h:1, h:2\"", PERMIT },
        { "permitopen=\"h:0\"", PERMIT },
        { "permitopen=\"h:1:2\"", PERMIT },
        { "permitopen=\":1\"", PERMIT },
        { "permitopen=\"h:1,h:x\"", PERMIT },
        { "permitopen=\"h\"", NO_PORT },
        { "permitopen=\"all\"", NO_PORT },
        { "permitopen=\"*\"", NO_PORT },
        { "permitopen=\"10.0.0.0/8\"", NO_PORT },
        { "permitopen=\"[::1]\"", NO_PORT },
        { "permitopen=\"[::1]/64\"", NO_PORT },
        { "permitopen=\"::1\"", NO_PORT },
        { "permitopen=\"2001:db8::1:22\"", NO_PORT },
        { "permitopen=\"h:1,all\"", NO_PORT },

        { "permitlisten=\"\"", LISTEN },
        { "permitlisten=\"0\"", LISTEN },
        { "permitlisten=\"65536\"", LISTEN },
        { "permitlisten=\"2-1\"", LISTEN },
        { "permitlisten=\"1-\"", LISTEN },
        { "permitlisten=\"localhost:8080\"", LISTEN },
        { "permitlisten=\"a,\"", LISTEN },
        { "permitlisten=\"a, b\"", LISTEN },
        { "permitlisten=\"*a\"", LISTEN },
        { "permitlisten=\"*.\"", LISTEN },
        { "permitlisten=\"10.0.0.1\"", LISTEN },

        { "limit=\"\"", LIMIT },
        { "limit=\"tunnels\"", LIMIT },
        { "limit=\"tunnels=\"", LIMIT },
        { "limit=\"tunnels=0\"", LIMIT },
        { "limit=\"tunnels=-1\"", LIMIT },
        { "limit=\"tunnels=1000000000\"", LIMIT },
        { "limit=\"tunnels=1,\"", LIMIT },
        { "limit=\"opens=1\"", LIMIT },
        { "limit=\"opens=r/s\"", LIMIT },
        { "limit=\"opens=1r/m\"", LIMIT },
        { "limit=\"users=1\"", LIMIT },
        { "limit=\"streams=1,streams=1\"", "has a duplicate limit" },

        { "from=\"\"", FROM },
        { "from=\"host\"", FROM },
        { "from=\"10.0.0.0/33\"", FROM },
        { "from=\"10.0.0.1,\"", FROM },
        { "from=\"10.0.0.1, ::1\"", FROM },
        { "from=\"!10.0.0.1\"", FROM },
        { "from=\"10.0.0.*\"", FROM },
        { "from=\"*\"", FROM },

        { "expiry-time=\"\"", EXPIRY },
        { "expiry-time=\"Z\"", EXPIRY },
        { "expiry-time=\"2030010\"", EXPIRY },
        { "expiry-time=\"203001011\"", EXPIRY },
        { "expiry-time=\"2030010112\"", EXPIRY },
        { "expiry-time=\"20300101120000\"", EXPIRY },
        { "expiry-time=\"20300101ZZ\"", EXPIRY },
        { "expiry-time=\"20300101z\"", EXPIRY },
        { "expiry-time=\"2030-1-1\"", EXPIRY },
        { "expiry-time=\"+2030010\"", EXPIRY },
        { "expiry-time=\"20300001\"", EXPIRY },
        { "expiry-time=\"20301301\"", EXPIRY },
        { "expiry-time=\"20300100\"", EXPIRY },
        { "expiry-time=\"20300132\"", EXPIRY },
        { "expiry-time=\"20300431\"", EXPIRY },
        { "expiry-time=\"20300229\"", EXPIRY },
        { "expiry-time=\"21000229\"", EXPIRY },
        { "expiry-time=\"203001012400\"", EXPIRY },
        { "expiry-time=\"203001012360\"", EXPIRY },
        { "expiry-time=\"19700101\"", EXPIRY },
        { "expiry-time=\"19691231\"", EXPIRY },
        { "expiry-time=\"00000101\"", EXPIRY }
    };

    static const struct {
        const char  *in;
        const char  *err;
    } lines[] = {
        { "ssh-ed25519", "has no key after the key type" },
        { "ssh-ed25519 ", "has no key after the key type" },
        { "role=\"entry\"", "has options but no key" },
        { "role=\"entry\" ssh-ed25519", "has no key after the key type" },
        { "role=\"entry\" AAAA", TYPE },
        { "role=\"entry\" group=\"a\" ssh-ed25519 AAAA", TYPE },
        { "role=\"entry\" SSH-ED25519 AAAA", TYPE },
        { "SSH-ED25519 AAAA", "has an unknown option" },
        { "AAAAC3NzaC1lZDI1NTE5 x",
          "has no key type, write \"ssh-ed25519\" before the key" },
        { "ssh-ed25519x AAAA", KEY_TYPE },
        { "ssh-ed25519-cert-v01@openssh.com AAAA", KEY_TYPE },
        { "ssh-rsa AAAA", KEY_TYPE },
        { "ssh-dss AAAA", KEY_TYPE },
        { "role=\"entry\" ssh-rsa AAAA", KEY_TYPE },
        { "ecdsa-sha2-nistp256 AAAA", KEY_TYPE },
        { "sk-ssh-ed25519@openssh.com AAAA", KEY_TYPE },
        { "sk-ecdsa-sha2-nistp256@openssh.com AAAA", KEY_TYPE },
        { "-----BEGIN PRIVATE KEY-----",
          "is of a private key, write the line of the file with the public "
          "key, \".pub\"" },
        { "ssh-ed25519 !", BASE64 },
        { "ssh-ed25519 AAA", BASE64 },
        { "ssh-ed25519 AAAA", WHOLE },
        { "ssh-ed25519 AAAA====", BASE64 },

        /* the key of another type after the right word; no point; zero */

        { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAA"
          "IHxAC27pw8SfKmNc/b+/Ff0JrCyleWNZWVMUOEm5qmqR", WHOLE },
        { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
          "IAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", POINT },
        { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
          "IAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", POINT },
        { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
          "IAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", POINT }
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_str(options(&key, bad[i].in), bad[i].err, "%s", bad[i].in);
    }

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        is_str(authorized(&key, lines[i].in), lines[i].err, "%s",
               lines[i].in);
    }

    is_str(authorized(&key, rsa_pub), KEY_TYPE, "a real RSA key");
    is_int(about.len, 0, "no option");

    is_str(options(&key, "role=\"entry\",no-pty"), "has an unknown option",
           "an option of OpenSSH");
    ok(about.len == 6 && memcmp(about.data, "no-pty", 6) == 0,
       "which is named");
    (void) options(&key, "role=\"other\"");
    is_int(about.len, 0, "what is wrong with a value names the option");

    snprintf(line, sizeof(line), "ssh-ed25519 %s", ecdsa_blob);
    is_str(authorized(&key, line), BASE64, "ECDSA under a false name");

    snprintf(line, sizeof(line), "ssh-ed25519 %sAAAA", ssh_blob);
    is_str(authorized(&key, line), BASE64, "a key with three bytes more");

    /* cut anywhere: never a key with less restriction than was written */

    len = snprintf(line, sizeof(line), "role=\"entry\",group=\"a,b*\","
                   "permitopen=\"h:1,[::1]:2\",from=\"::1\","
                   "expiry-time=\"203001011200Z\" ssh-ed25519 %s", ssh_blob);

    is_str(authorized_n(&key, line, len), NULL, "all options");

    wrong = 0;

    for (n = 1; n < len; n++) {
        wrong += authorized_n(&key, line, n) == NULL;
        wrong += authorized_n(&key, line + n, len - n) == NULL
                 && strncmp(line + n, "ssh-", 4) != 0
                 && strncmp(line + n, " ssh-", 5) != 0
                 && strncmp(line + n, "role", 4) != 0
                 && strncmp(line + n, "group", 5) != 0
                 && strncmp(line + n, "permitopen", 10) != 0
                 && strncmp(line + n, "from", 4) != 0
                 && strncmp(line + n, "expiry", 6) != 0;
    }

    is_int(wrong, 0, "cut at every length, from both ends");

    wrong = 0;

    for (n = 0; n < len; n++) {
        c = line[n];
        line[n] = '\0';
        wrong += authorized_n(&key, line, len) == NULL;
        line[n] = c;
    }

    is_int(wrong, 0, "a null byte at every place");
}


static void
test_group(void)
{
    trp_str_t             empty = { 0, NULL };
    trp_authorized_key_t  key;

    options(&key, "role=\"entry\"");
    is_int(trp_authorized_key_allows_group(&key, text("any")), 1,
           "no restriction");
    is_int(trp_authorized_key_allows_group(&key, empty), 1,
           "no restriction, no group");

    options(&key, "group=\"a,web*,c\"");
    is_int(trp_authorized_key_allows_group(&key, text("a")), 1, "first");
    is_int(trp_authorized_key_allows_group(&key, text("c")), 1, "last");
    is_int(trp_authorized_key_allows_group(&key, text("web")), 1, "prefix");
    is_int(trp_authorized_key_allows_group(&key, text("web2")), 1, "longer");
    is_int(trp_authorized_key_allows_group(&key, text("web*")), 1, "a star");
    is_int(trp_authorized_key_allows_group(&key, text("we")), 0, "shorter");
    is_int(trp_authorized_key_allows_group(&key, text("A")), 0, "upper case");
    is_int(trp_authorized_key_allows_group(&key, text("ab")), 0, "no star");
    is_int(trp_authorized_key_allows_group(&key, text("a,web")), 0, "comma");
    is_int(trp_authorized_key_allows_group(&key, text("b")), 0, "another");
    is_int(trp_authorized_key_allows_group(&key, empty), 0, "no group");
    is_int(trp_authorized_key_allows_group(&key, text_n("a\0", 2)), 0,
           "a null byte");

    options(&key, "group=\"*\"");
    is_int(trp_authorized_key_allows_group(&key, text("any")), 1, "a star");
}


static int
from(const trp_authorized_key_t *key, const char *s)
{
    trp_addr_t  addr;

    trp_addr_parse(&addr, text(s));

    return trp_authorized_key_allows_from(key, &addr);
}


static void
test_from(void)
{
    trp_authorized_key_t  key;

    options(&key, "role=\"entry\"");
    is_int(from(&key, "10.0.0.1"), 1, "no restriction");
    is_int(from(&key, "none"), 1, "no restriction, no address");

    options(&key, "from=\"10.0.0.0/8,192.0.2.1,2001:db8::/32\"");
    is_int(from(&key, "10.1.2.3"), 1, "in the block");
    is_int(from(&key, "::ffff:10.1.2.3"), 1, "in the block, mapped");
    is_int(from(&key, "192.0.2.1"), 1, "the address");
    is_int(from(&key, "192.0.2.2"), 0, "another");
    is_int(from(&key, "2001:db8::1"), 1, "IPv6");
    is_int(from(&key, "2001:db9::1"), 0, "other IPv6");
    is_int(from(&key, "none"), 0, "no address, as of a unix socket");
}


static int
opens(const trp_authorized_key_t *key, const char *s, uint16_t port)
{
    trp_str_t   name = { 0, NULL };
    trp_addr_t  addr;

    if (trp_addr_parse(&addr, text(s)) != TRP_OK) {
        name = text(s);
    }

    return trp_authorized_key_allows_open(key, &addr, name, port);
}


static void
test_open(void)
{
    trp_addr_t            addr;
    trp_authorized_key_t  key;

    options(&key, "role=\"entry\"");
    is_int(opens(&key, "10.0.0.1", 1), 1, "no restriction, address");
    is_int(opens(&key, "host", 1), 1, "no restriction, name");

    options(&key, "permitopen=\"db:5432,*.web:80-81,10.0.0.0/8:22,"
            "[2001:db8::1]:*,all:7\"");
    is_int(opens(&key, "db", 5432), 1, "name");
    is_int(opens(&key, "DB.", 5432), 1, "name, letter case and dot");
    is_int(opens(&key, "db", 5433), 0, "name, other port");
    is_int(opens(&key, "a.web", 81), 1, "suffix");
    is_int(opens(&key, "a.web", 82), 0, "suffix, other port");
    is_int(opens(&key, "web", 80), 0, "suffix, the name itself");
    is_int(opens(&key, "10.1.1.1", 22), 1, "block");
    is_int(opens(&key, "::ffff:10.1.1.1", 22), 1, "block, mapped");
    is_int(opens(&key, "11.1.1.1", 22), 0, "outside the block");
    is_int(opens(&key, "2001:db8::1", 1), 1, "IPv6, every port");
    is_int(opens(&key, "2001:db8::2", 1), 0, "other IPv6");
    is_int(opens(&key, "any", 7), 1, "all, name");
    is_int(opens(&key, "9.9.9.9", 7), 1, "all, address");
    is_int(opens(&key, "any", 8), 0, "all, other port");

    is_int(opens(&key, "unix:/run/a", 0), 0, "a unix socket");

    options(&key, "permitopen=\"unix:/run/*.sock,all:*\"");
    is_int(opens(&key, "unix:/run/a.sock", 0), 1, "its path");
    is_int(opens(&key, "unix:/run/a/b.sock", 0), 0, "another path");
    is_int(opens(&key, "unix", 1), 1, "a host of that name");

    options(&key, "permitopen=\"db:5432,*.web:80-81,10.0.0.0/8:22,"
            "[2001:db8::1]:*,all:7\"");

    trp_addr_parse(&addr, text("9.9.9.9"));
    is_int(trp_authorized_key_allows_open(&key, &addr, text("db"), 5432), 0,
           "with an address the name does not count");

    key.rules = NULL;
    is_int(opens(&key, "db", 5432), 0, "nothing without its rules");

    options(&key, "permitopen=\"0.0.0.0/0:*,[::]/0:*\"");
    is_int(opens(&key, "db", 1), 0, "every address, no name");
    is_int(opens(&key, "9.9.9.9", 65535), 1, "every address, IPv4");
    is_int(opens(&key, "2001:db8::2", 1), 1, "every address, IPv6");
}


static void
test_expiry(void)
{
    char                  buf[64];
    size_t                i, wrong, days;
    time_t                t;
    struct tm             tm;
    trp_authorized_key_t  key;

    static const struct {
        const char  *in;
        long long    out;
    } good[] = {
        { "19710101", 31536000 },
        { "20000229", 951782400 },
        { "20000301", 951868800 },
        { "20240229", 1709164800 },
        { "20240229Z", 1709164800 },
        { "203801190314", 2147483640 },
        { "202612312359Z", 1798761540 },
        { "20991231", 4102358400 },
        { "21000228", 4107456000 },
        { "21000301", 4107542400 },
        { "99991231", 253402214400 }
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(buf, sizeof(buf), "expiry-time=\"%s\"", good[i].in);
        is_str(options(&key, buf), NULL, "%s", buf);
        is_int(key.expiry, good[i].out, "seconds since the epoch");
    }

    wrong = 0;
    days = 0;

    for (t = 31536000; t < 13600000000; t += 86400 * 3 + 3660) {
        gmtime_r(&t, &tm);
        strftime(buf, sizeof(buf), "expiry-time=\"%Y%m%d%H%M\"", &tm);

        wrong += options(&key, buf) != NULL || key.expiry != t - t % 60;
        days++;
    }

    is_int(wrong, 0, "%d days against gmtime()", (int) days);

    options(&key, "expiry-time=\"203801190314\"");
    is_int(trp_authorized_key_expired(&key, 0), 0, "the epoch");
    is_int(trp_authorized_key_expired(&key, 2147483639), 0, "before");
    is_int(trp_authorized_key_expired(&key, 2147483640), 1, "at the second");
    is_int(trp_authorized_key_expired(&key, 2147483641), 1, "after");
    is_int(trp_authorized_key_expired(&key, INT64_MAX), 1, "long after");

    options(&key, "role=\"entry\"");
    is_int(trp_authorized_key_expired(&key, INT64_MAX), 0, "never");
}


int
main(void)
{
    test_good();
    test_permitlisten();
    test_bad();
    test_group();
    test_from();
    test_open();
    test_expiry();

    return done_testing();
}
