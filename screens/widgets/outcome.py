"""What came of it: one line when all went well, the four parts of a Problem when not."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from services.problem import Problem
from services.text import say


def problem_words(problem: Problem) -> Content:
    """A Problem in the order in which a person needs it: what, why, what to do, evidence."""
    words = problem.words()
    parts: list[tuple[str, str] | str] = [
        ("✗ ", "bold"),
        (words.what, "bold"),
        "\n  ",
        words.cause,
        "\n→ ",
        words.remedy,
    ]
    if words.evidence:
        parts.append(("\n  " + say("screens.evidence", text=words.evidence), "$text-muted"))
    return Content.assemble(*parts)


class Outcome(VerticalScroll):
    """Takes no room while there is nothing to say."""

    DEFAULT_CSS = """
    Outcome {
        height: auto; max-height: 9; margin-top: 1;
        &.-empty { display: none; }
        &.-problem { color: $text-error; }
        & > Static { width: 1fr; height: auto; }
    }
    """
    can_focus = False

    def __init__(self) -> None:
        super().__init__(Static(markup=False), classes="-empty")

    def show(self, what: str | Problem | None) -> None:
        """Say a sentence, or show a Problem; None clears it."""
        self.set_class(what is None, "-empty")
        self.set_class(isinstance(what, Problem), "-problem")
        if what is not None:
            content = problem_words(what) if isinstance(what, Problem) else Content(what)
            self.query_one(Static).update(content)
            self.scroll_home(animate=False)

    @property
    def text(self) -> str:
        """What it says, as plain text."""
        return "" if self.has_class("-empty") else str(self.query_one(Static).content)
