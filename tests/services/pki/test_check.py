"""Verification off line, with `openssl verify` as the judge of every case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from services.pki import check, keys
from services.pki.rules import Role
from services.pki.verdict import Verdict, Verifier
from services.problem import Problem
from tests.services.pki.forge import (
    CA,
    CLIENT,
    DAY,
    FOR_ANY,
    FOR_CLIENT,
    FOR_SERVER,
    NOW,
    SERVER,
    SIGNS,
    Holder,
    by_openssl,
    constraints,
    forge,
    san,
    usage,
)
from tests.services.pki.judges import openssl, pem, verify

NAME = "www.example.com"
AT = NOW + timedelta(hours=6)
"""What `openssl` makes while the tests run is valid from then on."""

ROOT = forge("Root", *CA, life=3650 * DAY)
SUB = ROOT.issue("Sub", *CA, life=1000 * DAY)
RSA_ROOT = forge("RSA root", *CA, key=rsa.generate_private_key(65537, 2048))
OTHER_ROOT = forge("Root", *CA)
SELF = forge("s", *SERVER)
SELF_CLIENT = forge("c", *CLIENT)

CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)
ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA_1024 = rsa.generate_private_key(65537, 1024)

BROWSER, APPLE, CURL, LISTENER = Verifier.BROWSER, Verifier.APPLE, Verifier.CURL, Verifier.LISTENER
ALL = frozenset({BROWSER, APPLE, CURL})

Refusals = dict[str, set[Verifier] | frozenset[Verifier]]


@dataclass(frozen=True)
class Case:
    """A chain as it is sent, what OpenSSL says of it, and what we say."""

    sent: Sequence[Holder] | Callable[[], Sequence[Holder]]
    openssl: str = ""
    """Part of its words; empty if it accepts the chain."""
    reasons: Refusals = field(default_factory=dict)
    trusted: Sequence[Holder] = (ROOT,)
    known: Sequence[Holder] = ()

    def chain(self) -> list[x509.Certificate]:
        return certificates(self.sent() if callable(self.sent) else self.sent)


def certificates(holders: Sequence[Holder]) -> list[x509.Certificate]:
    return [holder.certificate for holder in holders]


def leaf(words: str, reasons: Refusals, *extensions: object, **options: object) -> Case:
    """A server's certificate, made so."""
    return Case([ROOT.issue("s", *extensions, **options)], words, reasons)  # type: ignore[arg-type]


def under(words: str, reasons: Refusals, *extensions: object, **options: object) -> Case:
    """A server's certificate under an intermediate CA that is made so."""
    sub = ROOT.issue("Odd", *extensions, **options)  # type: ignore[arg-type]
    return Case([sub.issue("s", *SERVER), sub], words, reasons)


def anchored(words: str, reasons: Refusals, *extensions: object, **options: object) -> Case:
    """A server's certificate under a trusted root that is made so."""
    root = forge("Odd", *extensions, **options)  # type: ignore[arg-type]
    return Case([root.issue("s", *SERVER)], words, reasons, [root])


def short_path() -> Case:
    root = forge("Short", constraints(True, 0), SIGNS)
    sub = root.issue("Sub", *CA)
    return Case([sub.issue("s", *SERVER), sub], "path length", {"path-too-long": ALL}, [root])


def renewed() -> Case:
    """The CA's certificate was renewed, with the same key but a new serial number."""
    old = forge("Renewed", *CA)
    new = forge("Renewed", *CA, key=old.key)
    by_serial = x509.AuthorityKeyIdentifier(
        None, [x509.DirectoryName(old.certificate.subject)], old.certificate.serial_number
    )
    sent = old.issue("s", *SERVER, (by_serial, False), identifiers=False)
    return Case([sent], "unable to get", {"issuer-renewed": {CURL}}, [new])


def constrained(words: str, constraint: x509.NameConstraints, root: Holder = ROOT) -> Case:
    sub = root.issue("Constrained", *CA, (constraint, True))
    reasons: Refusals = {"name-constraints": ALL} if words else {}
    return Case([sub.issue("s", *SERVER), sub], words, reasons, [root])


SHA1_EXTENSIONS = f"subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n"

