
/*
 * Copyright (C) the trp authors
 */


/*
 * Parses the status line and the few headers that matter.  While they are
 * incomplete, it is called again from the start with more bytes.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "portal/trp_upgrade.h"


static int trp_upgrade_line(trp_str_t *text, trp_str_t *line);
static int trp_upgrade_status(trp_upgrade_t *u, trp_str_t line);
static int trp_upgrade_header(trp_upgrade_t *u, trp_str_t line);
static int trp_upgrade_has(trp_str_t list, trp_str_t token);


static const trp_str_t  trp_upgrade_http = trp_string("HTTP/1.");
static const trp_str_t  trp_upgrade_websocket = trp_string("websocket");

static const trp_str_t  trp_upgrade_upgrade = trp_string("Upgrade");
static const trp_str_t  trp_upgrade_connection = trp_string("Connection");
static const trp_str_t  trp_upgrade_later = trp_string("Retry-After");
static const trp_str_t  trp_upgrade_accept =
    trp_string("Sec-WebSocket-Accept");
static const trp_str_t  trp_upgrade_extensions =
    trp_string("Sec-WebSocket-Extensions");
static const trp_str_t  trp_upgrade_protocol =
    trp_string("Sec-WebSocket-Protocol");


int
trp_upgrade_parse(trp_upgrade_t *u, trp_str_t text, size_t *head)
{
    int        rc;
    size_t     len;
    trp_str_t  line;

    memset(u, 0, sizeof(trp_upgrade_t));

    len = text.len;

    rc = trp_upgrade_line(&text, &line);

    if (rc != TRP_OK) {
        return rc;
    }

    if (trp_upgrade_status(u, line) != TRP_OK) {
        return TRP_ERROR;
    }

    for ( ;; ) {
        rc = trp_upgrade_line(&text, &line);

        if (rc != TRP_OK) {
            return rc;
        }

        if (line.len == 0) {
            *head = len - text.len;
            return TRP_OK;
        }

        if (trp_upgrade_header(u, line) != TRP_OK) {
            return TRP_ERROR;
        }
    }
}


/* removes a line from the text; the line is without its terminator */

static int
trp_upgrade_line(trp_str_t *text, trp_str_t *line)
{
    size_t          len;
    const uint8_t  *p;

    p = text->len ? memchr(text->data, '\n', text->len) : NULL;

    if (p == NULL) {
        return TRP_AGAIN;
    }

    len = (size_t) (p - text->data);

    if (len == 0 || p[-1] != '\r') {
        return TRP_ERROR;
    }

    line->data = text->data;
    line->len = len - 1;

    trp_str_skip(text, len + 1);

    return TRP_OK;
}


/* HTTP/1.1 101 Switching Protocols */

static int
trp_upgrade_status(trp_upgrade_t *u, trp_str_t line)
{
    size_t  i;

    if (!trp_str_starts(line, trp_upgrade_http)) {
        return TRP_ERROR;
    }

    (void) trp_str_word(&line);

    line = trp_str_word(&line);

    if (line.len != 3) {
        return TRP_ERROR;
    }

    for (i = 0; i < 3; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return TRP_ERROR;
        }

        u->status = u->status * 10 + (line.data[i] - '0');
    }

    return TRP_OK;
}


static int
trp_upgrade_header(trp_upgrade_t *u, trp_str_t line)
{
    trp_str_t       name, value;
    const uint8_t  *p;

    p = memchr(line.data, ':', line.len);

    /* without a name: a folded line, RFC 9112, section 5.2 */

    if (p == NULL || p == line.data || trp_is_blank(line.data[0])) {
        return TRP_ERROR;
    }

    name.data = line.data;
    name.len = (size_t) (p - line.data);

    value = line;
    trp_str_skip(&value, name.len + 1);
    trp_str_trim(&value);

    if (trp_name_equal(name, trp_upgrade_upgrade)) {
        u->upgrade |= trp_upgrade_has(value, trp_upgrade_websocket);

    } else if (trp_name_equal(name, trp_upgrade_connection)) {
        u->connection |= trp_upgrade_has(value, trp_upgrade_upgrade);

    } else if (trp_name_equal(name, trp_upgrade_accept)) {
        u->accept = value;

    } else if (trp_name_equal(name, trp_upgrade_later)) {
        u->later = value;

    } else if (trp_name_equal(name, trp_upgrade_extensions)
               || trp_name_equal(name, trp_upgrade_protocol))
    {
        u->extra |= (value.len != 0);
    }

    return TRP_OK;
}


/* whether a comma-separated list contains the token */

static int
trp_upgrade_has(trp_str_t list, trp_str_t token)
{
    size_t          len;
    trp_str_t       item;
    const uint8_t  *p;

    while (list.len) {
        p = memchr(list.data, ',', list.len);
        len = p ? (size_t) (p - list.data) : list.len;

        item.data = list.data;
        item.len = len;
        trp_str_trim(&item);

        if (trp_name_equal(item, token)) {
            return 1;
        }

        trp_str_skip(&list, p ? len + 1 : len);
    }

    return 0;
}


int
trp_upgrade_check(const trp_upgrade_t *u, trp_str_t accept)
{
    return (u->status == 101 && u->upgrade && u->connection && !u->extra
            && trp_str_equal(u->accept, accept))
           ? TRP_OK : TRP_ERROR;
}
