#!/bin/sh
# The journal's catalog, as `journalctl -x` will read it: complete, and without a complaint.
set -u
catalog=${top_builddir:?}/src/log/forkechod.catalog
events=${top_srcdir:?}/src/log/events.def

if ! [ -e "$catalog" ]; then
	echo "1..0 # SKIP this build is without systemd, and so without a catalog"
	exit 0
fi
echo 1..3

report() { # status, name
	[ "$1" -eq 0 ] && echo "ok - $2" || echo "not ok - $2"
}

[ "$(grep -c '^-- [0-9a-f]\{32\}$' "$catalog")" -eq "$(grep -c '^EVENT(' "$events")" ]
report $? 'every event has an entry'

# What follows an entry's header is one blank line and then text, none of it wider than a terminal.
awk '/^-- /         { header = 1; subjects = 0; text = 0; entries++; next }
     header && /^$/ { header = 0; next }
     header         { subjects += /^Subject: [^ ].*[^ ]$/; next }
     entries && /./ { if (subjects != 1 || length > 80) exit 1; if (!text++) texts++ }
     END            { exit texts != entries || !entries }' "$catalog"
report $? 'every entry has a subject and a text'

if ! command -v journalctl >/dev/null; then
	echo 'ok - journalctl takes the catalog # SKIP there is no journalctl(1) here'
	exit 0
fi
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
cp "$catalog" "$root/usr/lib/systemd/catalog/"
said=$(journalctl --root="$root" --update-catalog 2>&1) && [ -z "$said" ] &&
	[ "$(journalctl --root="$root" --list-catalog | wc -l)" -eq "$(grep -c '^-- ' "$catalog")" ]
status=$?
[ -z "$said" ] || echo "$said" | sed 's/^/# /'
report $status 'journalctl takes the catalog'
