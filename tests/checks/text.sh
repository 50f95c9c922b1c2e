#!/bin/sh
# Whether what every session runs lies together (src/listener/text.ld). Prints TAP.
set -u
cd "${top_builddir:-.}" || exit 1
listener=src/listener/listener
piece=65536
runs='confine_fork session_main title_put echo_serve stream_read stream_write stream_close
    board_session_update clock_us close close_range recv send syscall _exit'

if ! command -v nm >/dev/null; then
    echo "1..0 # SKIP there is no nm(1) here"
    exit 0
fi
echo 1..1
if readelf -d $listener | grep -q '(NEEDED)'; then
    echo "ok 1 - this listener is not static: its libraries lie where they lie"
    exit 0
fi
symbols=$(nm $listener)
apart=
lowest=
for name in $runs; do
    at=$(echo "$symbols" | sed -n "s/^\([0-9a-f]*\) [tTwWi] $name\$/\1/p" | head -n 1)
    at=$((0x${at:-0}))
    : "${lowest:=$at}"
    [ $at -gt 0 ] && [ $((at / piece)) -eq $((lowest / piece)) ] || apart="$apart $name"
done
[ -z "$apart" ] || printf '# not in the piece of the others:%s\nnot ' "$apart"
echo "ok 1 - what a session of echo runs lies in one piece of 64 KiB"
