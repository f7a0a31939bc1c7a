#!/bin/sh

# A tunnel on this machine: builds the modules, makes keys, runs the examples'
# relay, entry and reverse on loopback, and sends HTTP and scp through them.
#
# Installs the Debian packages that are missing (root, or sudo).  Everything
# else happens in one temporary directory, on free ports; the system's nginx
# and sshd are left alone.

set -eu

cd "$(dirname "$0")/.."
root=$(pwd)

say() {
    printf '\n== %s\n' "$*"
}

die() {
    echo "$0: $*" >&2
    exit 1
}

say 'Packages and modules'

scripts/packages demo
make

dir=$(mktemp -d "${TMPDIR:-/tmp}/trp-demo.XXXXXX")
nginx=$(command -v nginx || echo /usr/sbin/nginx)
stream=$("$nginx" -V 2>&1 \
         | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')/ngx_stream_module.so
sshd_dir=

stop() {
    trap - EXIT INT TERM

    for pid in "$dir"/*/logs/nginx.pid "$dir"/sshd/pid; do
        [ ! -e "$pid" ] || kill "$(cat "$pid")" 2> /dev/null || true
    done

    [ -z "$sshd_dir" ] || rmdir "$sshd_dir" 2> /dev/null || true
    rm -rf "$dir"
}

trap stop EXIT
trap 'stop; exit 0' INT TERM

# wait_for SECONDS COMMAND: until the command succeeds

wait_for() {
    tries=$(($1 * 20))
    shift

    until "$@" > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# below the ports that the system gives to clients, one of which could take a
# port before it is used here

free_ports() {
    perl -MSocket -e '
        while (@s < $ARGV[0]) {
            socket(my $s, AF_INET, SOCK_STREAM, 0) or die;
            my $port = 10000 + int rand 20000;
            push @s, $s and print "$port\n"
                if bind($s, sockaddr_in($port, INADDR_ANY));
        }' "$1"
}

# shellcheck disable=SC2046
set -- $(free_ports 5)
relay=$1 web_in=$2 ssh_in=$3 web=$4 ssh=$5


say 'Keys: trp-gen-cert x509, trp-gen-cert ed25519'

cert=$dir/cert
examples/bin/trp-gen-cert x509 --dns localhost --ip 127.0.0.1 -o "$cert"
examples/bin/trp-gen-cert ed25519 -C demo -o "$cert" \
    | tee "$cert/authorized_keys"


say 'Relay, entry and reverse: examples/*/nginx.conf'

# prefix ROLE: a directory as nginx -p wants it, with the example's own
# configuration, on this demo's ports and with its logs there

prefix() {
    mkdir -p "$dir/$1/logs" "$dir/$1/modules"
    ln -s "$stream" "$root"/objs/ngx_*trp_*.so "$dir/$1/modules/"
    ln -s "$cert" "$dir/$1/cert"

    sed -e "s/\b4433\b/$relay/" -e "s/\b5001\b/$web_in/" \
        -e "s/\b2222\b/$ssh_in/" -e "s/\b8080\b/$web/" \
        -e "s/\b10022\b/$ssh/" -e 's!/run/nginx\.pid!logs/nginx.pid!' \
        -e 's!/var/log/nginx/!logs/!' "examples/$1/nginx.conf" \
        > "$dir/$1/nginx.conf"
}

for role in relay reverse entry; do
    prefix "$role"
    "$nginx" -p "$dir/$role" -c nginx.conf 2> "$dir/$role/start.log" \
        || die "$role does not start: $(cat "$dir/$role/start.log")"
done

grep -h trp_route "$dir/entry/nginx.conf"
grep -h trp_reverse_allow "$dir/reverse/nginx.conf"

for role in reverse entry; do
    wait_for 20 grep -q 'tunnel is ready' "$dir/$role/logs/error.log" \
        || die "$role has no tunnel: $(tail -n 3 "$dir/$role/logs/error.log")"
done


say 'Two services behind the reverse: a web server and an sshd'

mkdir -p "$dir/web/logs" "$dir/sshd"

cat > "$dir/web/nginx.conf" <<END
pid logs/nginx.pid;
error_log logs/error.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:$web;
        return 200 "Hello from behind the NAT, \$remote_addr asked.\n";
    }
}
END

"$nginx" -p "$dir/web" -c nginx.conf 2> /dev/null

if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
    sshd_dir=/run/sshd
    mkdir -m 0755 "$sshd_dir"
fi

ssh-keygen -q -t ed25519 -N '' -f "$dir/sshd/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$dir/sshd/user_key"
cp "$dir/sshd/user_key.pub" "$dir/sshd/authorized_keys"

cat > "$dir/sshd/config" <<END
ListenAddress 127.0.0.1:$ssh
HostKey $dir/sshd/host_key
AuthorizedKeysFile $dir/sshd/authorized_keys
PidFile $dir/sshd/pid
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
END

/usr/sbin/sshd -f "$dir/sshd/config" -E "$dir/sshd/log"
wait_for 10 test -s "$dir/sshd/pid" || die "$(cat "$dir/sshd/log")"

echo "127.0.0.1:$web and 127.0.0.1:$ssh"


say "curl http://127.0.0.1:$web_in/"

curl -sS --max-time 20 "http://127.0.0.1:$web_in/"


say "scp -P $ssh_in: 8 MB there and back"

ssh_options="-q -i $dir/sshd/user_key -o StrictHostKeyChecking=no
             -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
user=$(id -un)

head -c 8388608 /dev/urandom > "$dir/there"

# shellcheck disable=SC2086
scp $ssh_options -P "$ssh_in" "$dir/there" "$user@127.0.0.1:$dir/far"
# shellcheck disable=SC2086
scp $ssh_options -P "$ssh_in" "$user@127.0.0.1:$dir/far" "$dir/back"

(cd "$dir" && sha256sum there back)
cmp "$dir/there" "$dir/back" || die 'the files differ'

# shellcheck disable=SC2086
ssh $ssh_options -p "$ssh_in" "$user@127.0.0.1" \
    'echo "ssh: a shell on $(uname -n)"'


say 'One line for each connection in each access_log'

count() {
    cat "$dir/entry/logs/access.log" "$dir/relay/logs/access.log" \
        "$dir/reverse/logs/access.log" | wc -l
}

all_logged() {
    [ "$(count)" -ge 12 ]
}

wait_for 10 all_logged || die "only $(count) lines of 12"

for role in entry relay reverse; do
    sed "s/^/$role: /" "$dir/$role/logs/access.log"
done


if [ -t 0 ] && [ -t 1 ]; then
    say 'It stays up until Ctrl-C.  Try, in another terminal:'

    cat <<END
curl http://127.0.0.1:$web_in/
ssh -i $dir/sshd/user_key -p $ssh_in $user@127.0.0.1
tail -f $dir/*/logs/error.log
kill -HUP \$(cat $dir/relay/logs/nginx.pid)     # reload, while you use it
edit $dir/entry/nginx.conf, then: nginx -p $dir/entry -c nginx.conf -t
END

    while sleep 3600; do :; done
fi

say 'Done'
