/* The board: slots by the chunk, rows whole or marked, two regions. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/board.h"

static struct board board;
static struct failure why;
static uint32_t slots;

static void make_board(void)
{
    ck_assert_int_eq(board_create(&board, 100, &why), 0);
    slots = board.slots;
}

/* For a generation of a service, the first block that is free. */
static unsigned int begin(uint32_t generation, uint32_t service)
{
    unsigned int block = 0;
    while (board.blocks[block].used)
        block++;
    board_block_open(&board, block, generation, service);
    return block;
}

START_TEST(there_is_a_slot_for_each_session_whatever_listeners_keep_to_themselves)
{
    uint32_t hint = 0;
    for (int i = 0; i < BOARD_BLOCKS - 1; i++) {
        unsigned int block = begin((uint32_t)i + 1, 0);
        for (int kept = 0; kept < BOARD_SPARE + BOARD_CHUNK; kept += BOARD_CHUNK)
            ck_assert_int_ge(board_chunk_take(&board, block, &hint), 0);
    }
    unsigned int last = begin(999, 0);
    uint32_t got = 0;
    while (board_chunk_take(&board, last, &hint) >= 0)
        got += BOARD_CHUNK;
    ck_assert_uint_ge(got, 100);
}
END_TEST

START_TEST(a_board_that_cannot_be_made_says_what_to_lower)
{
    struct board huge;
    struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(board_create(&huge, 1000000, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "max_sessions"));
}
END_TEST

START_TEST(two_generations_never_get_the_same_chunk)
{
    uint32_t hint_a = 0, hint_b = 0;
    bool *taken = calloc(slots, sizeof(*taken));
    unsigned int a = begin(1, 0), b = begin(2, 0);
    ck_assert_uint_ne(a, b);
    for (uint32_t i = 0; i < slots / BOARD_CHUNK; i++) {
        int64_t slot =
            i % 2 ? board_chunk_take(&board, a, &hint_a) : board_chunk_take(&board, b, &hint_b);
        ck_assert_int_ge(slot, 0);
        ck_assert(!taken[slot]);
        taken[slot] = true;
    }
    ck_assert_int_eq(board_chunk_take(&board, a, &hint_a), -1);
    free(taken);
}
END_TEST

START_TEST(a_freed_generation_gives_all_its_chunks_back)
{
    uint32_t hint = 0;
    unsigned int block = begin(1, 0);
    while (board_chunk_take(&board, block, &hint) >= 0)
        continue;
    board_slot_open(&board, 3, block, "192.0.2.7:1", 5);
    board_block_close(&board, block, 0);

    struct board_row row;
    ck_assert(!board_read(&board, 3, &row));
    block = begin(2, 0);
    ck_assert_int_ge(board_chunk_take(&board, block, &hint), 0);
}
END_TEST

START_TEST(the_slots_of_a_generation_are_found_among_those_of_others)
{
    uint32_t hint = 0;
    unsigned int ours = begin(1, 0);
    unsigned int other = begin(2, 0);
    int64_t first = board_chunk_take(&board, ours, &hint);
    int64_t between = board_chunk_take(&board, other, &hint);
    int64_t second = board_chunk_take(&board, ours, &hint);

    ck_assert_int_eq(board_next(&board, ours, -1), -1);
    board_slot_open(&board, (uint32_t)first + BOARD_CHUNK - 1, ours, "192.0.2.7:1", 5);
    board_slot_open(&board, (uint32_t)between, other, "192.0.2.7:2", 5);
    board_slot_open(&board, (uint32_t)second, ours, "192.0.2.7:3", 5);
    ck_assert_int_eq(board_next(&board, ours, -1), first + BOARD_CHUNK - 1);
    ck_assert_int_eq(board_next(&board, ours, first + BOARD_CHUNK - 1), second);
    ck_assert_int_eq(board_next(&board, ours, second), -1);
}
END_TEST

START_TEST(a_block_that_was_made_another_services_counts_for_its_own)
{
    struct board_sum sum;
    unsigned int block = begin(1, 4);
    board_count(&board.blocks[block], COUNT_ACCEPTED, 5);
    atomic_store(&board.blocks[block].service, 5);
    atomic_store(&board.blocks[block].used, 0);
    board_block_close(&board, block, 4);
    board_sum(&board, 4, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 5);
    board_sum(&board, 5, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 0);
}
END_TEST

