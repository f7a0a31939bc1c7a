#!/bin/bash

# Builds the modules into OBJS (objs, or objs/asan with SANITIZE=1).
#
#     NGINX_SRC  an nginx source tree; without it, Debian's nginx-dev
#     STATIC=1   with NGINX_SRC: a whole nginx, OBJS/nginx
#     SANITIZE=1 with AddressSanitizer and UndefinedBehaviorSanitizer, and with
#                asserts (TRP_DEBUG)
#     CC, CFLAGS, LDFLAGS   compiler and additional flags
#     V=1        show the commands
#
# Configures only when these, the file "config" or the list of sources have
# changed.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
sanitize=${SANITIZE:+1}
objs=${OBJS:-objs${sanitize:+/asan}}
cc=${CC:-cc}

case $objs in
    /*) ;;
    *)  objs=$root/$objs ;;
esac

if [ "$sanitize" ]; then
    sanitizers=-fsanitize=address,undefined
    cflags="-g -O1 -fPIC -fno-omit-frame-pointer $sanitizers"
    cflags+=' -Wno-error=maybe-uninitialized -DTRP_DEBUG'
    ldflags=$sanitizers
else
    cflags='-g -O2 -fPIC -fstack-protector-strong -Wformat'
    cflags+=' -Werror=format-security -D_FORTIFY_SOURCE=2'
    ldflags='-Wl,-z,relro -Wl,-z,now'
fi

if [ "${NGINX_SRC:-}" ]; then
    src=$(cd "$NGINX_SRC" && pwd)
    options=(--with-compat --with-debug --with-threads
             --with-http_ssl_module --with-http_v2_module
             --with-stream_realip_module)
else
    src=/usr/share/nginx/src

    if [ ! -e "$src/conf_flags" ]; then
        echo "$0: no nginx-dev here (see scripts/packages), no NGINX_SRC" >&2
        exit 1
    fi

    . "$src/conf_flags"
    options=("${NGX_CONF_FLAGS[@]}")
fi

if [ "${STATIC:-}" ]; then
    if [ -z "${NGINX_SRC:-}" ]; then
        echo "$0: STATIC needs NGINX_SRC" >&2
        exit 1
    fi

    # these find harmless things in nginx itself

    [ -z "$sanitize" ] \
        || cflags+=' -fno-sanitize=alignment,nonnull-attribute,shift-base'

    options+=("--add-module=$root")
    target=binary
else
    options+=("--add-dynamic-module=$root")
    target=modules
fi

options+=(--with-stream --with-stream_ssl_module
          --with-stream_ssl_preread_module
          --with-cc="$cc" --with-cc-opt="$cflags ${CFLAGS:-}"
          --with-ld-opt="$ldflags ${LDFLAGS:-}" --builddir="$objs")

# these may be installed, or another version of them

libraries=$(printf '%s\n' '#if __has_include(<ngtcp2/version.h>)' \
                '#include <ngtcp2/version.h>' '#endif' \
                '#include <openssl/opensslv.h>' \
            | "$cc" -E -dM -xc ${CFLAGS:-} - 2>/dev/null \
            | grep -E ' (NGTCP2_VERSION|OPENSSL_VERSION_TEXT) ' || true)

stamp=$(printf '%s\n' "$src" "${options[@]}" "$libraries"
        cat "$root/config" "$root/config.make" "$src/src/core/nginx.h"
        grep -m 1 '^Changes with' "$root/CHANGES"
        cd "$root" && ls src/*/*)

unset MAKEFLAGS MFLAGS MAKELEVEL NGX_CONF_FLAGS

if [ ! -e "$objs/Makefile" ] \
   || [ "$stamp" != "$(cat "$objs/.configured" 2>/dev/null)" ]
then
    mkdir -p "$objs"
    rm -rf "$objs/.configured" "$objs/addon" "$objs"/*.so "$objs/nginx"

    # a repository has the script in a directory, a release on top

    configure=./configure
    [ -e "$src/configure" ] || configure=./auto/configure

    if ! (cd "$src" && env -u CFLAGS -u LDFLAGS -u CC \
              bash "$configure" "${options[@]}") > "$objs/configure.log" 2>&1
    then
        tail -n 20 "$objs/configure.log" >&2
        echo "$0: configure has failed, see $objs/configure.log" >&2
        exit 1
    fi

    if ! grep -q '^CFLAGS.*-Werror' "$objs/Makefile"; then
        sed -i 's/^CFLAGS *=/& -Werror/' "$objs/Makefile"
    fi

    printf '%s\n' "$stamp" > "$objs/.configured"
fi

quiet=(-s)
[ -z "${V:-}" ] || quiet=()

env -u CFLAGS -u LDFLAGS -u CC \
    make -C "$src" --no-print-directory "${quiet[@]}" -j"$(nproc)" \
         -f "$objs/Makefile" "$target"
