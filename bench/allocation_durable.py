"""Reservations through API, placement and store: 10,000 sim VMs on 300 simulated hosts, in batches, and one by one."""
import os
import subprocess
import time

import measure
import peers
import scale

COUNT = int(os.environ.get("BENCH_RESERVATIONS", "10000"))


def hosts(build, root, count):
    env = dict(os.environ, POLDER_ROOT=root)
    subprocess.run([os.path.join(build, "polder"), "host", "add", "--engine", "sim", "--count", str(count),
                    "--shape", "2x40c90G"], env=env, stdout=subprocess.DEVNULL, check=True)


def run(build, runs, report):
    rates, alone = [], []
    for turn in range(max(3, runs // 2)):
        polder = peers.Polder(build)
        try:
            path = os.path.join(polder.root, "run", "polder.sock")
            hosts(build, polder.root, 300)
            began = time.monotonic()
            placed = scale.reserve(path, COUNT, 250)
            rates.append(len(placed) / (time.monotonic() - began))
            jobs = [("POST", "/v1/vms", dict(scale.SPEC, name=f"a{number:05d}")) for number in range(COUNT // 5)]
            alone.append(len(jobs) / scale.everywhere(path, jobs))
        finally:
            polder.close(simulated=True)
        print(f"  turn {turn + 1}: {rates[-1]:,.0f}/s in batches of 250, {alone[-1]:,.0f}/s one by one", flush=True)
    for side, values, goal in (("batches", rates, (5000, False)), ("one by one", alone, None)):
        low, high = measure.interval(values)
        report.add({"what": "durable reservations, API to disk", "side": side, "unit": "/s", "runs": len(values),
                    "median": measure.median(values), "low": low, "high": high}, goal)
