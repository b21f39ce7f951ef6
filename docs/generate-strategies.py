#!/usr/bin/env python3
"""What is said about strategies is written once: in the comment at the head of core/FAMILY/strategies/NAME.c.

    generate-strategies.py table OUT FILE…        the comments as a C table (built into polder, for `polder strategy show`)
    generate-strategies.py pages POLDER [DIR]     docs/strategies/, from what `POLDER strategy show NAME --json` says
    generate-strategies.py check POLDER [DIR]     exit 1 when a page there is not what would be written

The comment's form:

    /* best-fit: one line.
     *
     * Idea: a paragraph.
     *
     * Source: …    Complexity: …    Loses: …    (each a paragraph or more; other paragraphs belong to the section above)
     */
"""
import json
import os
import re
import subprocess
import sys
import textwrap

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECTIONS = ["Idea", "Source", "Complexity", "Loses"]
FAMILIES = ["allocation", "scheduling"]


def parse(path):
    """(family, name, [(heading, [paragraph, …]), …]), or None when the file is no strategy's."""
    with open(path, encoding="utf-8") as source:
        text = source.read()
    comment = re.match(r"/\* ([a-z][a-z0-9-]*): (.*?)\*/", text, re.S)
    name = comment and comment.group(1)
    if not name or name.replace("-", "_") + ".c" != os.path.basename(path):
        return None
    lines = [re.sub(r"^ \* ?", "", line).rstrip() for line in comment.group(2).splitlines()[1:]]
    sections = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip()):
        paragraph = " ".join(paragraph.split())
        start = re.match(r"(%s): " % "|".join(SECTIONS), paragraph)
        if start:
            text = paragraph[start.end():]
            if re.match(r"(a|[a-z-]{2,})[ ,:]", text):
                text = text[0].upper() + text[1:]
            sections.append((start.group(1), [text]))
        elif sections:
            sections[-1][1].append(paragraph)
    missing = [name for name in SECTIONS if name not in [heading for heading, _ in sections]]
    if missing:
        sys.exit(f"{path}:1: the comment lacks the section {missing[0]}:")
    family = os.path.basename(os.path.dirname(os.path.dirname(os.path.abspath(path))))
    return family, name, sections


def c_string(text):
    out = ""
    for byte in text.encode():
        out += chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else "\\%03o" % byte
    return '"' + out + '"'


def table(out, paths):
    docs = sorted(filter(None, map(parse, paths)))
    lines = ['#include "lab/docs.h"', "", "const struct lab_strategy_doc lab_strategy_docs[] = {"]
    for family, name, sections in docs:
        lines.append(f'\t{{ "{family}", "{name}", {{')
        for heading, paragraphs in sections:
            text = c_string("\n\n".join(paragraphs))
            lines.append(f'\t\t{{ "{heading}", {text} }},')
        lines.append("\t} },")
    lines.append("\t{ 0 },\n};\n")
    with open(out, "w", encoding="utf-8") as target:
        target.write("\n".join(lines))


