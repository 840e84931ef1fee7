"""The certificates of a session: what each says, and how long it still holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from services import disk
from services.events import rfc3339
from services.handover.content import Certificate
from services.pki.ending import ending
from services.problem import Problem
from services.session.model import Facts

_LIMIT = 1024 * 1024
"""No certificate and no chain is larger than this."""

_END = ".not_after"


def certificates(folder: Path, facts: Facts, now: datetime) -> tuple[Certificate, ...]:
    """The first certificate of each file in `folder` (the chain above it lives longer), and of
    those that are elsewhere the end that is known: the fact `<role>.not_after`.

    A file that holds no certificate is left out.
    """
    here = tuple(_files(folder, now))
    roles = {each.role for each in here}
    elsewhere = _ends({role: end for role, end in _known(facts) if role not in roles}, now)
    return (*here, *elsewhere)


def _files(folder: Path, now: datetime) -> Iterator[Certificate]:
    from services.pki.check import certificates_of  # 0.1 s
    from services.pki.facts import certificate_facts

    for path in sorted(folder.glob("*.crt")):
        try:
            said = certificate_facts(certificates_of(disk.read(path, _LIMIT))[0])
        except (Problem, ValueError):
            continue
        names = said.extensions
        yield Certificate(
            role=path.stem,
            file=path.name,
            subject=said.subject,
            issuer=said.issuer,
            names=(*names.dns_names, *names.ip_addresses, *names.other_names),
            serial=said.serial,
            not_before=rfc3339(said.not_before),
            not_after=rfc3339(said.not_after),
            days_left=said.days_left(now),
            ending=ending(said.not_after, now, said.not_before),
            key=said.key.name if said.key else None,
            usage=names.extended_key_usage or (),
            sha256=said.sha256,
        )


def _known(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if name.endswith(_END):
            yield name.removesuffix(_END), value


def _ends(ends: dict[str, str], now: datetime) -> Iterator[Certificate]:
    for role, text in sorted(ends.items()):
        try:
            end = datetime.fromisoformat(text)
        except ValueError:
            continue
        end = end if end.tzinfo else end.replace(tzinfo=UTC)
        yield Certificate(
            role=role,
            not_after=rfc3339(end),
            days_left=(end - now).days,
            ending=ending(end, now),
        )
