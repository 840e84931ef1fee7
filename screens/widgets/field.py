"""One question of a form: its label, where the answer is typed or picked, its help, its Problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.widgets.secret_input import SecretInput
from services.problem import Problem
from services.text import say

if TYPE_CHECKING:
    from services.steps.step import Choice
    from services.walk import Field


class OneLine(Input):
    """A field of one line. A paste of several is refused with words, not cut without any."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "screen.focus_next", show=False)]

    def on_paste(self, event: events.Paste) -> None:
        if len(event.text.strip().splitlines()) > 1:
            event.prevent_default()
            event.stop()
            self.notify(say("screens.ask.one-line"), severity="warning", markup=False)


class Picker(OneLine):
    """A field that also offers what there is. Free text is always taken."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "open", show=False)]

    class Opened(Message):
        """The person wants to see what there is."""

    def action_open(self) -> None:
        self.post_message(self.Opened())


class Offers(OptionList):
    """What a picker offers, while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]

    class Closed(Message):
        """The person wants none of them."""

    def action_close(self) -> None:
        self.post_message(self.Closed())


class FieldRow(Vertical):
    """A question and its answer so far."""

    DEFAULT_CSS = """
    FieldRow {
        height: auto;
        & > Horizontal { height: auto; }
        & .sign { width: 2; height: 1; color: $text-error; text-style: bold; }
        & .label { width: 26; height: auto; padding-right: 1; text-style: bold; }
        & .mark { width: auto; min-width: 4; margin-left: 1; color: $text-muted; }
        & OneLine, & SecretInput { width: 1fr; }
        & SecretInput { margin-right: 1; }
        & .note { height: auto; padding-left: 28; color: $text-muted; }
        & .error { height: auto; padding-left: 28; color: $text-error; display: none; }
        & Offers {
            margin-left: 28; height: auto; max-height: 8;
            border: none; padding: 0; background: $surface;
        }
        &.-wrong .error { display: block; }
        &.-open .note { display: none; }
    }
    """

    class Changed(Message):
        """The answer was edited; `text` is what stands there now."""

        def __init__(self, row: FieldRow, text: str) -> None:
            super().__init__()
            self.row = row
            self.text = text

    class Left(Message):
        """The focus went elsewhere: time to say what is wrong."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    class Submitted(Message):
        """Enter was pressed in the field."""

    def __init__(self, field: Field, draft: str | None = None) -> None:
        super().__init__()
        self.field = field
        self.edited = draft is not None
        """Typed in by a person here, and not yet kept."""
        self.left = False
        """The focus has been here and gone."""
        self.offered: Sequence[Choice] = ()
        self.loaded = False
        """Whether `offered` is what there is with the answers as they are."""
        self._instead = ""
        """Said in place of the help while there is nothing to pick from."""
        self._text = draft if draft is not None else field.value

    @property
    def name_of_ask(self) -> str:
        return self.field.ask.name

    @property
    def is_secret(self) -> bool:
        return self.field.ask.kind == "secret"

    @property
    def is_picker(self) -> bool:
        return self.field.ask.choices is not None and not self.is_secret

    def compose(self) -> ComposeResult:
        ask = self.field.ask
        with Horizontal():
            yield Static(classes="sign")
            yield Static(ask.label, classes="label", markup=False)
            if self.is_secret:
                kept = say("screens.ask.secret-kept") if self.field.given else ""
                yield SecretInput(kept or say("screens.ask.secret-first"), id="secret")
                yield SecretInput(say("screens.ask.secret-again"), id="again")
            else:
                kind = Picker if self.is_picker else OneLine
                line = kind(self._text, compact=True)
                line.cursor_blink = False
                yield line
                yield Static(classes="mark", markup=False)
        yield Static(ask.help, classes="note", markup=False)
        if self.is_picker:
            offers = Offers(markup=False, compact=True)
            offers.display = False
            yield offers
        yield Static(classes="error", markup=False)

    @property
    def text(self) -> str:
        """What stands in the field."""
        if self.is_secret:
            return self.query_one("#secret", SecretInput).secret
        return self.query_one(OneLine).value

    def focus_field(self) -> None:
        """Put the focus where the answer goes, at once: what is typed next belongs there."""
        field = self.query_one("#secret" if self.is_secret else "OneLine")
        self.screen.set_focus(field)

    def stands(self, field: Field) -> None:
        """The session's answer is this now; what a person is typing is left alone."""
        self.field = field
        if self.is_secret or self.edited or self.has_focus_within:
            return
        self._put(field.value)
        self._note()

    def _put(self, value: str) -> None:
        """Show a value that nobody has typed."""
        self._text = value
        line = self.query_one(OneLine)
        if line.value != value:
            with self.prevent(Input.Changed):
                line.value = value

    # what is wrong with it

    def wrong(self, problem: Problem | str | None) -> None:
        """Show a Problem below the field, or take it away."""
        self.set_class(problem is not None, "-wrong")
        self.query_one(".sign", Static).update("" if problem is None else "✗")
        if problem is None:
            return
        if isinstance(problem, Problem):
            words = problem.words()
            problem = f"{words.what} {words.cause} {words.remedy}"
        self.query_one(".error", Static).update(Content(problem))

    @property
    def is_wrong(self) -> bool:
        return self.has_class("-wrong")

    @property
    def secrets_differ(self) -> bool:
        """A secret is asked for twice, since nobody sees what is typed."""
        if not self.is_secret:
            return False
        first, again = self.query(SecretInput)
        return first.secret != again.secret

    # what there is to pick

    def offers_awaited(self) -> None:
        """Its offers are on their way; those from before stay until then."""
        if not self.offered:
            self._mark(say("screens.ask.loading"))

    def offers(self, choices: Sequence[Choice]) -> None:
        """These are there to pick from."""
        self.offered = choices
        self.loaded = True
        self._instead = ""
        self._mark(
            say("screens.ask.offers", n=len(choices)) if choices else say("screens.ask.none")
        )
        offers = self.query_one(Offers)
        offers.clear_options()
        offers.add_options([Option(Content(_offer_words(choice))) for choice in choices])
        if len(choices) == 1 and not self.text and not self.edited:
            # What the walk settles on by itself, shown before it does.
            self._put(choices[0].value)
        self._note()

    def offers_failed(self, problem: Problem) -> None:
        """They could not be had; the answer can still be typed."""
        self.loaded = True
        self._mark(say("screens.ask.failed"))
        self._instead = say("screens.ask.type-instead", what=problem.words().what)
        self._note()

    def _mark(self, text: str) -> None:
        self.query_one(".mark", Static).update(text)

    def _note(self) -> None:
        """Below a picked value stand the words that go with it, else the help."""
        value = self.text
        label = next((c.label for c in self.offered if c.value == value and c.label), "")
        self.query_one(".note", Static).update(
            Content(self._instead or label or self.field.ask.help)
        )

    @on(Picker.Opened)
    def _open(self, message: Picker.Opened) -> None:
        message.stop()
        if not self.offered:
            self.screen.focus_next()
            return
        offers = self.query_one(Offers)
        offers.display = True
        self.add_class("-open")
        values = [choice.value for choice in self.offered]
        offers.highlighted = values.index(self.text) if self.text in values else 0
        self.screen.set_focus(offers)

    @on(Offers.Closed)
    def _close(self) -> None:
        self._fold()
        self.focus_field()

    def _fold(self) -> None:
        self.remove_class("-open")
        for offers in self.query(Offers):
            offers.display = False

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one(OneLine).value = self.offered[event.option_index].value
        self._close()
        self._note()

    # news for the form

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        # Textual also tells of the value that a field begins with.
        if self.edited or event.value != self._text:
            self.edited = True
            self.post_message(self.Changed(self, event.value))

    @on(SecretInput.Changed)
    def _secret_typed(self, event: SecretInput.Changed) -> None:
        event.stop()
        self.edited = True
        if self.is_wrong and not self.secrets_differ:
            self.wrong(None)

    @on(Input.Submitted)
    @on(SecretInput.Submitted)
    def _entered(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Submitted())

    @on(events.DescendantBlur)
    def _blurred(self) -> None:
        self.call_after_refresh(self._perhaps_left)

    def _perhaps_left(self) -> None:
        if self.is_attached and not self.has_focus_within:
            self._fold()
            self.left = True
            self.post_message(self.Left(self))


def _offer_words(choice: Choice) -> str:
    return f"{choice.value}  {choice.label}" if choice.label else choice.value
