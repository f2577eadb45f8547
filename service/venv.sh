#!/bin/sh
# Make a virtual environment with what txTrader needs, each version pinned by constraints.txt.
#
#   service/venv.sh FOLDER all|daemon|ibapi10 [PYTHON]
#
# all: the daemon and the tools of its tests, from this folder (editable).  daemon: the daemon alone, copied into the
# environment.  ibapi10: as all, with the newer generation of the TWS API, which has the same import name.
# PYTHON is the interpreter; otherwise /usr/bin's newest that is good enough, then the one on the path.
# A stamp in FOLDER says what it was made from: a second run with the same files does nothing and needs no network.
set -eu

folder=$1
kind=$2
wanted=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "txtrader: $*" >&2; }
fail() { say "$*"; exit 1; }

good_python() { [ -x "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "$wanted" ]; then
        good_python "$wanted" || fail "$wanted is not Python 3.11 or newer"
        echo "$wanted"
        return
    fi
    # The system's own comes first: an interpreter below somebody's home cannot be run by the service's user.
    for candidate in /usr/bin/python3.11 /usr/bin/python3 /usr/bin/python3.1[2-9] /usr/local/bin/python3 \
        "$(command -v python3 || true)" "$(command -v python3.11 || true)"; do
        if good_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found; on Debian or Ubuntu: sudo apt-get install python3 python3-venv"
}

python=$(find_python)
stamp="$folder/.made-from"
from="$kind $python $(cat "$here/constraints.txt" "$here/setup.py" "$0" | cksum)"
if [ -x "$folder/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$from" ] && [ "$kind" != daemon ]; then
    exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python$version-venv"
        { apt-get update -qq && apt-get install -y -qq "python$version-venv"; } >&2 ||
            fail "could not install python$version-venv"
    else
        fail "$python cannot make virtual environments; type: sudo apt-get install python$version-venv"
    fi
fi

rm -f "$stamp"
if [ "$("$folder/bin/python" -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])' 2>/dev/null)" = \
    "$("$python" -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])')" ]; then
    say "bringing $folder up to date"
else
    say "making $folder with $python (about a minute)"
    "$python" -m venv --clear "$folder"
fi
pip() { "$folder/bin/python" -m pip -qq --disable-pip-version-check --no-input "$@"; }
pins="$here/constraints.txt"
pip install -c "$pins" pip setuptools || fail "the package index could not be reached; see the lines above"
case $kind in
all)
    pip install -c "$pins" --no-build-isolation -e "$here[test]"
    ;;
daemon)
    pip install -c "$pins" --no-build-isolation "$here"
    ;;
ibapi10)
    grep -vE '^(#|ibapi==|$)' "$pins" >"$folder/pins.txt"
    pip install -r "$folder/pins.txt"
    pip install --no-build-isolation --no-deps -e "$here"
    ;;
*)
    fail "no such kind: $kind"
    ;;
esac
echo "$from" >"$stamp"