START_TEST(a_number_of_blocks_that_cannot_be_is_not_believed)
{
    unsigned int block = begin(1, 0);
    atomic_store(&board.header->blocks_used, UINT32_MAX);
    board_block_close(&board, block, 0);
    ck_assert_uint_eq(board.header->blocks_used, 0);
}
END_TEST

START_TEST(live_sessions_of_a_service_are_counted_over_its_generations)
{
    unsigned int a = begin(1, 4), b = begin(2, 4);
    unsigned int other = begin(3, 5);
    atomic_store(&board.blocks[a].live, 3);
    atomic_store(&board.blocks[b].live, 4);
    atomic_store(&board.blocks[other].live, 100);
    ck_assert_uint_eq(board_service_live(&board, 4), 7);
    ck_assert_uint_eq(board_live(&board), 107);
    board_block_close(&board, other, 5);
    ck_assert_uint_eq(board_live(&board), 7);
}
END_TEST

START_TEST(a_row_shows_what_both_halves_say)
{
    struct board_row row;
    ck_assert(!board_read(&board, 9, &row));
    board_slot_open(&board, 9, 2, "[2001:db8::1]:33410", 1000);
    board_slot_pid(&board, 9, 4242);
    board_session_update(&board.session[9], SESSION_WRITING, 2000, 10, 20, 3);
    ck_assert(board_read(&board, 9, &row));
    ck_assert_str_eq(row.client, "[2001:db8::1]:33410");
    ck_assert_int_eq(row.pid, 4242);
    ck_assert_uint_eq(row.block, 2);
    ck_assert_uint_eq(row.since_us, 1000);
    ck_assert_uint_eq(row.active_us, 2000);
    ck_assert_uint_eq(row.bytes_in, 10);
    ck_assert_uint_eq(row.bytes_out, 20);
    ck_assert_uint_eq(row.turns, 3);
    ck_assert_uint_eq(row.activity, SESSION_WRITING);
    ck_assert(!row.torn);
    board_slot_close(&board, 9);
    ck_assert(!board_read(&board, 9, &row));
}
END_TEST

START_TEST(a_session_that_never_ends_its_write_marks_its_row_and_no_other)
{
    struct board_row row;
    board_slot_open(&board, 1, 0, "a", 1);
    board_slot_open(&board, 2, 0, "b", 1);
    atomic_store(&board.session[1].sequence, 7);
    ck_assert(board_read(&board, 1, &row));
    ck_assert(row.torn);
    ck_assert_uint_eq(row.bytes_in, 0);
    ck_assert(board_read(&board, 2, &row));
    ck_assert(!row.torn);
}
END_TEST

START_TEST(a_new_session_finds_nothing_of_the_one_before)
{
    struct board_row row;
    board_slot_open(&board, 1, 0, "a", 1);
    board_session_update(&board.session[1], SESSION_WRITING, 2, 10, 20, 3);
    atomic_store(&board.session[1].sequence, 7);
    board_slot_close(&board, 1);
    board_slot_open(&board, 1, 0, "b", 9);
    ck_assert(board_read(&board, 1, &row));
    ck_assert(!row.torn);
    ck_assert_uint_eq(row.bytes_in + row.bytes_out + row.turns, 0);
}
END_TEST

START_TEST(a_session_that_comes_and_goes_is_accepted_live_and_ended)
{
    struct board_sum sum;
    struct board_row row;
    uint32_t hint = 0;
    unsigned int block = begin(1, 7);
    uint32_t slot = (uint32_t)board_chunk_take(&board, block, &hint);

    board_slot_open(&board, slot, block, "192.0.2.7:1", 1000);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED] + sum.live, 0);
    board_slot_pid(&board, slot, 42);
    board_session_update(&board.session[slot], SESSION_READING, 2000, 10, 20, 1);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 1);
    ck_assert_uint_eq(sum.live, 1);
    ck_assert_uint_eq(sum.live_bytes_in, 10);
    ck_assert(board_read(&board, slot, &row));
    board_slot_end(&board, slot, &row, SESSION_IDLE, 6000);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.live, 0);
    ck_assert_uint_eq(sum.counts[COUNT_ENDED + SESSION_IDLE], 1);
    ck_assert_uint_eq(sum.counts[COUNT_BYTES_OUT], 20);
    ck_assert_uint_eq(sum.counts[COUNT_DURATION_US], 5000);
    ck_assert_uint_eq(sum.counts[COUNT_DURATIONS + 1], 1);
}
END_TEST

