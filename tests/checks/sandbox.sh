#!/bin/sh
# What the sandbox lets through against what listeners and sessions call. Prints TAP.
cd "${top_srcdir:-.}" || exit 1
table=src/sys/sandbox.c
sources="src/sys/confine.c src/sys/streams.c
    $(ls src/base/*.c src/board/*.[ch] src/channel/*.c src/access/*.c src/service/*.c src/status/*.c \
    src/session/*.c src/listener/*.c)" || exit 1

# The lines of `serving` and `keeping` that do not say themselves what they are for, and of each the
# word that a source must have: the request or option that it lets through, or else the call.
words=$(sed -n '/ serving\[\] = /,/^};/p; / keeping\[\] = /,/^};/p' $table | grep '^    [A-Z]*(.*),$' |
    sed 's/^ *OPTION(.*, \([A-Z_]*\)),$/\1/; s/^ *IF(.* IS(1, \([A-Z_]\{1,\}\))),$/\1/; s/^ *[A-Z]*(\([a-z0-9_]*\)[,)].*/\1/')

missing=
for word in $words; do
    case $word in
    [A-Z]*) use="[ (]${word}[,)]" ;;
    *) use="(^|[^a-zA-Z_])$word\\(([^0-9]|\$)|SYS_$word," ;; # call(…), not the manual's call(2)
    esac
    # shellcheck disable=SC2086 # names of sources have no blanks
    grep -qE "$use" $sources || missing="$missing $word"
done
echo 1..2
[ "$(echo "$words" | wc -l)" -gt 30 ] || printf 'not '
echo "ok 1 - the table is read"
[ -z "$missing" ] || printf '#%s\nnot ' "$missing"
echo "ok 2 - what the sandbox allows is called by listeners or sessions, or says what it is for"
