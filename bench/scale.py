"""10,000 sim VMs: created, listed and removed through the API; reads under that load; memory; `ps` with 100."""
import http.client
import json
import os
import socket
import subprocess
import threading
import time

import measure
import peers

VMS = int(os.environ.get("BENCH_VMS", "10000"))
WRITERS = 16
SPEC = {"image": "tiny", "engine": "sim", "cpus": 1, "memory_bytes": 64 << 20, "network": "none"}


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("polder")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)

    def ask(self, method, target, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.request(method, target, json.dumps(body) if body is not None else None, headers)
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {target}: {answer.status} {text[:200]!r}")
        return text


def everywhere(path, jobs):
    """Carry out the (method, target, body) jobs over WRITERS connections; returns the seconds it took."""
    lock = threading.Lock()
    errors = []

    def work():
        connection = Connection(path)
        while True:
            with lock:
                if not jobs or errors:
                    return
                job = jobs.pop()
            try:
                connection.ask(*job)
            except (RuntimeError, OSError) as error:
                errors.append(error)
                return

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - began


def reserve(path, count, batch, prefix="r"):
    """Reserve `count` sim VMs in requests of `batch`; {name: host} of those that were placed."""
    placed, lock = {}, threading.Lock()
    requests = [list(range(start, min(start + batch, count))) for start in range(0, count, batch)]
    errors = []

    def work():
        connection = Connection(path)
        while True:
            with lock:
                if not requests or errors:
                    return
                numbers = requests.pop()
            try:
                body = {"vms": [dict(SPEC, name=f"{prefix}{number:05d}") for number in numbers]}
                answer = json.loads(connection.ask("POST", "/v1/batch/vms", body))
            except (RuntimeError, OSError) as error:
                errors.append(error)
                return
            with lock:
                placed.update({vm["name"]: vm["host"] for vm in answer["vms"] if vm["created"]})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return placed


def names(count):
    return [f"s{i:05d}" for i in range(count)]


def vms(path):
    return json.loads(Connection(path).ask("GET", "/v1/vms"))["vms"]


def states(path):
    counts = {}
    for vm in vms(path):
        counts[vm["status"]["state"]] = counts.get(vm["status"]["state"], 0) + 1
    return counts


def wait_states(path, wanted):
    deadline = time.monotonic() + 300
    while states(path) != wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{states(path)} instead of {wanted}")
        time.sleep(0.2)


def read_latencies(path, stop, samples):
    connection = Connection(path)
    turn = 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            connection.ask("GET", f"/v1/vms/s{turn % 100:05d}")
        except RuntimeError:
            pass  # being removed: still an answer
        samples.append(time.monotonic() - began)
        turn += 1
        time.sleep(0.002)


def ps(build, root, report, runs):
    env = dict(os.environ, POLDER_ROOT=root)

    def once(_turn):
        began = time.monotonic()
        subprocess.run([os.path.join(build, "polder"), "ps"], env=env, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - began
    report.samples("polder ps with 100 sim VMs, whole command", "polder", measure.interleave({"polder": once}, runs)["polder"],
                   (10, True))


def run(build, runs, report):
    polder = peers.Polder(build)
    try:
        path = os.path.join(polder.root, "run", "polder.sock")
        first = names(100)
        everywhere(path, [("PUT", f"/v1/vms/{name}", SPEC) for name in first])
        wait_states(path, {"running": 100})
        ps(build, polder.root, report, runs)

        samples, stop = [], threading.Event()
        reader = threading.Thread(target=read_latencies, args=(path, stop, samples))
        reader.start()
        rest = names(VMS)[100:]
        took = everywhere(path, [("PUT", f"/v1/vms/{name}", SPEC) for name in rest])
        report.figure(f"creations with {VMS} sim VMs", "polder", len(rest) / took, "/s")
        began = time.monotonic()
        wait_states(path, {"running": VMS})
        report.figure(f"last of {VMS} running after its creation", "polder", 1e3 * (time.monotonic() - began), "ms")
        stop.set()
        reader.join()
        report.figure("API read p99 under that load", "polder", 1e3 * measure.percentile(samples, 0.99), "ms",
                      runs=len(samples))
        report.figure(f"PSS of its own processes, {VMS} sim VMs", "polder",
                      sum(measure.pss_bytes(pid) for pid in polder.own_pids()) / 2**20, "MiB", (100, True))
        connection = Connection(path)
        listed = []
        for _ in range(10):
            began = time.monotonic()
            connection.ask("GET", "/v1/vms")
            listed.append(time.monotonic() - began)
        report.samples(f"GET /v1/vms with {VMS} sim VMs", "polder", listed)
        took = everywhere(path, [("DELETE", f"/v1/vms/{name}?force=true", None) for name in names(VMS)])
        report.figure(f"removals of {VMS} sim VMs", "polder", VMS / took, "/s")
        wait_states(path, {})
    finally:
        polder.close()
