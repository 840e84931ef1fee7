"""How the findings are shown: as a table in the terminal, and as one in the README."""

from __future__ import annotations

import pytest

from scripts.benchmarks import readme
from scripts.benchmarks.finding import Finding, Omitted, at_least, at_most
from scripts.benchmarks.table import rows_of, table

MARKED = f"# A\n\n{readme.BEGIN}\nold\n{readme.END}\n\nrest\n"


def test_markdown_holds_what_is_judged_and_says_what_is_missed() -> None:
    found: readme.Findings = {
        "engine": [
            Finding("ours / theirs", 1.234, 1.0, 2.0, at_most(1.1)),
            Finding("told only", 3.0, 3.0, 3.0),
            Omitted("against C", "no compiler"),
        ],
        "pki": [Finding("theirs / ours", 19.0, 18.0, 20.0, at_least(15))],
    }
    lines = readme.markdown(found).splitlines()
    assert lines[2] == "| engine | ours / theirs | ≤ 1.1 | 1.23 (missed) | 1.00 – 2.00 |"
    assert lines[3] == "| pki | theirs / ours | ≥ 15 | 19.0 | 18.0 – 20.0 |"
    assert not any("told only" in line or "against C" in line for line in lines)


def test_readme_is_changed_between_its_marks_alone() -> None:
    new = readme.written(MARKED, "| \\1 |\n")
    assert new == f"# A\n\n{readme.BEGIN}\n| \\1 |\n{readme.END}\n\nrest\n"
    with pytest.raises(ValueError, match="found 0 times"):
        readme.written("# A\n", "")


def test_a_number_that_could_not_be_had_is_a_remark_in_the_table() -> None:
    rows = rows_of("engine", [Omitted("against C", "no compiler"), Finding("x", 1.0, 1.0, 1.0)])
    lines = table(rows).splitlines()
    assert lines[2] == "engine     against C: skipped: no compiler"
    assert lines[3].split() == ["x", "1.00", "1.00", "to", "1.00"]
