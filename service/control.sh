#!/bin/sh
# Start or stop an installed service, as root, and for good: a stopped one stays so over a restart of the machine.
#
#   service/control.sh start|stop|restart MODE
set -eu

action=$1
mode=$2
name=txtrader.$mode
home=/usr/local/lib/txtrader
folder=$home/service/$name

say() { echo "txtrader: $*"; }
fail() { echo "txtrader: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "needs root: sudo make $action"
[ -d "$folder" ] || fail "$name is not installed; make install MODE=$mode does it"

if [ "$(cat "$folder/supervisor")" = systemd ]; then
    case $action in
    start) systemctl enable --now "txtrader@$mode" ;;
    stop) systemctl disable --now "txtrader@$mode" ;;
    restart) systemctl restart "txtrader@$mode" ;;
    esac
    exit
fi

status() { svstat "/etc/service/$name" 2>/dev/null || true; }
wait_for() { # PATTERN SECONDS
    turns=$(($2 * 10))
    while [ "$turns" -gt 0 ]; do
        case $(status) in *$1*) return 0 ;; esac
        sleep 0.1
        turns=$((turns - 1))
    done
    return 1
}

case $action in
start)
    rm -f "$folder/down"
    if ! svok "/etc/service/$name" 2>/dev/null; then
        # svscan looks for new folders every five seconds; where none runs, start one.
        if ! pgrep -x 'svscan|runsvdir' >/dev/null 2>&1; then
            say "no svscan is running: starting one on /etc/service (let the machine's init do that: see" \
                "docs/operations.md)"
            env -i PATH="$PATH" setsid svscan /etc/service </dev/null >/dev/null 2>&1 &
        fi
        turns=100
        until svok "/etc/service/$name" 2>/dev/null; do
            turns=$((turns - 1))
            [ "$turns" -gt 0 ] || fail "nobody supervises /etc/service"
            sleep 0.1
        done
    fi
    svc -u "/etc/service/$name"
    wait_for ": up " 10 || fail "$name did not start: see /var/log/$name/current"
    ;;
stop)
    touch "$folder/down"
    if svok "/etc/service/$name" 2>/dev/null; then
        svc -d "/etc/service/$name"
        wait_for ": down " 10 || fail "$name did not end"
    fi
    ;;
restart)
    svc -t "/etc/service/$name"
    ;;
*)
    fail "start, stop or restart?"
    ;;
esac
say "$(status)"