SERVERS = {
    "good": leaf("", {}, *SERVER),
    "with its intermediate": Case([SUB.issue("s", *SERVER), SUB]),
    "others sent too, in any order": Case([SUB.issue("s", *SERVER), ROOT, OTHER_ROOT, SUB]),
    "under a trusted intermediate": Case([SUB.issue("s", *SERVER)], trusted=[SUB]),
    "expired": leaf("has expired", {"expired": ALL}, *SERVER, life=DAY / 2),
    "from the future": leaf("not yet valid", {"not-yet-valid": ALL}, *SERVER, begin=NOW + DAY),
    "of another name": leaf(
        "hostname mismatch", {"name-mismatch": ALL}, san("other.example.com"), *SERVER[1:]
    ),
    "of a wildcard": leaf("", {}, san("*.example.com"), *SERVER[1:]),
    "of a wildcard one level off": leaf(
        "hostname mismatch", {"name-mismatch": ALL}, san("*.www.example.com"), *SERVER[1:]
    ),
    "without names": leaf(
        "hostname mismatch", {"no-san": {BROWSER, APPLE}, "name-mismatch": {CURL}}, *SERVER[1:]
    ),
    "named by its common name only": Case(
        [ROOT.issue(NAME, *SERVER[1:])], "", {"no-san": {BROWSER, APPLE}}
    ),
    "for clients": leaf("purpose", {"wrong-usage": ALL}, SERVER[0], *CLIENT),
    "for any purpose": leaf("purpose", {"wrong-usage": {APPLE, CURL}}, SERVER[0], FOR_ANY),
    "without a purpose": leaf("", {"no-extended-key-usage": {APPLE}}, SERVER[0]),
    "that may only encipher": leaf(
        "", {"no-digital-signature": {BROWSER}}, *SERVER[:2], usage("key_encipherment")
    ),
    "that may do nothing of use": leaf(
        "purpose", {"no-digital-signature": ALL}, *SERVER[:2], usage("crl_sign")
    ),
    "of ten years": leaf("", {"longer-than-825-days": {APPLE}}, *SERVER, life=3650 * DAY),
    "of two years": leaf("", {}, *SERVER, life=800 * DAY),
    "RSA 1024": leaf("key too weak", {"weak-key": {APPLE, CURL}}, *SERVER, key=RSA_1024),
    "RSA 2048": leaf("", {}, *SERVER, key=rsa.generate_private_key(65537, 2048)),
    "P-384": leaf("", {}, *SERVER, key=ec.generate_private_key(ec.SECP384R1())),
    "P-521": leaf(
        "", {"unusual-curve": {BROWSER}}, *SERVER, key=ec.generate_private_key(ec.SECP521R1())
    ),
    "P-192": leaf(
        "key too weak", {"weak-key": ALL}, *SERVER, key=ec.generate_private_key(ec.SECP192R1())
    ),
    "Ed25519": leaf("", {"unsupported-key": {BROWSER, APPLE}}, *SERVER, key=ED25519),
    "an unknown critical extension": leaf(
        "critical extension", {"unknown-critical": ALL}, *SERVER, CRITICAL
    ),
    "version 1": Case(
        lambda: [by_openssl(ROOT, NAME)],
        "",
        {"no-san": {BROWSER, APPLE}, "no-extended-key-usage": {APPLE}},
    ),
    "SHA-1": Case(
        lambda: [by_openssl(ROOT, "s", "-sha1", extensions=SHA1_EXTENSIONS)],
        "digest algorithm too weak",
        {"weak-signature": ALL},
    ),
    "MD5": Case(
        lambda: [by_openssl(RSA_ROOT, "s", "-md5", extensions=SHA1_EXTENSIONS)],
        "digest algorithm too weak",
        {"weak-signature": ALL},
        [RSA_ROOT],
    ),
    "its issuer's name, and no identifier": Case(
        [ROOT.issue("Root", *SERVER, identifiers=False)],
        "self-signed certificate",
        {"issuer-has-same-name": {CURL}},
    ),
    "its issuer's name, with an identifier": Case([ROOT.issue("Root", *SERVER)]),
    "self-signed": Case([SELF], "self-signed certificate", {"self-signed": ALL}),
    "self-signed and trusted": Case([SELF], trusted=[SELF]),
    "of an unknown CA": Case(
        [forge("Stranger", *CA).issue("s", *SERVER)], "unable to get", {"unknown-ca": ALL}
    ),
    "of an unknown CA that is sent": Case(
        [(stranger := forge("Stranger", *CA)).issue("s", *SERVER), stranger],
        "self-signed certificate in certificate chain",
        {"unknown-ca": ALL},
    ),
    "of a CA with the same name": Case(
        [OTHER_ROOT.issue("s", *SERVER)], "unable to get", {"same-name-ca": ALL}
    ),
    "of a CA with the same name that is sent": Case(
        [OTHER_ROOT.issue("s", *SERVER), OTHER_ROOT],
        "self-signed certificate in certificate chain",
        {"same-name-ca": ALL},
    ),
    "without its intermediate": Case(
        [SUB.issue("s", *SERVER)], "unable to get", {"missing-intermediate": ALL}, known=[SUB]
    ),
    "without its intermediate, unknown": Case(
        [SUB.issue("s", *SERVER)], "unable to get", {"unknown-ca": ALL}
    ),
    "intermediate expired": under("has expired", {"expired": ALL}, *CA, life=DAY / 2),
    "intermediate no CA": under("invalid CA", {"issuer-not-a-ca": ALL}, constraints(False), SIGNS),
    "intermediate without constraints": under("invalid CA", {"issuer-not-a-ca": ALL}, SIGNS),
    "intermediate that may not sign": under(
        "invalid CA", {"issuer-without-cert-sign": ALL}, constraints(True), usage("crl_sign")
    ),
    "intermediate for clients": under("purpose", {"issuer-wrong-usage": ALL}, *CA, FOR_CLIENT),
    "intermediate for any purpose": under(
        "purpose", {"issuer-wrong-usage": {APPLE, CURL}}, *CA, FOR_ANY
    ),
    "intermediate for servers": under("", {}, *CA, FOR_SERVER),
    "intermediate with a weak key": under(
        "key too weak", {"weak-key": {APPLE, CURL}}, *CA, key=RSA_1024
    ),
    "root expired": anchored("has expired", {"expired": ALL}, *CA, life=DAY / 2),
    "root without constraints": anchored("", {}, SIGNS),
    "root without key usage": anchored("", {}, constraints(True)),
    "root without anything": anchored("invalid CA", {"issuer-not-a-ca": {APPLE, CURL}}),
    "root that may not sign": anchored(
        "invalid CA", {"issuer-without-cert-sign": ALL}, constraints(True), usage("crl_sign")
    ),
    "root that is no CA": anchored(
        "invalid CA", {"issuer-not-a-ca": ALL}, constraints(False), SIGNS
    ),
    "root for clients": anchored("purpose", {"issuer-wrong-usage": ALL}, *CA, FOR_CLIENT),
    "path too long": short_path(),
    "CA renewed": renewed(),
    "names that the CA may not certify": constrained(
        "permitted subtree violation", x509.NameConstraints([x509.DNSName("example.org")], None)
    ),
    "names that are excluded": constrained(
        "excluded subtree violation", x509.NameConstraints(None, [x509.DNSName(NAME)])
    ),
    "names that the CA may certify": constrained(
        "", x509.NameConstraints([x509.DNSName("example.com")], None)
    ),
    "names that the CA may certify, under a plain root": constrained(
        "",
        x509.NameConstraints([x509.DNSName("example.com")], None),
        forge("Plain", SIGNS, life=900 * DAY),
    ),
    "constraints on what is not there": constrained(
        "", x509.NameConstraints(None, [x509.DirectoryName(ROOT.certificate.subject)])
    ),
}

