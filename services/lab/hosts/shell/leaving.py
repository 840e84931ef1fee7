"""What leaves a script's commands early."""

from __future__ import annotations


class Exit(Exception):
    """`exit`, or `set -e`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Fatal(Exit):
    """A mistake that ends a script: in its syntax, or an expansion without a value."""


class Return(Exception):
    """`return`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class LoopControl(Exception):
    """`break` or `continue`, out of so many loops."""

    def __init__(self, levels: int, *, again: bool) -> None:
        super().__init__(levels)
        self.levels = levels
        self.again = again
