
/*
 * Copyright (C) the trp authors
 */


/*
 * The time for QUIC, which paces packets by less than a millisecond.
 */


#include "quic/ngx_trp_quic_impl.h"


ngtcp2_tstamp
ngx_trp_quic_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (ngtcp2_tstamp) ts.tv_sec * NGTCP2_SECONDS + ts.tv_nsec;
}
