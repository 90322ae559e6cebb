#!/usr/bin/env bash
# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Make a virtual environment, or complete it:
#     PYTHON=python3 tools/environment.sh VENV wheels|ros PIP_ARGUMENT...
# wheels: nothing but Python is needed; ROS 2 itself is among the pip arguments.
# ros: on top of the sourced ROS 2; its NumPy stays, as its messages are built against it.
set -eo pipefail

venv=$1
mode=$2
shift 2

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

# Draw a bar for pip's lines on a terminal; swallow them elsewhere.
draw() {
    local line word name='' seen=0 total=$1 bar
    while IFS= read -r line; do
        [ -t 1 ] || continue
        read -r word name _ <<<"$line"
        case $word in
            Collecting) seen=$((seen < total ? seen + 1 : total)) ;;
            Downloading) ;;
            Installing) name='unpacking' seen=$total ;;
            *) continue ;;
        esac
        printf -v bar '%*s' $((30 * seen / total)) ''
        printf '\r\033[K  [%-30s] %.45s' "${bar// /#}" "$name"
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

# Install, with a log to show where it fails.
install() {
    local log=$venv/pip.log
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
            --progress-bar off "$@" 2>&1 | tee "$log" | draw 90; then
        tail -n 15 "$log" >&2
        fail "pip could not install what is needed; all it said is in $log"
    fi
}

version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "found no Python 3.10 or newer; install python3, or name one: make PYTHON=python3.12"
case $version in
    3.1[0-9]) ;;
    *) fail "got Python $version, expected 3.10 or newer; name one: make PYTHON=python3.12" ;;
esac
if [ "$mode" = wheels ]; then
    [ "$(uname -sm)" = 'Linux x86_64' ] ||
        fail "there are no ROS 2 wheels for $(uname -sm); source a ROS 2 environment first"
    case $version in
        3.1[0-4]) ;;
        *) fail "there are no ROS 2 wheels for Python $version; make PYTHON=python3.12" ;;
    esac
fi

wanted="$mode $version"
if [ "$(cat "$venv/made-for" 2>/dev/null)" != "$wanted" ]; then
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$PYTHON has no venv module" \
             "on Debian and Ubuntu: sudo apt install python3-venv (or python$version-venv)"
    printf -- '-- %s: a virtual environment of Python %s' "$venv" "$version"
    [ "$mode" = wheels ] || printf ' on top of ROS 2 %s' "$ROS_DISTRO"
    printf '\n'
    if [ -e "$venv" ]; then
        [ -e "$venv/pyvenv.cfg" ] || fail "$venv is in the way and is no virtual environment"
        rm -rf "$venv"
    fi
    if [ "$mode" = wheels ]; then
        "$PYTHON" -m venv "$venv"
        # colcon writes into install/setup.bash what it finds in AMENT_PREFIX_PATH, and that
        # file sources this one: sourcing install/setup.bash alone is then enough.
        cat >"$venv/local_setup.sh" <<'SETUP'
export AMENT_PREFIX_PATH="$COLCON_CURRENT_PREFIX${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
export PATH="$COLCON_CURRENT_PREFIX/bin:$PATH"
SETUP
        cp "$venv/local_setup.sh" "$venv/local_setup.bash"
    else
        "$PYTHON" -m venv --system-site-packages "$venv"
    fi
    echo "$wanted" >"$venv/made-for"
fi

if [ "$mode" = wheels ]; then
    install "$@"
else
    "$venv/bin/python" -c 'import numpy; print("numpy==" + numpy.__version__)' \
        >"$venv/constraints.txt" || fail 'the sourced ROS 2 has no NumPy: apt install python3-numpy'
    install --constraint "$venv/constraints.txt" "$@"
    # Any release that goes with that NumPy, where the system has none.
    "$venv/bin/python" -c 'import matplotlib' 2>/dev/null ||
        install --constraint "$venv/constraints.txt" matplotlib
fi
