#!/bin/sh
# Install txTrader as root, use it, upgrade and remove it.  Runs in mount and process namespaces of its own (see
# test_ops_install.py): /etc, /usr/local and /var are overlays, so that the machine stays as it was.
set -eu
clone=$1
scratch=$2
tcp=$3
http=$4

mount -t tmpfs tmpfs "$scratch"
for folder in etc usr/local var root; do
    mkdir -p "$scratch/$folder/upper" "$scratch/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$scratch/$folder/upper,workdir=$scratch/$folder/work" \
        "/$folder"
done
chmod 0700 /root
rm -rf /etc/txtrader /usr/local/lib/txtrader /var/lib/txtrader /etc/service/txtrader.*

check() { # WORDS COMMAND...
    words=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then echo "ok: $words"; else
        echo "FAILED: $words: $*"
        tail -n 60 "$scratch/out"
        tail -n 30 /var/log/txtrader.demo/current 2>/dev/null || true
        exit 1
    fi
}
refused() { ! "$@"; }
mode_of() { [ "$(stat -c '%U:%G %a' "$1")" = "$2" ] || { stat -c '%U:%G %a %n' "$1" && return 1; }; }
as() { # USER COMMAND...
    user=$1
    shift
    runuser -u "$user" -- env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/ "$@"
}
wait_until() { # COMMAND...
    end=$(($(date +%s) + 30))
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || { "$@" && return 1; }
        sleep 0.1
    done
}
status_is() { [ "$(as ann txtrader status 2>&1 | tr -d '"')" = "$1" ] || { as ann txtrader status && return 1; }; }
serves() { [ -s /var/lib/txtrader/demo/ports.json ]; }
pid() { sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' /var/lib/txtrader/demo/ports.json; }
is_other() { serves && [ "$(pid)" != "$1" ]; }

# The port that tests may use is set by an operator beforehand: what stands in /etc/txtrader is respected.
mkdir -p /etc/txtrader
echo "$tcp" >/etc/txtrader/TXTRADER_DEMO_TCP_PORT
echo "$http" >/etc/txtrader/TXTRADER_DEMO_HTTP_PORT

# -- from anywhere: the script on standard input, the source named
cd /
check "bootstrap.sh needs root" refused as nobody env TXTRADER_SOURCE="$clone" sh "$clone/bootstrap.sh"
check "bootstrap.sh without a source says so" refused sh -c "sh <$clone/bootstrap.sh"
check "bootstrap.sh installs and starts" sh -c "TXTRADER_SOURCE=$clone sh <$clone/bootstrap.sh"
admin=$(sed -n 's/.*role admin, password \([^ ]*\).*/\1/p' "$scratch/out")
check "the admin's password is shown" test -n "$admin"

useradd --no-create-home --groups txtrader ann
useradd --no-create-home bob

# -- what is there, and who may read it
check "settings belong to root and the group" mode_of /etc/txtrader "root:txtrader 750"
for file in /etc/txtrader/*; do mode_of "$file" "root:txtrader 640" || exit 1; done
check "the journal's folder belongs to the daemon" mode_of /var/lib/txtrader/demo "txtrader:txtrader 750"
check "the admin's password is kept nowhere" refused grep -rqF "$admin" /etc /var/lib/txtrader /var/log /usr/local
check "no account has a shell" grep -q '^txtrader:.*:/usr/sbin/nologin$' /etc/passwd
check "the program is root's" mode_of /usr/local/lib/txtrader/venv "root:root 755"

# -- it runs, as its own user
check "the daemon serves" wait_until serves
check "the daemon is the user txtrader" mode_of "/proc/$(pid)" "txtrader:txtrader 555"
password=$(head -n 1 /etc/txtrader/TXTRADER_PASSWORD)
check "no argument and no log holds the password" refused grep -rqF "$password" /proc/[0-9]*/cmdline /var/log
check "svstat says up" sh -c 'svstat /etc/service/txtrader.demo | grep -q ": up "'
check "the log is multilog's" grep -q 'mode demo' /var/log/txtrader.demo/current

# -- who may use it
check "a member of the group needs no password" wait_until status_is Up
check "a member trades" as ann txtrader market_order IBM 1
check "somebody else cannot" refused as bob txtrader status
check "somebody else cannot read the settings" refused as bob cat /etc/txtrader/TXTRADER_PASSWORD
check "the group is not admin" refused as ann txtrader shutdown test
check "the admin is" as ann env "TXTRADER_PASSWORD=$admin" txtrader -U admin whoami

# -- restart, stop, start
old=$(pid)
check "svc -t restarts it" svc -t /etc/service/txtrader.demo
check "as a new process" wait_until is_other "$old"
check "which is up again" wait_until status_is Up
check "make stop stops it" make -C "$clone" --no-print-directory stop
check "nobody listens any more" refused as ann txtrader status
check "and it would stay so" test -e /usr/local/lib/txtrader/service/txtrader.demo/down
check "make start starts it" make -C "$clone" --no-print-directory start
check "and it serves" wait_until status_is Up

# -- a second mode, and an upgrade that keeps what the operator wrote
echo 77 >/etc/txtrader/TXTRADER_MAX_SYMBOLS
check "make install MODE=tws" make -C "$clone" --no-print-directory install MODE=tws
check "the second service has its own ports" test "$(head -n 1 /etc/txtrader/TXTRADER_TWS_TCP_PORT)" != "$tcp"
check "an upgrade keeps settings" test "$(cat /etc/txtrader/TXTRADER_MAX_SYMBOLS)" = 77
check "and the password" test "$(head -n 1 /etc/txtrader/TXTRADER_PASSWORD)" = "$password"
chmod 0644 /etc/txtrader/TXTRADER_PASSWORD
check "loose settings are refused" refused setuidgid txtrader txtraderd --check-config --envdir /etc/txtrader
chmod 0640 /etc/txtrader/TXTRADER_PASSWORD

# -- gone again
check "make uninstall" make -C "$clone" --no-print-directory uninstall
check "the program is gone" test ! -e /usr/local/lib/txtrader
check "the command is gone" test ! -e /usr/local/bin/txtrader
check "the service is gone" test ! -e /etc/service/txtrader.demo
check "no process is left" refused pgrep -u txtrader
check "settings stay" test -s /etc/txtrader/TXTRADER_PASSWORD
check "PURGE=1 removes them" make -C "$clone" --no-print-directory uninstall PURGE=1
check "they are gone" test ! -e /etc/txtrader -a ! -e /var/lib/txtrader -a ! -e /var/log/txtrader.demo
check "the user is gone" refused id txtrader
check "the clone is untouched" test -z "$(git -C "$clone" -c safe.directory="$clone" status --porcelain)"
echo "all is well"
