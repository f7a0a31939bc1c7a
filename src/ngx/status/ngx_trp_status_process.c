
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether a process is alive, by the kernel.
 */


#include "status/ngx_trp_status_process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>


uint64_t
ngx_trp_status_started(ngx_pid_t pid)
{
    int        n;
    char       name[64];
    FILE      *file;
    uint64_t   started;

    (void) ngx_snprintf((u_char *) name, sizeof(name), "/proc/%P/stat%Z", pid);

    file = fopen(name, "r");
    if (file == NULL) {
        return 0;
    }

    /* the 22nd field; the second one is a name in parentheses */

    n = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
                     "%*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &started);

    (void) fclose(file);

    return (n == 1) ? started : 0;
}


ngx_uint_t
ngx_trp_status_alive(ngx_pid_t pid, uint64_t started)
{
    uint64_t  since;

    if (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
        return 0;
    }

    if (started == 0) {
        return 1;
    }

    since = ngx_trp_status_started(pid);

    return since == 0 || since == started;
}