START_TEST(a_block_agrees_with_its_slots_or_says_that_it_does_not)
{
    uint32_t hint = 0;
    unsigned int block = begin(1, 0);
    uint32_t slot = (uint32_t)board_chunk_take(&board, block, &hint);

    ck_assert(board_block_agrees(&board, block));
    board_slot_open(&board, slot, block, "192.0.2.7:1", 5);
    ck_assert(board_block_agrees(&board, block)); /* it is being forked, and not counted yet */
    board_slot_pid(&board, slot, getpid());
    ck_assert(board_block_agrees(&board, block));
    atomic_store(&board.blocks[block].live, 2);
    ck_assert(!board_block_agrees(&board, block));
    board_block_begin(&board.blocks[block]); /* who is writing may still put it right */
    ck_assert(board_block_agrees(&board, block));
    board_block_end(&board.blocks[block]);
    atomic_store(&board.blocks[block].live, 1);
    board_slot_close(&board, slot);
    ck_assert(!board_block_agrees(&board, block));
}
END_TEST

START_TEST(what_a_generation_did_stays_with_its_service)
{
    struct board_sum sum;
    unsigned int block = begin(1, 7);
    board_count(&board.blocks[block], COUNT_ACCEPTED, 5);
    board_count(&board.blocks[block], COUNT_REFUSED + CAUSE_PER_SOURCE, 2);
    board_block_close(&board, block, 7);
    ck_assert_uint_eq(begin(2, 8), block);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 5);
    ck_assert_uint_eq(sum.counts[COUNT_REFUSED + CAUSE_PER_SOURCE], 2);
    ck_assert_uint_eq(sum.generations, 0);
    board_sum(&board, 8, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 0);
}
END_TEST

START_TEST(a_worker_counts_its_clients_one_after_the_other)
{
    struct board_sum sum;
    struct board_row row;
    uint32_t hint = 0;
    unsigned int block = begin(1, 7);
    uint32_t slot = (uint32_t)board_chunk_take(&board, block, &hint);
    struct board_session *worker = &board.session[slot];

    atomic_store(&board.blocks[block].pool, 1);
    board_slot_open(&board, slot, block, NULL, 1000);
    board_slot_pid(&board, slot, 42);
    board_session_update(worker, SESSION_WAITING, 1000, 0, 0, 0);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.workers, 1);
    ck_assert_uint_eq(sum.idle, 1);
    for (uint64_t i = 0; i < 3; i++) {
        board_worker_begin(worker, "192.0.2.9:9", 3, 2000);
        board_session_update(worker, SESSION_READING, 3000, 5, 5, 1);
        board_sum(&board, 7, &sum);
        ck_assert_uint_eq(sum.live, 1);
        ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], i + 1);
        ck_assert(board_read(&board, slot, &row));
        ck_assert(board_row_is_session(&row));
        ck_assert_str_eq(row.client, "192.0.2.9:9");
        ck_assert_uint_eq(row.turn, i + 1);
        if (i < 2)
            board_worker_end(worker, SESSION_CLOSED, 4000);
    }
    /* It dies with the third. */
    ck_assert(board_read(&board, slot, &row));
    board_slot_end(&board, slot, &row, SESSION_CRASHED, 4000);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.workers + sum.live, 0);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 3);
    ck_assert_uint_eq(sum.counts[COUNT_ENDED + SESSION_CLOSED], 2);
    ck_assert_uint_eq(sum.counts[COUNT_ENDED + SESSION_CRASHED], 1);
    ck_assert_uint_eq(sum.counts[COUNT_BYTES_IN], 15);
    board_slot_open(&board, slot, block, "192.0.2.9:9", 5000);
    ck_assert(board_read(&board, slot, &row));
    ck_assert_uint_eq(row.turn, 4);
}
END_TEST

