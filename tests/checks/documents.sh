#!/bin/sh
# What the documents say against what the code does. Prints TAP.
cd "${top_srcdir:-.}" || exit 1
build=${top_builddir:-.}
number=0
report() { # ok-or-not text
    number=$((number + 1))
    echo "$1 $number - $2"
}
compare() { # text, file expected, file found
    if differences=$(diff "$2" "$3"); then
        report ok "$1"
    else
        echo "$differences" | sed 's/^/# /'
        report "not ok" "$1"
    fi
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# handlers: name|summary, from --help, which prints the table
"$build/src/forkechod" --help | sed -n '/^Handlers:/,/^$/s/^  \([a-z]*\)  *\(.*\)/\1|\2/p' >"$work/handlers"
sed -n 's/^| `\([a-z]*\)` | \(.*\) |$/\1|\2/p' README.md >"$work/readme"
compare "README lists every handler as --help does" "$work/handlers" "$work/readme"

cut -d'|' -f1 "$work/handlers" | sort >"$work/names"
sed -n 's/^\.It Cm \([a-z]*\)$/\1/p' man/forkechod.conf.5 | sort | comm -12 - "$work/names" >"$work/manual"
compare "forkechod.conf(5) explains every handler" "$work/names" "$work/manual"

# options: every long option of a program's --help stands in its page
for page in forkechod.8:src/forkechod forkechoctl.8:src/ctl/forkechoctl forkecho.1:src/client/forkecho; do
    program=$build/${page#*:}
    manual=man/${page%%:*}
    "$program" --help | grep -o -- '--[a-z][a-z0-9-]*' | sort -u >"$work/options"
    while read -r option; do
        grep -q -- "Fl -${option#--}\$\|Fl -${option#--} " "$manual" && echo "$option"
    done <"$work/options" >"$work/explained"
    compare "${page%%:*} explains every option of --help" "$work/options" "$work/explained"
    "$program" --version >"$work/version" 2>&1
    if grep -q '[0-9]\.[0-9]' "$work/version"; then
        report ok "${page#*:} --version tells a version"
    else
        report "not ok" "${page#*:} --version tells a version"
    fi
done

# forkecho bench has modes and options of its own, in the section "Under load"
sed -n '/^\.Ss Under load/,/^\.Sh /p' man/forkecho.1 >"$work/section"
"$build/src/client/forkecho" bench --help >"$work/bench"
sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p; s/^  -\(.\), --\([a-z0-9-]*\).*/Fl \1 , Fl -\2/p' "$work/bench" |
    sort >"$work/options"
sed -n '/^\.It /p' "$work/section" | grep -oE 'Cm [a-z]+$|Fl . , Fl -[a-z0-9-]+' | sed 's/^Cm //' |
    sort >"$work/explained"
compare "forkecho.1 explains every mode and option of forkecho bench --help, and no other" \
    "$work/options" "$work/explained"

sed -n 's/.*PATH, control_socket, 0, 0, "\([^"]*\)".*/\1/p' src/conf/options.def >"$work/preset"
"$build/src/ctl/forkechoctl" --help | sed -n 's/.*the control socket (\(.*\))$/\1/p' >"$work/default"
compare "forkechoctl looks for the control socket where forkechod makes it" "$work/preset" "$work/default"

for page in man/*.[0-9]; do
    if command -v mandoc >/dev/null; then
        if mandoc -Tlint -W warning "$page" >"$work/lint" 2>&1; then
            report ok "${page#man/} is clean under mandoc"
        else
            sed 's/^/# /' "$work/lint"
            report "not ok" "${page#man/} is clean under mandoc"
        fi
    else
        report ok "${page#man/} is clean under mandoc # SKIP mandoc is not installed"
    fi
done

# events: each has its own id, and catalog text
ids=$(grep -oE '"[0-9a-f]{32}"' src/log/events.def | sort | uniq -d)
if [ -z "$ids" ]; then
    report ok "no two log events share a message id"
else
    echo "# $ids"
    report "not ok" "no two log events share a message id"
fi
sed -n 's/^EVENT(\([A-Z_]*\),.*/\1/p' src/log/events.def | sort >"$work/events"
grep -ohE 'EVENT_[A-Z_]+' src/*.c src/*/*.c | sed 's/^EVENT_//' | sort -u | comm -12 - "$work/events" >"$work/used"
compare "every log event is used somewhere" "$work/events" "$work/used"
echo "1..$number"