CLIENT_CASES = {
    "good": Case([ROOT.issue("c", *CLIENT)]),
    "with its intermediate": Case([SUB.issue("c", *CLIENT), SUB]),
    "without a purpose": Case([ROOT.issue("c")]),
    "version 1": Case(lambda: [by_openssl(ROOT, "c")]),
    "of ten years": Case([ROOT.issue("c", *CLIENT, life=3650 * DAY)]),
    "for servers": Case([ROOT.issue("c", *SERVER)], "purpose", {"wrong-usage": {LISTENER}}),
    "for any purpose": Case([ROOT.issue("c", FOR_ANY)], "purpose", {"wrong-usage": {LISTENER}}),
    "that may agree on keys": Case([ROOT.issue("c", FOR_CLIENT, usage("key_agreement"))]),
    "that may only encipher": Case(
        [ROOT.issue("c", FOR_CLIENT, usage("key_encipherment"))],
        "purpose",
        {"no-digital-signature": {LISTENER}},
    ),
    "expired": Case(
        [ROOT.issue("c", *CLIENT, life=DAY / 2)], "has expired", {"expired": {LISTENER}}
    ),
    "from the future": Case(
        [ROOT.issue("c", *CLIENT, begin=NOW + DAY)], "not yet valid", {"not-yet-valid": {LISTENER}}
    ),
    "expired and for servers": Case(
        [ROOT.issue("c", *SERVER, life=DAY / 2)],
        "purpose",
        {"expired": {LISTENER}, "wrong-usage": {LISTENER}},
    ),
    "self-signed": Case([SELF_CLIENT], "self-signed", {"self-signed": {LISTENER}}),
    "of an unknown CA": Case(
        [forge("Stranger", *CA).issue("c", *CLIENT)], "unable to get", {"unknown-ca": {LISTENER}}
    ),
    "of a CA with the same name": Case(
        [OTHER_ROOT.issue("c", *CLIENT)], "unable to get", {"same-name-ca": {LISTENER}}
    ),
    "without its intermediate": Case(
        [SUB.issue("c", *CLIENT)],
        "unable to get",
        {"missing-intermediate": {LISTENER}},
        known=[SUB],
    ),
    "RSA 1024": Case(
        [ROOT.issue("c", *CLIENT, key=RSA_1024)], "too weak", {"weak-key": {LISTENER}}
    ),
    "its issuer's name, and no identifier": Case(
        [ROOT.issue("Root", *CLIENT, identifiers=False)],
        "self-signed certificate",
        {"issuer-has-same-name": {LISTENER}},
    ),
}