START_TEST(a_worker_that_wrote_nonsense_is_marked_and_adds_nothing)
{
    struct board_sum sum;
    struct board_row row;
    uint32_t hint = 0;
    unsigned int block = begin(1, 7);
    uint32_t slot = (uint32_t)board_chunk_take(&board, block, &hint);

    atomic_store(&board.blocks[block].pool, 1);
    board_slot_open(&board, slot, block, NULL, 1000);
    board_slot_pid(&board, slot, 42);
    memset(&board.session[slot], 0xAA, sizeof(board.session[slot]));
    ck_assert(board_read(&board, slot, &row));
    ck_assert(row.torn);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 0);
    board_slot_end(&board, slot, &row, SESSION_CRASHED, 4000);
    board_sum(&board, 7, &sum);
    ck_assert_uint_eq(sum.counts[COUNT_ACCEPTED], 0);
}
END_TEST

START_TEST(moments_are_remembered)
{
    unsigned int block = begin(1, 7);
    struct board_service entry;
    ck_assert(!board_read_service(&board, 7, &entry));
    strcpy(board.services[7].name, "echo");
    board_count(&board.blocks[block], COUNT_ACCEPTED, 5);
    board_sample(&board);
    board_count(&board.blocks[block], COUNT_ACCEPTED, 5);
    board_sample(&board);
    ck_assert(board_read_service(&board, 7, &entry));
    ck_assert_uint_eq(entry.samples[0].accepted, 5);
    ck_assert_uint_eq(entry.samples[1].accepted, 10);
}
END_TEST

START_TEST(a_reader_may_have_the_header_alone)
{
    struct board reader;
    board.header->life = LIFE_DRAINS;
    ck_assert_int_eq(board_attach_reader(&reader, board.fds[0], board.fds[1], false, &why), 0);
    ck_assert_uint_eq(reader.header->life, LIFE_DRAINS);
    ck_assert_ptr_null(reader.blocks);
    board_destroy(&reader);
}
END_TEST

START_TEST(an_attached_board_is_the_same_board)
{
    struct board copy;
    struct board_row row;
    ck_assert_int_eq(board_attach(&copy, board.fds[0], board.fds[1], &why), 0);
    board_slot_open(&copy, 5, 0, "here", 1);
    ck_assert(board_read(&board, 5, &row));
    ck_assert_str_eq(row.client, "here");
}
END_TEST

static int attach_again(struct board *copy)
{
    int control = dup(board.fds[0]);
    int session = dup(board.fds[1]);
    return board_attach(copy, control, session, &why);
}

static bool is_mapped(void *at)
{
    unsigned char resident;
    uintptr_t page = (uintptr_t)at & ~((uintptr_t)getpagesize() - 1);
    return mincore((void *)page, 1, &resident) == 0;
}

/* Forks a child that serves in `slot`, if it has such a row. Whether that is all that it has of the
 * board, the row of `other` not included. */
static bool child_has_only(struct board *copy, uint32_t slot, uint32_t other)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (!is_mapped(&copy->session[slot]) || is_mapped(&copy->session[other]) ||
            is_mapped(copy->control))
            _exit(1);
        board_session_update(&copy->session[slot], SESSION_READING, 1, slot + 2, 3, 4);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
           board.session[slot].bytes_in == slot + 2;
}

enum { FAR = 100 * BOARD_CHUNK }; /* so that it is in another page, however large */

START_TEST(a_child_of_the_listener_has_the_row_of_its_slot_and_nothing_far_from_it)
{
    static const uint32_t places[] = { 0, FAR + 3, 1, FAR + BOARD_CHUNK - 1 };
    struct board copy;
    ck_assert_int_eq(attach_again(&copy), 0);
    for (unsigned int i = 0; i < sizeof(places) / sizeof(*places); i++) {
        ck_assert_int_eq(board_hand_on(&copy, places[i]), 0);
        ck_assert(child_has_only(&copy, places[i], places[i] < FAR ? FAR : 0));
    }
}
END_TEST

