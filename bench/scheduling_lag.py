"""EEVDF's lag stays within −r_max and max(r, q) over fuzzed events; LAG_EVENTS=1000000 for fewer. The test ends at the first
violation (tests/unit/core/test_scheduling.c)."""
import os
import time

import measure
import unit_test

EVENTS = int(os.environ.get("LAG_EVENTS", "1000000000"))


def run(build, _runs, report):
    start = time.monotonic()
    passed, told = unit_test.messages(build, "core/test_core_scheduling", "/scheduling/eevdf/lag",
                                      {"POLDER_TEST_EVENTS": str(EVENTS), "POLDER_TEST_SEED": str(measure.SEED)})
    report.figure("fuzzed events, seed " + str(measure.SEED), "eevdf", EVENTS if passed else 0, "", (1e9, False))
    report.figure("lags out of −r_max < lag < max(r, q)", "eevdf", 0 if passed else 1, "", (0, True))
    report.figure("time these took", "eevdf", time.monotonic() - start, "s")
    if not passed:
        report.note("eevdf's lag: " + "; ".join(told))
