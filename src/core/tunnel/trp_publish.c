
/*
 * Copyright (C) the trp authors
 */


/*
 * Names of published services, what a key may publish, and where a service is.
 */


#include "tunnel/trp_publish.h"
#include "base/trp_str.h"


static uint8_t trp_publish_lower(uint8_t c);
static int trp_names_are_ports(trp_str_t text);
static int trp_names_parse_ports(trp_names_t *names, trp_str_t text);
static const char *trp_publish_host(trp_publish_t *publish, trp_str_t text);


static const trp_str_t  trp_names_all = trp_string("*");
static const trp_str_t  trp_names_below = trp_string("*.");
static const trp_str_t  trp_publish_localhost = trp_string("127.0.0.1");


int
trp_service_valid(trp_str_t name)
{
    return trp_service_port(name) != 0
           || trp_name_valid(trp_name_relative(name));
}


size_t
trp_service_copy(uint8_t *dst, trp_str_t name)
{
    size_t  i;

    name = trp_name_relative(name);

    for (i = 0; i < name.len; i++) {
        dst[i] = trp_publish_lower(name.data[i]);
    }

    return name.len;
}


static uint8_t
trp_publish_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? c | 0x20 : c;
}


uint16_t
trp_service_port(trp_str_t name)
{
    return trp_port_parse(name);
}


int
trp_names_parse(trp_names_t *names, trp_str_t text)
{
    memset(names, 0, sizeof(trp_names_t));

    if (trp_str_equal(text, trp_names_all)) {
        names->all = 1;
        return TRP_OK;
    }

    if (trp_names_are_ports(text)) {
        return trp_names_parse_ports(names, text);
    }

    if (trp_str_starts(text, trp_names_below)) {
        names->below = 1;
        trp_str_skip(&text, trp_names_below.len);
    }

    names->name = trp_name_relative(text);

    return trp_name_valid(names->name) ? TRP_OK : TRP_ERROR;
}


/* "2-1" would be the name of a host */

static int
trp_names_are_ports(trp_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] != '-' && (text.data[i] < '0' || text.data[i] > '9'))
        {
            return 0;
        }
    }

    return 1;
}


static int
trp_names_parse_ports(trp_names_t *names, trp_str_t text)
{
    names->first = trp_port_parse(text);
    names->last = names->first;

    if (names->first) {
        return TRP_OK;
    }

    if (trp_port_range_parse(text, &names->first, &names->last) == TRP_OK) {
        return TRP_OK;
    }

    names->first = 0;

    return TRP_ERROR;
}


int
trp_names_match(const trp_names_t *names, trp_str_t name)
{
    uint16_t  port;

    if (names->all) {
        return 1;
    }

    port = trp_service_port(name);

    if (port || names->first) {
        return port && port >= names->first && port <= names->last;
    }

    name = trp_name_relative(name);

    if (names->below) {

        /* at least one character, and the dot */

        if (name.len < names->name.len + 2
            || name.data[name.len - names->name.len - 1] != '.')
        {
            return 0;
        }

        trp_str_skip(&name, name.len - names->name.len);
    }

    return trp_name_equal(names->name, name);
}


const char *
trp_publish_parse(trp_publish_t *publish, trp_str_t name,
    trp_str_t destination)
{
    size_t     colon;
    trp_str_t  port, host;

    memset(publish, 0, sizeof(trp_publish_t));

    publish->name = trp_name_relative(name);

    port = destination;
    host = trp_publish_localhost;

    for (colon = destination.len; colon; colon--) {

        if (destination.data[colon - 1] == ':') {
            host.data = destination.data;
            host.len = colon - 1;

            trp_str_skip(&port, colon);
            break;
        }
    }

    publish->port = trp_port_parse(port);

    if (publish->port == 0) {
        return "has no valid port, write \"HOST:PORT\"";
    }

    return trp_publish_host(publish, host);
}


static const char *
trp_publish_host(trp_publish_t *publish, trp_str_t text)
{
    int  rc;

    publish->host = text;

    if (text.len && text.data[0] == '[' && text.data[text.len - 1] == ']') {
        publish->host.data = text.data + 1;
        publish->host.len = text.len - 2;

        rc = trp_addr_parse(&publish->addr, publish->host);

        return (rc == TRP_OK && publish->addr.family == 6)
               ? NULL
               : "has brackets around what is not an IPv6 address";
    }

    if (trp_addr_parse(&publish->addr, text) == TRP_OK) {
        return publish->addr.family == 4
               ? NULL
               : "has an unbracketed IPv6 address, write \"[ADDRESS]:PORT\"";
    }

    publish->host = trp_name_relative(text);

    return trp_name_valid(publish->host) ? NULL : "has an invalid host";
}


/* FNV-1a: tells the lists of one agent apart, is not secret */

uint64_t
trp_publish_add(uint64_t list, trp_str_t name)
{
    size_t  i;

    list = (list ? list : 14695981039346656037u) ^ 0xff;
    list *= 1099511628211u;

    name = trp_name_relative(name);

    for (i = 0; i < name.len; i++) {
        list = (list ^ trp_publish_lower(name.data[i])) * 1099511628211u;
    }

    return list ? list : 1;
}
