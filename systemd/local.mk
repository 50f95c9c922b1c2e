# Units and what goes with them.
systemd_made = systemd/forkechod.service systemd/sysusers.d/forkechod.conf
EXTRA_DIST += systemd/forkechod.service.in systemd/sysusers.d/forkechod.conf.in
CLEANFILES += $(systemd_made)

systemd/forkechod.service: systemd/forkechod.service.in Makefile
	$(fill_in)
systemd/sysusers.d/forkechod.conf: systemd/sysusers.d/forkechod.conf.in Makefile
	$(fill_in)

if WITH_SYSTEMD
nodist_systemdsystemunit_DATA = systemd/forkechod.service
dist_systemdsystemunit_DATA = systemd/forkechod.socket
sysusersdir = $(prefix)/lib/sysusers.d
nodist_sysusers_DATA = systemd/sysusers.d/forkechod.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
dist_tmpfiles_DATA = systemd/tmpfiles.d/forkechod.conf
dist_examples_DATA += systemd/socket-only.conf
endif
