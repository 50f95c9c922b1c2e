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
dist_bashcompletion_DATA = etc/completion/forkecho etc/completion/forkechod

# In force only where an administrator copies them to.
examplesdir = $(docdir)/examples
dist_examples_DATA =
