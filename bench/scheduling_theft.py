"""What an attacker that sleeps over every tick takes of the others' time, of each strategy. Which of them promise shares by
weight, they declare themselves."""
import json
import os
import subprocess


def ask(build, *arguments):
    command = [os.path.join(build, "polder"), *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def run(build, runs, report):
    proportional = {one["name"] for one in ask(build, "strategy", "ls", "scheduling")["strategies"]
                    if "proportional" in one["traits"]}
    told = ask(build, "lab", "scheduling", "--workload", "synthetic:attack", "--seeds", str(runs))
    for candidate in sorted(told["ideal"]["strategies"], key=lambda one: one["name"]):
        name, goal = candidate["name"], None
        if name == "credit-tick":
            goal = (90, False)
        elif name in proportional:
            goal = (1, True)
        kind = "proportional" if name in proportional else "not proportional"
        report.figure(f"theft by a tick-dodging attacker ({kind})", name, 100 * candidate["figures"]["theft"], "%", goal, runs)
