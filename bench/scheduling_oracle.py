"""edf beside an independent simulation of global EDF: task sets reproduced exactly, and what the tests of feasibility
promised. Counted by tests/unit/lab/test_scheduling_edf.c."""
import unit_test

SETS = ("m2-n5", "m4-n10")
WANTED = 17000


def run(build, _runs, report):
    same = sets = accepted = missed = above = nearest = 0
    for name in SETS:
        passed, told = unit_test.messages(build, "lab/test-lab-scheduling_edf", f"/scheduling/edf/oracle-{name}")
        if passed is None:
            report.note(f"oracle {name}: {told[-1] if told else 'its task sets are not there'}; left out")
            return
        read, wrong = unit_test.counts(told, r"(\d+) task sets, (\d+) not as")
        by_gfb, of_them = unit_test.counts(told, r"(\d+) accepted by GFB, (\d+) of them missed")
        late, closest = unit_test.counts(told, r"(\d+) tardier than the bound, the nearest at ([\d.]+)")
        same, sets, accepted, missed = same + read - wrong, sets + read, accepted + by_gfb, missed + of_them
        above, nearest = above + late, max(nearest, closest)
    report.figure("task sets reproduced exactly", "edf", same, "", (WANTED, False), runs=int(sets))
    report.figure("task sets that GFB accepts", "edf", accepted, "")
    report.figure("of these, with a deadline missed", "edf", missed, "", (0, True))
    report.figure("task sets tardier than the kernel documentation's bound", "edf", above, "", (0, True))
    report.figure("greatest tardiness, of its bound", "edf", 100 * nearest, "%", (100, True))
