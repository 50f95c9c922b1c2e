#!/bin/sh
# Every shell script of the tree under shellcheck(1). Prints TAP.
cd "${top_srcdir:-.}" || exit 1

number=0
check() { # file [option...]
    number=$((number + 1))
    file=$1
    shift
    if ! command -v shellcheck >/dev/null; then
        echo "ok $number - $file # SKIP shellcheck is not installed"
    elif found=$(shellcheck --severity=warning "$@" "$file"); then
        echo "ok $number - $file"
    else
        echo "$found" | sed 's/^/# /'
        echo "not ok $number - $file"
    fi
}

for script in bootstrap quickstart runtests debian/forkechod.postinst debian/forkechod.postrm debian/forkechod.prerm \
    debian/tests/service etc/init.d/forkechod.in tests/analysis/*.sh tests/boot/make-trees tests/checks/*.sh; do
    check "$script"
done
# They are sourced, and hand variables to the functions that they call.
for completion in etc/completion/*; do
    check "$completion" --shell=bash --exclude=SC2034
done
echo "1..$number"
