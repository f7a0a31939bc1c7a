
/*
 * Copyright (C) the trp authors
 */


/*
 * Reads numbers, strings and public keys from the beginning of a blob, and
 * checks each length.
 */


#include "tunnel/trp_ssh.h"
#include "base/trp_bytes.h"
#include "base/trp_str.h"


const trp_str_t  trp_ssh_ed25519 = trp_string("ssh-ed25519");


static const trp_str_t  trp_ssh_types[] = {
    trp_string("ssh-"),
    trp_string("ecdsa-sha2-"),
    trp_string("sk-ssh-"),
    trp_string("sk-ecdsa-")
};


int
trp_ssh_uint32(trp_str_t *in, uint32_t *value)
{
    if (in->len < 4) {
        return TRP_ERROR;
    }

    *value = trp_read32(in->data);

    trp_str_skip(in, 4);

    return TRP_OK;
}


int
trp_ssh_string(trp_str_t *in, trp_str_t *value)
{
    uint32_t  len;

    if (trp_ssh_uint32(in, &len) != TRP_OK || len > in->len) {
        return TRP_ERROR;
    }

    value->len = len;
    value->data = in->data;

    trp_str_skip(in, len);

    return TRP_OK;
}


int
trp_ssh_public_key(trp_str_t *in, trp_str_t *type, trp_str_t *key)
{
    if (trp_ssh_string(in, type) != TRP_OK) {
        return TRP_ERROR;
    }

    if (!trp_str_equal(*type, trp_ssh_ed25519)) {
        return TRP_DECLINED;
    }

    if (trp_ssh_string(in, key) != TRP_OK || key->len != TRP_KEY_PUBLIC_LEN) {
        return TRP_ERROR;
    }

    return TRP_OK;
}


int
trp_ssh_type_known(trp_str_t text)
{
    size_t  i;

    for (i = 0; i < sizeof(trp_ssh_types) / sizeof(trp_ssh_types[0]); i++) {
        if (trp_str_starts(text, trp_ssh_types[i])) {
            return 1;
        }
    }

    return 0;
}
