# What is installed outside src and man. Files *.in name installed paths as @sbindir@ and so on;
# make fills them in, because configure knows the paths only as ${prefix}/….
fill_in = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's,@sbindir[@],$(sbindir),g' \
	-e 's,@sysconfdir[@],$(sysconfdir),g' -e 's,@runstatedir[@],$(runstatedir),g' \
	-e 's,@daemon_user[@],$(daemon_user),g' $< > $@

initddir = $(sysconfdir)/init.d
initd_SCRIPTS = etc/init.d/forkechod
etc/init.d/forkechod: etc/init.d/forkechod.in Makefile
	$(fill_in)
	$(AM_V_at)chmod +x $@
CLEANFILES += $(initd_SCRIPTS)
EXTRA_DIST += etc/init.d/forkechod.in

defaultdir = $(sysconfdir)/default
dist_default_DATA = etc/default/forkechod

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = etc/completion/forkecho etc/completion/forkechoctl \
	etc/completion/forkechod

# In force only where an administrator copies them to.
examplesdir = $(docdir)/examples
dist_examples_DATA = doc/examples/classic.conf doc/examples/pool.conf

# The configuration belongs to the administrator as soon as it is there: installing again leaves it
# as it is, and uninstalling takes it away only if nobody changed it.
EXTRA_DIST += etc/forkechod.conf
CLEANFILES += etc/installed.conf
etc/installed.conf: etc/forkechod.conf Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(SED) 's,^#user = forkechod$$,#user = $(daemon_user),' $(srcdir)/etc/forkechod.conf > $@
all-local: etc/installed.conf
install-data-local: etc/installed.conf
	$(MKDIR_P) "$(DESTDIR)$(sysconfdir)"
	test -e "$(DESTDIR)$(sysconfdir)/forkechod.conf" || \
	$(INSTALL_DATA) etc/installed.conf "$(DESTDIR)$(sysconfdir)/forkechod.conf"
uninstall-local: etc/installed.conf
	! cmp -s etc/installed.conf "$(DESTDIR)$(sysconfdir)/forkechod.conf" || \
	rm "$(DESTDIR)$(sysconfdir)/forkechod.conf"
