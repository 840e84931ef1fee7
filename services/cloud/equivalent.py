"""The command that a person could type instead: the vendor's CLI, spelt so that it can be pasted.

Pure text; nothing is run. The spelling of parameters is the API's own, so what a call sends and
what the command log shows come from one mapping.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Product = Literal["nlb", "cas", "pca", "ecs", "sts"]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A parameter that is a file's contents: shown by its path, never by what is in it."""

    path: str
    content: str = field(default="", repr=False, compare=False)
    """What is really sent; empty where only the command is wanted."""


Value: TypeAlias = "str | int | bool | FileRef | Sequence[Value] | Mapping[str, Value]"
Parameters: TypeAlias = Mapping[str, Value]

_PCA_VERSION = ("--version", "2020-06-30", "--force")
"""The CLI knows Private CA only as another version of product `cas`, which it must be forced to
call (Alibaba Cloud CLI, "Forcibly call an API operation")."""


def aliyun(product: Product, action: str, parameters: Parameters, region: str) -> str:
    """The `aliyun` command line that makes this call, for a POSIX shell.

    A file's contents are read by the shell with `=` before them, since the CLI takes a value
    that begins with dashes for an option. Mind that such a value, a private key too, stands in
    the process list while that command runs; this program's own calls have no such trace.
    """
    words = ["aliyun", "cas" if product == "pca" else product, shlex.quote(action)]
    for name, value in _flat("", parameters):
        if name == "RegionId":
            continue
        if isinstance(value, FileRef):
            words.append(f'--{name}="$(cat {_operand(value.path)})"')
        elif _text(value).startswith("-"):
            words.append(shlex.quote(f"--{name}={_text(value)}"))
        else:
            words += [f"--{name}", shlex.quote(_text(value))]
    if product == "pca":
        words += _PCA_VERSION
    return " ".join([*words, "--region", shlex.quote(region)])


def _flat(prefix: str, value: Value) -> Iterator[tuple[str, str | int | bool | FileRef]]:
    """`{"Servers": [{"Port": 80}]}` as the API's `Servers.1.Port`."""
    if isinstance(value, Mapping):
        inner = [(str(name), part) for name, part in value.items()]
    elif isinstance(value, str | int | FileRef):
        yield prefix, value
        return
    else:
        inner = [(str(place), part) for place, part in enumerate(value, start=1)]
    for name, part in inner:
        yield from _flat(f"{prefix}.{name}" if prefix else name, part)


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _operand(path: str) -> str:
    return shlex.quote(f"./{path}" if path.startswith("-") else path)
