
/*
 * Copyright (C) the trp authors
 */


/*
 * The rows, parts and lists of the table, for its writers: everything here is
 * done under the lock.
 */


#ifndef _NGX_TRP_STATUS_TABLE_H_INCLUDED_
#define _NGX_TRP_STATUS_TABLE_H_INCLUDED_


#include "status/ngx_trp_status_types.h"


#pragma GCC visibility push(hidden)


/* if the last holder was killed in the middle, the lists are made anew */

ngx_trp_status_shared_t *ngx_trp_status_lock(ngx_trp_status_zone_t *zone);
void ngx_trp_status_unlock(ngx_trp_status_zone_t *zone);


/* the row of a kind whose name is these texts, or NULL */

ngx_trp_status_row_t *ngx_trp_status_find(ngx_trp_status_shared_t *shared,
    ngx_uint_t kind, const ngx_str_t *texts, ngx_uint_t n);

/* as one that is gone, with its name; NULL: there is no room */

ngx_trp_status_row_t *ngx_trp_status_make(ngx_trp_status_shared_t *shared,
    ngx_uint_t kind, const ngx_str_t *texts, ngx_uint_t n);

/* a row without parts */

void ngx_trp_status_forget(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);

/* the row has been gone quietly, and is no longer quiet */

void ngx_trp_status_told(ngx_trp_status_row_t *row);

/*
 * Texts of these lengths, which lie one behind the other in "data"; those that
 * are too long are cut.
 */

void ngx_trp_status_texts(ngx_str_t *texts, u_char *data,
    const uint16_t *len);

/* what is set is cut if there is no room for it */

void ngx_trp_status_write(ngx_trp_status_row_t *row, ngx_uint_t i,
    const ngx_str_t *text);


/* NULL: there is no room */

ngx_trp_status_part_t *ngx_trp_status_part_open(
    ngx_trp_status_shared_t *shared, ngx_trp_status_row_t *row,
    ngx_uint_t worker);

/* 1 if it was the last one: the row is gone now */

ngx_uint_t ngx_trp_status_part_close(ngx_trp_status_shared_t *shared,
    ngx_trp_status_part_t *part, ngx_uint_t quiet);

/* a worker is gone, and so are its parts */

void ngx_trp_status_bury(ngx_trp_status_shared_t *shared, ngx_uint_t worker);


/* all rows of another table, as rows that are gone */

void ngx_trp_status_adopt(ngx_trp_status_shared_t *shared,
    ngx_trp_status_shared_t *from);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_TABLE_H_INCLUDED_ */
