dist_man_MANS = \
	man/forkecho.1 \
	man/forkechod-status.7 \
	man/forkechod.8 \
	man/forkechod.conf.5 \
	man/forkechoctl.8
