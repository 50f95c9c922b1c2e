# The layers, from the bottom up (HACKING.md). A program links what it names and nothing else.
include src/base/local.mk
include src/log/local.mk
include src/conf/local.mk
include src/sys/local.mk
include src/board/local.mk
include src/channel/local.mk
include src/access/local.mk
include src/service/local.mk
include src/status/local.mk
include src/session/local.mk
include src/listener/local.mk
include src/master/local.mk
include src/client/local.mk
include src/ctl/local.mk
