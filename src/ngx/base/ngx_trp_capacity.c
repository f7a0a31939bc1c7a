
/*
 * Copyright (C) the trp authors
 */


/*
 * The size of a worker is the number of its connections or of its descriptors,
 * whichever is smaller.  A third of it is for tunnels: first for those that
 * pools keep idle, and the rest for pools that grow.
 */


#include "base/ngx_trp_capacity.h"

#include <sys/resource.h>


static ngx_uint_t ngx_trp_capacity_descriptors(ngx_cycle_t *cycle);
static ngx_uint_t ngx_trp_capacity_share(ngx_trp_capacity_t *capacity);


ngx_uint_t
ngx_trp_capacity_size(ngx_cycle_t *cycle)
{
    ngx_uint_t  used, files;

    used = cycle->connection_n - cycle->free_connection_n;
    files = ngx_trp_capacity_descriptors(cycle);

    return ngx_min(cycle->connection_n, used + files);
}


/* those that are free; nginx does not make one too many of the low ones */

static ngx_uint_t
ngx_trp_capacity_descriptors(ngx_cycle_t *cycle)
{
    int            fd;
    rlim_t         used;
    struct rlimit  rlmt;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1
        || rlmt.rlim_cur == RLIM_INFINITY)
    {
        return NGX_MAX_INT_T_VALUE / 2;
    }

    fd = fcntl(cycle->log->file ? cycle->log->file->fd : STDERR_FILENO,
               F_DUPFD, 0);

    used = (fd == -1) ? 0 : fd;

    if (fd != -1) {
        (void) close(fd);
    }

    return (rlmt.rlim_cur > used) ? rlmt.rlim_cur - used : 0;
}


ngx_uint_t
ngx_trp_capacity_left(ngx_uint_t size)
{
    ngx_uint_t  used;

    used = ngx_cycle->connection_n - ngx_cycle->free_connection_n;

    return (size > used) ? size - used : 0;
}


ngx_uint_t
ngx_trp_capacity_join(ngx_trp_capacity_t *capacity, ngx_cycle_t *cycle,
    ngx_uint_t each)
{
    if (capacity->size == 0) {
        capacity->size = ngx_trp_capacity_size(cycle);
        capacity->free = ngx_trp_capacity_left(capacity->size);

        ngx_queue_init(&capacity->gates);
    }

    capacity->each = ngx_max(capacity->each, each);

    return ngx_trp_capacity_share(capacity);
}


static ngx_uint_t
ngx_trp_capacity_share(ngx_trp_capacity_t *capacity)
{
    return ngx_max(capacity->free / capacity->each, 1);
}


/*
 * At least half of the share: with many pools, not all of the tunnels that are
 * kept are busy at once.
 */

ngx_uint_t
ngx_trp_capacity_growth(ngx_trp_capacity_t *capacity)
{
    ngx_uint_t  max, share;

    share = ngx_trp_capacity_share(capacity);
    max = share / 2;

    if (share > capacity->kept) {
        max = ngx_max(max, share - capacity->kept);
    }

    return (max > capacity->grown) ? max - capacity->grown : 0;
}
