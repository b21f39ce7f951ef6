"""Samples, medians with intervals, ratios of interleaved pairs, tables. Shared by every benchmark."""
import json
import os
import platform
import random
import time

SEED = int(os.environ.get("BENCH_SEED", "1"))


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def interval(values, rounds=2000):
    """95 % interval of the median, by bootstrap with a fixed seed."""
    chance = random.Random(SEED)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(rounds))
    return medians[int(0.025 * rounds)], medians[int(0.975 * rounds)]


def interleave(sides, runs, warmup=2):
    """Run {name: function -> seconds} in turn, A B C A B C …; the first `warmup` rounds do not count."""
    samples = {name: [] for name in sides}
    for turn in range(runs + warmup):
        for name, run in sides.items():
            seconds = run(turn)
            if turn >= warmup:
                samples[name].append(seconds)
    return samples


class Report:
    """Rows of figures beside their goals; printed as a table and kept as JSON."""

    def __init__(self):
        self.rows = []
        self.notes = []

    def samples(self, what, side, values, goal_ms=None):
        low, high = interval(values)
        row = {"what": what, "side": side, "unit": "ms", "runs": len(values), "median": 1e3 * median(values),
               "low": 1e3 * low, "high": 1e3 * high, "p99": 1e3 * percentile(values, 0.99)}
        self.add(row, goal_ms)

    def figure(self, what, side, value, unit, goal=None, runs=1):
        self.add({"what": what, "side": side, "unit": unit, "runs": runs, "median": value}, goal)

    def add(self, row, goal):
        """goal: (bound, at_most) — at_most False: at least."""
        if goal is not None:
            bound, at_most = goal
            row["goal"] = ("≤ " if at_most else "≥ ") + f"{bound:g}"
            row["met"] = row["median"] <= bound if at_most else row["median"] >= bound
        self.rows.append(row)
        print(self.line(row), flush=True)

    def note(self, text):
        self.notes.append(text)
        print(f"note: {text}", flush=True)

    @staticmethod
    def line(row):
        span = f"[{row['low']:.1f}, {row['high']:.1f}]" if "low" in row else ""
        goal = f"goal {row['goal']}: {'met' if row['met'] else 'missed'}" if "goal" in row else ""
        return f"{row['what']:<46} {row['side']:<10} {row['median']:>10.1f} {row['unit']:<5} {span:<18} {goal}".rstrip()

    def write(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        document = {"machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "seed": SEED,
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rows": self.rows, "notes": self.notes}
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=1)
            out.write("\n")


def pss_bytes(pid):
    """Proportional set size of one process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            return sum(1024 * int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
