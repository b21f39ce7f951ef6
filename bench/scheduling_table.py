"""Plans of the table strategy: how long one takes, and how many of the published task sets get one. Counted, and every plan
checked by other means than the planner's own, by tests/unit/core/test_scheduling_table.c."""
import unit_test

BINARY = "core/test_core_scheduling_table"


def run(build, _runs, report):
    passed, told = unit_test.messages(build, BINARY, "/scheduling/table/large")
    median, worst, plans = unit_test.counts(told, r"planned in (\d+) us, at worst (\d+), (\d+) plans verified")
    report.figure("1,000 vCPUs on 64 CPUs planned and verified, median", "table", median / 1e3, "ms", (50, True), int(plans))
    report.figure("1,000 vCPUs on 64 CPUs planned and verified, worst", "table", worst / 1e3, "ms", (50, True), int(plans))
    report.figure("of these plans, verified", "table", plans if passed else 0, "", (plans, False))
    passed, told = unit_test.messages(build, BINARY, "/scheduling/table/published")
    if passed is None:
        report.note("published task sets: not there; left out")
        return
    planned, sets = unit_test.counts(told, r"(\d+) of (\d+) planned")
    report.figure("task sets feasible under partitioned EDF, planned", "table", 100 * planned / sets, "%", (99, False),
                  int(sets))
    report.note(f"table: {planned:,.0f} of {sets:,.0f} task sets planned")
