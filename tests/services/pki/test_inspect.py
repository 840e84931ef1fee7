"""What is said of files, against what the programs that read such files do."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from services.pki import issue, keys, pkcs12
from services.pki.contents import Kind, Pkcs12Facts, PrivateKeyFacts
from services.pki.facts import CertificateFacts, RequestFacts
from services.pki.inspect import Finding, fine, inspect
from services.pki.issue import Subject
from services.pki.pkcs12 import Profile
from services.pki.sources import Source, gather
from services.pki.verdict import Severity, Verifier
from services.problem import Problem
from tests.programs import program
from tests.services.pki.forge import (
    CA,
    CLIENT,
    DAY,
    FOR_CLIENT,
    FOR_SERVER,
    NOW,
    SERVER,
    SIGNS,
    Holder,
    by_openssl,
    constraints,
    forge,
    purposes,
    san,
    usage,
)
from tests.services.pki.judges import openssl, pem, verify

PASSWORD = "pass1234"
BROWSER, APPLE, CURL, LISTENER, CAS = Verifier

ROOT = forge("Root", *CA, life=3650 * DAY)
SUB = ROOT.issue("Sub", *CA, life=1000 * DAY)
LEAF = SUB.issue("www.example.com", *SERVER)
CERTIFICATE_DER = LEAF.certificate.public_bytes(Encoding.DER)
CODE_SIGNING = purposes(ExtendedKeyUsageOID.CODE_SIGNING)


def key_pem(holder: Holder) -> bytes:
    return holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def look(*files: bytes, password: str = "", names: Sequence[str] = ()) -> tuple[Finding, ...]:
    named = names or [f"file-{number}" for number, _ in enumerate(files)]
    sources = [Source(name, data) for name, data in zip(named, files, strict=True)]
    return inspect(sources, NOW, password.encode() or None)


def codes(finding: Finding) -> list[str]:
    return [verdict.code for verdict in finding.verdicts]


def refusers(finding: Finding, code: str) -> set[Verifier]:
    return {
        verifier
        for verdict in finding.verdicts
        if verdict.code == code
        for verifier in verdict.refused_by
    }


# What this program makes


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session's folder, as the steps fill it."""
    folder = tmp_path_factory.mktemp("pki")
    ca_key, key = keys.new_key(), keys.new_key()
    ca = issue.make_ca(Subject("Example CA"), ca_key, 3650, NOW)
    server = issue.make_server(["www.example.com"], key, ca, ca_key, 398, NOW)
    client = issue.make_client("alice", key, ca, ca_key, 30, NOW)
    for name, data in (
        ("ca.crt", pem(ca)), ("ca.key", keys.key_pem(ca_key)),
        ("server.crt", pem(server)), ("server.key", keys.key_pem(key)),
        ("client.crt", pem(client)), ("client.key", keys.key_pem(key)),
        ("client.p12", pkcs12.bundle("alice", key, client, [ca], PASSWORD)),
    ):  # fmt: skip
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    return folder


def test_nothing_is_held_against_what_this_program_makes(session: Path) -> None:
    findings = inspect(gather([session]), NOW, PASSWORD.encode())
    assert [Path(each.file).name for each in findings] == [
        "ca.crt", "ca.key", "client.crt", "client.key", *["client.p12"] * 4, "server.crt",
        "server.key",
    ]  # fmt: skip
    assert {code for each in findings for code in codes(each)} == {"pkcs12-modern"}
    assert fine(findings)


