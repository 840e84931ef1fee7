"""`inspect`: what files hold, and what a browser, curl or the listener will say of them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.console import Console
from app.options import Options
from services.problem import Exit
from services.text import knows, say

if TYPE_CHECKING:
    from services.pki.inspect import Finding

_SHOWN = (
    "subject",
    "issuer",
    "names",
    "not_before",
    "not_after",
    "public_key",
    "extended_key_usage",
    "sha256",
    "encrypted",
    "profile",
    "label",
)
"""What people are shown of the facts, in this order; `--json` has them all."""

_SIGNS = {"error": "✗", "warning": "!", "info": "i"}


def run(options: Options, console: Console, home: Path) -> Exit:
    """Exit 1 if something is graver than a warning. Raises Problem."""
    from services.pki.inspect import fine, inspect
    from services.pki.sources import gather

    password = None
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        console.redact.learn(password)
    now = datetime.now(UTC)
    sources = gather([Path(name) for name in options.file])
    findings = inspect(sources, now, password.encode() if password else None)
    good = fine(findings)
    if console.json:
        found = [each.to_map(now) for each in findings]
        console.result({"verdict": "pass" if good else "fail", "findings": found})
    else:
        for each in findings:
            console.say(_words(each, now))
    return Exit.FINE if good else Exit.NOT_FINE


def _words(finding: Finding, now: datetime) -> str:
    kind = say(f"pki.kind.{finding.kind.value}")
    lines = [say("app.inspect.head", file=finding.file, number=finding.position, kind=kind)]
    facts = finding.to_map(now)
    for name in _SHOWN:
        value = _value(facts.get(name))
        if value:
            label = say(f"app.inspect.fact.{name.replace('_', '-')}")
            lines.append(say("app.inspect.line", label=label, value=value))
    if finding.belongs_to:
        lines.append(say("app.inspect.belongs-to", files=", ".join(finding.belongs_to)))
    for verdict in finding.verdicts:
        refused = ", ".join(
            say(f"pki.verifier.{each.value}") for each in sorted(verdict.refused_by)
        )
        sign = _SIGNS[verdict.severity.value]
        lines.append(say("app.inspect.verdict", sign=sign, what=verdict.what))
        if refused:
            lines.append(say("app.inspect.refused-by", verifiers=refused))
        if knows(f"pki.verdict.{verdict.code}.remedy"):
            lines.append(say("app.inspect.remedy", remedy=verdict.remedy))
    return "\n".join(lines)


def _value(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return say("app.inspect.yes") if value else ""
    if isinstance(value, dict):
        return str(value.get("name", ""))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
