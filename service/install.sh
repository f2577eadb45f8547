#!/bin/sh
# Install txTrader on this machine, as root: `make install`, `make install MODE=tws`.  May be run again to upgrade.
#
# User (TXTRADER_DAEMON_USER, else txtrader) and group txtrader; the program in /usr/local/lib/txtrader; settings in /etc/txtrader, owned by root, readable
# by the group alone; state in /var/lib/txtrader/MODE; the service txtrader.MODE for daemontools in /etc/service, or
# for systemd where no daemontools is running.  Nothing starts before `make start`.
#
#   SUPERVISOR=daemontools|systemd   chooses; PYTHON=/path/of/python3 names the interpreter
set -eu
umask 022

mode=${1:-demo}
here=$(cd "$(dirname "$0")/.." && pwd)
home=/usr/local/lib/txtrader
settings=/etc/txtrader
name=txtrader.$mode

say() { echo "txtrader: $*"; }
fail() { echo "txtrader: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "installing needs root: sudo make install"
[ -d "$here/service/$name" ] || fail "no such mode: $mode"
command -v setuidgid >/dev/null || fail "daemontools are missing; type: apt-get install daemontools"

# -- user and group
user=$(head -n 1 "$settings/TXTRADER_DAEMON_USER" 2>/dev/null || true)
user=${TXTRADER_DAEMON_USER:-${user:-txtrader}}
getent group txtrader >/dev/null || groupadd --system txtrader
id "$user" >/dev/null 2>&1 ||
    useradd --system --gid txtrader --home-dir /var/lib/txtrader --no-create-home --shell /usr/sbin/nologin "$user"
id -gn "$user" | grep -qx txtrader || fail "the user $user must have txtrader as its first group"

# -- program: built from a copy, so that nothing of root's stays in somebody's clone
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$home"
for part in txtrader setup.py pyproject.toml constraints.txt README.md service; do
    [ ! -e "$here/$part" ] || cp -R "$here/$part" "$work/"
done
find "$work" -name __pycache__ -prune -exec rm -rf {} +
sh "$work/service/venv.sh" "$home/venv" daemon ${PYTHON:+"$PYTHON"}
setuidgid "$user" "$home/venv/bin/python" -c 'import txtrader.cli, twisted.internet' || fail \
    "the user $user cannot run $(readlink -f "$home/venv/bin/python"): it may lie below a closed folder;" \
    "install the system's python3 or name another: PYTHON=/usr/bin/python3 make install"
for command in txtrader txtraderd txtrader_monitor exsim; do
    ln -sfn "$home/venv/bin/$command" "/usr/local/bin/$command"
done

# -- settings: what is there stays
install -d -o root -g txtrader -m 0750 "$settings"
put() { # NAME VALUE: unless the file has a value already
    if [ -z "$(head -n 1 "$settings/$1" 2>/dev/null)" ]; then
        notes=$(tail -n +2 "$here/etc/txtrader/$1" 2>/dev/null || true)
        (umask 027 && printf '%s\n%s\n' "$2" "$notes" >"$settings/$1")
    fi
    chown root:txtrader "$settings/$1"
    chmod 0640 "$settings/$1"
}
[ "$user" = txtrader ] || put TXTRADER_DAEMON_USER "$user"
for file in "$here"/etc/txtrader/TXTRADER_*; do
    put "$(basename "$file")" ""
done
put TXTRADER_MODE "$mode" # what the clients of this machine speak to, unless they say -m
random() { "$home/venv/bin/python" -c 'import secrets; print(secrets.token_urlsafe(18))'; }
put TXTRADER_USERNAME trader
put TXTRADER_PASSWORD "$(random)"
if [ ! -e "$settings/users" ]; then
    password=$(random)
    (umask 027 && printf '%s\n' "$password" |
        "$home/venv/bin/txtrader" users hash admin --role admin --password-stdin >"$settings/.users")
    mv "$settings/.users" "$settings/users"
    say "user admin, role admin, password $password (kept as a hash only: write it down)"
fi
chown root:txtrader "$settings/users"
chmod 0640 "$settings/users"

# -- ports and state of this mode: the first service has the usual ports, each further one those of the next hundred
upper=$(printf %s "$mode" | tr '[:lower:]' '[:upper:]')
taken() { cat "$settings"/TXTRADER_*_TCP_PORT 2>/dev/null | head -n 1000 | grep -qx "$1"; }
tcp=50090
http=50080
if [ -z "$(head -n 1 "$settings/TXTRADER_${upper}_TCP_PORT" 2>/dev/null)" ]; then
    while taken "$tcp"; do
        tcp=$((tcp + 100))
        http=$((http + 100))
    done
fi
put "TXTRADER_${upper}_TCP_PORT" "$tcp"
put "TXTRADER_${upper}_HTTP_PORT" "$http"
put "TXTRADER_${upper}_DATA_DIR" "/var/lib/txtrader/$mode"
install -d -o "$user" -g txtrader -m 0750 /var/lib/txtrader "/var/lib/txtrader/$mode"

# -- service
install -d -o "$user" -g adm -m 2750 "/var/log/$name"
mkdir -p "$home/service/$name/log"
for file in run txtrader.tac log/run; do
    cp "$here/service/$name/$file" "$home/service/$name/$file"
done
cp "$here/service/control.sh" "$here/service/uninstall.sh" "$home/service/"
supervisor=${SUPERVISOR:-}
if [ -z "$supervisor" ]; then
    supervisor=daemontools
    if [ -d /run/systemd/system ] && ! pgrep -x 'svscan|runsvdir' >/dev/null 2>&1; then
        supervisor=systemd
    fi
fi
case $supervisor in
daemontools)
    [ -e "$home/service/$name/supervise/lock" ] || touch "$home/service/$name/down"
    mkdir -p /etc/service
    ln -sfn "$home/service/$name" "/etc/service/$name"
    ;;
systemd)
    sed "s/^User=.*/User=$user/" "$here/service/txtrader@.service" >/etc/systemd/system/txtrader@.service
    systemctl daemon-reload
    ;;
*)
    fail "no such supervisor: $supervisor"
    ;;
esac
echo "$supervisor" >"$home/service/$name/supervisor"

env -i PATH="$PATH" setuidgid "$user" "$home/venv/bin/txtraderd" --check-config --mode "$mode" --envdir "$settings" ||
    fail "the settings in $settings are not right; see the lines above"
say "installed: service $name under $supervisor; lines on port $(head -n 1 "$settings/TXTRADER_${upper}_TCP_PORT")," \
    "HTTP on $(head -n 1 "$settings/TXTRADER_${upper}_HTTP_PORT")"
say "start it: make start MODE=$mode; let somebody use it: adduser NAME txtrader"
