"""The names that certificates carry: domains, addresses, and what a client is called."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from services.problem import Problem
from services.text import say

MAX_COMMON_NAME = 64
"""RFC 5280, appendix A.1, `ub-common-name`; counted in bytes of UTF-8, as the library does."""

_MAX_DOMAIN = 253
"""RFC 1035 2.3.4: 255 octets on the wire, of which the text needs two less."""

_MAX_LABEL = 63
_EXAMPLE = "www.example.com"


def check_domain(text: str) -> str:
    """A domain as it stands in a certificate: lower case, A-labels (IDNA 2008), no final dot.

    A wildcard may only be the whole leftmost label, with two labels after it (RFC 6125 6.4.3, and
    browsers refuse `*.com`). Other letters than a to z are mapped as browsers do (UTS 46).

    Raises
    ------
    Problem
        `pki.bad-domain`; its facts say what is wrong (`reason`) and suggest a domain.
    """
    try:
        return _ascii_domain(text)
    except _BadDomain as bad:
        raise Problem(
            "pki.bad-domain",
            domain=printable(text.strip(), 80),
            reason=bad.reason,
            wrong=say(f"pki.domain.{bad.reason}", part=printable(bad.part, 80)),
            suggestion=_suggestion(text),
        ) from None


def check_name(text: str) -> str | IPv4Address | IPv6Address:
    """What a server is reached by: an IP address, or else a domain as `check_domain` takes it."""
    with suppress(ValueError):
        return ip_address(text.strip().removeprefix("[").removesuffix("]"))
    return check_domain(text)


def check_client_name(text: str) -> str:
    """What a client is called, for the common name of its certificate (NFC, no space around).

    Raises
    ------
    Problem
        `pki.bad-client-name` if it is empty, too long, or holds signs that cannot be shown.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not name or not name.isprintable() or len(name.encode()) > MAX_COMMON_NAME:
        raise Problem("pki.bad-client-name", name=printable(name, 80), limit=MAX_COMMON_NAME)
    return name


def matches(pattern: str, domain: str) -> bool:
    """Whether a certificate's DNS name covers `domain` (both as `check_domain` returns them).

    RFC 6125 6.4.3, as browsers and curl read it: `*` stands for exactly one leftmost label.
    """
    pattern, domain = pattern.lower().rstrip("."), domain.lower().rstrip(".")
    first, _, rest = domain.partition(".")
    if pattern.startswith("*."):
        return bool(first) and "." in rest and pattern[2:] == rest
    return pattern == domain


def asked_for(domain: str) -> str:
    """A host that a client may ask for under `domain`: itself, or `www` under a wildcard."""
    return f"www{domain[1:]}" if domain.startswith("*.") else domain


def printable(text: str, limit: int = 500) -> str:
    """Text of unknown origin, safe for a terminal: control signs spelt out, and cut at `limit`."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(sign if sign.isprintable() else _spelt(sign) for sign in text)


def _spelt(sign: str) -> str:
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


@dataclass(slots=True)
class _BadDomain(Exception):
    reason: str
    """A key under `pki.domain` in the catalogue."""
    part: str = ""


def _ascii_domain(text: str) -> str:
    domain = text.strip()
    if not domain:
        raise _BadDomain("empty")
    if len(domain) > 4 * _MAX_DOMAIN:
        raise _BadDomain("long")
    _refuse_more_than_a_name(domain)
    star = "*." if domain.startswith("*.") else ""
    domain = domain.removeprefix(star)
    if "*" in domain:
        raise _BadDomain("wildcard")
    if not domain.isascii():
        domain = _mapped(domain)
    domain = domain.lower().removesuffix(".")
    labels = domain.split(".")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        raise _BadDomain("number", labels[-1])
    if len(labels) < 2 and (star or domain != "localhost"):
        raise _BadDomain("wide" if star else "single")
    if len(star + domain) > _MAX_DOMAIN:
        raise _BadDomain("long")
    return star + domain


def _refuse_more_than_a_name(text: str) -> None:
    """What people paste together with a domain, each named for what it is."""
    with suppress(ValueError):
        ip_address(text.removeprefix("[").removesuffix("]"))
        raise _BadDomain("address")
    if "://" in text:
        raise _BadDomain("scheme", text.partition("://")[0] + "://")
    if found := re.search(r"[/?#\\]", text):
        raise _BadDomain("path", text[found.start() :])
    if "@" in text:
        raise _BadDomain("user", text.rpartition("@")[0] + "@")
    if ":" in text:
        raise _BadDomain("port", ":" + text.partition(":")[2])
    if found := re.search(r"[\s,;]", text):
        raise _BadDomain("several", found.group())


def _mapped(domain: str) -> str:
    """A name in any script as A-labels."""
    import idna  # 10 ms

    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode("ascii")
            for label in mapped.split(".")
        )
    except idna.IDNAError:
        raise _BadDomain("script", domain) from None


def _check_label(label: str) -> None:
    if not label:
        raise _BadDomain("dots")
    if len(label) > _MAX_LABEL:
        raise _BadDomain("label", label)
    if found := re.search(r"[^a-z0-9-]", label):
        raise _BadDomain("sign", found.group())
    if label.startswith("-") or label.endswith("-"):
        raise _BadDomain("hyphen", label)
    if label.startswith("xn--"):
        import idna

        try:
            idna.ulabel(label)
        except idna.IDNAError:
            raise _BadDomain("script", label) from None


def _suggestion(text: str) -> str:
    """The domain that the person probably meant."""
    rest = text.strip().partition("://")[2] or text.strip()
    rest = re.split(r"[/?#\\\s,;]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
    try:
        return _ascii_domain(rest)
    except _BadDomain:
        return _EXAMPLE