START_TEST(a_child_has_no_row_as_long_as_none_is_handed_on)
{
    struct board copy;
    ck_assert_int_eq(attach_again(&copy), 0);
    ck_assert(!child_has_only(&copy, 0, FAR));
    ck_assert_int_eq(board_hand_on(&copy, 0), 0);
    ck_assert(child_has_only(&copy, 0, FAR));
}
END_TEST

START_TEST(a_region_that_could_shrink_is_not_taken)
{
    struct board copy;
    int fd = memfd_create("unsealed", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)board.control_size), 0);
    ck_assert_int_eq(board_attach(&copy, fd, dup(board.fds[1]), &why), -1);
    ck_assert_int_lt(ftruncate(board.fds[0], 1), 0);
}
END_TEST

START_TEST(a_board_of_another_version_is_not_taken)
{
    struct board copy;
    *(uint32_t *)board.control = BOARD_VERSION + 1;
    ck_assert_int_eq(attach_again(&copy), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "version"));
}
END_TEST

START_TEST(a_reader_beside_a_busy_writer_never_sees_half_a_row)
{
    board_slot_open(&board, 0, 0, "busy", 1);
    pid_t pid = fork();
    if (pid == 0)
        for (uint64_t i = 0;; i++)
            board_session_update(&board.session[0], SESSION_READING, i, i, i, i);
    for (int whole = 0, i = 0; i < 200000 && whole < 20000; i++) {
        struct board_row row;
        ck_assert(board_read(&board, 0, &row));
        if (row.torn || row.active_us == 1)
            continue;
        whole++;
        ck_assert_uint_eq(row.bytes_in, row.bytes_out);
        ck_assert_uint_eq(row.bytes_in, row.turns);
        ck_assert_uint_eq(row.bytes_in, row.active_us);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("board");
    tcase_add_checked_fixture(cases, make_board, NULL);
    tcase_add_test(cases, there_is_a_slot_for_each_session_whatever_listeners_keep_to_themselves);
    tcase_add_test(cases, a_board_that_cannot_be_made_says_what_to_lower);
    tcase_add_test(cases, two_generations_never_get_the_same_chunk);
    tcase_add_test(cases, a_freed_generation_gives_all_its_chunks_back);
    tcase_add_test(cases, the_slots_of_a_generation_are_found_among_those_of_others);
    tcase_add_test(cases, a_block_that_was_made_another_services_counts_for_its_own);
    tcase_add_test(cases, a_number_of_blocks_that_cannot_be_is_not_believed);
    tcase_add_test(cases, live_sessions_of_a_service_are_counted_over_its_generations);
    tcase_add_test(cases, a_row_shows_what_both_halves_say);
    tcase_add_test(cases, a_session_that_never_ends_its_write_marks_its_row_and_no_other);
    tcase_add_test(cases, a_new_session_finds_nothing_of_the_one_before);
    tcase_add_test(cases, a_session_that_comes_and_goes_is_accepted_live_and_ended);
    tcase_add_test(cases, a_block_agrees_with_its_slots_or_says_that_it_does_not);
    tcase_add_test(cases, what_a_generation_did_stays_with_its_service);
    tcase_add_test(cases, a_worker_counts_its_clients_one_after_the_other);
    tcase_add_test(cases, a_worker_that_wrote_nonsense_is_marked_and_adds_nothing);
    tcase_add_test(cases, moments_are_remembered);
    tcase_add_test(cases, a_reader_may_have_the_header_alone);
    tcase_add_test(cases, an_attached_board_is_the_same_board);
    tcase_add_test(cases, a_child_of_the_listener_has_the_row_of_its_slot_and_nothing_far_from_it);
    tcase_add_test(cases, a_child_has_no_row_as_long_as_none_is_handed_on);
    tcase_add_test(cases, a_region_that_could_shrink_is_not_taken);
    tcase_add_test(cases, a_board_of_another_version_is_not_taken);
    tcase_add_test(cases, a_reader_beside_a_busy_writer_never_sees_half_a_row);
    Suite *suite = suite_create("board");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
