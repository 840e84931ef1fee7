"""The checks of a proof, each with what shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from services.steps.step import Proof


class Checks(VerticalScroll):
    """One line a check, the evidence below it."""

    DEFAULT_CSS = """
    Checks { height: 1fr; & > Static { height: auto; width: 1fr; } }
    """

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
        parts: list[Content] = []
        for check in proof.checks:
            sign, style = ("✓", "$text-success") if check.passed else ("✗", "$text-error")
            line = Content.assemble((f"{sign} ", f"bold {style}"), check.title())
            if check.evidence:
                line = Content.assemble(line, (f"\n  {check.evidence}", "dim"))
            parts.append(line)
        super().__init__(Static(Content("\n").join(parts), markup=False))
