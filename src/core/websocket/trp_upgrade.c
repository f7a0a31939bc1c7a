
/*
 * Copyright (C) the trp authors
 */


/*
 * Parses the first line and the few headers that matter.  While they are
 * incomplete, it is called again from the start with more bytes.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "tunnel/trp_wire.h"
#include "websocket/trp_upgrade.h"


/* a line of the head, without its end */

typedef int (*trp_upgrade_line_pt)(void *data, trp_str_t line);


static int trp_upgrade_head(trp_str_t text, size_t *head,
    trp_upgrade_line_pt first, trp_upgrade_line_pt header, void *data);
static int trp_upgrade_line(trp_str_t *text, trp_str_t *line);
static int trp_upgrade_status(void *data, trp_str_t line);
static int trp_upgrade_split(trp_str_t line, trp_str_t *name,
    trp_str_t *value);
static int trp_upgrade_header(void *data, trp_str_t line);
static int trp_upgrade_method(void *data, trp_str_t line);
static int trp_upgrade_request_header(void *data, trp_str_t line);
static void trp_upgrade_protocols(trp_upgrade_request_t *r, trp_str_t list);
static int trp_upgrade_slot(trp_str_t item);
static int trp_upgrade_has(trp_str_t list, trp_str_t token);
static trp_str_t trp_upgrade_item(trp_str_t *list);


static const trp_str_t  trp_upgrade_http = trp_string("HTTP/1.");
static const trp_str_t  trp_upgrade_http11 = trp_string("HTTP/1.1");
static const trp_str_t  trp_upgrade_get = trp_string("GET");
static const trp_str_t  trp_upgrade_v13 = trp_string("13");
static const trp_str_t  trp_upgrade_trp = trp_string(TRP_UPGRADE_PROTOCOL);
static const trp_str_t  trp_upgrade_trp_slot = trp_string(TRP_UPGRADE_SLOT);
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
static const trp_str_t  trp_upgrade_key = trp_string("Sec-WebSocket-Key");
static const trp_str_t  trp_upgrade_version =
    trp_string("Sec-WebSocket-Version");
static const trp_str_t  trp_upgrade_forwarded = trp_string("X-Forwarded-For");


int
trp_upgrade_parse(trp_upgrade_t *u, trp_str_t text, size_t *head)
{
    memset(u, 0, sizeof(trp_upgrade_t));

    return trp_upgrade_head(text, head, trp_upgrade_status,
                            trp_upgrade_header, u);
}


/* "data" goes to both; they return TRP_OK or TRP_ERROR */

