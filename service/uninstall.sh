#!/bin/sh
# Remove the installed services and the program, as root.  Settings, state, logs and user stay; PURGE=1 removes them.
set -eu

home=/usr/local/lib/txtrader

say() { echo "txtrader: $*"; }

[ "$(id -u)" = 0 ] || { echo "txtrader: needs root: sudo make uninstall" >&2; exit 1; }

for folder in "$home"/service/txtrader.*; do
    [ -d "$folder" ] || continue
    name=$(basename "$folder")
    if [ "$(cat "$folder/supervisor" 2>/dev/null)" = systemd ]; then
        systemctl disable --now "txtrader@${name#txtrader.}" || true
    else
        # First the link, so that svscan does not start it anew; then let supervise and its log end.
        rm -f "/etc/service/$name"
        if svok "$folder" 2>/dev/null; then
            svc -dx "$folder" "$folder/log"
            turns=100
            while svok "$folder" 2>/dev/null && [ "$turns" -gt 0 ]; do
                turns=$((turns - 1))
                sleep 0.1
            done
        fi
    fi
    say "removed service $name"
done
rm -f "/etc/systemd/system/txtrader@.service"
for command in txtrader txtraderd txtrader_monitor exsim; do
    case $(readlink "/usr/local/bin/$command" 2>/dev/null) in
    "$home"/*) rm -f "/usr/local/bin/$command" ;;
    esac
done
rm -rf "$home"
if [ "${PURGE:-}" = 1 ]; then
    rm -rf /etc/txtrader /var/lib/txtrader /var/log/txtrader.*
    if id txtrader >/dev/null 2>&1; then userdel txtrader; fi
    if getent group txtrader >/dev/null; then groupdel txtrader; fi
    say "removed settings, state, logs and user"
else
    say "kept /etc/txtrader, /var/lib/txtrader, /var/log/txtrader.* and the user; PURGE=1 removes them"
fi
