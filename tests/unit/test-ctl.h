/* A document as the status service writes it, and the cases about it. */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/document.h"

#define DAEMON                                                                                     \
    "{\"version\":\"1.0.0\",\"pid\":1,\"started\":1700000000,\"uptime_s\":12,\"life\":"            \
    "\"serving\","                                                                                 \
    "\"live\":1,\"max_sessions\":4096,\"log_level\":\"info\",\"log_level_switched\":false,"        \
    "\"log_lines_dropped\":0,\"reloads\":0,\"reload_rejected\":false,\"upgrades\":0}"
#define SERVICE                                                                                    \
    "{\"name\":\"echo\",\"handler\":\"echo\",\"state\":\"serving\",\"listen\":[\"127.0.0.1:7\"],"  \
    "\"process_model\":\"prefork\",\"instances\":256,\"live\":2,\"waiting\":3,\"generations\":1,"  \
    "\"accepted\":10,\"bytes_in\":1,\"bytes_out\":2,\"live_bytes_in\":3,\"live_bytes_out\":4,"     \
    "\"fork_failures\":0,\"records_dropped\":0,\"ended\":{\"closed\":8},"                          \
    "\"refused\":{\"no_access\":2,\"instances\":7,\"cps\":0},"                                     \
    "\"pool\":{\"workers\":5,\"idle\":3,\"scale\":4},"                                             \
    "\"rates\":{\"accepted_per_s\":1.5,\"refused_per_s\":0,\"bytes_per_s\":10}}"
#define SESSION_OF(id, service, client, pid, age)                                                  \
    "{\"id\":\"" id "\",\"service\":\"" service "\",\"client\":\"" client "\",\"pid\":" pid        \
    ",\"state\":\"reading\",\"age_s\":" age ",\"idle_s\":0.1,\"bytes_in\":5,\"bytes_out\":6,"      \
    "\"turns\":1,\"torn\":false}"
#define SESSION            SESSION_OF("17-42", "echo", "192.0.2.7:51234", "123", "1.234")
#define DOCUMENT(sessions) "{\"daemon\":" DAEMON ",\"services\":[" SERVICE "]" sessions "}"
#define WHOLE              DOCUMENT(",\"sessions\":[" SESSION "]")

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int read_text(const char *text, struct document *document, struct failure *why);

TCase *document_cases(void);
TCase *top_cases(void);
