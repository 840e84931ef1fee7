"""`scripts/bench`: runs the benchmarks that are named, or all, and prints what they found."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from scripts.benchmarks import readme
from scripts.benchmarks.child import ROOT
from scripts.benchmarks.finding import Finding, Omitted, Skipped
from scripts.benchmarks.table import rows_of, table

NAMES = (
    *("first-paint", "start-up", "lab-run", "keys", "interface", "big-table"),
    *("engine", "link", "scaling", "memory", "false-alarms", "pki", "ssh"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures the speed goals. Whatever is compared runs in turn, and the ratio"
        " counts: the median over the rounds. Goals that are missed do not change the exit code.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, help="rather than each benchmark's own number")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object on stdout")
    form.add_argument("--markdown", action="store_true", help="the judged numbers as Markdown")
    form.add_argument(
        "--write-readme",
        action="store_true",
        help="the same, put into README.md between its two marks",
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")

    rows: list[Any] = []
    report: dict[str, Any] = {}
    found: dict[str, Sequence[Finding | Omitted]] = {}
    load = os.getloadavg()[0]
    try:
        for name in options.names or NAMES:
            print(f"{name} …", file=sys.stderr, flush=True)
            benchmark = import_module(f"scripts.benchmarks.{name.replace('-', '_')}")
            try:
                findings = benchmark.measure(options.rounds or benchmark.ROUNDS)
            except Skipped as skipped:
                rows.append((name, f"skipped: {skipped}"))
                report[name] = {"skipped": str(skipped)}
            else:
                found[name] = findings
                rows += rows_of(name, findings)
                report[name] = {"findings": [finding.to_map() for finding in findings]}
    finally:
        # Also when one of them fails: the others took their time.
        cores = os.cpu_count()
        if options.json:
            print(json.dumps({"cores": cores, "load": load, "benchmarks": report}, indent=2))
        elif options.markdown:
            print(readme.markdown(found), end="")
        else:
            print(table(rows))
            print(f"\n{cores} cores; the load average was {load:.1f} before.")
    if options.write_readme:
        readme.write(ROOT / "README.md", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
