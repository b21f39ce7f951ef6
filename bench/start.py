"""Start and end of one VM: Polder and libvirt against QEMU alone, in turn; and what the daemons weigh with ten VMs."""
import os
import tempfile
import time

import measure
import peers

VMS_FOR_MEMORY = 10


def timed_pair(peer, started, ended):
    """One run: start a ROM guest until its first serial byte, then kill it until its process is gone."""
    def once(turn):
        name = f"b{turn}"
        began = time.monotonic()
        settle = peer.start(name)
        started.append(time.monotonic() - began)
        settle()
        pid = peer.qemu_pid(name)
        began = time.monotonic()
        peer.kill(name)
        peers.wait_gone(pid)
        ended.append(time.monotonic() - began)
        peer.remove(name)
        return 0.0
    return once


def memory(peer, pids, report, goal=None):
    names = [f"m{i}" for i in range(VMS_FOR_MEMORY)]
    for name in names:
        peer.start(name)()
    total = sum(measure.pss_bytes(pid) for pid in pids())
    report.figure(f"PSS of its own processes, {VMS_FOR_MEMORY} VMs", peer.name, total / 2**20, "MiB", goal)
    for name in names:
        peer.kill(name)
        peer.remove(name)


def linux_boot(build, runs, report):
    """`polder run tiny -- true`, whole command: boot, exec, removal. The raw limit is in the image's own boot."""
    polder = peers.Polder(build)
    try:
        polder.run("image", "build", "tiny")
        samples = []
        for _ in range(max(3, runs // 5)):
            began = time.monotonic()
            polder.run("run", "tiny", "--", "true")
            samples.append(time.monotonic() - began)
        report.samples("polder run tiny -- true, whole command", "polder", samples)
    finally:
        polder.close()


def run(build, runs, report):
    warmup = 2
    with tempfile.NamedTemporaryFile(suffix=".rom") as rom:
        rom.write(peers.rom_image())
        rom.flush()
        os.chmod(rom.name, 0o644)
        sides = [peers.Qemu(rom.name), peers.Polder(build, rom.name)]
        try:
            sides.append(peers.Libvirt(rom.name))
        except (FileNotFoundError, RuntimeError) as missing:
            report.note(f"libvirt is not in this table: {missing}")
        try:
            started = {peer.name: [] for peer in sides}
            ended = {peer.name: [] for peer in sides}
            measure.interleave({peer.name: timed_pair(peer, started[peer.name], ended[peer.name]) for peer in sides},
                               runs, warmup)
            base = started["qemu"][warmup:]
            for peer in sides:
                values = started[peer.name][warmup:]
                report.samples("request to first serial byte", peer.name, values)
                if peer.name != "qemu":
                    above = [mine - limit for mine, limit in zip(values, base)]
                    report.samples("… above raw QEMU, pair by pair", peer.name, above,
                                   (40, True) if peer.name == "polder" else None)
            for peer in sides:
                report.samples("kill and gone", peer.name, ended[peer.name][warmup:],
                               (100, True) if peer.name == "polder" else None)
            for peer in sides:
                if peer.name == "polder":
                    memory(peer, peer.own_pids, report, (20, True))
                elif peer.name == "libvirt":
                    memory(peer, lambda: [peer.daemon.pid], report)
        finally:
            for peer in sides:
                peer.close()
    linux_boot(build, runs, report)
