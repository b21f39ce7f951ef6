/* The second half of the conformance suite: what happens over time. conformance.c runs it. */
#pragma once

#include "tests/unit/store/fixture.h"

void test_watch_live(struct fixture *f, gconstpointer data);
void test_watch_before_answer(struct fixture *f, gconstpointer data);
void test_watch_catch_up(struct fixture *f, gconstpointer data);
void test_watch_free_inside(struct fixture *f, gconstpointer data);
void test_watch_large_revision(struct fixture *f, gconstpointer data);
void test_compaction(struct fixture *f, gconstpointer data);
void test_lease_expiry(struct fixture *f, gconstpointer data);
void test_lease_keep_alive(struct fixture *f, gconstpointer data);
void test_lease_revoke_and_restart(struct fixture *f, gconstpointer data);
void test_cancelled_before(struct fixture *f, gconstpointer data);
void test_cancelled_under_way(struct fixture *f, gconstpointer data);
void test_closed_under_way(struct fixture *f, gconstpointer data);
void test_pipeline(struct fixture *f, gconstpointer data);
void test_flood(struct fixture *f, gconstpointer data);
void test_large_answers(struct fixture *f, gconstpointer data);