static int
trp_upgrade_head(trp_str_t text, size_t *head, trp_upgrade_line_pt first,
    trp_upgrade_line_pt header, void *data)
{
    int        rc;
    size_t     len;
    trp_str_t  line;

    len = text.len;

    rc = trp_upgrade_line(&text, &line);

    if (rc != TRP_OK) {
        return rc;
    }

    if (first(data, line) != TRP_OK) {
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

        if (header(data, line) != TRP_OK) {
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
trp_upgrade_status(void *data, trp_str_t line)
{
    trp_upgrade_t *u = data;

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
trp_upgrade_split(trp_str_t line, trp_str_t *name, trp_str_t *value)
{
    const uint8_t  *p;

    p = memchr(line.data, ':', line.len);

    /* without a name: a folded line, RFC 9112, section 5.2 */

    if (p == NULL || p == line.data || trp_is_blank(line.data[0])) {
        return TRP_ERROR;
    }

    name->data = line.data;
    name->len = (size_t) (p - line.data);

    *value = line;
    trp_str_skip(value, name->len + 1);
    trp_str_trim(value);

    return TRP_OK;
}


static int
trp_upgrade_header(void *data, trp_str_t line)
{
    trp_upgrade_t *u = data;

    trp_str_t  name, value;

    if (trp_upgrade_split(line, &name, &value) != TRP_OK) {
        return TRP_ERROR;
    }

    if (trp_name_equal(name, trp_upgrade_upgrade)) {
        u->upgrade |= trp_upgrade_has(value, trp_upgrade_websocket);

    } else if (trp_name_equal(name, trp_upgrade_connection)) {
        u->connection |= trp_upgrade_has(value, trp_upgrade_upgrade);

    } else if (trp_name_equal(name, trp_upgrade_accept)) {
        u->accept = value;

    } else if (trp_name_equal(name, trp_upgrade_later)) {
        u->later = value;

    } else if (trp_name_equal(name, trp_upgrade_protocol)) {
        u->protocol = value;

    } else if (trp_name_equal(name, trp_upgrade_extensions)) {
        u->extra |= (value.len != 0);
    }

    return TRP_OK;
}


int
trp_upgrade_check(const trp_upgrade_t *u, trp_str_t accept, trp_str_t protocol)
{
    return (u->status == 101 && u->upgrade && u->connection && !u->extra
            && trp_str_equal(u->accept, accept)
            && trp_str_equal(u->protocol, protocol))
           ? TRP_OK : TRP_ERROR;
}


int
trp_upgrade_request(trp_upgrade_request_t *r, trp_str_t text, size_t *head)
{
    memset(r, 0, sizeof(trp_upgrade_request_t));

    r->slot = TRP_DECLINED;

    return trp_upgrade_head(text, head, trp_upgrade_method,
                            trp_upgrade_request_header, r);
}


/* GET /path HTTP/1.1 */

static int
trp_upgrade_method(void *data, trp_str_t line)
{
    trp_upgrade_request_t *r = data;

    r->get = trp_str_equal(trp_str_word(&line), trp_upgrade_get);
    r->path = trp_str_word(&line);
    r->http11 = trp_str_equal(line, trp_upgrade_http11);

    return (r->path.len && trp_str_starts(line, trp_upgrade_http))
           ? TRP_OK : TRP_ERROR;
}


static int
trp_upgrade_request_header(void *data, trp_str_t line)
{
    trp_upgrade_request_t *r = data;

    trp_str_t  name, value;

    if (trp_upgrade_split(line, &name, &value) != TRP_OK) {
        return TRP_ERROR;
    }

    if (trp_name_equal(name, trp_upgrade_upgrade)) {
        r->upgrade |= trp_upgrade_has(value, trp_upgrade_websocket);

    } else if (trp_name_equal(name, trp_upgrade_connection)) {
        r->connection |= trp_upgrade_has(value, trp_upgrade_upgrade);

    } else if (trp_name_equal(name, trp_upgrade_key)) {
        r->key = value;

    } else if (trp_name_equal(name, trp_upgrade_version)) {
        r->version = trp_str_equal(value, trp_upgrade_v13);

    } else if (trp_name_equal(name, trp_upgrade_protocol)) {
        trp_upgrade_protocols(r, value);

    } else if (trp_name_equal(name, trp_upgrade_forwarded)) {

        /* the one that the last proxy has seen */

        while (value.len) {
            r->forwarded = trp_upgrade_item(&value);
        }
    }

    return TRP_OK;
}


static void
trp_upgrade_protocols(trp_upgrade_request_t *r, trp_str_t list)
{
    int        slot;
    trp_str_t  item;

    while (list.len) {
        item = trp_upgrade_item(&list);

        if (trp_str_equal(item, trp_upgrade_trp)) {
            r->protocol = 1;
            continue;
        }

        slot = trp_upgrade_slot(item);

        if (slot >= 0) {
            r->slot = slot;
        }
    }
}


static int
trp_upgrade_slot(trp_str_t item)
{
    size_t  i;
    int     slot;

    if (!trp_str_starts(item, trp_upgrade_trp_slot)) {
        return TRP_DECLINED;
    }

    trp_str_skip(&item, trp_upgrade_trp_slot.len);

    if (item.len != 2) {
        return TRP_DECLINED;
    }

    slot = 0;

    for (i = 0; i < 2; i++) {
        if (item.data[i] < '0' || item.data[i] > '9') {
            return TRP_DECLINED;
        }

        slot = slot * 10 + (item.data[i] - '0');
    }

    return (slot < TRP_SLOTS) ? slot : TRP_DECLINED;
}


unsigned
trp_upgrade_request_check(const trp_upgrade_request_t *r)
{
    if (!r->get) {
        return 405;
    }

    if (!r->http11) {
        return 505;
    }

    if (!r->upgrade || !r->connection || !r->version) {
        return 426;
    }

    return (r->protocol && r->key.len == TRP_UPGRADE_KEY) ? 101 : 400;
}


/* whether a comma-separated list contains the token */

static int
trp_upgrade_has(trp_str_t list, trp_str_t token)
{
    while (list.len) {
        if (trp_name_equal(trp_upgrade_item(&list), token)) {
            return 1;
        }
    }

    return 0;
}


/* removes the first item of such a list */

static trp_str_t
trp_upgrade_item(trp_str_t *list)
{
    size_t          len;
    trp_str_t       item;
    const uint8_t  *p;

    p = memchr(list->data, ',', list->len);
    len = p ? (size_t) (p - list->data) : list->len;

    item.data = list->data;
    item.len = len;
    trp_str_trim(&item);

    trp_str_skip(list, p ? len + 1 : len);

    return item;
}
