"""What a unit test counts: evidence is computed once, in the test that holds it, and told by benchmarks beside its goal."""
import os
import re
import subprocess


def messages(build, binary, case, environment=None):
    """(passed, the lines that the case told); passed is None when it was skipped for want of its data."""
    command = [os.path.join(build, "tests", "unit", binary), "-p", case]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, **(environment or {})})
    lines = result.stdout.splitlines()
    told = [line[2:] for line in lines if line.startswith("# ")]
    if any(re.match(r"ok \d+ .*# SKIP", line) for line in lines):
        return None, told
    return result.returncode == 0 and any(re.match(r"ok \d+ ", line) for line in lines), told


def counts(told, pattern):
    """The numbers of the first line that matches, as floats; an error says which line is missing."""
    for line in told:
        match = re.search(pattern, line)
        if match:
            return [float(number.replace(",", "")) for number in match.groups()]
    raise SystemExit(f"bench: the test no longer tells: {pattern}")
