# Checks of the tree itself: layers, style, documents against code.

dist_check_SCRIPTS += tests/checks/catalog.sh
TESTS += tests/checks/catalog.sh

# Documents against options.def.
EXTRA_DIST += tests/checks/options.py
dist_check_SCRIPTS += tests/checks/shipped-conf.py tests/checks/manual.py
TESTS += tests/checks/shipped-conf.py tests/checks/manual.py

# The list of failures against the tests that show them.
EXTRA_DIST += tests/FAILURES.md
dist_check_SCRIPTS += tests/checks/failures.py
TESTS += tests/checks/failures.py

dist_check_SCRIPTS += tests/checks/layers.sh tests/checks/documents.sh
TESTS += tests/checks/layers.sh tests/checks/documents.sh

dist_check_SCRIPTS += tests/checks/libraries.sh
TESTS += tests/checks/libraries.sh

dist_check_SCRIPTS += tests/checks/sandbox.sh
TESTS += tests/checks/sandbox.sh

dist_check_SCRIPTS += tests/checks/text.sh
TESTS += tests/checks/text.sh

dist_check_SCRIPTS += tests/checks/shell.sh
TESTS += tests/checks/shell.sh
