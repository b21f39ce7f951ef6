"""Placements per second and core, by the index and by the linear scan on the same world, and by Ganeti's hspace at the sizes
it can do. A placement is a VM deleted and one created: decided, booked, and both indexed. Rates are of CPU time; what the
benchmark itself takes to draw which VMs these are is measured alone and taken off, and told beside it."""
import json
import os
import shutil
import subprocess
import time

SEED = os.environ.get("BENCH_SEED", "1")
LARGE = int(os.environ.get("BENCH_LARGE_HOSTS", "1000000"))
# hosts, VMs a host, what, pairs, scans, goal placements/s, goal p99 µs
WORLDS = [
    (40, 34, "plain", 200000, 20000, None, None),
    (200, 34, "plain", 200000, 5000, None, None),
    (100000, 34, "plain", 2000000, 50, 1e6, 5),
    (100000, 34, "relational", 300000, 20, 2e5, None),
    (LARGE, 34, "plain", 500000, 3, 3e5, None),
]


def measure_world(build, hosts, per_host, what, pairs, scans):
    command = [os.path.join(build, "bench", "allocation_speed"), str(hosts), str(per_host), what, str(pairs), str(scans), SEED]
    # Large pages for the heap: a fleet of this size is far larger than what a processor's small pages reach.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def hspace_rate(nodes):
    """Placements a second while hspace fills an empty cluster of the same nodes, its start-up taken off."""
    def run(rounds):
        start = time.monotonic()
        subprocess.run(["hspace", f"--simulate=preferred,{nodes},100T,384G,96", "--standard-alloc=10G,6G,2",
                        "--disk-template=plain", "--no-capacity-checks", "-l", str(rounds)],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        return time.monotonic() - start
    rounds = 400 if nodes <= 40 else 60
    return rounds / max(run(rounds) - run(1), 1e-3)


def run(build, _runs, report):
    for hosts, per_host, what, pairs, scans, goal, goal_p99 in WORLDS:
        out = measure_world(build, hosts, per_host, what, pairs, scans)
        name = f"{what}, {hosts:,} hosts"
        report.note(f"{name}: {out['vms']:,} VMs, {out['classes']:,} classes, CPU {100 * out['cpu_full']:.1f} % full, "
                    f"{out['refused']:,} refused")
        report.figure(f"placements, {name}", "index", out["placements_per_s"], "/s", goal and (goal, False))
        report.figure(f"placements, with the benchmark's own draws, {name}", "index", out["pairs_per_s"], "/s")
        report.figure(f"the benchmark's own draws, {name}", "index", out["own_ns"], "ns")
        report.figure(f"a placement alone, many at a time, {name}", "index", out["place_ns"], "ns")
        report.figure(f"a removal alone, many at a time, {name}", "index", out["remove_ns"], "ns")
        report.figure(f"placements while filling, {name}", "index", out["fill_per_s"], "/s")
        report.figure(f"placements, {name}", "scan", out["scan_per_s"], "/s")
        report.figure(f"index ÷ scan, {name}", "index", out["ratio"], "×")
        if hosts in (40, 200) and shutil.which("hspace"):
            rate = hspace_rate(hosts)
            report.figure(f"placements, {name}", "hspace", rate, "/s")
            report.figure(f"index ÷ hspace, {name}", "index", out["pairs_per_s"] / rate, "×")
        report.figure(f"time of one, median, {name}", "index", out["p50_us"], "µs")
        report.figure(f"time of one, p99, {name}", "index", out["p99_us"], "µs", goal_p99 and (goal_p99, True))
        for case, key in (("over two nodes", "split_us"), ("on the host of another VM", "near_us"),
                          ("softly near a group that is nowhere", "nowhere_us"),
                          ("softly apart from a group in all zones", "everywhere_us")):
            report.figure(f"a decision {case}, {name}", "index", out[key], "µs")
        report.figure(f"memory a host, {name}", "index", out["bytes_per_host"], "B")
        report.figure(f"memory a VM, {name}", "index", out["bytes_per_vm"], "B")


if __name__ == "__main__":
    import sys

    import measure

    run(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), 1, measure.Report())
