"""What scheduling does to real vCPU threads of real VMs on this host, crowded, beside the kernel's default: wake-up latency of
the latency class, shares, throughput; and what the simulated projection says of the same. Platforms of their own hold the
same VMs, one with no wishes, the others with wishes and a strategy each; while one is measured the others' VMs are stopped,
turn by turn. It needs root; takes RUNS × (1 + strategies) × SECONDS_A_TURN."""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile

import measure
import vcpus
import wakeups

SECONDS = float(os.environ.get("SECONDS_A_TURN", "4"))
STRATEGIES = os.environ.get("STRATEGIES", "eevdf edf-cbs").split()
RUNS_LEAST = 10  # that an interval of live runs is made of
PERIOD_MS = 100  # of limits and reservations
PERCENTILES = (50, 99, 99.9)
SIMULATED_S, SIMULATED_SEEDS = 20, 5

#       name        firmware  wishes
VMS = [("wake-a", "waker", ["--cpu-latency", "2ms", "--cpu-reserve", "25%"]),
       ("wake-b", "waker", ["--cpu-latency", "2ms", "--cpu-reserve", "25%"]),
       ("keep-30", "hog", ["--cpu-reserve", "30%"]),
       ("keep-70", "hog", ["--cpu-reserve", "70%"]),
       ("cap-20", "hog", ["--cpu-limit", "20%", "--cpu-weight", "800"]),
       ("one-a", "hog", ["--cpu-weight", "100"]),
       ("one-b", "hog", ["--cpu-weight", "100"]),
       ("four-a", "hog", ["--cpu-weight", "400"]),
       ("four-b", "hog", ["--cpu-weight", "400"])]
# Other VMs, to see on them how long a waker runs each time, and how long a wake-up takes where nobody's turn is in its way.
CALIBRATION = [("wake", "waker", ["--cpu-latency", "1ms", "--cpu-reserve", "50%"]),
               *((f"hog-{n}", "hog", []) for n in range(os.cpu_count()))]
CALIBRATED_BY = "edf-cbs"
JOBS = 40  # of different length, in a row, over and over
DRAWS = 200000


class Side:
    """What the turns of one platform came to."""

    def __init__(self, crowd):
        self.crowd, self.name = crowd, crowd.name
        self.wall, self.ran, self.waits, self.gaps = [], [], [], {}

    def turn(self, tracer):
        wall, ran, traces = self.crowd.measure(SECONDS, tracer)
        self.wall.append(wall)
        self.ran.append(ran)
        self.waits.append([wait for vm, trace in traces.items() if vm.startswith("wake") for wait in trace.waits])
        for vm, trace in traces.items():
            self.gaps[vm] = max([self.gaps.get(vm, 0), *trace.gaps])
        return sum(ran.values()) / wall

    def share(self, vm):
        """Of one CPU, over all turns."""
        return sum(ran[vm] for ran in self.ran) / sum(self.wall)

    def percentile(self, percent):
        return measure.percentile([wait for waits in self.waits for wait in waits], percent / 100)


def dues(side):
    """{VM: part of a CPU it is due} of what the VMs got in all: the reserved, the limited, the rest by weight."""
    wish = {vm: dict(zip(wishes[::2], wishes[1::2])) for vm, _image, wishes in VMS if not vm.startswith("wake")}
    part = {vm: float(given["--cpu-reserve"][:-1]) / 100 for vm, given in wish.items() if "--cpu-reserve" in given}
    part |= {vm: float(given["--cpu-limit"][:-1]) / 100 for vm, given in wish.items() if "--cpu-limit" in given}
    rest = {vm: int(given["--cpu-weight"]) for vm, given in wish.items() if vm not in part}
    pool = sum(side.share(vm) for vm in rest)
    return part | {vm: pool * weight / sum(rest.values()) for vm, weight in rest.items()}


def tell_side(report, side, wishes):
    for percent in PERCENTILES:
        report.figure(f"wake-up of the latency class, p{percent:g}", side.name, side.percentile(percent) * 1e6, "µs",
                      runs=sum(map(len, side.waits)))
    longest = max(side.gaps, key=side.gaps.get)
    report.figure(f"longest a runnable VM stood still ({longest})", side.name, side.gaps[longest] * 1e3, "ms",
                  (PERIOD_MS, True) if wishes else None)


def tell_shares(report, side):
    errors = {}
    for vm, due in dues(side).items():
        error = 100 * (side.share(vm) - due)
        errors[vm] = min(error, 0) if vm.startswith("keep") else error
        report.figure(f"share of {vm} ({100 * due:.1f} % of a CPU) off its due", side.name, errors[vm], "pp")
    report.figure("share off its due, the worst", side.name, max(map(abs, errors.values())), "pp", (1, True))


def tell_beside(report, default, side):
    ratios = [measure.percentile(one, 0.999) / max(measure.percentile(other, 0.999), 1e-6)
              for one, other in zip(default.waits, side.waits) if one and other]
    report.figure("wake-up p99.9 over all turns, default over it", side.name,
                  default.percentile(99.9) / max(side.percentile(99.9), 1e-6), "×", (20, False))
    if ratios:
        low, high = measure.interval(ratios)
        report.add({"what": "wake-up p99.9 turn by turn, default over it", "side": side.name, "unit": "×",
                    "runs": len(ratios), "median": measure.median(ratios), "low": low, "high": high}, None)
    losses = [100 * (1 - (sum(ran.values()) / wall) / (sum(before.values()) / base))
              for ran, wall, before, base in zip(side.ran, side.wall, default.ran, default.wall)]
    low, high = measure.interval(losses)
    # Lost is what the interval excludes not to be.
    report.add({"what": "CPU time of all VMs lost", "side": side.name, "unit": "%", "runs": len(losses),
                "median": measure.median(losses), "low": low, "high": high}, None)
    report.figure("… at least", side.name, max(low, 0), "%", (2, True))


