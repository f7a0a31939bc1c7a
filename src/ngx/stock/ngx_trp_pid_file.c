
/*
 * Copyright (C) the trp authors
 */


/*
 * Warns if the process in the pid file is alive, and neither this one nor its
 * parent.
 */


#include "stock/ngx_trp_pid_file.h"


static ngx_pid_t ngx_trp_pid_file_pid(ngx_str_t *name);


void
ngx_trp_pid_file_check(ngx_cycle_t *cycle, const char *ours)
{
    ngx_pid_t         pid;
    ngx_core_conf_t  *ccf;

    /* during a binary upgrade there is none: the old one was renamed */

    if (ngx_test_config || !ngx_is_init_cycle(cycle->old_cycle)) {
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    pid = ngx_trp_pid_file_pid(&ccf->pid);

    if (pid <= 0 || pid == ngx_pid || pid == ngx_parent
        || (kill(pid, 0) == -1 && ngx_errno != NGX_EPERM))
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "process %P of pid file \"%V\" is running, \"%s\" is there "
                  "twice if that is the same nginx, stop one of them",
                  pid, &ccf->pid, ours);
}


/* 0 if there is no such file, or no valid pid in it */

static ngx_pid_t
ngx_trp_pid_file_pid(ngx_str_t *name)
{
    u_char     buf[NGX_INT64_LEN + 2];
    size_t     len;
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  pid;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    (void) ngx_close_file(fd);

    for (len = 0; n > 0 && len < (size_t) n; len++) {
        if (buf[len] == LF || buf[len] == CR) {
            break;
        }
    }

    pid = ngx_atoi(buf, len);

    return (pid == NGX_ERROR) ? 0 : (ngx_pid_t) pid;
}
