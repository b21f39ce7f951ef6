"""Real VMs that do nothing but run, or wake, for benchmarks of scheduling: 64 KiB firmware each, on KVM's vCPU threads where
/dev/kvm opens (an interpreter behind it will do), else on TCG's."""
import contextlib
import json
import os
import signal
import tempfile
import time

import peers

# Real mode. A hog: one byte to the first serial port, then `jmp .` for ever.
HOG = "ba f8 03 b0 50 ee eb fe"
# One that wakes: sets up interrupt 8, the PIC, the local APIC to pass it on (its registers lie beyond real mode's reach:
# a descriptor of 4 GiB is loaded for them), the timer to 5701 / 1193182 s (4.8 ms, no multiple of a tick); one byte to the
# serial port; then hlt, and 0x1000 turns of `loop .` at each interrupt.
WAKER = ("fa31c08ed0bc00708ed8c70620008000c706220000f0b011e620b008e621b004e621b001e621b0fee6212e660f011697000f20c0"
         "0c010f22c0bb08008edb24fe0f22c066bb0000e0fe6766c783f0000000ff0100006766c783500300000007000031c08ed8b034e6"
         "43b045e640b016e640baf803b050eefbf4b9LOOPe2feebf850b020e62058cf0000000000000000ffff00000093cf000f0087000f")
WAKER_TURNS = {"kvm": 0x40, "tcg": 0x1000}  # an interpreter takes some 300 ns for each
WAKER_PERIOD_S = 5701 / 1193182
SETTLE_S = 0.5
KVM = "/dev/kvm"


def firmware(text, turns):
    code = bytes.fromhex(text.replace("LOOP", turns.to_bytes(2, "little").hex()))
    rom = bytearray(64 * 1024)
    rom[:len(code)] = code
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
        self.polder = peers.Polder(build, environment={"POLDER_ACCELERATOR": kind})
        self.name, self.vms, self.kind, self.pids, self.threads = name, vms, kind, {}, {}
        try:
            self.fill(strategy)
        except BaseException:
            self.close()
            raise

    def fill(self, strategy):
        with tempfile.TemporaryDirectory(prefix="polder-roms-") as folder:
            for image, code in (("hog", HOG), ("waker", WAKER)):
                path = os.path.join(folder, image)
                with open(path, "wb") as out:
                    out.write(firmware(code, WAKER_TURNS[self.kind]))
                self.polder.run("image", "add", image, "--firmware", path)
        if strategy:
            self.polder.run("strategy", "apply", "scheduling", *strategy.split())
        for vm, image, wishes in self.vms:
            self.polder.run("run", "--detach", "--name", vm, "--memory", "16M", "--network", "none", *wishes, image)
            peers.wait_for_byte(self.polder.log(vm))
            # The crowd is for the measured turns only, and must not depend on who is crowded out to end.
            self.pids[vm] = self.polder.qemu_pid(vm)
            os.kill(self.pids[vm], signal.SIGSTOP)
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
