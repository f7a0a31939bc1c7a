#!/bin/sh

# Builds the project and runs its tests, on a fresh Debian too.
#
#     t/run.sh             everything
#     t/run.sh t/turn      the tests of a folder, or of several
#     t/run.sh t/foo/a.t   some of the tests
#     ASAN=1 t/run.sh      with AddressSanitizer, UndefinedBehaviorSanitizer
#     VALGRIND=1 t/run.sh  with valgrind, which takes long; some tests that
#                          tell new workers from old ones fail then
#
# NGINX_SRC and STATIC=1 test with another nginx, see scripts/build.sh; with
# NGINX_SRC alone, TRP_NGINX is the binary that goes with these modules.
# JOBS is the number of tests at a time (2), PROVE_FLAGS goes to prove.
#
# When everything runs, up to AGAIN (3) files that fail run once more, alone;
# those that pass then are named in the summary.  AGAIN=0: a failure is final,
# as it is with sanitizers and valgrind, and by default when some tests run.
#
# Where the modules have no QUIC, its tests run on Debian 13 then, by
# scripts/chroot, if this is root; QUIC=0: not.

set -eu

for file; do
    [ -e "$file" ] || { echo "$0: no file $file" >&2; exit 2; }
done

# the names of the tests, from the top directory

here=$(pwd)
cd "$(dirname "$0")/.."
root=$(pwd)
only=$#

for file; do
    shift
    case $file in
        /*) set -- "$@" "$file" ;;
        *)  set -- "$@" "$here/$file" ;;
    esac
done

[ "$only" -gt 0 ] || set -- t

# folders stand for the tests in them

tests=$(for file; do
    if [ -d "$file" ]; then find "$file" -name '*.t' | LC_ALL=C sort
    else echo "$file"; fi
done)

[ "$tests" ] || { echo "$0: no tests in $*" >&2; exit 2; }

set -f
IFS='
'
# shellcheck disable=SC2086
set -- $tests
unset IFS
set +f

summary=
failed=

note() {
    summary="$summary
    $1"
}

run() {
    name=$1
    shift

    echo "== $name"

    if "$@"; then
        note "$name: ok"
    else
        note "$name: FAILED"
        failed=1
    fi
}

finish() {
    echo "== summary$summary"
    [ -z "$failed" ] || { echo 'FAILED'; exit 1; }
    echo 'PASSED'
    exit 0
}


scripts/packages test
scripts/node-modules || echo 'no npm packages: some tests are skipped'

for name in pion webrtc-rs aioice; do
    case "$*" in
        *"t/interop/$(echo "$name" | tr - _)"*) scripts/interop "$name" ;;
    esac
done

if [ "${ASAN:-}" ]; then
    SANITIZE=1
    export SANITIZE
fi

objs=${OBJS:-objs${ASAN:+/asan}}
case $objs in
    /*) ;;
    *)  objs=$root/$objs ;;
esac

run build make --no-print-directory all
[ -z "$failed" ] || finish

if [ "$only" = 0 ]; then
    run 'unit tests' make --no-print-directory "unit${ASAN:+-asan}"
    run 'fuzz corpus' make --no-print-directory replay
fi


# what the tests run

TEST_NGINX_GLOBALS=

if [ "${STATIC:-}" ]; then
    TRP_NGINX=$objs/nginx

else
    TRP_NGINX=${TRP_NGINX:-$(PATH=$PATH:/usr/sbin command -v nginx)}
    stream=$("$TRP_NGINX" -V 2>&1 | sed -n '/--with-stream=dynamic/!d
                                         s/.*--modules-path=\([^ ]*\).*/\1/p')

    for so in ${stream:+"$stream/ngx_stream_module.so"} \
        "$objs"/ngx_*trp_*_module.so
    do
        TEST_NGINX_GLOBALS="${TEST_NGINX_GLOBALS}load_module $so; "
    done
fi

# workers read the directories of the tests, which belong to root then

[ "$(id -u)" != 0 ] || TEST_NGINX_GLOBALS="${TEST_NGINX_GLOBALS}user root;"

