#include "test-base.h"

#include <stdlib.h>

int test_argc;
char **test_argv;

int main(int argc, char **argv)
{
    Suite *suite = suite_create("base");

    test_argc = argc;
    test_argv = argv;
    suite_add_tcase(suite, text_cases());
    suite_add_tcase(suite, address_cases());
    suite_add_tcase(suite, process_cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
