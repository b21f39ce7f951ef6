"""What scheduling does to real vCPU threads of real VMs on this host, crowded, beside the kernel's default: wake-up latency
of the latency class, shares, throughput. Two platforms of their own hold the same VMs, one with wishes and a strategy, one
with none; while one is measured the other's VMs are paused, turn by turn. It needs root; takes RUNS × 2 × SECONDS."""
import json
import os
import signal
import sys
import time

import measure
import peers

SECONDS = float(os.environ.get("SECONDS_A_TURN", "4"))
STRATEGY = os.environ.get("STRATEGY", "edf-cbs")
PERIOD_NS = 100_000_000  # of limits and reservations
PICKS_MS = 1.5           # how often who wakes is looked at

# Real mode. A hog: one byte to the first serial port, then `jmp .` for ever.
HOG = "ba f8 03 b0 50 ee eb fe"
# One that wakes: sets up interrupt 8, the PIC, the local APIC to pass it on (its registers lie beyond real mode's reach:
# a descriptor of 4 GiB is loaded for them), the timer to 5701 / 1193182 s (4.8 ms, no multiple of a tick); one byte to the
# serial port; then hlt, and 0x1000 turns of `loop .` at each interrupt.
WAKER = ("fa31c08ed0bc00708ed8c70620008000c706220000f0b011e620b008e621b004e621b001e621b0fee6212e660f011697000f"
         "20c00c010f22c0bb08008edb24fe0f22c066bb0000e0fe6766c783f0000000ff0100006766c783500300000007000031c08e"
         "d8b034e643b045e640b016e640baf803b050eefbf4b90010e2feebf850b020e62058cf0000000000000000ffff00000093cf"
         "000f0087000f")

#       name        firmware  wishes
VMS = [("wake-a", "waker", ["--cpu-latency", "2ms", "--cpu-reserve", "10%"]),
       ("wake-b", "waker", ["--cpu-latency", "2ms", "--cpu-reserve", "10%"]),
       ("keep-30", "hog", ["--cpu-reserve", "30%"]),
       ("cap-20", "hog", ["--cpu-limit", "20%", "--cpu-weight", "800"]),
       ("one-a", "hog", ["--cpu-weight", "100"]),
       ("one-b", "hog", ["--cpu-weight", "100"]),
       ("one-c", "hog", ["--cpu-weight", "100"]),
       ("four-a", "hog", ["--cpu-weight", "400"]),
       ("four-b", "hog", ["--cpu-weight", "400"]),
       ("four-c", "hog", ["--cpu-weight", "400"])]


def firmware(text):
    code = bytes.fromhex(text)
    rom = bytearray(64 * 1024)
    rom[:len(code)] = code
    rom[0xfff0:0xfff5] = bytes.fromhex("ea 00 00 00 f0")  # the reset vector: jmp f000:0000
    return bytes(rom)


class Thread:
    """A vCPU's thread, by what the kernel counts of it."""

    def __init__(self, pid):
        """The busiest of the last half second, but for the main loop: it waits for its clock in all of them."""
        def ran():
            found = {}
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as text:
                    found[tid] = int(text.read().split()[0])
            return found
        before = ran()
        self.pid, self.ran, self.before, self.file = pid, ran, before, None

    def settle(self):
        after = self.ran()
        tid = max((tid for tid in after if tid != str(self.pid)), key=lambda tid: after[tid] - self.before.get(tid, 0))
        self.file = os.open(f"/proc/{self.pid}/task/{tid}/schedstat", os.O_RDONLY)

    def read(self):
        """(ran ns, waited ns, turns)"""
        return tuple(int(word) for word in os.pread(self.file, 100, 0).split())

    def close(self):
        if self.file is not None:
            os.close(self.file)


