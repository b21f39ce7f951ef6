"""The three ways to start the same guest: Polder, libvirt, and QEMU alone. Each has start(name), which returns when the
guest's first serial byte is in its console file, kill(name), and close()."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE_SECONDS = 60


def rom_image():
    """A 64 KiB firmware that writes one byte to the first serial port and halts: the least guest there is."""
    code = bytes.fromhex("ba f8 03 b0 50 ee f4 eb fd")  # mov dx,3f8; mov al,'P'; out dx,al; hlt; jmp hlt
    rom = bytearray(64 * 1024)
    rom[:len(code)] = code
    rom[0xfff0:0xfff5] = bytes.fromhex("ea 00 00 00 f0")  # the reset vector: jmp f000:0000
    return bytes(rom)


def wait_for_byte(path):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.stat(path).st_size:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.0002)
    raise TimeoutError(f"no serial output in {path}")


def wait_gone(pid):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.0002)
    raise TimeoutError(f"process {pid} does not end")


class Polder:
    name = "polder"

    def __init__(self, build, rom=None, environment=None):
        self.binary = os.path.join(build, "polder")
        self.root = tempfile.mkdtemp(prefix="polder-bench-")
        os.chmod(self.root, 0o711)
        self.env = dict(os.environ, POLDER_ROOT=self.root, **(environment or {}))
        if rom:
            self.run("image", "add", "rom", "--firmware", rom)
        self.daemons()  # starts them

    def run(self, *args):
        done = subprocess.run([self.binary, *args], env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(f"polder {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def log(self, name):
        return os.path.join(self.root, "state", "vm", name, "console.log")

    def start(self, name):
        child = subprocess.Popen([self.binary, "run", "--detach", "--name", name, "--memory", "64M", "--network", "none",
                                  "rom"], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_byte(self.log(name))
        return child.wait  # what is left of the command is not the guest's start

    def qemu_pid(self, name):
        return json.loads(self.run("show", name, "--json"))["status"]["pid"]

    def kill(self, name):
        self.run("stop", "--force", name)

    def remove(self, name):
        self.run("rm", "--force", name)

    def daemons(self):
        """polderd and polder-agent. Asked anew each time: they end when no VM is left, and others start."""
        daemon = json.loads(self.run("version", "--json"))["daemon"]
        return [daemon["pid"], daemon["agent_pid"]]

    def own_pids(self):
        """polderd, polder-agent and every polder-vm."""
        found = self.daemons()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                program = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
                with open(f"/proc/{entry}/cmdline", "rb") as cmdline:
                    text = cmdline.read()
            except OSError:
                continue
            if program.startswith("polder-vm") and self.root.encode() in text:
                found.append(int(entry))
        return found

    def close(self, simulated=False):
        """simulated: all its VMs are: they end with their agent, and thousands need no removal one by one."""
        for vm in [] if simulated else json.loads(self.run("ps", "--json"))["vms"]:
            self.remove(vm["name"])
        pids = self.daemons()
        os.kill(pids[0], signal.SIGTERM)
        for pid in pids:
            wait_gone(pid)
        shutil.rmtree(self.root, ignore_errors=True)


class Qemu:
    """The limit: the very command line Polder uses, without Polder."""
    name = "qemu"

    def __init__(self, rom):
        self.folder = tempfile.mkdtemp(prefix="qemu-bench-")
        self.rom = rom
        self.running = {}

    def start(self, name):
        log = os.path.join(self.folder, name + ".log")
        self.running[name] = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
             "-accel", "tcg", "-m", "64", "-bios", self.rom, "-serial", "file:" + log], stdin=subprocess.DEVNULL)
        wait_for_byte(log)
        return lambda: None

    def qemu_pid(self, name):
        return self.running[name].pid

    def kill(self, name):
        self.running[name].kill()
        self.running[name].wait()

    def remove(self, name):
        self.running.pop(name, None)
        os.unlink(os.path.join(self.folder, name + ".log"))

    def close(self):
        for child in self.running.values():
            child.kill()
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Libvirt:
    """libvirtd of our own with its state under a folder of ours, as virsh's users run it."""
    name = "libvirt"

    def __init__(self, rom):
        missing = [tool for tool in ("libvirtd", "virsh") if not shutil.which(tool)]
        if missing:
            raise FileNotFoundError(f"{' and '.join(missing)} not installed: apt-get install libvirt-daemon libvirt-clients "
                                    "libvirt-daemon-driver-qemu")
        # The session driver, as an unprivileged user: the system one would write outside our folder. It does less per
        # start (no cgroups, no ownership changes), so the comparison leans to libvirt's side.
        self.folder = tempfile.mkdtemp(prefix="libvirt-bench-")
        self.uid = os.getuid() or 65534
        os.chown(self.folder, self.uid, -1)
        self.as_user = [] if os.getuid() else ["setpriv", f"--reuid={self.uid}", "--regid=65534", "--clear-groups"]
        self.rom = os.path.join(self.folder, "rom.bin")
        shutil.copy(rom, self.rom)
        self.env = dict(os.environ, HOME=self.folder, XDG_RUNTIME_DIR=self.folder, XDG_CONFIG_HOME=self.folder,
                        XDG_CACHE_HOME=self.folder)
        self.daemon = subprocess.Popen([*self.as_user, "libvirtd"], env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.virsh = [*self.as_user, "virsh", "-q", "-c", "qemu:///session"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.run("version")
                break
            except RuntimeError:
                if self.daemon.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise
                time.sleep(0.1)

    def run(self, *args):
        done = subprocess.run([*self.virsh, *args], env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(f"virsh {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def domain(self, name):
        path = os.path.join(self.folder, name + ".xml")
        with open(path, "w", encoding="ascii") as out:
            out.write(f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='rom'>{self.rom}</loader></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><serial type='file'><source path='{self.log(name)}'/></serial>
<memballoon model='none'/></devices></domain>""")
        return path

    def start(self, name):
        domain = self.domain(name)
        child = subprocess.Popen([*self.virsh, "create", domain], env=self.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_byte(self.log(name))
        return child.wait

    def qemu_pid(self, name):
        found = subprocess.run(["pgrep", "-f", f"guest={name},"], capture_output=True, text=True, check=False)
        return int(found.stdout.split()[0])

    def kill(self, name):
        self.run("destroy", name)

    def remove(self, name):
        for path in (self.log(name), os.path.join(self.folder, name + ".xml")):
            os.unlink(path)

    def close(self):
        self.daemon.terminate()
        self.daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
