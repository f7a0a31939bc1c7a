
/*
 * Copyright (C) the trp authors
 */


/*
 * For tests: each worker changes the table of an operator's view all the time.
 * It opens and closes parts of a few rows that all workers share, and of rows
 * of its own that nobody needs any more.  When the file "calm" is there, it
 * closes them all and rests.
 *
 *     storm SIZE FILE;
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "status/ngx_trp_status.h"
#include "status/ngx_trp_status_kinds.h"
#include "status/ngx_trp_status_zone.h"


#define NGX_TRP_STORM_SHARED   40
#define NGX_TRP_STORM_ENTRIES  60
#define NGX_TRP_STORM_STEPS    300     /* in a turn of the event loop */


typedef struct {
    ngx_str_t               calm;
    ngx_shm_zone_t         *zone;
    ngx_trp_status_t       *status;
    ngx_event_t             event;
    ngx_uint_t              number;
    ngx_uint_t              open[NGX_TRP_STORM_ENTRIES];
    ngx_trp_status_entry_t  entries[NGX_TRP_STORM_ENTRIES];
} ngx_trp_storm_conf_t;


static void *ngx_trp_storm_create_conf(ngx_cycle_t *cycle);
static char *ngx_trp_storm(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_trp_storm_init_process(ngx_cycle_t *cycle);
static void ngx_trp_storm_exit_process(ngx_cycle_t *cycle);
static void ngx_trp_storm_handler(ngx_event_t *ev);
static void ngx_trp_storm_step(ngx_trp_storm_conf_t *storm, ngx_uint_t i);
static void ngx_trp_storm_open(ngx_trp_storm_conf_t *storm, ngx_uint_t i);


static ngx_command_t  ngx_trp_storm_commands[] = {

    { ngx_string("storm"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE2,
      ngx_trp_storm,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_trp_storm_module_ctx = {
    ngx_string("storm"),
    ngx_trp_storm_create_conf,
    NULL
};


ngx_module_t  ngx_trp_storm_module = {
    NGX_MODULE_V1,
    &ngx_trp_storm_module_ctx,             /* module context */
    ngx_trp_storm_commands,                /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_trp_storm_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_storm_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what nginx's build writes for a module */

ngx_module_t  *ngx_modules[] = { &ngx_trp_storm_module, NULL };
char          *ngx_module_names[] = { "ngx_trp_storm_module", NULL };
char          *ngx_module_order[] = { NULL };


static void *
ngx_trp_storm_create_conf(ngx_cycle_t *cycle)
{
    return ngx_pcalloc(cycle->pool, sizeof(ngx_trp_storm_conf_t));
}


static char *
ngx_trp_storm(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value;
    ngx_trp_storm_conf_t  *storm = conf;

    value = cf->args->elts;

    storm->calm = value[2];
    storm->zone = ngx_trp_status_zone_add(cf, ngx_parse_size(&value[1]));

    return storm->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_trp_storm_init_process(ngx_cycle_t *cycle)
{
    ngx_trp_storm_conf_t  *storm;

    storm = (ngx_trp_storm_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                  ngx_trp_storm_module);
    if (storm->zone == NULL) {
        return NGX_OK;
    }

    storm->status = ngx_trp_status_start(cycle, storm->zone);
    if (storm->status == NULL) {
        return NGX_ERROR;
    }

    srandom(ngx_pid);

    storm->event.data = storm;
    storm->event.log = cycle->log;
    storm->event.handler = ngx_trp_storm_handler;
    storm->event.cancelable = 1;

    ngx_add_timer(&storm->event, 1);

    return NGX_OK;
}


static void
ngx_trp_storm_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_storm_conf_t  *storm;

    storm = (ngx_trp_storm_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                  ngx_trp_storm_module);
    if (storm->status) {
        ngx_trp_status_stop(storm->status);
    }
}


static void
ngx_trp_storm_handler(ngx_event_t *ev)
{
    ngx_uint_t             i, calm;
    ngx_trp_storm_conf_t  *storm;

    storm = ev->data;

    calm = (access((char *) storm->calm.data, F_OK) == 0);

    for (i = 0; calm && i < NGX_TRP_STORM_ENTRIES; i++) {

        if (storm->open[i]) {
            storm->open[i] = 0;
            (void) ngx_trp_status_close(&storm->entries[i], 0);
        }
    }

    for (i = 0; !calm && i < NGX_TRP_STORM_STEPS; i++) {
        ngx_trp_storm_step(storm, random() % NGX_TRP_STORM_ENTRIES);
    }

    ngx_add_timer(ev, 1);
}


static void
ngx_trp_storm_step(ngx_trp_storm_conf_t *storm, ngx_uint_t i)
{
    ngx_str_t               text;
    ngx_trp_status_gone_t   gone;
    ngx_trp_status_entry_t  *entry;

    static const char  words[] = "the quick brown fox jumps over the lazy dog";

    entry = &storm->entries[i];

    if (!storm->open[i]) {
        ngx_trp_storm_open(storm, i);
        return;
    }

    switch (random() % 8) {

    case 0:
        storm->open[i] = 0;
        (void) ngx_trp_status_close(entry, 0);
        return;

    case 1:
        storm->open[i] = 0;
        (void) ngx_trp_status_close(entry, 2);
        return;

    case 2:
        storm->open[i] = 0;
        ngx_trp_status_erase(entry);
        return;

    case 3:
        (void) ngx_trp_status_overdue(storm->status, 0, &gone);
        return;

    case 4:
        (void) ngx_trp_status_sum(entry, 0);
        return;

    default:
        text.data = (u_char *) words;
        text.len = random() % sizeof(words);

        ngx_trp_status_set(entry, NGX_TRP_AGENT_COMMENT + random() % 3, &text);
        ngx_trp_status_count(entry, NGX_TRP_AGENT_OPENED, 1);
        ngx_trp_status_gauge(entry, NGX_TRP_AGENT_TUNNELS, 1);
    }
}


/* one of three is a row of its own, which is soon forgotten */

static void
ngx_trp_storm_open(ngx_trp_storm_conf_t *storm, ngx_uint_t i)
{
    u_char      buf[NGX_TRP_AGENT_KEYS][NGX_INT64_LEN * 3];
    ngx_str_t   texts[NGX_TRP_AGENT_KEYS];
    ngx_uint_t  j, own;

    own = (random() % 3 == 0);

    for (j = 0; j < NGX_TRP_AGENT_KEYS; j++) {
        texts[j].data = buf[j];
    }

    texts[0].len = ngx_sprintf(buf[0], "reverse") - buf[0];
    texts[1].len = (own ? ngx_sprintf(buf[1], "own-%P-%ui", ngx_pid,
                                      storm->number++)
                        : ngx_sprintf(buf[1], "shared-%ui", (ngx_uint_t)
                                      random() % NGX_TRP_STORM_SHARED))
                   - buf[1];
    texts[2].len = ngx_sprintf(buf[2], "group") - buf[2];
    texts[3].len = ngx_sprintf(buf[3], "key") - buf[3];

    storm->open[i] = 1;

    ngx_trp_status_open(storm->status, NGX_TRP_STATUS_AGENT, texts,
                        NGX_TRP_AGENT_KEYS, &storm->entries[i], NULL);
}