class Side:
    def __init__(self, build, folder, name, wishes):
        self.polder = peers.Polder(build)
        self.name, self.threads, self.pids = name, {}, []
        self.waits, self.turns, self.frozen_ns = [], [], 0
        try:
            self.fill(folder, wishes)
        except BaseException:
            self.close()
            raise

    def fill(self, folder, wishes):
        for image in ("hog", "waker"):
            self.polder.run("image", "add", image, "--firmware", os.path.join(folder, image))
        for vm, image, wish in VMS:
            self.polder.run("run", "--detach", "--name", vm, "--memory", "16M", "--network", "none",
                            *(wish if wishes else []), image)
            peers.wait_for_byte(self.polder.log(vm))
            # The crowd is for the measured turns only, and must not depend on who is crowded out to end.
            self.pids.append(self.polder.qemu_pid(vm))
            os.kill(self.pids[-1], signal.SIGSTOP)
        if wishes:
            self.polder.run("strategy", "apply", "scheduling", STRATEGY)
            time.sleep(0.5)  # some rounds of the agent
        self.threads = {vm: Thread(self.polder.qemu_pid(vm)) for vm, _image, _wish in VMS}
        self.notes = sorted({note for vm, _image, _wish in VMS
                             for note in json.loads(self.polder.run("show", vm, "--json"))["status"]["notes"]})

    def pause(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)

    def measure(self):
        """A turn: resumed, SECONDS of it counted, paused."""
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(50))
        self.resume()
        try:
            return self.look()
        finally:
            self.pause()
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def look(self):
        time.sleep(0.5)
        for thread in self.threads.values():
            if thread.file is None:
                thread.settle()
        wakers = [thread for vm, thread in self.threads.items() if vm.startswith("wake")]
        last = [thread.read() for thread in wakers]
        began, before = time.monotonic_ns(), {vm: thread.read() for vm, thread in self.threads.items()}
        seen, moved, look = dict(before), {vm: began for vm in before}, began
        while time.monotonic_ns() - began < SECONDS * 1e9:
            time.sleep(PICKS_MS / 1000)
            for number, thread in enumerate(wakers):
                now = thread.read()
                turns, waited = now[2] - last[number][2], now[1] - last[number][1]
                if turns:  # of several turns between two looks, all of the wait counts as one's
                    self.waits += [waited] + [0] * (turns - 1)
                last[number] = now
            if time.monotonic_ns() - look > 20_000_000:
                look = time.monotonic_ns()
                for vm, thread in self.threads.items():
                    now = thread.read()
                    if now[0] != seen[vm][0]:
                        seen[vm], moved[vm] = now, look
                    elif not vm.startswith("wake"):
                        self.frozen_ns = max(self.frozen_ns, look - moved[vm])
        wall = time.monotonic_ns() - began
        ran = {vm: thread.read()[0] - before[vm][0] for vm, thread in self.threads.items()}
        self.turns.append((wall, ran))
        return sum(ran.values()) / wall

    def close(self):
        for thread in self.threads.values():
            thread.close()
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self.polder.close()


def share_errors(turns):
    """{VM: percentage points of the host's CPUs between what it got and what it is entitled to}."""
    wall = sum(turn[0] for turn in turns)
    ran = {vm: sum(turn[1][vm] for turn in turns) for vm, _image, _wish in VMS}
    weights = {vm: int(wish[1]) for vm, _image, wish in VMS if wish[0] == "--cpu-weight"}
    pool = sum(ran[vm] for vm in weights)
    wanted = {vm: pool * weight / sum(weights.values()) for vm, weight in weights.items()}
    wanted["cap-20"] = 0.2 * wall
    errors = {vm: 100 * (ran[vm] - want) / wall / os.cpu_count() for vm, want in wanted.items()}
    errors["keep-30"] = 100 * min(0, ran["keep-30"] - 0.3 * wall) / wall / os.cpu_count()
    return errors


def run(build, runs, report):
    if os.geteuid():
        report.note("live scheduling: needs root; left out")
        return
    sides = []
    folder = peers.tempfile.mkdtemp(prefix="polder-live-")
    for image, code in (("hog", HOG), ("waker", WAKER)):
        with open(os.path.join(folder, image), "wb") as out:
            out.write(firmware(code))
    os.chmod(folder, 0o755)
    # Whatever ends this, no hog stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for name, wishes in (("default", False), ("polder", True)):
            sides.append(Side(build, folder, name, wishes))
        ratios = []
        for _turn in range(runs):
            default, polder = (side.measure() for side in sides)
            ratios.append(100 * (1 - polder / default))
        tell(report, *sides, ratios)
    finally:
        for side in sides:
            side.close()
        peers.shutil.rmtree(folder, ignore_errors=True)


def tell(report, default, polder, losses):
    for side in (default, polder):
        for percent in (50, 99, 99.9):
            report.figure(f"wake-up of the latency class, p{percent:g}", side.name,
                          measure.percentile(side.waits, percent / 100) / 1e3, "µs", runs=len(side.waits))
        report.figure("longest a hog stood still", side.name, side.frozen_ns / 1e6, "ms",
                      (PERIOD_NS / 1e6, True) if side is polder else None)
    tail = [measure.percentile(side.waits, 0.999) for side in (default, polder)]
    report.figure("wake-up p99.9, default over polder", "ratio", tail[0] / max(tail[1], 1), "×", (20, False))
    errors = share_errors(polder.turns)
    for vm, error in errors.items():
        report.figure(f"share of {vm} off its due", "polder", error, "pp")
    report.figure("share off its due, the worst", "polder", max(abs(error) for error in errors.values()), "pp", (1, True))
    low, high = measure.interval(losses)
    report.add({"what": "CPU time of all VMs lost", "side": "polder", "unit": "%", "runs": len(losses),
                "median": measure.median(losses), "low": low, "high": high}, (2, True))
    for note in polder.notes:
        report.note(note)


if __name__ == "__main__":
    run(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), int(os.environ.get("RUNS", "10")), measure.Report())
