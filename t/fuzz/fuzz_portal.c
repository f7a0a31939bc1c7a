
/*
 * Copyright (C) the trp authors
 */


/*
 * The states of the control connection to a portal: whatever happens, its
 * commands can be carried out, and no state lasts for ever.
 */


#include <stdlib.h>
#include <string.h>

#include "portal/trp_portal.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* what the caller that carries out the commands knows */

static trp_portal_t  portal;
static int           connected;
static int           over;
static int           fail;         /* commands, one of so many; 0: none */
static uint64_t      now;


static void
fuzz_carry_out(uint32_t random)
{
    int                   n;
    uint64_t              when;
    trp_portal_command_t  command;

    for (n = 1; trp_portal_next(&portal, &command) == TRP_OK; n++) {

        if (n > 64) {
            abort();
        }

        switch (command.type) {

        case TRP_PORTAL_CONNECT:
            if (connected || over || command.address >= portal.addresses) {
                abort();
            }

            connected = 1;
            break;

        case TRP_PORTAL_SEND:
            if (!connected || command.text.len == 0
                || command.text.data[command.text.len - 1] != '}')
            {
                abort();
            }

            break;

        case TRP_PORTAL_CLOSE:
            if (!connected) {
                abort();
            }

            connected = 0;
            continue;

        case TRP_PORTAL_FATAL:
            if (connected || command.why == NULL) {
                abort();
            }

            over = 1;
            continue;

        default:
            if (!connected) {
                abort();
            }
        }

        if (fail && n % fail == 0) {
            trp_portal_lost(&portal, now, random);
        }
    }

    when = trp_portal_deadline(&portal);

    if (over != (when == TRP_PORTAL_NEVER)) {
        abort();
    }

    /* no state is for ever, and only WAITING has no connection */

    if (!over
        && (when > now + (TRP_PORTAL_LATER_MAX * 1000 + TRP_PORTAL_BACKOFF_MAX)
            || connected == (portal.state == TRP_PORTAL_WAITING)))
    {
        abort();
    }
}


static trp_str_t
fuzz_word(uint8_t n)
{
    trp_str_t  word;

    static const char *const  words[] = {
        "", "relay", "phoenix", "phx_reply", "phx_close", "phx_error",
        "disconnect", "init", "account_added", "account_removed", "ok",
        "error", "token_expired", "x"
    };

    word.data = (const uint8_t *) words[n % (sizeof(words)
                                             / sizeof(words[0]))];
    word.len = strlen((const char *) word.data);

    return word;
}


/* the input: how many addresses, what fails, and then events of 4 bytes */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t              random;
    trp_portal_message_t  m;

    if (size < 2) {
        return 0;
    }

    now = 1000;
    connected = 0;
    over = 0;
    fail = data[1] & 7;

    trp_portal_init(&portal, (const uint8_t *)
                    "0123456789abcdef0123456789abcdef"
                    "0123456789abcdef0123456789abcdef",
                    data[1] & 8, (data[0] & 7) + 1);

    trp_portal_start(&portal, now);
    fuzz_carry_out(0);

    for (data += 2, size -= 2; size >= 4; data += 4, size -= 4) {

        random = (uint32_t) data[3] << 24 | data[2];

        switch (data[0] & 7) {

        case 0:
            trp_portal_connected(&portal);
            break;

        case 1:
            trp_portal_opened(&portal, now);
            break;

        case 2:
            trp_portal_refused(&portal, 300 + data[1], data[2], now, random);
            break;

        case 3:
            trp_portal_lost(&portal, now, random);
            break;

        case 4:
            if (!over) {
                now = trp_portal_deadline(&portal);
                trp_portal_expire(&portal, now, random);
            }

            break;

        case 5:
            now += data[1];
            trp_portal_expire(&portal, now, random);
            break;

        default:
            m.topic = fuzz_word(data[0] >> 3);
            m.event = fuzz_word(data[1]);
            m.status = fuzz_word(data[2]);
            m.reason = fuzz_word(data[3] >> 4);
            m.account = fuzz_word(data[3] & 15);
            m.ref = data[3] & 15;

            trp_portal_message(&portal, &m, now, random);
        }

        fuzz_carry_out(random);
    }

    return 0;
}
