#!/bin/sh
# Makes sure that the tools of tools.txt are there: installs what is missing on a Debian-like
# machine as root, else names it.
set -e

missing=""
while read -r tool package _; do
    case "$tool" in '#'* | '') continue ;; esac
    if ! command -v "$tool" >/dev/null 2>&1 && [ ! -e "$tool" ]; then
        missing="$missing $package"
    fi
done <"$(dirname "$0")/tools.txt"

# Python's venv needs ensurepip, which Debian packs apart.
python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
else
    echo "these Debian packages are missing:$missing" >&2
    echo "install them (as root: apt-get install$missing), then run make again" >&2
    exit 1
fi