# ---- What the lab says of it ----

class Calibration:
    """How long wakers run each time, and how long their wake-ups take: of VMs that are not the ones compared; s."""

    def __init__(self, build, kind, tracer):
        self.jobs, self.waits = [], []
        crowd = vcpus.Crowd(build, "calibration", CALIBRATION, kind, CALIBRATED_BY)
        try:
            for _turn in range(3):
                _wall, _ran, traces = crowd.measure(SECONDS, tracer)
                self.jobs += traces["wake"].jobs
                self.waits += traces["wake"].waits
        finally:
            crowd.close()

    def job_steps(self):
        """Phases of rt-app's: jobs of the lengths seen, in an order by chance (seeded)."""
        lengths = [measure.percentile(self.jobs, (n + 0.5) / JOBS) for n in range(JOBS)]
        random.Random(measure.SEED).shuffle(lengths)
        return {f"job-{n}": {"run": round(length * 1e6, 3), "timer": {"ref": "t", "period": vcpus.WAKER_PERIOD_NS / 1000}}
                for n, length in enumerate(lengths)}

    def seen(self, waits):
        """Waits for a turn become wake-ups as they are seen here: each takes its own time beside."""
        chance = random.Random(measure.SEED)
        return [chance.choice(waits) + chance.choice(self.waits) for _draw in range(DRAWS)]


def workload(calibration, wishes):
    """The same VMs for the lab."""
    vms = []
    for vm, image, given in VMS:
        told = {"name": vm} | ({"run": 1000000} if image == "hog" else {"phases": calibration.job_steps()})
        if wishes:
            told |= {name.removeprefix("--cpu-"): int(value) if value.isdigit() else value
                     for name, value in zip(given[::2], given[1::2])}
        vms.append(told)
    return {"global": {"duration": SIMULATED_S}, "topology": {"cpus": os.cpu_count()}, "vms": vms}


def predict(build, calibration, strategy):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(workload(calibration, strategy != "kernel"), file)
        file.flush()
        out = subprocess.run([os.path.join(build, "bench", "scheduling_predict"), file.name, strategy, str(SIMULATED_S),
                              str(SIMULATED_SEEDS)], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def tell_prediction(report, side, said, calibration):
    errors = {vm: 100 * (side.share(vm) - said["shares"][vm]) for vm, _image, _wishes in VMS}
    worst = max(errors, key=lambda vm: abs(errors[vm]))
    report.note(f"{side.name}: shares live and simulated: " + ", ".join(
        f"{vm} {100 * side.share(vm):.1f} {100 * said['shares'][vm]:.1f}" for vm in errors))
    report.figure(f"share, simulated off live: the worst ({worst})", side.name, abs(errors[worst]), "pp", (1, True))
    p99s = [measure.percentile(waits, 0.99) * 1e6 for waits in side.waits if waits]
    low, high = measure.interval(p99s)
    p99 = measure.percentile(calibration.seen(said["waits_s"]), 0.99) * 1e6
    report.add({"what": "wake-up p99, live", "side": side.name, "unit": "µs", "runs": len(p99s),
                "median": measure.median(p99s), "low": low, "high": high}, None)
    report.figure("wake-up p99, simulated", side.name, p99, "µs")
    report.figure(f"… within the interval of {len(p99s)} live turns", side.name, float(low <= p99 <= high), "", (1, False))


def run(build, runs, report):
    if os.geteuid():
        report.note("live scheduling: needs root; left out")
        return
    # Whatever ends this, no hog stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tracer, sides = wakeups.Tracer(), []
    try:
        with vcpus.accelerator() as kind:
            report.note(f"vCPU threads are {kind.upper()}'s")
            calibration = Calibration(build, kind, tracer)
            report.note("calibrated: a waker runs {:.0f} µs each time (p99 {:.0f}), a wake-up takes {:.0f} µs (p99 {:.0f})".format(
                *(1e6 * measure.percentile(values, share) for values in (calibration.jobs, calibration.waits)
                  for share in (0.5, 0.99))))
            sides.append(Side(vcpus.Crowd(build, "default", [(vm, image, []) for vm, image, _wishes in VMS], kind)))
            sides += [Side(vcpus.Crowd(build, strategy, VMS, kind, strategy)) for strategy in STRATEGIES]
            for _turn in range(max(runs, RUNS_LEAST)):
                for side in sides:
                    side.turn(tracer)
            notes = {side.name: side.crowd.notes() for side in sides}
    finally:
        for side in sides:
            side.crowd.close()
        tracer.close()
    for side in sides:
        tell_side(report, side, side is not sides[0])
        if side is not sides[0]:
            tell_shares(report, side)
            tell_beside(report, sides[0], side)
        said = predict(build, calibration, "kernel" if side is sides[0] else side.name)
        tell_prediction(report, side, said, calibration)
        for note in notes[side.name]:
            report.note(f"{side.name}: {note}")


if __name__ == "__main__":
    run(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), int(os.environ.get("RUNS", "10")), measure.Report())
