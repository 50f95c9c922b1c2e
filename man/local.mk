dist_man_MANS =
dist_man_MANS += man/forkecho.1
dist_man_MANS += man/forkechoctl.8
dist_man_MANS += man/forkechod.conf.5
