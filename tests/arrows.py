#!/usr/bin/env python3
"""Walks every #include of our own and fails on one that points the wrong way (docs/architecture.md, "Includes").

    core ← lab; core ← control; model ← store ← {control, agent} ← api ← main
    engine, storage, cpu and network are the agent's hands: they know the model and nothing else
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# folder: what it may include besides itself. A name with a dot is one header.
MAY = {
    "core": [],
    "lab": ["core"],
    "guest": [],
    "vm": ["daemon/model/limits.h"],
    "cli": ["daemon/model", "guest/protocol.h", "lab"],
    "daemon/model": [],
    "daemon/store": ["daemon/model"],
    "daemon/rows": ["daemon/model"],
    "daemon/storage": ["daemon/model"],
    "daemon/engine": ["daemon/model", "guest/protocol.h"],
    "daemon/cpu": ["core", "daemon/model"],
    "daemon/control": ["core", "daemon/model", "daemon/store"],
    "daemon/agent": ["core", "daemon/model", "daemon/store", "daemon/storage", "daemon/engine", "daemon/cpu", "daemon/rows",
                     "guest/protocol.h"],
    "daemon/api": ["daemon/model", "daemon/store", "daemon/control", "daemon/history", "daemon/agent/link.h", "lab", "guest/protocol.h"],
    "daemon/start": ["daemon/model"],
    "daemon/history": ["daemon/model", "daemon/rows", "daemon/store"],
    "daemon/main.c": ["daemon"],
}
# core runs in the lab, live, and later in the kernel: no I/O, no clock, nothing beyond these.
CORE_SYSTEM = {"assert.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdbool.h", "stddef.h",
               "stdint.h", "stdlib.h", "string.h"}


def room(path):
    fitting = [name for name in MAY if path == name or path.startswith(name + "/")]
    return max(fitting, key=len, default=None)


def wrong_includes(path, text):
    home = room(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not found:
            continue
        kind, target = found.groups()
        if kind == "<":
            if home == "core" and target not in CORE_SYSTEM:
                yield number, f"core includes <{target}>"
            continue
        if not os.path.exists(os.path.join(TOP, target)):
            continue  # generated
        allowed = MAY[home] + [home]
        if not any(target == name or target.startswith(name + "/") for name in allowed):
            yield number, f"{home} may not include {target}"


def main():
    files = subprocess.run(["git", "-C", TOP, "ls-files", "*.c", "*.h"], capture_output=True, text=True).stdout.split()
    if not files:  # a tarball
        files = [os.path.relpath(os.path.join(folder, name), TOP) for folder, _, names in os.walk(TOP)
                 for name in names if name.endswith((".c", ".h"))]
    wrong = 0
    looked = 0
    for path in files:
        if room(path) is None or not os.path.exists(os.path.join(TOP, path)):
            continue
        looked += 1
        with open(os.path.join(TOP, path), encoding="utf-8") as source:
            for number, why in wrong_includes(path, source.read()):
                print(f"{path}:{number}: {why}", file=sys.stderr)
                wrong += 1
    print(f"{looked} files, {wrong} wrong includes")
    return 1 if wrong or not looked else 0


if __name__ == "__main__":
    sys.exit(main())
