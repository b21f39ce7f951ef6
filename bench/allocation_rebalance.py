"""Rebalancing: a fleet of 100,000 hosts of which 5 % are emptied; Ganeti's 40-node cluster beside hbal; machine reassignment
set A beside the challenge's best. BENCH_REASSIGNMENT_SECONDS (default 20; the challenge gave 300) is spent on each instance."""
import json
import os
import shutil
import subprocess
import time

SEED = os.environ.get("BENCH_SEED", "1")
SECONDS = int(os.environ.get("BENCH_REASSIGNMENT_SECONDS", "20"))
BEST = {"a1_1": 44306501, "a1_2": 777532896, "a1_3": 583005717, "a1_4": 252728589, "a1_5": 727578309,
        "a2_1": 198, "a2_2": 816523983, "a2_3": 1306868761, "a2_4": 1681353943, "a2_5": 336170182}


def shared(*parts):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(os.environ.get("POLDER_SHARED", os.path.join(root, "..", "shared")), "data", "allocation", *parts)


def polder(build, *arguments):
    command = [os.path.join(build, "polder"), "lab", "rebalance", "--json", "--timing", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def fleet(build, report):
    out = json.loads(subprocess.run([os.path.join(build, "bench", "allocation_rebalance"), "100000", "85", "5", SEED],
                                    check=True, stdout=subprocess.PIPE).stdout)
    what = f"empty 5 % of {out['hosts']:,} hosts"
    report.note(f"{what}: {out['vms']:,} VMs, {out['moves']:,} moves, check {out['check']}")
    report.figure(what, "consolidation", out["hosts_emptied"], "hosts", (5000, False))
    report.figure(f"{what}, time", "consolidation", out["wall_s"], "s", (5, True))


def ganeti(build, report):
    path = shared("ganeti-hb40.txt")
    if not os.path.exists(path):
        report.note("rebalance: no Ganeti cluster; set POLDER_SHARED")
        return
    runs = [polder(build, "--ganeti", path) for _ in range(5)]
    report.figure("ganeti 40 nodes, score", "polder", round(runs[0]["score_after"], 5), "", (0.0969, True))
    report.figure("ganeti 40 nodes, moves", "polder", len(runs[0]["moves"]), "", (72, True))
    report.figure("ganeti 40 nodes, time", "polder", sorted(run["milliseconds"] for run in runs)[2], "ms", (20, True))
    if shutil.which("hbal"):
        start = time.monotonic()
        subprocess.run(["hbal", "--ignore-dynu", "-t", path], check=False, stdout=subprocess.DEVNULL)
        report.figure("ganeti 40 nodes, time", "hbal", 1000 * (time.monotonic() - start), "ms")


def reassignment(build, report):
    close = 0
    for name, best in BEST.items():
        model = shared("machine-reassignment", f"model_{name}.txt")
        if not os.path.exists(model):
            report.note("rebalance: no machine reassignment instances; set POLDER_SHARED")
            return
        out = polder(build, "--reassignment", model, shared("machine-reassignment", f"assignment_{name}.txt"),
                     "--budget", f"{SECONDS}s", "--seed", SEED)
        cost = out["after"]["total"]
        close += cost <= best * 1.001
        report.figure(f"reassignment {name}, {SECONDS} s", "polder", cost, "", (round(best * 1.001), True))
        report.figure(f"reassignment {name}, {SECONDS} s", "best of the challenge", best, "")
    report.figure(f"reassignment within 0.1 % of the best, {SECONDS} s", "polder", close, "of 10", (8, False))


def run(build, _runs, report):
    fleet(build, report)
    ganeti(build, report)
    reassignment(build, report)


if __name__ == "__main__":
    import sys

    import measure

    run(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), 1, measure.Report())