def test_json_says_all_and_nothing_secret(session: Path) -> None:
    findings = inspect(gather([session]), NOW, PASSWORD.encode())
    text = json.dumps([each.to_map(NOW) for each in findings]) + repr(findings)
    for file in session.glob("*.key"):
        body = "".join(file.read_text().splitlines()[1:-1])
        scalar = keys.load_key(file.read_bytes()).private_numbers()
        assert body[:40] not in text
        assert str(getattr(scalar, "private_value", "?")) not in text
    assert PASSWORD not in text
    server = next(each for each in findings if each.file.endswith("server.crt"))
    said = json.loads(json.dumps(server.to_map(NOW)))
    printed = openssl(
        "x509", "-noout", "-serial", "-fingerprint", "-sha256", "-in", server.file
    ).decode()
    assert f"serial={said['serial']}\n" in printed
    assert printed.rpartition("=")[2].strip().replace(":", "") == said["sha256"]
    assert said["names"] == ["www.example.com"]
    assert said["extended_key_usage"] == ["serverAuth"]
    assert said["public_key"]["name"] == "EC P-256"
    assert said["days_left"] == 397
    assert {Path(file).name for file in said["belongs_to"]} == {
        "server.key", "client.key", "client.p12",
    }  # fmt: skip


def test_a_source_does_not_show_its_bytes() -> None:
    assert repr(Source("client.key", b"secret")) == "Source('client.key')"


# The vendor's tutorial


def test_the_tutorials_certificates_are_refused_where_they_really_are(tmp_path: Path) -> None:
    """Step 2 of the tutorial, with the mistakes that it makes (and a shorter key)."""
    folder = tmp_path
    subject = "/C=cn/ST=bj/L=bj/O=alibaba/OU=test/CN=www.example.com/emailAddress=a.alibaba.com"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=root", "-days", "3650",
            "-keyout", folder / "root.key", "-out", folder / "root.crt")  # fmt: skip
    openssl("genrsa", "-out", folder / "server.key", "2048")
    openssl("req", "-new", "-out", folder / "server.csr", "-key", folder / "server.key",
            "-subj", subject)  # fmt: skip
    sign = ["x509", "-req", "-in", folder / "server.csr", "-out", folder / "server.crt",
            "-CA", folder / "root.crt", "-CAkey", folder / "root.key", "-CAcreateserial",
            "-days", "3650"]  # fmt: skip
    with pytest.raises(AssertionError, match="Cannot use both"):
        openssl(*map(str, sign), "-signkey", folder / "server.key")
    openssl(*map(str, sign))
    sources = gather([folder])
    ca, request, server = (
        next(each for each in inspect(sources, NOW + DAY) if each.file.endswith(name))
        for name in ("root.crt", "server.csr", "server.crt")
    )
    assert set(codes(server)) == {
        "no-san", "no-extended-key-usage", "longer-than-825-days", "version-1",
    }  # fmt: skip
    assert refusers(server, "no-san") == {BROWSER, APPLE}
    assert refusers(server, "longer-than-825-days") == {APPLE}
    assert isinstance(server.holds, CertificateFacts)
    assert server.holds.version == 1
    assert "emailAddress=a.alibaba.com" in server.holds.subject
    assert [Path(file).name for file in server.belongs_to] == ["server.key"]
    assert [verdict.severity for verdict in ca.verdicts] == [Severity.WARNING]
    assert isinstance(request.holds, RequestFacts)
    assert request.holds.valid


# One certificate


@pytest.mark.parametrize(
    ("name", "extensions", "expected"),
    [
        ("alice", CLIENT, set()),
        ("alice", (), set()),
        ("www.example.com", (), {"no-san", "no-extended-key-usage"}),
        ("192.0.2.1", (), {"no-san", "no-extended-key-usage"}),
        ("s", (san("www.example.com"),), {"no-extended-key-usage"}),
        ("s", (san("www.example.com"), CODE_SIGNING), {"no-tls-usage"}),
        ("s", (san("www.example.com"), FOR_CLIENT), set()),
        ("s", (FOR_SERVER,), {"no-san"}),
        ("s", (san("192.0.2.1"), FOR_SERVER), {"address-as-domain"}),
        ("s", (san("a.example"), FOR_SERVER, usage("key_encipherment")), {"no-digital-signature"}),
        ("CA", (constraints(True), SIGNS, FOR_CLIENT), {"ca-restricted"}),
        ("CA", (constraints(True), usage("crl_sign")), {"issuer-without-cert-sign"}),
    ],
)
def test_a_certificate_is_judged_by_what_it_may_be_for(
    name: str, extensions: tuple[tuple[x509.ExtensionType, bool], ...], expected: set[str]
) -> None:
    made = ROOT.issue(name, *extensions).certificate
    (finding,) = look(pem(made))
    assert set(codes(finding)) - {"issuer-not-here"} == expected


