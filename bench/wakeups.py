"""When threads woke, got a CPU and lost it, from the kernel's own tracepoints (sched_wakeup, sched_switch), of the threads asked
about only. Needs root and a kernel with tracepoints; the trace instance is our own, and gone afterwards."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile

BUFFER_KIB = 16384  # a CPU
LINE = re.compile(r"\[\d+\] \S+ +(?P<time>\d+\.\d+): (?P<event>sched_\w+): (?P<rest>.*)")
SWITCH = re.compile(r"prev_pid=(\d+) .*prev_state=(\S+) ==> .*next_pid=(\d+)")
WAKEUP = re.compile(r"pid=(\d+)")


class Trace:
    """Of one thread: waits, from each wake-up to the CPU it got; gaps, from each loss of a CPU it still wanted to the next;
    jobs, how long it ran from wake-up to sleep; s."""

    def __init__(self):
        self.waits, self.gaps, self.jobs = [], [], []


class Tracer:
    def __init__(self):
        self.mounted = None
        base = "/sys/kernel/tracing"
        if not os.path.isdir(base + "/instances"):
            base = self.mounted = tempfile.mkdtemp(prefix="polder-tracefs-")
            subprocess.run(["mount", "-t", "tracefs", "none", base], check=True, stderr=subprocess.DEVNULL)
        self.path = f"{base}/instances/polder-{os.getpid()}"
        try:
            os.mkdir(self.path)
            self.write("trace_clock", "mono")
            self.write("buffer_size_kb", str(BUFFER_KIB))
        except OSError:
            self.close()
            raise

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as out:
            out.write(text)

    @contextlib.contextmanager
    def record(self, threads, into):
        """While inside: what happens to `threads`; afterwards it is in `into`: {thread: Trace}."""
        switches = " || ".join(f"prev_pid == {tid} || next_pid == {tid}" for tid in threads)
        self.write("events/sched/sched_switch/filter", switches)
        self.write("events/sched/sched_wakeup/filter", " || ".join(f"pid == {tid}" for tid in threads))
        self.write("trace", "")
        for event in ("sched_switch", "sched_wakeup"):
            self.write(f"events/sched/{event}/enable", "1")
        try:
            yield
        finally:
            for event in ("sched_switch", "sched_wakeup"):
                self.write(f"events/sched/{event}/enable", "0")
        self.read(into)

    def read(self, into):
        woke, lost, began, job = {}, {}, {}, {}
        with open(os.path.join(self.path, "trace"), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found = LINE.search(line)
                if not found:
                    continue
                now = float(found["time"])
                if found["event"] == "sched_wakeup":
                    woke.setdefault(int(WAKEUP.search(found["rest"])[1]), now)
                    continue
                switch = SWITCH.search(found["rest"])
                before, state, after = int(switch[1]), switch[2], int(switch[3])
                lost.pop(before, None)
                if before in began:
                    job[before] = job.get(before, 0) + now - began.pop(before)
                if state.startswith("R"):
                    lost[before] = now
                elif before in job:
                    into[before].jobs.append(job.pop(before))
                trace = into.get(after)
                if trace:
                    began[after] = now
                if trace and after in woke:
                    trace.waits.append(now - woke[after])
                elif trace and after in lost:
                    trace.gaps.append(now - lost[after])
                woke.pop(after, None)

    def close(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        if self.mounted:
            subprocess.run(["umount", self.mounted], check=False)
            shutil.rmtree(self.mounted, ignore_errors=True)