def said(verdicts: Sequence[Verdict]) -> Refusals:
    return {verdict.code: verdict.refused_by for verdict in verdicts}


@pytest.mark.parametrize("case", SERVERS.values(), ids=SERVERS.keys())
def test_servers_are_refused_as_openssl_refuses_them_and_for_its_reason(
    case: Case, tmp_path: Path
) -> None:
    leaf, *chain = case.chain()
    trusted = certificates(case.trusted)
    options = ("-partial_chain", "-purpose", "sslserver", "-verify_hostname", NAME)
    judged = verify(tmp_path, leaf, chain, trusted, *options)
    assert case.openssl in judged
    verdicts = check.verify_server(
        [leaf, *chain], pem(*trusted), NAME, AT, certificates(case.known)
    )
    assert said(verdicts) == case.reasons
    assert any(CURL in verdict.refused_by for verdict in verdicts) is bool(judged)


@pytest.mark.parametrize("case", CLIENT_CASES.values(), ids=CLIENT_CASES.keys())
def test_clients_are_refused_as_openssl_refuses_them_and_for_its_reason(
    case: Case, tmp_path: Path
) -> None:
    leaf, *chain = case.chain()
    trusted = certificates(case.trusted)
    judged = verify(tmp_path, leaf, chain, trusted, "-partial_chain", "-purpose", "sslclient")
    assert case.openssl in judged
    verdicts = check.verify_client(leaf, chain, pem(*trusted), AT, certificates(case.known))
    assert said(verdicts) == case.reasons
    assert bool(verdicts) is bool(judged)


def test_ed25519_clients_are_refused_for_what_the_vendor_offers_not_by_openssl() -> None:
    """The vendor's cipher suites are for RSA and ECDSA (reference of its TLS policies)."""
    client = ROOT.issue("c", *CLIENT, key=ED25519).certificate
    verdicts = check.verify_client(client, [], pem(ROOT.certificate), AT)
    assert said(verdicts) == {"unsupported-key": {LISTENER}}


