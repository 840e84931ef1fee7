"""Finding the endpoint, connecting to it, and speaking TLS with it."""

from __future__ import annotations

import re
from dataclasses import replace

from services.probe.observations import Names, Observations
from services.probe.outcome import Outcome
from services.probe.rules.finding import Finding, ended
from services.probe.rules.silence import may_be_refusal


def name_not_resolving(seen: Observations) -> Finding | None:
    """DNS knows no address: for the requests, or only for clients that go by the name."""
    if seen.count(Outcome.NAME_NOT_RESOLVING):
        evidence = seen.sample(Outcome.NAME_NOT_RESOLVING)
        host = seen.endpoint.rpartition(":")[0]
        return Finding("certain", evidence, (Outcome.NAME_NOT_RESOLVING,), {"host": host})
    dns = seen.dns
    if dns is None or dns.addresses:
        return None
    facts = {"host": dns.name}
    return _by_name(dns, Finding("certain", f"no address for {dns.name}", facts=facts))


def name_points_elsewhere(seen: Observations) -> Finding | None:
    """The name has addresses that are not the balancer's."""
    dns = seen.dns
    if dns is None or not dns.elsewhere:
        return None
    facts = {"host": dns.name, "addresses": ", ".join(dns.elsewhere), "balancer": dns.balancer}
    evidence = (
        f"{dns.name}: {', '.join(dns.addresses)}; "
        f"{dns.balancer}: {', '.join(dns.balancer_addresses)}"
    )
    return _by_name(dns, Finding("certain", evidence, facts=facts))


def _by_name(dns: Names, finding: Finding) -> Finding:
    """Where requests did not go by the name, what it stands for concerns others: a warning."""
    if dns.relied_on:
        return finding
    return replace(finding, notes=("not-by-name",), severity="warning")


def listener_absent(seen: Observations) -> Finding | None:
    """The API no longer has the listener."""
    if seen.listener is None or seen.listener.exists:
        return None
    return Finding("certain", f"no listener {seen.listener.id}", facts={"id": seen.listener.id})


RUNNING = "running"
"""The one good status of a listener, in lower case."""


def listener_stopped(seen: Observations) -> Finding | None:
    """The API has it, but it does not run, and requests fail."""
    listener = seen.listener
    if listener is None or not listener.exists or not listener.status or not seen.tally.failed:
        return None
    if listener.status.lower() == RUNNING:
        return None
    facts = {"id": listener.id, "status": listener.status}
    return Finding("certain", f"{listener.id}: {listener.status}", facts=facts)


_BANNER = re.compile(
    r"it says (?P<said>(?P<ssh>SSH-\d)|(?P<mail>220[ -]|\+OK|\* OK)|(?P<vnc>RFB \d)"
    r"|(?P<mysql>.{0,16}\\x00\\x00\\x00\\n))"
)
"""How servers greet that speak first: SSH (RFC 4253 4.2), SMTP and FTP, POP3, IMAP, VNC, MySQL."""
_PROTOCOLS = {"ssh": "SSH", "mail": "SMTP, FTP, POP3 or IMAP", "vnc": "VNC", "mysql": "MySQL"}


def another_protocol(seen: Observations) -> Finding | None:
    """What answers greets by itself, in another protocol's words."""
    sample = seen.sample(Outcome.NOT_TLS)
    found = _BANNER.match(sample)
    if found is None:
        return None
    protocol = next(_PROTOCOLS[name] for name in _PROTOCOLS if found[name] is not None)
    return Finding("certain", sample, (Outcome.NOT_TLS,), {"protocol": protocol})


def not_tls(seen: Observations) -> Finding | None:
    if another_protocol(seen) is not None:
        return None
    found = ended(Outcome.NOT_TLS)(seen)
    listener = seen.listener
    if found is None or listener is None or listener.protocol.upper() in ("", "TCPSSL"):
        return found
    evidence = f"{found.evidence}; the listener's protocol is {listener.protocol}"
    return replace(found, evidence=evidence)


def tls_version(seen: Observations) -> Finding | None:
    """No version in common. Not every server says so: GnuTLS calls it a handshake_failure, as
    OpenSSL does a cipher that it lacks. What it speaks, when asked, settles it."""
    return _parameters(seen, Outcome.TLS_VERSION, *((Outcome.TLS_CIPHER,) if _old(seen) else ()))


def tls_cipher(seen: Observations) -> Finding | None:
    return None if _old(seen) else _parameters(seen, Outcome.TLS_CIPHER)


def _old(seen: Observations) -> bool:
    """The server was heard, and only in versions that no request here is made in (RFC 8996)."""
    versions = seen.announcement.versions if seen.announcement is not None else ()
    return bool(versions) and {"TLSv1.2", "TLSv1.3"}.isdisjoint(versions)


def _parameters(seen: Observations, *outcomes: Outcome) -> Finding | None:
    """No version or cipher in common: what the server speaks, and by which policy it should."""
    found = ended(*outcomes)(seen)
    if found is None:
        return None
    evidence = [found.evidence]
    if seen.announcement is not None and seen.announcement.versions:
        evidence.append(f"it speaks {', '.join(seen.announcement.versions)}")
    if seen.listener is not None and seen.listener.policy:
        evidence.append(f"the listener's policy is {seen.listener.policy}")
    return replace(found, evidence="; ".join(evidence))


def in_handshake(seen: Observations, outcome: Outcome) -> Finding | None:
    """The handshake was broken off. In TLS 1.2 that may also be how a client's certificate is
    refused (RFC 5246 section 7.4.6): where one is asked for, the client's rules speak of it."""
    if may_be_refusal(seen):
        return None
    return ended(outcome, confidence="likely")(seen)


def handshake_cut(seen: Observations) -> Finding | None:
    return in_handshake(seen, Outcome.HANDSHAKE_CLOSED)


def handshake_reset(seen: Observations) -> Finding | None:
    return in_handshake(seen, Outcome.HANDSHAKE_RESET)
