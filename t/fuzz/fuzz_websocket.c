
/*
 * Copyright (C) the trp authors
 */


/*
 * Frames of a WebSocket: read in pieces they are what they are read at once,
 * and nothing is written behind what was read.
 */


#include <stdlib.h>
#include <string.h>

#include "websocket/trp_websocket.h"


#define FUZZ_MAX  65536


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* the result; the payload replaces what was read, then come control frames */

static int
fuzz_read(int server, const uint8_t *data, size_t size, size_t step,
    uint8_t *out, size_t *len, uint8_t *controls, size_t *ncontrols)
{
    int              rc;
    size_t           n, pos;
    uint8_t         *buf, *dst, *src;
    trp_websocket_t  ws;

    memset(&ws, 0, sizeof(ws));
    ws.server = (server != 0);

    *len = 0;
    *ncontrols = 0;
    rc = TRP_OK;

    for (pos = 0; pos < size && rc == TRP_OK; pos += n) {
        n = (size - pos < step) ? size - pos : step;

        buf = malloc(n);
        if (buf == NULL) {
            exit(1);
        }

        memcpy(buf, data + pos, n);
        dst = buf;
        src = buf;

        while ((rc = trp_websocket_read(&ws, &dst, &src, buf + n))
               == TRP_DECLINED)
        {
            if (ws.len > TRP_WEBSOCKET_CONTROL || ws.opcode < 8) {
                abort();
            }

            memcpy(controls + *ncontrols, ws.control, ws.len);
            *ncontrols += ws.len;
        }

        if (dst > src || src > buf + n || (rc == TRP_OK && src != buf + n)) {
            abort();
        }

        memcpy(out + *len, buf, (size_t) (dst - buf));
        *len += (size_t) (dst - buf);

        free(buf);
    }

    return (rc == TRP_OK) ? 0 : ws.code;
}


/* the input: who reads, the length of pieces, and frames */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int     whole, pieces, server;
    size_t  step, len[2], ncontrols[2];

    static uint8_t  out[2][FUZZ_MAX], controls[2][FUZZ_MAX];

    if (size < 3 || size > FUZZ_MAX) {
        return 0;
    }

    server = data[0] & 1;
    step = 1 + (data[0] >> 1);

    whole = fuzz_read(server, data + 1, size - 1, size, out[0], &len[0],
                      controls[0], &ncontrols[0]);
    pieces = fuzz_read(server, data + 1, size - 1, step, out[1], &len[1],
                       controls[1], &ncontrols[1]);

    if (whole != pieces || len[0] != len[1] || ncontrols[0] != ncontrols[1]
        || memcmp(out[0], out[1], len[0]) != 0
        || memcmp(controls[0], controls[1], ncontrols[0]) != 0)
    {
        abort();
    }

    return 0;
}
