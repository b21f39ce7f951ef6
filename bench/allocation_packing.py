"""Published vector packing instances: sums of bins with a second and with 2 ms an instance, beside the best of 351 published
heuristics. One instance in eight, unless BENCH_PACKING_EVERY says otherwise (1: all of them, 25 minutes)."""
import json
import os
import subprocess
import tempfile

EVERY = int(os.environ.get("BENCH_PACKING_EVERY", "8"))
SEED = os.environ.get("BENCH_SEED", "1")
# Sums over all instances of a set: what we aim at in a second, and the best published.
GOALS = {"panigrahy": (60100, 60614), "new": (30300, 30904), "triplet": (9500, 10443)}
RUNS = ["ffd=1", "bfd=1", "wfd=1", "bcs=1", "guided-ejection=2ms", "guided-ejection=1s"]


def archive():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    shared = os.environ.get("POLDER_SHARED", os.path.join(root, "..", "shared"))
    return os.path.join(shared, "data", "allocation", "vector-bin-packing.tar.xz")


def goal(name, published_best, budget):
    """The goal's share of the instances that were run: as the best published heuristics' share of them."""
    aim, best = GOALS[name]
    return (round(published_best * aim / best) if budget == "1s" else published_best), True


def run(build, _runs, report):
    if not os.path.exists(archive()):
        report.note("packing: no published instances; set POLDER_SHARED")
        return
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["tar", "-xJf", archive(), "-C", directory], check=True)
        for name in GOALS:
            command = [os.path.join(build, "bench", "allocation_packing"),
                       os.path.join(directory, "vector-bin-packing"), name, str(EVERY), SEED]
            out = json.loads(subprocess.run(command + RUNS, check=True, stdout=subprocess.PIPE).stdout)
            what = f"packing {name}, bins of {out['instances']} instances"
            for one in out["runs"]:
                ejection = one["strategy"] == "guided-ejection"
                side = f"{one['strategy']} {one['budget']}" if ejection else one["strategy"]
                report.figure(what, side, one["bins"], "bins",
                              goal(name, out["published_best"], one["budget"]) if ejection else None)
                report.figure(f"packing {name}, mean time", side, one["mean_ms"], "ms")
            report.figure(what, "published", out["published_best"], "bins")
            report.figure(what, "bound", out["bound"], "bins")


if __name__ == "__main__":
    import sys

    import measure

    run(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), 1, measure.Report())
