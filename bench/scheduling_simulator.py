"""The simulator: events a second of CPU time, and a day of recorded utilization."""
import json
import os
import subprocess

STRATEGIES = os.environ.get("BENCH_STRATEGIES", "eevdf stride round-robin").split()
# VMs, CPUs, virtual seconds, goal events/s
SIZES = [(1000, 64, 10, 25e6), (20000, 1024, 2, 10e6)]
DAY_S = int(os.environ.get("BENCH_REPLAY_SECONDS", "86400"))
SHARED = os.environ.get("POLDER_SHARED", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared"))


def output(build, program, *arguments):
    command = [os.path.join(build, "bench", program), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def replay(build, report):
    path = os.path.join(SHARED, "data", "scheduling", "planetlab-workload-traces.tar.xz")
    if not os.path.exists(path):
        report.note(f"no recorded utilization: {path} is not there")
        return
    for strategy in STRATEGIES:
        out = output(build, "scheduling_replay", path, 1000, 64, strategy, DAY_S)
        report.note(f"{strategy}: {out['events']:,} events at {out['events_per_s']:,} /s, {100 * out['busy']:.1f} % busy")
        report.figure(f"{out['vms']:,} VMs on 64 CPUs, {out['virtual_s'] / 3600:g} h, CPU time", strategy, out["cpu_s"], "s",
                      (120, True) if DAY_S == 86400 else None)


def run(build, _runs, report):
    for vms, cpus, seconds, goal in SIZES:
        for strategy in STRATEGIES:
            out = output(build, "scheduling_speed", strategy, vms, cpus, seconds)
            report.figure(f"events a second of CPU time, {vms:,} vCPUs on {cpus:,} CPUs", strategy, out["events_per_s"],
                          "/s", (goal, False))
    replay(build, report)
