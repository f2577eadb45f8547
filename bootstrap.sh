#!/bin/sh
# Bring txTrader onto a bare Debian or Ubuntu machine and start it.
#
#   sudo ./bootstrap.sh [MODE]                                          from a clone
#   curl -fsSL .../bootstrap.sh | sudo TXTRADER_SOURCE=WHERE sh         from anywhere; `sh -s -- tws` for a mode
#
# MODE is demo (a simulated market inside) or tws.  TXTRADER_SOURCE is where the project is: the URL of a git
# repository, of a .tar.gz, or a folder; a clone that this script stands in needs none.
set -eu

main() {
    mode=${1:-demo}
    [ "$(id -u)" = 0 ] || fail "needs root: sudo sh bootstrap.sh"
    here=$(cd "$(dirname "$0")" 2>/dev/null && pwd || true)
    if [ ! -f "$here/service/install.sh" ]; then
        [ -n "${TXTRADER_SOURCE:-}" ] ||
            fail "set TXTRADER_SOURCE to the project's git URL, .tar.gz URL or folder, or run this from a clone"
        here=
        # A folder is used where it is: the installation copies what it needs.
        [ ! -f "$TXTRADER_SOURCE/service/install.sh" ] || here=$(cd "$TXTRADER_SOURCE" && pwd)
    fi
    need=
    has python3 || need="$need python3"
    { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; } || need="$need python3-venv"
    has setuidgid || need="$need daemontools"
    has pgrep || need="$need procps"
    case "${here:-$TXTRADER_SOURCE}" in
    /*) ;;
    *.tar.gz) has curl || need="$need curl ca-certificates" ;;
    *://* | *@*:* | *.git) has git || need="$need git ca-certificates" ;;
    esac
    if [ -n "$need" ]; then
        has apt-get || fail "these are missing:$need"
        say "installing$need"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086 # a list of words
        apt-get install -y -qq $need >/dev/null
    fi
    if [ -z "$here" ]; then
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT INT TERM
        here=$work/txtrader
        fetch "$TXTRADER_SOURCE" "$here"
    fi
    sh "$here/service/install.sh" "$mode"
    sh "$here/service/control.sh" start "$mode"
}

fetch() { # SOURCE FOLDER
    say "fetching $1"
    case $1 in
    *.tar.gz)
        mkdir "$2"
        curl -fsSL "$1" | tar -xz -C "$2" --strip-components 1
        ;;
    *)
        git clone -q --depth 1 "$1" "$2"
        ;;
    esac
    [ -f "$2/service/install.sh" ] || fail "$1 is not txTrader"
}

has() { command -v "$1" >/dev/null 2>&1; }
say() { echo "txtrader: $*"; }
fail() { echo "txtrader: $*" >&2; exit 1; }

main "$@" # all is read before anything is done: half a download does nothing
