# Checks of the tree itself: layers, style, documents against code.

dist_check_SCRIPTS += tests/checks/catalog.sh
TESTS += tests/checks/catalog.sh
