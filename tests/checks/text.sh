#!/bin/sh
# Whether what every session runs lies together (src/listener/text.ld). Prints TAP.
set -u
cd "${top_builddir:-.}" || exit 1
listener=src/listener/listener
most=16384
ours='confine_fork session_main trap_write_to title_put echo_serve stream_read stream_write
    stream_close board_session_update clock_us'
libc='_exit clock_gettime close close_range recv send syscall __strnlen_sse2'

if ! command -v readelf >/dev/null; then
    echo "1..0 # SKIP there is no readelf(1) here"
    exit 0
fi
echo 1..1
title="what a session of echo runs lies together"
section=$(readelf -SW $listener | sed -n 's/.* \.text\.session *PROGBITS *\([0-9a-f]*\) [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p')
symbols=$(readelf -sW $listener | sed -n 's/.*: \([0-9a-f]*\) .* FUNC .* \([^ ]*\)$/\1 \2/p')
begin=$((0x${section%% *}0 / 16))
size=$((0x${section##* }0 / 16))

where() { # the address of a function; 0: it is nowhere
    echo $((0x$(echo "$symbols" | sed -n "s/ $1\$//p" | head -n 1)0 / 16))
}

is_inside() {
    [ "$1" -ge "$begin" ] && [ "$1" -lt $((begin + size)) ]
}

# It takes a static listener, a linker that knows the script, and a compiler that sorts functions.
flags=$(sed -n 's/^[A-Z_]*FLAGS = //p' Makefile | tr '\n' ' ')
case $flags in
*-O0* | *-flto*) together=no ;;
*-O[23s]*text.ld* | *text.ld*-O[23s]*) together=yes ;;
*) together=no ;;
esac
if [ $together = no ]; then
    echo "ok 1 - $title: not in this build, which leaves that to chance"
    exit 0
fi
apart=
for name in $ours $libc; do
    at=$(where "$name")
    case " $ours " in # which a compiler may have put into others
    *[[:space:]]"$name"[[:space:]]*) [ "$at" -gt 0 ] || continue ;;
    esac
    is_inside "$at" || apart="$apart $name"
done
[ $size -le $most ] || apart="$apart, and it is $size bytes long"
[ -z "$apart" ] || printf '# not with the others:%s\nnot ' "$apart"
echo "ok 1 - $title"