@pytest.mark.parametrize(
    ("life", "passed", "soon"),
    [(90 * DAY, 59 * DAY, False), (90 * DAY, 61 * DAY, True), (30 * DAY, 0 * DAY, False),
     (30 * DAY, 21 * DAY, True), (900 * DAY, 860 * DAY, False), (900 * DAY, 871 * DAY, True)],
)  # fmt: skip
def test_an_end_that_is_near_is_told_in_time(
    life: timedelta, passed: timedelta, soon: bool
) -> None:
    made = ROOT.issue("c", *CLIENT, begin=NOW - passed, life=life).certificate
    (finding,) = look(pem(made))
    assert ("expires-soon" in codes(finding)) is soon


@given(st.timedeltas(timedelta(days=-900), timedelta(days=900)))
def test_days_left_are_whole_days(left: timedelta) -> None:
    (finding,) = inspect([Source("file", pem(ROOT.certificate))], NOW)
    assert isinstance(finding.holds, CertificateFacts)
    days = finding.holds.days_left(finding.holds.not_after - left)
    assert timedelta(days=days) <= left < timedelta(days=days + 1)


LACKING = {
    "nothing": (CA, {}),
    "critical constraints": (
        ((x509.BasicConstraints(True, None), False), SIGNS), {}
    ),
    "key usage": ((constraints(True),), {}),
    "identifiers": (CA, {"identifiers": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", LACKING)
def test_what_rfc_5280_demands_is_demanded_as_openssl_does_when_strict(
    name: str, tmp_path: Path
) -> None:
    extensions, options = LACKING[name]
    ca = forge("CA", *extensions, **options)  # type: ignore[arg-type]
    leaf = ca.issue("s", *SERVER)
    judged = verify(tmp_path, leaf.certificate, [], [ca.certificate], "-x509_strict")
    (finding,) = look(pem(ca.certificate))
    assert ("not-strict" in codes(finding)) is bool(judged)
    without = ROOT.issue("c", *CLIENT, identifiers=False)
    judged = verify(tmp_path, without.certificate, [], [ROOT.certificate], "-x509_strict")
    assert "Missing Authority Key Identifier" in judged
    assert "not-strict" in codes(look(pem(without.certificate))[0])


@pytest.mark.parametrize(
    ("serial", "told"),
    [("1", False), ("0x" + "7f" * 20, False), ("0x" + "7f" * 21, True), ("0", True), ("-5", True)],
)
def test_serial_numbers_that_rfc_5280_forbids_are_read_and_told(serial: str, told: bool) -> None:
    made = by_openssl(ROOT, "c", serial=serial).certificate
    (finding,) = look(pem(made))
    assert ("bad-serial" in codes(finding)) is told


def test_names_cannot_steer_the_terminal() -> None:
    made = ROOT.issue("\x1b[2Jgone", *CLIENT).certificate
    (finding,) = look(pem(made))
    assert isinstance(finding.holds, CertificateFacts)
    assert finding.holds.subject == r"CN=\x1b[2Jgone"
    assert all(verdict.what.isprintable() for verdict in finding.verdicts)


def test_damaged_extensions_are_told() -> None:
    der = LEAF.certificate.public_bytes(Encoding.DER)
    # Another object identifier for the basic constraints makes two of the key usages.
    twice = der.replace(b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x0f")
    assert twice != der
    assert "damaged" in codes(look(twice)[0])


def test_addresses_and_other_names_are_listed() -> None:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("a.example"),
            x509.IPAddress(ip_address("2001:db8::1")),
            x509.RFC822Name("a@example.com"),
            x509.UniformResourceIdentifier("https://a.example/"),
            x509.DirectoryName(ROOT.certificate.subject),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        ]
    )
    (finding,) = look(pem(ROOT.issue("s", (names, False)).certificate))
    assert finding.to_map(NOW)["names"] == [
        "a.example", "2001:db8::1", "email:a@example.com", "URI:https://a.example/",
        "dirName:CN=Root", "RegisteredID",
    ]  # fmt: skip


# Keys


def test_keys_and_certificates_find_each_other() -> None:
    other = ROOT.issue("c", *CLIENT)
    found = look(pem(LEAF.certificate), key_pem(LEAF), pem(other.certificate), key_pem(other))
    assert [each.belongs_to for each in found] == [
        ("file-1",), ("file-0",), ("file-3",), ("file-2",)
    ]  # fmt: skip


def test_a_key_beside_a_certificate_of_another_key_is_a_mismatch_as_openssl_says(
    tmp_path: Path,
) -> None:
    certificate, key = look(pem(LEAF.certificate), key_pem(SUB))
    assert refusers(key, "key-mismatch") == {CURL, CAS}
    assert key.belongs_to == certificate.belongs_to == ()
    (tmp_path / "crt").write_bytes(pem(LEAF.certificate))
    (tmp_path / "key").write_bytes(key_pem(SUB))
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        ssl.create_default_context().load_cert_chain(tmp_path / "crt", tmp_path / "key")


def test_a_stray_key_is_a_mismatch_only_where_it_is_meant_for_a_certificate() -> None:
    assert codes(look(key_pem(LEAF))[0]) == ["key-alone"]
    assert codes(look(pem(ROOT.certificate), key_pem(LEAF))[1]) == ["key-alone"]
    client = ROOT.issue("c", *CLIENT)
    files = (pem(LEAF.certificate), pem(client.certificate), key_pem(SUB))
    assert codes(look(*files)[2]) == ["key-alone"]
    same_name = look(*files, names=["server.crt", "client.crt", "client.key"])
    assert same_name[2].verdicts[0].facts["file"] == "client.crt"
    complete = (pem(LEAF.certificate), key_pem(LEAF), key_pem(SUB))
    assert codes(look(*complete)[2]) == ["key-alone"]


@pytest.mark.parametrize("form", ["-topk8", "-traditional"])
def test_an_encrypted_key_opens_with_its_password_only(form: str) -> None:
    command = ["pkcs8", "-topk8"] if form == "-topk8" else ["ec", "-aes128"]
    key = openssl(*command, "-passout", f"pass:{PASSWORD}", give=key_pem(LEAF))
    for password, expected in (
        ("", ["password-needed"]), ("another", ["wrong-password"]), (PASSWORD, ["key-encrypted"])
    ):  # fmt: skip
        certificate, finding = look(pem(LEAF.certificate), key, password=password)
        assert codes(finding) == expected
        assert isinstance(finding.holds, PrivateKeyFacts)
        assert finding.holds.encrypted
        assert bool(certificate.belongs_to) is (password == PASSWORD)


def test_keys_of_all_kinds_are_named() -> None:
    for algorithm, name in (("ED25519", "Ed25519"), ("X25519", "X25519"), ("DH", "DH")):
        options = ["-pkeyopt", "group:ffdhe2048"] if algorithm == "DH" else []
        (finding,) = look(openssl("genpkey", "-algorithm", algorithm, *options))
        assert isinstance(finding.holds, PrivateKeyFacts)
        assert finding.holds.key is not None
        assert finding.holds.key.name == name


def test_a_certificate_with_a_key_that_cannot_be_read_is_told() -> None:
    curve = b"\x2a\x86\x48\xce\x3d\x03\x01\x07"
    der = CERTIFICATE_DER.replace(curve, curve[:-1] + b"\x7f")
    assert "damaged" in codes(look(der)[0])
    assert look(der)[0].to_map(NOW)["public_key"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_file_in_a_folder_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    # A file that not even the superuser can read from its beginning.
    (tmp_path / "a.key").symlink_to("/proc/self/mem")
    (tmp_path / "b.crt").write_bytes(PEM)
    assert [Path(source.name).name for source in gather([tmp_path])] == ["b.crt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_a_key_that_others_may_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "client.key"
    path.write_bytes(key_pem(LEAF))
    for mode, told in ((0o600, False), (0o400, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        (finding,) = inspect(gather([path]), NOW)
        assert ("key-open-to-others" in codes(finding)) is told


# Chains


def test_a_chain_with_all_its_parts_is_fine() -> None:
    for files in (
        (pem(LEAF.certificate, SUB.certificate), pem(ROOT.certificate)),
        (pem(LEAF.certificate, SUB.certificate, ROOT.certificate),),
    ):
        found = look(*files)
        assert fine(found)
        assert not {"issuer-not-here", "intermediate-elsewhere"} & set(codes(found[0]))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([[LEAF]], ["issuer-not-here"]),
        ([[LEAF, SUB]], ["issuer-not-here"]),
        ([[LEAF], [SUB], [ROOT]], ["intermediate-elsewhere"]),
        ([[LEAF, SUB], [ROOT]], []),
        ([[LEAF, SUB, ROOT]], ["chain-has-root"]),
        ([[LEAF, ROOT, SUB]], ["chain-order", "chain-has-root"]),
        ([[SUB, LEAF], [ROOT]], ["leaf-not-first"]),
        ([[LEAF, SUB, forge("Other", *CA)], [ROOT]], ["chain-stranger"]),
        ([[LEAF, SUB], [forge("Root", *CA)]], ["same-name-ca"]),
        ([[LEAF, ROOT.issue("Sub", *CA)], [ROOT]], ["same-name-ca", "chain-stranger"]),
    ],
)
def test_a_file_is_judged_as_the_chain_that_it_will_be_sent_as(
    files: list[list[Holder]], expected: list[str]
) -> None:
    found = look(*(pem(*(each.certificate for each in file)) for file in files))
    leaf = next(
        each
        for each in found
        if isinstance(each.holds, CertificateFacts) and "www" in each.holds.subject
    )
    assert codes(leaf) == expected


def test_what_is_wrong_higher_up_is_told_of_the_leaf() -> None:
    sub = ROOT.issue("Sub", *CA, life=DAY / 2)
    leaf = sub.issue("s", *SERVER)
    found = look(pem(leaf.certificate, sub.certificate), pem(ROOT.certificate))
    assert codes(found[0]) == ["expired"]
    assert found[0].verdicts[0].facts["subject"] == "CN=Sub"
    assert codes(found[1]) == ["expired"]
    assert not fine(found)


def test_two_leaves_in_a_file_are_no_chain() -> None:
    other = SUB.issue("t", *SERVER)
    found = look(pem(LEAF.certificate, other.certificate, SUB.certificate), pem(ROOT.certificate))
    assert codes(found[0]) == codes(found[1]) == []


# PKCS#12


@pytest.mark.parametrize("profile", list(Profile))
def test_a_pkcs12_file_is_opened_and_what_it_holds_follows(profile: Profile) -> None:
    assert isinstance(LEAF.key, type(keys.new_key()))
    data = pkcs12.bundle("me", LEAF.key, LEAF.certificate, [SUB.certificate], PASSWORD, profile)
    found = look(data, password=PASSWORD)
    assert [(each.kind, each.position) for each in found] == [
        (Kind.PKCS12, 1), (Kind.PRIVATE_KEY, 2), (Kind.CERTIFICATE, 3), (Kind.CERTIFICATE, 4)
    ]  # fmt: skip
    assert codes(found[0]) == [f"pkcs12-{profile}"]
    assert isinstance(found[0].holds, Pkcs12Facts)
    assert found[0].holds.name == "me"
    assert found[0].to_map(NOW)["profile"] == profile.value
    for password, code in (("", "password-needed"), ("another", "wrong-password")):
        (closed,) = look(data, password=password)
        assert codes(closed) == [code, f"pkcs12-{profile}"]


@pytest.mark.parametrize(
    ("options", "password", "expected"),
    [
        (("-nokeys", "-passout", f"pass:{PASSWORD}"), PASSWORD, {"pkcs12-no-key"}),
        (("-nomac", "-passout", f"pass:{PASSWORD}"), PASSWORD, {"pkcs12-no-mac"}),
        (("-passout", "pass:"), "", {"pkcs12-no-password"}),
        (("-passout", "pass:"), PASSWORD, {"pkcs12-no-password"}),
        (("-legacy", "-passout", f"pass:{PASSWORD}"), PASSWORD, {"pkcs12-outdated"}),
    ],
)
def test_odd_pkcs12_files_of_openssl_are_told(
    options: tuple[str, ...], password: str, expected: set[str]
) -> None:
    data = openssl("pkcs12", "-export", *options, give=key_pem(LEAF) + pem(LEAF.certificate))
    assert set(codes(look(data, password=password)[0])) - {"pkcs12-modern"} == expected


# Forms


def test_every_form_of_a_certificate_is_read() -> None:
    der = LEAF.certificate.public_bytes(Encoding.DER)
    for data in (
        der,
        pem(LEAF.certificate),
        pem(LEAF.certificate).replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        serialize_certificates([LEAF.certificate], Encoding.PEM),
        serialize_certificates([LEAF.certificate], Encoding.DER),
        b"subject=/CN=s\nissuer=/CN=t\n" + pem(LEAF.certificate) + b"more text\n",
    ):
        (finding,) = look(data)
        assert isinstance(finding.holds, CertificateFacts)
        assert finding.holds.subject == "CN=www.example.com"
        assert codes(finding) == ["issuer-not-here"]


PEM = pem(LEAF.certificate)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (PEM.replace(b"\n", b"\r\n"), None),
        (b"\xef\xbb\xbf" + PEM, None),
        (PEM.rstrip(), None),
        (b"text\n" + PEM.replace(b"-----\n", b"-----  \n"), None),
        (PEM.replace(b"\n", b""), "pem-line-breaks"),
        (PEM.replace(b"\n", b" "), "pem-line-breaks"),
        (PEM.replace(b"\n", b"\\n"), "pem-line-breaks"),
        (b"  " + PEM.replace(b"\n", b"\n  "), "pem-line-breaks"),
        (b'"' + PEM, "pem-line-breaks"),
        (PEM.decode().encode("utf-16"), "pem-encoding"),
    ],
)
def test_flaws_of_form_are_told_where_openssl_sees_no_certificate(
    data: bytes, code: str | None
) -> None:
    (finding,) = look(data)
    assert isinstance(finding.holds, CertificateFacts)
    assert codes(finding) == ([code] if code else []) + ["issuer-not-here"]
    ran = subprocess.run(
        [program("openssl"), "x509", "-noout"], input=data, capture_output=True, check=False
    )
    assert (ran.returncode == 0) is (code is None)


@pytest.mark.parametrize(
    "data",
    [
        PEM[:-200],
        PEM.replace(PEM[100:110], b"!!!!!!!!!!"),
        PEM.replace(b"CERTIFICATE", b"PRIVATE KEY"),
        PEM.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST"),
        PEM.replace(b"CERTIFICATE", b"PKCS7"),
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"0\x03\x02\x01\x05")
        + b"\n-----END CERTIFICATE-----\n",
    ],
)  # fmt: skip
def test_a_damaged_block_is_told_and_the_rest_is_read(data: bytes) -> None:
    found = look(data + b"\n" + pem(SUB.certificate))
    assert [each.kind for each in found] == [Kind.DAMAGED, Kind.CERTIFICATE]
    assert codes(found[0]) == ["damaged-block"]


def test_other_blocks_are_named_and_left_alone() -> None:
    public = openssl("pkey", "-pubout", give=key_pem(LEAF))
    (finding,) = look(public)
    assert finding.kind is Kind.OTHER
    assert finding.to_map(NOW)["label"] == "PUBLIC KEY"
    assert fine([finding])
    with_parameters = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert [each.kind for each in look(with_parameters)] == [Kind.PRIVATE_KEY]


def test_a_request_is_read_and_its_signature_checked() -> None:
    request = issue.make_csr(Subject("alice"), keys.new_key(), ["a.example"])
    (finding,) = look(request)
    said = finding.to_map(NOW)
    assert (said["subject"], said["names"]) == ("CN=alice", ["a.example"])
    assert (said["signature_valid"], codes(finding)) == (True, [])
    der = bytearray(openssl("req", "-outform", "DER", give=request))
    der[-1] ^= 1
    assert codes(look(bytes(der))[0]) == ["request-signature"]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_failing(data: bytes) -> None:
    for tried in (data, b"0" + data, PEM[:60] + data + PEM[60:]):
        for finding in look(tried, password=PASSWORD):
            finding.to_map(NOW)


@given(st.integers(0, len(CERTIFICATE_DER) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_certificate_is_read_without_failing(place: int, change: bytes) -> None:
    damaged = CERTIFICATE_DER[:place] + change + CERTIFICATE_DER[place + len(change) :]
    for finding in look(damaged, pem(SUB.certificate, ROOT.certificate)):
        finding.to_map(NOW)


def test_a_chain_of_other_algorithms_is_read() -> None:
    root = forge("Ed", *CA, key=ed25519.Ed25519PrivateKey.generate())
    found = look(pem(root.issue("s", *SERVER).certificate, root.certificate))
    assert refusers(found[0], "unsupported-key") == {BROWSER, APPLE}
    assert refusers(found[1], "unsupported-key") == {BROWSER, APPLE, LISTENER}
    assert found[1].to_map(NOW)["signature_hash"] == "none"


@pytest.mark.parametrize(
    ("key", "name", "code"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "EC secp256k1", "unsupported-key"),
        (ec.generate_private_key(ec.SECP192R1()), "EC secp192r1", "weak-key"),
        (rsa.generate_private_key(65537, 1024), "RSA 1024", "weak-key"),
        (dsa.generate_private_key(1024), "DSA 1024", "unsupported-key"),
    ],
)
def test_keys_that_tls_cannot_use_are_told_of_their_certificates(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey, name: str, code: str
) -> None:
    (finding,) = look(pem(ROOT.issue("c", *CLIENT, key=key).certificate))
    assert refusers(finding, code) == {LISTENER}
    assert isinstance(finding.holds, CertificateFacts)
    assert finding.holds.key is not None
    assert finding.holds.key.name == name


# Files


def test_folders_are_read_by_name_and_what_is_nothing_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "ca.crt").write_bytes(pem(ROOT.certificate))
    (tmp_path / "a.pem").write_bytes(PEM)
    (tmp_path / "notes.txt").write_text("0 is where a sequence begins in DER")
    (tmp_path / "large").write_bytes(b"-----BEGIN " + bytes(1 << 20))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    found = inspect(gather([tmp_path]), NOW)
    assert [Path(each.file).name for each in found] == ["a.pem", "ca.crt"]
    (named,) = inspect(gather([tmp_path / "notes.txt"]), NOW)
    assert codes(named) == ["nothing-found"]


def test_files_that_cannot_be_inspected_are_problems(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"disk\.cannot-read"):
        gather([tmp_path / "missing"])
    with pytest.raises(Problem, match=r"pki\.nothing-found"):
        gather([tmp_path])
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(Problem, match=r"disk\.too-large"):
        gather([tmp_path / "large"])


def test_a_folder_of_too_many_files_is_a_problem(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / str(number)).write_bytes(PEM)
    with pytest.raises(Problem, match=r"pki\.too-many-files"):
        gather([tmp_path])


def test_every_verdict_is_in_words(tmp_path: Path) -> None:
    found = look(pem(forge("self", *SERVER, life=DAY / 2).certificate), key_pem(SUB))
    said = [verdict for each in found for verdict in each.verdicts]
    assert {verdict.code for verdict in said} == {"expired", "self-signed", "key-mismatch"}
    for verdict in said:
        mapped = verdict.to_map()
        assert mapped["what"]
        assert mapped["remedy"]
        assert mapped["refused_by"] == sorted(mapped["refused_by"])  # type: ignore[call-overload]
