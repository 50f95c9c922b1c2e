#!/bin/sh
# Static analysis of all of src/, for `make analyse`: SOURCES TOOL... -- FLAGS... Prints TAP, a case a
# tool; whatever that says of any file is a failure. The current directory is the build's, CC the
# compiler, and FLAGS what it compiles with.
sources=$1
shift
tools=
while [ "$1" != -- ]; do
    tools="$tools $1"
    shift
done
shift
jobs=$(nproc)
files=$(find "$sources/src" -name '*.c' | sort)

# Runs the command for each of them, which it names {}.
each_file() {
    echo "$files" | xargs -d '\n' -P "$jobs" -I '{}' "$@" 2>&1
}

# Leaks are left to the sanitizers and to valgrind: gcc 12 loses sight of what is kept in an array that
# a pointer leads to, and calls that one.
gcc_analyzer() {
    each_file "$CC" -fanalyzer -Wno-analyzer-malloc-leak -Werror -O0 "$@" -c '{}' -o /dev/null
}

clang_tidy() {
    each_file clang-tidy --quiet --config-file="$sources/.clang-tidy" '{}' -- "$@" >"$found.all"
    status=$?
    grep -v '^[0-9]* warnings\{0,1\} generated\.$' "$found.all"
    rm -f "$found.all"
    return $status
}

cpp_check() {
    cppcheck --quiet -j "$jobs" --std=c11 --enable=warning,performance,portability,style \
        --error-exitcode=1 --suppressions-list="$sources/tests/analysis/cppcheck-suppressions" \
        --relative-paths="$sources" --template='{file}:{line}: {severity}: {message} [{id}]' \
        --include=config.h -I "$sources/src" -I src '-DSYSCONFDIR=""' '-DLIBEXECDIR=""' \
        "$sources/src" 2>&1
}

found=$(mktemp)
number=0 failed=0
# shellcheck disable=SC2086
for tool in $tools; do
    number=$((number + 1))
    if $tool "$@" >"$found"; then
        echo "ok $number - $tool has nothing to say about $(echo "$files" | wc -l) files"
    else
        sed 's/^/# /' "$found"
        echo "not ok $number - $tool has nothing to say"
        failed=1
    fi
done
rm -f "$found"
echo "1..$number"
exit $failed
