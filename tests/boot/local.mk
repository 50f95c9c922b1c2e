# Boot tests: the packages in Debian machines. ./runtests boot makes the machines and runs them; they
# need root.
EXTRA_DIST += tests/boot/make-trees tests/boot/machine.py tests/boot/activation.py \
	tests/boot/bare.py tests/boot/handlers.py tests/boot/journal.py tests/boot/package.py tests/boot/restart.py \
	tests/boot/service.py tests/boot/sysv.py tests/boot/upgrade.py
