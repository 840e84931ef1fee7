"""The Prometheus text exposition format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ : one family at a time, its HELP and
TYPE first, UTF-8, lines that end in a line feed, the last one too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line. `suffix` is what follows the family's name: `_count` of a summary."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: all its lines stand together, and no two have the same labels."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: tuple[Sample, ...]


def exposition(families: Iterable[Family], comment: str = "") -> bytes:
    """The families as a file, without those that have no sample. `comment` is its first line.

    Raises ValueError for a name that the format does not allow: that is a defect.
    """
    lines = [f"# {_one_line(comment)}"] if comment else []
    for family in families:
        if not family.samples:
            continue
        if not _METRIC.fullmatch(family.name):
            raise ValueError(family.name)
        lines.append(f"# HELP {family.name} {_help(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{_sample(sample)}" for sample in family.samples]
    return "".join(f"{line}\n" for line in lines).encode()


def _sample(sample: Sample) -> str:
    for name in sample.labels:
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise ValueError(name)
    pairs = ",".join(f'{name}="{_label(value)}"' for name, value in sample.labels.items())
    labels = f"{{{pairs}}}" if pairs else ""
    return f"{sample.suffix}{labels} {_number(sample.value)}"


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float) -> str:
    """As Go's ParseFloat reads it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
