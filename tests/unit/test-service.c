#include "test-service.h"

int main(void)
{
    Suite *suite = suite_create("service");

    suite_add_tcase(suite, bulk_cases());
    suite_add_tcase(suite, handler_cases());
    suite_add_tcase(suite, http_cases());
    suite_add_tcase(suite, stream_cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
