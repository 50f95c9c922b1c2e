/*
 * Any bytes on the board, to those who read it: the handler status and what the master looks at.
 * Whatever listeners and sessions have written there, each page is an answer, forkechoctl
 * understands the document, and a row says that it is not to be believed or looks as if it were.
 *
 * The first line is what is asked for, as `/status.json?sessions=all`. Then come scribbles: where,
 * which one, a place, how many bytes, the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/document.h"
#include "household.h"
#include "service/http_parse.h"
#include "status/status.h"

enum where { SESSION, SLOT, BLOCK, SERVICE, HEADER, OWNER, WHERES };
enum { PLACE_UNIT = 4, REACHED = 2 * BOARD_CHUNK, SCRIBBLES_MAX = 64, SCRIBBLE_HEAD = 4 };

/* What was there before. */
struct scribble {
    unsigned char *at;
    size_t size;
    unsigned char before[UINT8_MAX];
};

static struct board *board;
static struct scribble scribbles[SCRIBBLES_MAX];
static size_t scribble_count;

static void *find_place(enum where where, unsigned int index, size_t *room)
{
    switch (where) {
    case SESSION:
        *room = sizeof(board->session[0]);
        return &board->session[index % REACHED];
    case SLOT:
        *room = sizeof(board->slot[0]);
        return &board->slot[index % REACHED];
    case BLOCK:
        *room = sizeof(board->blocks[0]);
        return &board->blocks[index % BOARD_BLOCKS];
    case SERVICE:
        *room = sizeof(board->services[0]);
        return &board->services[index % BOARD_SERVICES];
    case HEADER:
        *room = sizeof(*board->header);
        return board->header;
    default:
        *room = BOARD_CHUNK * sizeof(board->owners[0]);
        return board->owners;
    }
}

/* Returns how many bytes of the input it was. */
static size_t scribble(const uint8_t *bytes, size_t size)
{
    size_t room, length = bytes[3] < size - SCRIBBLE_HEAD ? bytes[3] : size - SCRIBBLE_HEAD;
    unsigned char *thing = find_place((enum where)(bytes[0] % WHERES), bytes[1], &room);
    size_t place = (size_t)bytes[2] * PLACE_UNIT % room;
    struct scribble *scribble = &scribbles[scribble_count++];

    scribble->at = thing + place;
    scribble->size = length < room - place ? length : room - place;
    memcpy(scribble->before, scribble->at, scribble->size);
    memcpy(scribble->at, bytes + SCRIBBLE_HEAD, scribble->size);
    return SCRIBBLE_HEAD + length;
}

static void undo(void)
{
    while (scribble_count > 0) {
        scribble_count--;
        memcpy(scribbles[scribble_count].at, scribbles[scribble_count].before,
               scribbles[scribble_count].size);
    }
}

static void read_rows(void)
{
    struct board_row row;
    struct board_sum sum;
    for (uint32_t i = 0; i < REACHED; i++)
        if (board_read(board, i, &row)) {
            HOLDS(memchr(row.client, '\0', sizeof(row.client)) != NULL);
            HOLDS(row.torn || row.activity < ACTIVITY_COUNT);
            HOLDS(!row.torn || (row.bytes_in == 0 && row.bytes_out == 0 && row.turns == 0));
        }
    for (uint32_t i = 0; i < 3; i++)
        board_sum(board, i, &sum);
    board_live_now(board);
    board_live(board);
    board_block_agrees(board, 0);
}

static void check_document(const struct buffer *body)
{
    struct document document;
    struct failure why;
    HOLDS(document_read(&document, body->bytes, body->length, &why) == 0);
    document_free(&document);
}

/* Text, in which nothing foreign does anything. */
static void check_page(const struct buffer *body, const char *type)
{
    for (size_t i = 0; i < body->length; i++)
        HOLDS((unsigned char)body->bytes[i] >= ' ' || body->bytes[i] == '\n');
    HOLDS(strncmp(type, "text/html", 9) != 0 ||
          memmem(body->bytes, body->length, "<fuzz", 5) == NULL);
}

static void ask(struct fuzz_part line)
{
    static const struct status_view view = { .local_names = false };
    struct status_view mine = view;
    struct buffer body = { 0 };
    struct http_answer answer = { .body = &body };
    struct http_request request;
    char *target = fuzz_text(line.bytes, line.size), *text = NULL;
    int length = asprintf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);

    mine.board = board;
    if (http_parse(text, (size_t)length, &request) == HTTP_OK) {
        status_answer(&mine, &request, &answer);
        HOLDS(answer.status == HTTP_OK || body.length == 0);
        if (answer.status == HTTP_OK && strcmp(answer.type, "application/json") == 0)
            check_document(&body);
        else if (answer.status == HTTP_OK)
            check_page(&body, answer.type);
    }
    buffer_free(&body);
    free(text);
    free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct house house;
    struct fuzz_part rest = { bytes, size }, line;

    if (board == NULL) {
        house_build(&house);
        board = &house.master->board;
    }
    if (!fuzz_cut(&rest, '\n', &line))
        return 0;
    while (rest.size > SCRIBBLE_HEAD && scribble_count < SCRIBBLES_MAX) {
        size_t taken = scribble(rest.bytes, rest.size);
        rest = (struct fuzz_part){ rest.bytes + taken, rest.size - taken };
    }
    read_rows();
    ask(line);
    undo();
    return 0;
}
