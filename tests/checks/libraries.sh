#!/bin/sh
# Which libraries each program is linked with: what is mapped is what a fork costs and what an
# attacker finds. Prints TAP.
set -u
cd "${top_builddir:-.}" || exit 1

if ! command -v readelf >/dev/null; then
    echo "1..0 # SKIP there is no readelf(1) here"
    exit 0
fi
echo 1..4

# A build with sanitizers has theirs besides, and what those need.
runtime='asan|ubsan|lsan|tsan|clang_rt\..*|m|gcc_s|pthread|dl|rt|resolv|stdc++'

number=0
check() { # program, libraries it may have besides libc, as an expression; "" for none
    number=$((number + 1))
    found=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[lib\(.*\)\.so.*/\1/p' | grep -vxE "c|$runtime" |
        grep -vxE "${2:-none}" | tr '\n' ' ')
    if [ -s "$1" ] && [ -z "$found" ]; then
        echo "ok $number - $1 is linked with libc${2:+ and }$2 alone"
    else
        echo "# it has besides: $found"
        echo "not ok $number - $1 is linked with libc${2:+ and }$2 alone"
    fi
}

check src/listener/listener ''
check src/forkechod 'systemd|iniparser|cap-ng|seccomp'
check src/ctl/forkechoctl 'ncursesw?|tinfow?'
check src/client/forkecho 'edit'