if [ "${ASAN:-}" ]; then
    cc=${CC:-cc}
    # each module has symbols of these names: ngx_modules, ngx_module_names

    ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0
    UBSAN_OPTIONS=print_stacktrace=1
    TRP_PRELOAD=

    if [ -z "${STATIC:-}" ]; then
        TRP_PRELOAD="$($cc -print-file-name=libasan.so)"
        TRP_PRELOAD="$TRP_PRELOAD $($cc -print-file-name=libubsan.so)"
    fi

    export ASAN_OPTIONS UBSAN_OPTIONS TRP_PRELOAD
fi

TRP_VALGRIND=

if [ "${VALGRIND:-}" ]; then
    scripts/packages valgrind
    TRP_VALGRIND=$objs/valgrind
    rm -rf "$TRP_VALGRIND"
    mkdir "$TRP_VALGRIND"
fi

export TRP_VALGRIND

TEST_NGINX_BINARY=$root/scripts/nginx
export TRP_NGINX TEST_NGINX_BINARY TEST_NGINX_GLOBALS


# prove ends well when all tests are skipped, so its summary is read too

log=$objs/prove.$$.log
trap 'rm -f "$log"' EXIT

prove_all() {
    # shellcheck disable=SC2086
    { prove "-j${JOBS:-2}" ${PROVE_FLAGS:-} "$@" 2>&1 || echo 'prove failed'
    } | tee "$log"

    ! grep -q '^prove failed$' "$log"
}

count() {
    total=$(sed -n 's/^\(Files=[0-9]*, Tests=[0-9]*\).*/\1/p' "$log")
    skipped=$(grep -c ' skipped: ' "$log" || true)
}


# A test that needs a machine for itself may fail beside others, so a few get a
# second try; one that has found memory misused does not.

again=${AGAIN:-3}
if [ "$only" -gt 0 ] && [ -z "${AGAIN:-}" ] || [ "${ASAN:-}${VALGRIND:-}" ]
then
    again=0
fi

tests() {
    prove_all "$@" && rc=0 || rc=1
    count

    # shellcheck disable=SC2046
    set -- $(sed -n '/ (Wstat: 0 .*Failed: 0)/d
                     s/^\(.*\.t\)  *(Wstat: .*/\1/p' "$log")

    [ "$rc" = 1 ] && [ $# -gt 0 ] && [ $# -le "$again" ] || return "$rc"

    echo "== once more, alone: $*"

    JOBS=1 prove_all "$@" || return 1

    passed_alone=$*
}

passed_alone=
run 'nginx tests' tests "$@"

note "  ${total:-nothing}, skipped files: $skipped"
[ -z "$passed_alone" ] || note "  failed first, passed alone: $passed_alone"

if [ "$TRP_VALGRIND" ]; then
    found=$(find "$TRP_VALGRIND" -type f -size +0 | wc -l)
    note "  processes in which valgrind found something: $found"
    [ "$found" = 0 ] || failed=1
fi

# what is skipped without QUIC, on a Debian that has it

quic_elsewhere() {
    # shellcheck disable=SC2046
    set -- $(grep -rl --include='*.t' quic_missing t | LC_ALL=C sort)

    quic_log=$objs/quic.log
    echo "== QUIC: $# files on Debian 13, to $quic_log"

    env -u OBJS -u CC -u LD_PRELOAD AGAIN="$again" \
        scripts/chroot trixie t/run.sh "$@" \
        > "$quic_log" 2>&1 && rc=0 || rc=1

    sed -n '/^== summary/,$p' "$quic_log"
    [ "$rc" = 0 ] || tail -n 60 "$quic_log"
    return "$rc"
}

if [ "$only" = 0 ] && [ "${QUIC:-}" != 0 ] && [ -d t/quic ] \
    && ! grep -q NGX_TRP_QUIC "$objs/ngx_auto_config.h"
then
    if [ "$(id -u)" != 0 ]; then
        note 'QUIC: not tested, this build has none, and Debian 13 needs root'
    elif [ "${NGINX_SRC:-}${VALGRIND:-}" ]; then
        note 'QUIC: not tested, this build has none'
    elif ! scripts/chroot trixie true > "$objs/quic.log" 2>&1; then
        note "QUIC: not tested, no chroot of Debian 13, see $objs/quic.log"
    else
        run 'QUIC, on Debian 13' quic_elsewhere
    fi
fi

case $total in
    ''|*Tests=0)
        note 'NO TEST HAS RUN'
        failed=1 ;;
esac

finish
