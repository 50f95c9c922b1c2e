#!/bin/sh
# What of src/ the tests have run, as a table, for `make coverage`: SOURCES. The current directory is
# the build's. Fails where less than LEAST % of the lines outside the mains were run.
least=90
table=$(gcovr --root "$1" --object-directory . --filter "$1/src/" --exclude '.*/main\.c' \
    --exclude-unreachable-branches --csv 2>gcovr.log) || {
    tail -n 20 gcovr.log
    exit 1
}
echo "$table" | awk -F, -v least=$least '
    function percent(part, whole) { return whole == 0 ? 100 : 100 * part / whole }
    function row(name, lines, run, branches, taken) {
        printf "%-34s %6d %6.1f %% %8d %6.1f %%\n", name, lines, percent(run, lines), branches,
               percent(taken, branches)
    }
    BEGIN { printf "%-34s %15s %17s\n", "file", "lines run", "branches taken" }
    NR == 1 { next }
    {
        row($1, $2, $3, $5, $6)
        lines += $2; run += $3; branches += $5; taken += $6
    }
    END {
        row("all of src/ but the mains", lines, run, branches, taken)
        good = lines > 0 && percent(run, lines) >= least
        print (good ? "ok" : "not ok") " 1 - the tests run " least " % of the lines"
        print "1..1"
        exit !good
    }'
