/* The result of a load, for people and for programs, on standard output. */
#pragma once

#include "client/connect.h"
#include "client/load.h"

void bench_report_text(const struct load_plan *plan, const struct peer *peer,
                       const struct load_result *result);
/* One object; forkecho(1) has its members. */
void bench_report_json(const struct load_plan *plan, const struct peer *peer,
                       const struct load_result *result);
