"""The value of `$((…))` (XCU 2.6.4): whole numbers, C's operators, no assignment."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

_TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|(<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%()<>!~&^|?:]))"
)

_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda a, b: int(bool(a) or bool(b))},
    {"&&": lambda a, b: int(bool(a) and bool(b))},
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b)},
    {
        "<": lambda a, b: int(a < b),
        "<=": lambda a, b: int(a <= b),
        ">": lambda a, b: int(a > b),
        ">=": lambda a, b: int(a >= b),
    },
    # A shift by 64 or more is undefined in C; here it is bounded, lest a number grow for ever.
    {"<<": lambda a, b: a << (b & 63), ">>": lambda a, b: a >> (b & 63)},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": lambda a, b: _quotient(a, b), "%": lambda a, b: _remainder(a, b)},
)
"""Binary operators from the loosest to the tightest."""


class NoValue(Exception):
    """The expression has no value; the text says why, as a shell would."""


def evaluate(expression: str, variable: Callable[[str], str]) -> int:
    """The value, as a signed 64-bit number. Raises `NoValue`."""
    tokens: list[str] = []
    at = 0
    stripped = expression.rstrip()
    while at < len(stripped):
        if not (match := _TOKEN.match(stripped, at)):
            raise NoValue(f"{expression}: syntax error: operand expected")
        tokens.append(match[1] or match[2] or match[3])
        at = match.end()
    if not tokens:
        return 0
    parser = _Parser(tokens, variable, expression)
    value = parser.choice()
    parser.end()
    return value


class _Parser:
    def __init__(self, tokens: list[str], variable: Callable[[str], str], expression: str) -> None:
        self._tokens = tokens[::-1]
        self._variable = variable
        self._expression = expression

    def _peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _fail(self) -> NoValue:
        return NoValue(f"{self._expression}: syntax error in expression")

    def end(self) -> None:
        if self._tokens:
            raise self._fail()

    def choice(self) -> int:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._tokens.pop()
        one = self.choice()
        if self._peek() != ":":
            raise self._fail()
        self._tokens.pop()
        other = self.choice()
        return one if condition else other

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while function := _LEVELS[level].get(self._peek()):
            self._tokens.pop()
            left = _wrapped(function(left, self._binary(level + 1)))
        return left

    def _unary(self) -> int:
        token = self._tokens.pop() if self._tokens else ""
        match token:
            case "-":
                return -self._unary()
            case "+":
                return self._unary()
            case "!":
                return int(not self._unary())
            case "~":
                return ~self._unary()
            case "(":
                value = self.choice()
                if self._peek() != ")":
                    raise self._fail()
                self._tokens.pop()
                return value
        if token and (token[0].isalpha() or token[0] == "_"):
            token = self._variable(token).strip() or "0"
        if re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|\d+)", token):
            return _number(token)
        raise self._fail()


def _number(token: str) -> int:
    digits = token.lstrip("-+")
    octal = digits.startswith("0") and digits.isdigit()
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise NoValue(f"{token}: value too great for base") from None
    return _wrapped(-value if token.startswith("-") else value)


def _wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _quotient(dividend: int, divisor: int) -> int:
    """C's: towards zero."""
    if divisor == 0:
        raise NoValue("division by 0")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _remainder(dividend: int, divisor: int) -> int:
    return dividend - divisor * _quotient(dividend, divisor)
