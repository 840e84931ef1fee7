"""Shell patterns and POSIX regular expressions, as Python's."""

from __future__ import annotations

import re

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
}


def escaped(text: str) -> str:
    """`text` as a pattern that matches nothing else."""
    return re.sub(r"([\\*?\[])", r"\\\1", text)


def is_pattern(text: str) -> bool:
    """Whether `text` has a sign with a meaning: `*`, `?` or `[`, not escaped."""
    return re.search(r"(?<!\\)(?:\\\\)*[*?\[]", text) is not None


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def shell_pattern(pattern: str, *, greedy: bool = True) -> str:
    """A shell pattern (XCU 2.13) as a regular expression."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        elif char == "*":
            out.append(".*" if greedy else ".*?")
        elif char == "?":
            out.append(".")
        elif char == "[" and (bracket := _bracket(pattern, at, "!^")):
            inner, at = bracket
            out.append(inner)
        else:
            out.append(re.escape(char))
    return "".join(out)


def regular_expression(pattern: str, *, extended: bool) -> str:
    """A POSIX basic or extended regular expression (XBD 9) as Python's."""
    out: list[str] = []
    at = 0
    # What has a meaning without a backslash in extended ones has it with a backslash in basic ones.
    switched = "" if extended else "(){}|+?"
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\" and at < len(pattern):
            follower = pattern[at]
            at += 1
            if follower in switched:
                out.append(follower)
            elif follower in "<>":
                out.append(r"\b")
            elif follower.isdigit() or follower in "wWsSbB":
                out.append("\\" + follower)
            else:
                out.append(re.escape(follower))
        elif char == "[" and (bracket := _bracket(pattern, at, "^")):
            inner, at = bracket
            out.append(inner)
        elif (
            char in switched
            or (char == "*" and not extended and _starts(out))
            or (char == "^" and not extended and not _starts(out))
            or (char == "$" and not extended and not _ends(pattern, at))
        ):
            out.append(re.escape(char))
        else:
            out.append(char)
    return "".join(out)


def _starts(out: list[str]) -> bool:
    """Whether nothing of the expression, or of its group, stands before."""
    return not out or out[-1] in ("(", "^", "|")


def _ends(pattern: str, at: int) -> bool:
    """Whether nothing of the expression, or of its group, comes after."""
    return at == len(pattern) or pattern.startswith((r"\)", r"\|"), at)


def _bracket(pattern: str, at: int, negations: str) -> tuple[str, int] | None:
    """The bracket expression that starts before `at`, and where it ends; None if it does not."""
    start = at
    negated = at < len(pattern) and pattern[at] in negations
    at += negated
    inner: list[str] = []
    while at < len(pattern):
        char = pattern[at]
        if char == "]" and (inner or at > start + negated):
            return f"[{'^' if negated else ''}{''.join(inner)}]", at + 1
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
            if (named := _CLASSES.get(pattern[at + 2 : end])) is None:
                return None
            inner.append(named)
            at = end + 2
            continue
        inner.append("\\" + char if char in "\\[]^&~|" else char)
        at += 1
    return None