def ask(polder, *arguments):
    result = subprocess.run([polder, "strategy", *arguments, "--json"], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{polder} strategy {' '.join(arguments)}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def number(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def cell(text):
    return str(text).replace("|", "\\|")


KINDS = {
    "online": "online: decides each request as it comes; can run live",
    "batch": "batch: decides many requests at once",
    "continuous": "continuous: improves what is there, move by move",
    "yardstick": "yardstick: knows or takes more than a live system can; measures others",
}
INDEXES = {
    "exact": "exact: decides without looking at every candidate, and always as a scan would",
    "bounded": "bounded: looks at a limited number of candidates",
    "scan": "scan: looks at every candidate",
}
TRAITS = {"proportional": "proportional: shares are by weight, and a guest gains nothing by how it spends its time"}


def prose(text):
    text = re.sub(r"([*_<`|])", r"\\\1", text)
    return "\n\n".join(textwrap.fill(paragraph, 118, break_long_words=False, break_on_hyphens=False)
                       for paragraph in text.split("\n\n"))


def page(show):
    summary = show["summary"][0].upper() + show["summary"][1:].rstrip(".") + "."
    lines = [f"# {show['name']}", "", prose(summary), ""]
    for section in show["about"]:
        lines += [f"## {section['heading']}", "", prose(section["text"]), ""]
    lines += ["## What it is", "", f"- Family: {show['family']}", f"- Kind: {KINDS[show['kind']]}"]
    if show["kind"] == "online":
        lines.append(f"- Index: {INDEXES[show['index']]}")
    lines += [f"- Declares: {TRAITS[trait]}" for trait in show["traits"]] + [""]
    if show["parameters"]:
        lines += ["## Parameters", "", "| name | type | range | default | meaning |", "|---|---|---|---|---|"]
        for one in show["parameters"]:
            cells = [f"`{one['name']}`", one["type"], one["range"], number(one["default"]), one["doc"]]
            lines.append("| " + " | ".join(map(cell, cells)) + " |")
        lines.append("")
    lines += ["<!-- Made by docs/generate-strategies.py from the source's comment; edit that. -->", ""]
    return "\n".join(lines)


COMPARED = """`polder strategy select FAMILY --trace T` compares them: every candidate is evaluated with several seeds on the same
workload, and each seed leaves another tenth of what came in it out, so that the 95 % intervals (Student's t) show how
much an outcome owes to the very workload. Ranked is the efficiency `wp·P + wa·A' + ws·S` of the mean scores, with A' =
min(1, −log10(1 − A) / 4); `--weights` sets the weights, and one of a score that is missing goes to the others. The lead of
the winner is also told seed by seed. `--require availability>=0.99` is compared with raw scores and figures.

`polder strategy optimize FAMILY NAME --trace T --budget 5000` searches the declared parameters on the first part of the trace
(differential evolution from a Latin hypercube, then a coordinate search) and judges the best on the rest, against the
defaults: a gain is one whose interval lies above 0."""


def index(families):
    lines = ["# Strategies", "", "Made by `docs/generate-strategies.py` from the comment at the head of each strategy's "
             "source; `polder strategy show NAME` tells the same.", "", COMPARED, ""]
    for family, shows in families:
        lines += [f"## {family}", "", "| strategy | kind | what it does |", "|---|---|---|"]
        for show in shows:
            lines.append(f"| [{show['name']}]({show['name']}.md) | {show['kind']} | {cell(show['summary'])} |")
        lines.append("")
    return "\n".join(lines)


def pages(polder):
    wanted = {}
    families = []
    for family in FAMILIES:
        shows = [ask(polder, "show", one["name"]) for one in ask(polder, "ls", family)["strategies"]]
        families.append((family, shows))
        for show in shows:
            wanted[show["name"] + ".md"] = page(show)
    wanted["README.md"] = index(families)
    return wanted


def main(arguments):
    if len(arguments) >= 2 and arguments[0] == "table":
        return table(arguments[1], arguments[2:])
    if len(arguments) not in (2, 3) or arguments[0] not in ("pages", "check"):
        sys.exit(__doc__)
    folder = arguments[2] if len(arguments) == 3 else os.path.join(TOP, "docs", "strategies")
    wanted = pages(arguments[1])
    os.makedirs(folder, exist_ok=True)
    stale = 0
    for name in sorted(set(wanted) | set(os.listdir(folder))):
        path = os.path.join(folder, name)
        here = open(path, encoding="utf-8").read() if os.path.exists(path) else None
        if here == wanted.get(name):
            continue
        stale += 1
        print(f"{path}: {'is of no strategy' if name not in wanted else 'missing' if here is None else 'stale'}")
        if arguments[0] == "pages":
            if name in wanted:
                with open(path, "w", encoding="utf-8") as target:
                    target.write(wanted[name])
            else:
                os.unlink(path)
    if arguments[0] == "check" and stale:
        sys.exit("run: docs/generate-strategies.py pages build/polder")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
