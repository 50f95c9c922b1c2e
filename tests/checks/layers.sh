#!/bin/sh
# The layers of HACKING.md, proved: what each folder of src/ may include. Prints TAP.
cd "${top_srcdir:-.}" || exit 1

# folder: the folders it may include besides itself and base
allowed() {
    case $1 in
    base) echo "" ;;
    log) echo "" ;;
    conf | sys | board | channel | access | service) echo "log" ;;
    status) echo "board service" ;;
    session) echo "log conf sys board channel access service status" ;;
    listener) echo "log conf sys board channel access service status session" ;;
    master) echo "log conf sys board channel access service" ;;
    client | ctl) echo "" ;;
    *) echo "?" ;;
    esac
}

number=0
report() { # ok-or-not text
    number=$((number + 1))
    echo "$1 $number - $2"
}

for folder in src/*/; do
    folder=$(basename "$folder")
    bad=
    permitted=" $folder base $(allowed "$folder") "
    for file in src/"$folder"/*.[ch]; do
        for included in $(sed -n 's,^#include "\([a-z]*\)/.*,\1,p' "$file"); do
            case $permitted in
            *" $included "*) ;;
            *) bad="$bad $file:$included" ;;
            esac
        done
    done
    if [ "$permitted" = " $folder base ? " ]; then
        report "not ok" "$folder is a layer that HACKING.md knows"
    elif [ -n "$bad" ]; then
        echo "# included from above or beside:$bad"
        report "not ok" "$folder includes only what lies below it"
    else
        report ok "$folder includes only what lies below it"
    fi
done

only() { # pattern, file, text
    files=$(grep -lE "$1" src/*.c src/*/*.[ch])
    if [ "$files" = "$2" ]; then
        report ok "$3"
    else
        echo "# found in: $(echo "$files" | tr '\n' ' ')"
        report "not ok" "$3"
    fi
}
only '#include <iniparser' src/conf/conf_ini.c "only conf_ini includes iniparser"
only '#include <systemd/' src/sys/systemd.c "only sys/systemd includes libsystemd"
only '#include <seccomp' src/sys/sandbox.c "only sys/sandbox includes libseccomp"
only '#include <cap-ng' src/sys/privilege.c "only sys/privilege includes libcap-ng"

clock='[^_a-z](time *\((NULL|0|&)|clock_gettime\(CLOCK_REALTIME)'
shown=$(printf '%s\n' src/log/log.c src/master/master.c src/service/daytime.c src/service/http.c \
    src/service/time.c src/status/collect.c)
only "$clock" "$shown" "the clock that people set is read where it is shown, and nowhere else [F66]"

banned='[^_a-z](sprintf|strcpy|strcat|gets|system|popen|gettimeofday|iniparser_get(int|boolean|double)|iniparser_dump[a-z_]*|sd_journal_[a-z]*|syslog) *\('
found=$(grep -nE "$banned" src/*.c src/*/*.c | grep -v 'SIG_DFL\|^[^:]*:[0-9]*: *[/ ]\*')
if [ -z "$found" ]; then
    report ok "no function is called that this tree does without"
else
    echo "$found" | sed 's/^/# /'
    report "not ok" "no function is called that this tree does without"
fi

long=$(wc -l src/*.c src/*/*.[ch] | awk '$2 != "total" && $1 > 400 { print $2 ": " $1 }')
if [ -z "$long" ]; then
    report ok "no file of src is longer than 400 lines"
else
    echo "$long" | sed 's/^/# /'
    report "not ok" "no file of src is longer than 400 lines"
fi
echo "1..$number"
