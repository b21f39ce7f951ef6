"""Real VMs that do nothing but run, or wake, for benchmarks of scheduling: 64 KiB firmware each, on KVM's vCPU threads where
/dev/kvm opens (an interpreter behind it will do), else on TCG's."""
import contextlib
import json
import os
import re
import signal
import tempfile
import time

import peers

# Real mode. A hog: one byte to the first serial port, then `jmp .` for ever.
HOG = "ba f8 03 b0 50 ee eb fe"
# One that wakes by its local APIC's timer, which makes up for nothing that was missed: a byte to the serial port; then hlt, and
# TURNS of `loop .` after each interrupt.
WAKER = """
fa 31 c0 8e d0 bc 00 70 8e d8          cli; ss:sp = 0:7000; ds = 0
c7 06 80 00 HANDLER c7 06 82 00 00 f0  vector 20h = f000:handler
b0 ff e6 21 e6 a1                      nothing from the old interrupt controller
2e 66 0f 01 16 GDTR                    lgdt, for a data segment of 4 GiB: the APIC's registers lie beyond real mode's reach
0f 20 c0 0c 01 0f 22 c0                into protected mode
bb 08 00 8e db 24 fe 0f 22 c0          ds = that; back; its limit stays
66 bb 00 00 e0 fe                      ebx = the APIC
67 66 c7 83 f0 00 00 00 ff 01 00 00    on
67 66 c7 83 20 03 00 00 20 00 02 00    timer: periodic, vector 20h
67 66 c7 83 e0 03 00 00 0b 00 00 00    divided by 1: counts ns
67 66 c7 83 80 03 00 00 PERIOD         4.78 ms, no multiple of a tick
31 c0 8e d8 ba f8 03 b0 50 ee fb       ds = 0; 'P' to the serial port; sti
f4 b9 TURNS e2 fe eb f8                hlt; cx = turns; loop .; again
"""
HANDLER = "67 66 c7 83 b0 00 00 00 00 00 00 00 cf  end of interrupt; iret"
GDT = "00 00 00 00 00 00 00 00 ff ff 00 00 00 93 cf 00"
WAKER_TURNS = {"kvm": 0x10, "tcg": 0x1000}  # an interpreter takes some 300 ns for each
WAKER_PERIOD_NS = 4780001
SETTLE_S = 0.5
KVM = "/dev/kvm"


def assembled(text):
    """The bytes of a listing: of each line what stands before two spaces."""
    return " ".join(line.split("  ")[0] for line in text.strip().splitlines())


def little(value, size):
    return value.to_bytes(size, "little").hex()


def waker(turns):
    handler = len(bytes.fromhex(re.sub("HANDLER|GDTR|TURNS", "0000", assembled(WAKER)).replace("PERIOD", "00000000")))
    gdt = handler + len(bytes.fromhex(assembled(HANDLER)))
    names = {"HANDLER": little(handler, 2), "GDTR": little(gdt + 16, 2), "TURNS": little(turns, 2),
             "PERIOD": little(WAKER_PERIOD_NS, 4)}
    code = re.sub("|".join(names), lambda name: names[name[0]], assembled(WAKER))
    return code + assembled(HANDLER) + GDT + little(15, 2) + little(0xf0000 + gdt, 4)


def firmware(code):
    rom = bytearray(64 * 1024)
    rom[:len(bytes.fromhex(code))] = bytes.fromhex(code)
    rom[0xfff0:0xfff5] = bytes.fromhex("ea 00 00 00 f0")  # the reset vector: jmp f000:0000
    return bytes(rom)


@contextlib.contextmanager
def accelerator():
    """"kvm" or "tcg". VMs do not run as root: while inside, a group of their own may open /dev/kvm."""
    try:
        os.close(os.open(KVM, os.O_RDWR))
        before = os.stat(KVM)
    except OSError:
        yield "tcg"
        return
    opens = before.st_mode & 0o006 == 0o006 or (before.st_mode & 0o060 == 0o060 and before.st_gid)
    try:
        if not opens:
            os.chown(KVM, -1, 65534)
            os.chmod(KVM, 0o660)
        yield "kvm"
    finally:
        if not opens:
            os.chown(KVM, before.st_uid, before.st_gid)
            os.chmod(KVM, before.st_mode & 0o7777)


def schedstat(pid, tid):
    """(ran ns, waited ns, turns)"""
    with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as text:
        return tuple(int(word) for word in text.read().split())


class Crowd:
    """The VMs of one platform. vms: [(name, "hog" or "waker", wishes)]. Stopped (SIGSTOP) but inside running()."""

    def __init__(self, build, name, vms, kind, strategy=None):
        self.polder = peers.Polder(build, environment={"POLDER_ACCELERATOR": kind, "POLDER_CPU_CORRECTION": "1"})
        self.name, self.vms, self.kind, self.pids, self.threads = name, vms, kind, {}, {}
        try:
            self.fill(strategy)
        except BaseException:
            self.close()
            raise

    def fill(self, strategy):
        with tempfile.TemporaryDirectory(prefix="polder-roms-") as folder:
            for image, code in (("hog", HOG), ("waker", waker(WAKER_TURNS[self.kind]))):
                path = os.path.join(folder, image)
                with open(path, "wb") as out:
                    out.write(firmware(code))
                self.polder.run("image", "add", image, "--firmware", path)
        if strategy:
            self.polder.run("strategy", "apply", "scheduling", *strategy.split())
        for vm, image, wishes in self.vms:
            self.polder.run("run", "--detach", "--name", vm, "--memory", "16M", "--network", "none", *wishes, image)
            peers.wait_for_byte(self.polder.log(vm))
            # The crowd is for the measured turns only, and must not depend on who is crowded out to end.
            status = json.loads(self.polder.run("show", vm, "--json"))["status"]
            self.pids[vm] = status["pid"]
            os.kill(self.pids[vm], signal.SIGSTOP)
            if status["accelerator"] != self.kind:
                raise RuntimeError(f"VM {vm} runs on {status['accelerator']} instead of {self.kind}: try on a quieter machine")
        for vcpu in json.loads(self.polder.run("cpu", "top", "--json"))["vcpus"]:
            self.threads[vcpu["vm"]] = vcpu["thread"]

    def notes(self):
        return sorted({note for vm, _image, _wishes in self.vms
                       for note in json.loads(self.polder.run("show", vm, "--json"))["status"]["notes"]})

    @contextlib.contextmanager
    def running(self):
        for pid in self.pids.values():
            os.kill(pid, signal.SIGCONT)
        try:
            time.sleep(SETTLE_S)
            yield
        finally:
            for pid in self.pids.values():
                os.kill(pid, signal.SIGSTOP)

    def measure(self, seconds, tracer):
        """A turn: (wall s, {VM: s it ran}, {VM: wakeups.Trace})."""
        import wakeups
        traces = {tid: wakeups.Trace() for tid in self.threads.values()}
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(50))
        try:
            with self.running():
                with tracer.record(self.threads.values(), traces):
                    began = time.monotonic()
                    before = self.ran()
                    time.sleep(seconds)
                    after, wall = self.ran(), time.monotonic() - began
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return (wall, {vm: (after[vm] - before[vm]) / 1e9 for vm in after},
                {vm: traces[tid] for vm, tid in self.threads.items()})

    def ran(self):
        return {vm: schedstat(self.pids[vm], tid)[0] for vm, tid in self.threads.items()}

    def close(self):
        for pid in self.pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.polder.close()
