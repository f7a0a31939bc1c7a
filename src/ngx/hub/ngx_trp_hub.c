
/*
 * Copyright (C) the trp authors
 */


/*
 * How the entry finds the relay of its nginx, and knows that both are of one
 * build: they share structs, and each has its own code for them.
 */


#include "hub/ngx_trp_hub.h"


/* "trph", for a main configuration that begins with something else */
#define NGX_TRP_HUB_MAGIC  0x74727068

/* structs that a macro of nginx changes count, too */
#define NGX_TRP_HUB_BUILD  ((size_t) NGX_TRP_BUILD + sizeof(ngx_trp_tunnel_t))


void
ngx_trp_hub_init(ngx_trp_hub_t *hub, const ngx_trp_hub_ops_t *ops)
{
    hub->magic = NGX_TRP_HUB_MAGIC;
    hub->build = NGX_TRP_HUB_BUILD;
    hub->ops = ops;
}


ngx_trp_hub_t *
ngx_trp_hub_find(ngx_conf_t *cf, const char **why)
{
    ngx_uint_t              i;
    ngx_module_t           *module;
    ngx_trp_hub_t          *hub;
    ngx_stream_conf_ctx_t  *ctx;

    ctx = (ngx_stream_conf_ctx_t *)
          cf->cycle->conf_ctx[ngx_stream_module.index];

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (module->type != NGX_STREAM_MODULE
            || ngx_strcmp(module->name, "ngx_trp_relay_module") != 0)
        {
            continue;
        }

        hub = ctx->main_conf[module->ctx_index];

        if (hub->magic != NGX_TRP_HUB_MAGIC
            || hub->build != NGX_TRP_HUB_BUILD)
        {
            *why = "needs a ngx_trp_relay_module.so of the same build, "
                   "install both files together";
            return NULL;
        }

        return hub;
    }

    *why = "needs the relay's module, write \"load_module "
           "modules/ngx_trp_relay_module.so;\"";

    return NULL;
}