def test_addresses_are_looked_for_among_addresses_only(tmp_path: Path) -> None:
    from ipaddress import ip_address

    as_address = (x509.SubjectAlternativeName([x509.IPAddress(ip_address("192.0.2.1"))]), False)
    for extension, accepted in ((as_address, True), (san("192.0.2.1"), False)):
        server = ROOT.issue("s", extension, FOR_SERVER).certificate
        options = ("-purpose", "sslserver", "-verify_ip", "192.0.2.1")
        judged = verify(tmp_path, server, [], [ROOT.certificate], *options)
        assert judged == "" if accepted else "IP address mismatch" in judged
        reasons = said(check.verify_server([server], pem(ROOT.certificate), "192.0.2.1", AT))
        assert reasons == ({} if accepted else {"address-as-domain": ALL, "name-mismatch": ALL})


def test_a_valid_way_is_found_beside_an_expired_one() -> None:
    """Two certificates of one CA key, as after a renewal; the old one expired."""
    old = ROOT.issue("Sub", *CA, key=SUB.key, life=DAY / 2)
    server = SUB.issue("s", *SERVER).certificate
    for sent in ([old, SUB], [SUB, old]):
        chain = [server, *certificates(sent)]
        assert check.verify_server(chain, pem(ROOT.certificate), NAME, AT) == ()


def test_cas_that_certify_each_other_end() -> None:
    first = forge("First", *CA)
    second = forge("Second", *CA)
    crossed = [
        first.issue("Second", *CA, key=second.key),
        second.issue("First", *CA, key=first.key),
    ]
    chain = certificates([first.issue("s", *SERVER), *crossed])
    reasons = said(check.verify_server(chain, pem(ROOT.certificate), NAME, AT))
    assert reasons == {"same-name-ca": ALL} or reasons == {"unknown-ca": ALL}


def test_words_name_the_certificate_and_the_date() -> None:
    case = SERVERS["expired"]
    (verdict,) = check.verify_server(case.chain(), pem(ROOT.certificate), NAME, AT)
    assert "CN=s" in verdict.what
    assert str((NOW - DAY / 2).date()) in verdict.what
    assert verdict.remedy


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_a_problem(data: bytes) -> None:
    for content in (data, b"-----BEGIN CERTIFICATE-----\n" + data):
        with pytest.raises(Problem, match=r"pki\.certificate-unreadable"):
            check.chain_of(content)


def test_a_key_matches_its_certificate_and_no_other() -> None:
    assert isinstance(SUB.key, ec.EllipticCurvePrivateKey)
    chain = pem(SUB.issue("s", *SERVER, key=SUB.key).certificate, SUB.certificate)
    check.match(chain, keys.key_pem(SUB.key))
    for other in (keys.new_key(), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(Problem, match=r"pki\.key-mismatch"):
            check.match(chain, keys.key_pem(other))


@given(st.permutations(["leaf", "sub", "root", "stranger"]))
def test_a_chain_is_put_in_order_without_what_does_not_belong(order: list[str]) -> None:
    made = {"leaf": LEAF, "sub": SUB, "root": ROOT, "stranger": OTHER_ROOT}
    if order.index("stranger") < order.index("leaf"):
        order.remove("stranger")
    data = pem(*(made[name].certificate for name in order))
    assert list(check.chain_of(data)) == certificates([LEAF, SUB, ROOT])


LEAF = SUB.issue("s", *SERVER)


def test_the_first_of_several_leaves_is_the_leaf() -> None:
    other = SUB.issue("t", *SERVER)
    data = pem(*certificates([other, LEAF, SUB]))
    assert list(check.chain_of(data)) == certificates([other, SUB])


def test_der_is_read_too_and_the_fingerprint_is_openssls() -> None:
    der = openssl("x509", "-outform", "DER", give=pem(ROOT.certificate))
    (root,) = check.chain_of(der)
    printed = openssl("x509", "-noout", "-fingerprint", "-sha256", give=pem(root)).decode()
    assert printed.strip().rpartition("=")[2].replace(":", "") == check.fingerprint_sha256(root)


def test_roles_are_words_for_json() -> None:
    assert [role.value for role in Role] == ["ca", "server", "client"]
