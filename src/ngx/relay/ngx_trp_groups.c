
/*
 * Copyright (C) the trp authors
 */


/*
 * Groups are spread over the workers, so they are read from what is there for
 * operators.  That is a walk over all rows, and not done more often than once a
 * second.
 */


#include "relay/ngx_trp_groups.h"
#include "status/ngx_trp_status_kinds.h"
#include "status/ngx_trp_status_reader.h"


#define NGX_TRP_GROUPS_TIME  1000

/* what follows the last name */
#define NGX_TRP_GROUPS_REST  (sizeof(" and  more)") + NGX_INT_T_LEN)


typedef struct {
    ngx_trp_status_reader_t   reader;
    ngx_trp_status_copy_t     copy;
} ngx_trp_groups_view_t;


static void ngx_trp_groups_list(ngx_trp_groups_view_t *view, u_char *buf,
    size_t size);
static ngx_uint_t ngx_trp_groups_has_reverse(ngx_trp_status_copy_t *copy);


ngx_trp_groups_text_t
ngx_trp_groups_text(ngx_trp_pair_t *pair)
{
    ngx_trp_groups_text_t   text;
    ngx_trp_groups_view_t  *view;

    text.data[0] = '\0';

    if (pair->listed
        && ngx_current_msec - pair->listed < NGX_TRP_GROUPS_TIME)
    {
        return text;
    }

    view = ngx_alloc(sizeof(ngx_trp_groups_view_t), ngx_cycle->log);

    if (view) {

        if (ngx_trp_status_reader((ngx_cycle_t *) ngx_cycle, &view->reader)
            == NGX_OK)
        {
            ngx_trp_groups_list(view, text.data, NGX_TRP_GROUPS_LEN);
        }

        ngx_free(view);
    }

    pair->listed = ngx_current_msec;

    return text;
}


static void
ngx_trp_groups_list(ngx_trp_groups_view_t *view, u_char *buf, size_t size)
{
    u_char                    *p, *last;
    ngx_str_t                 *name;
    ngx_uint_t                 i, n, more;
    ngx_trp_status_summary_t   summary;

    p = buf;
    last = buf + size - NGX_TRP_GROUPS_REST;

    n = 0;
    more = 0;

    ngx_trp_status_summary(&view->reader, &summary);

    for (i = 0; i < summary.used; i++) {

        if (ngx_trp_status_kind(&view->reader, i) != NGX_TRP_STATUS_GROUP
            || ngx_trp_status_read(&view->reader, i, &view->copy) != NGX_OK
            || view->copy.kind != NGX_TRP_STATUS_GROUP
            || !ngx_trp_groups_has_reverse(&view->copy))
        {
            continue;
        }

        name = &view->copy.texts[NGX_TRP_GROUP_NAME];

        if ((size_t) (last - p)
            < name->len + sizeof(" (groups with a reverse: \"\"") - 1)
        {
            more++;
            continue;
        }

        p = ngx_sprintf(p, "%s\"%V\"",
                        n++ ? ", " : " (groups with a reverse: ", name);
    }

    if (more) {
        p = ngx_sprintf(p, " and %ui more", more);
    }

    if (n) {
        *p++ = ')';

    } else if (summary.homeless == 0) {
        p = ngx_sprintf(p, " (no group has one)");
    }

    *p = '\0';
}


static ngx_uint_t
ngx_trp_groups_has_reverse(ngx_trp_status_copy_t *copy)
{
    ngx_uint_t  i;

    for (i = 0; i < copy->nparts; i++) {
        if (copy->gauges[i][NGX_TRP_GROUP_REVERSES]) {
            return 1;
        }
    }

    return 0;
}
