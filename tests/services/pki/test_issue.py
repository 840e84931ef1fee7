"""What is issued, as OpenSSL, GnuTLS and NSS read it, and as RFC 5280 demands it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from services.pki import issue, keys
from services.pki.issue import Subject
from services.pki.keys import KeyKind
from services.problem import Problem
from tests.programs import program
from tests.services.pki.forge import forge
from tests.services.pki.judges import openssl, outcome, pem, verify

NOW = datetime.now(UTC)
CA_KEY = keys.new_key()
CA = issue.make_ca(Subject("Example CA", organization="Example"), CA_KEY, 3650, NOW)
KEY = keys.new_key()
NAMES = ("www.example.com", "*.example.com", "nlb-7f2k.cn-hangzhou.nlb.aliyuncsslb.com")
SERVER = issue.make_server([*NAMES, "192.0.2.1", "2001:db8::1"], KEY, CA, CA_KEY, 90, NOW)
CLIENT = issue.make_client("alice@example.com", KEY, CA, CA_KEY, 30, NOW)

moments = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def test_openssl_accepts_the_server_for_each_of_its_names(tmp_path: Path) -> None:
    purpose = ("-x509_strict", "-purpose", "sslserver")
    for name in (*NAMES[::2], "other.example.com"):
        assert verify(tmp_path, SERVER, [], [CA], *purpose, "-verify_hostname", name) == ""
    for address in ("192.0.2.1", "2001:db8::1"):
        assert verify(tmp_path, SERVER, [], [CA], *purpose, "-verify_ip", address) == ""
    stranger = ("-verify_hostname", "example.org")
    assert "hostname mismatch" in verify(tmp_path, SERVER, [], [CA], *purpose, *stranger)


def test_openssl_accepts_each_certificate_for_its_own_purpose_only(tmp_path: Path) -> None:
    for leaf, purpose in ((SERVER, "sslserver"), (CLIENT, "sslclient")):
        for asked in ("sslserver", "sslclient"):
            said = verify(tmp_path, leaf, [], [CA], "-x509_strict", "-purpose", asked)
            assert ("purpose" in said) is (asked != purpose)
    assert verify(tmp_path, CLIENT, [], [CA], "-verify_email", "alice@example.com") == ""


def test_gnutls_accepts_server_and_client(tmp_path: Path) -> None:
    certtool = program("certtool")
    (tmp_path / "ca").write_bytes(pem(CA))
    for leaf, purpose in ((SERVER, "1.3.6.1.5.5.7.3.1"), (CLIENT, "1.3.6.1.5.5.7.3.2")):
        command = [certtool, "--verify", "--load-ca-certificate", str(tmp_path / "ca")]
        command += ["--verify-purpose", purpose, "--verify-profile", "high"]
        if leaf is SERVER:
            command += ["--verify-hostname", "www.example.com"]
        ran = subprocess.run(command, input=pem(leaf), capture_output=True, check=False)
        assert b"The certificate is trusted." in ran.stdout


def test_nss_accepts_server_and_client(tmp_path: Path) -> None:
    certutil = [program("certutil"), "-d", f"sql:{tmp_path}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    for name, certificate, trust in (("ca", CA, "CT,,"), ("s", SERVER, ",,"), ("c", CLIENT, ",,")):
        subprocess.run(
            [*certutil, "-A", "-a", "-n", name, "-t", trust], input=pem(certificate), check=True
        )
    for name, usage in (("s", "V"), ("c", "C")):
        ran = subprocess.run(
            [*certutil, "-V", "-e", "-n", name, "-u", usage], capture_output=True, check=False
        )
        assert b"certificate is valid" in ran.stdout


def test_the_library_accepts_the_server_by_the_web_profile() -> None:
    from cryptography.x509.verification import PolicyBuilder, Store

    policy = PolicyBuilder().store(Store([CA])).time(NOW)
    policy.build_server_verifier(x509.DNSName("www.example.com")).verify(SERVER, [])
    policy.build_client_verifier().verify(CLIENT, [])


def test_extensions_stand_as_openssl_prints_them() -> None:
    def text(certificate: x509.Certificate) -> str:
        return openssl("x509", "-noout", "-text", give=pem(certificate)).decode()

    ca, server, client = text(CA), text(SERVER), text(CLIENT)
    for printed in (ca, server, client):
        assert "Version: 3 (0x2)" in printed
        assert "Signature Algorithm: ecdsa-with-SHA256" in printed
    assert "Basic Constraints: critical\n                CA:TRUE, pathlen:0" in ca
    assert "Key Usage: critical\n                Certificate Sign, CRL Sign\n" in ca
    for leaf in (server, client):
        assert "Basic Constraints: critical\n                CA:FALSE" in leaf
        assert "Key Usage: critical\n                Digital Signature\n" in leaf
    assert "Extended Key Usage: \n                TLS Web Server Authentication\n" in server
    assert "Extended Key Usage: \n                TLS Web Client Authentication\n" in client
    assert (
        "DNS:www.example.com, DNS:*.example.com, DNS:nlb-7f2k.cn-hangzhou.nlb.aliyuncsslb.com, "
        "IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1\n"
    ) in server
    assert "Subject: CN = www.example.com\n" in server
    assert "email:alice@example.com\n" in client


def test_identifiers_tie_the_leaf_to_its_ca_also_to_one_made_elsewhere() -> None:
    made = openssl(
        "req",
        "-x509",
        "-new",
        "-key",
        "/dev/stdin",
        "-subj",
        "/CN=Elsewhere",
        "-days",
        "9",
        "-addext",
        "subjectKeyIdentifier=01:02:03",
        "-addext",
        "keyUsage=critical,keyCertSign",
        give=keys.key_pem(CA_KEY),
    )
    elsewhere = x509.load_pem_x509_certificate(made)
    later = NOW + timedelta(minutes=5)
    for ca in (CA, elsewhere):
        leaf = issue.make_client("alice", KEY, ca, CA_KEY, 1, later)
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        named = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert named.key_identifier == own.digest


def test_a_ca_without_identifier_is_named_by_the_hash_of_its_key() -> None:
    made = openssl(
        "req", "-x509", "-new", "-key", "/dev/stdin", "-subj", "/CN=Elsewhere", "-days", "9",
        "-addext", "subjectKeyIdentifier=none",
        "-addext", "keyUsage=critical,keyCertSign",
        give=keys.key_pem(CA_KEY),
    )  # fmt: skip
    later = NOW + timedelta(minutes=5)
    leaf = issue.make_client("alice", KEY, x509.load_pem_x509_certificate(made), CA_KEY, 1, later)
    named = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = CA.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert named.key_identifier == own.digest


def test_a_certificate_that_does_not_say_what_it_is_issues_nothing() -> None:
    with pytest.raises(Problem, match=r"pki\.not-a-ca"):
        issue.make_client("a", KEY, forge("plain", key=CA_KEY).certificate, CA_KEY, 1, NOW)


def test_rsa_servers_may_also_encipher() -> None:
    key = keys.new_key(KeyKind.RSA_2048)
    for leaf, enciphers in (
        (issue.make_server(["a.example"], key, CA, CA_KEY, 1, NOW), True),
        (issue.make_client("alice", key, CA, CA_KEY, 1, NOW), False),
    ):
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_encipherment) == (True, enciphers)


@pytest.mark.parametrize(
    ("name", "san"),
    [
        ("alice", None),
        ("www.example.com", None),
        ("李", None),
        ("alice@example.com", "alice@example.com"),
        ("alice@localhost", "alice@localhost"),
        ("a b@example.com", None),
        ("alice@not a domain", None),
        ("李@example.com", None),
        ("alice@", None),
        ("@example.com", None),
    ],
)
def test_only_an_address_becomes_a_client_alternative_name(name: str, san: str | None) -> None:
    leaf = issue.make_client(name, KEY, CA, CA_KEY, 1, NOW)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name
    found = [
        extension.value.get_values_for_type(x509.RFC822Name)
        for extension in leaf.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
    ]
    assert found == ([[san]] if san else [])


def test_the_common_name_is_the_first_that_fits(tmp_path: Path) -> None:
    long = ".".join(["a" * 30] * 3) + ".example"
    for names, common_name in (
        (["192.0.2.1", "B.example"], "b.example"),
        (["192.0.2.1"], "192.0.2.1"),
        ([long, "b.example"], "b.example"),
        ([long], None),
    ):
        leaf = issue.make_server(names, KEY, CA, CA_KEY, 1, NOW)
        found = [attribute.value for attribute in leaf.subject]
        assert found == ([common_name] if common_name else [])
        san = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        assert san.critical is (common_name is None)
        assert verify(tmp_path, leaf, [], [CA], "-x509_strict", "-purpose", "sslserver") == ""


def test_names_are_listed_once() -> None:
    leaf = issue.make_server(["a.example", "A.example.", "a.example"], KEY, CA, CA_KEY, 1, NOW)
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["a.example"]


@given(
    now=moments,
    ca_days=st.integers(1, issue.MAX_CA_DAYS),
    days=st.integers(1, 398),
    later=st.timedeltas(timedelta(0), timedelta(days=8000)),
)
def test_a_leaf_lives_within_its_ca_and_its_limit(
    now: datetime, ca_days: int, days: int, later: timedelta
) -> None:
    ca = issue.make_ca(Subject("CA"), CA_KEY, ca_days, now)
    assert ca.not_valid_before_utc == now.replace(microsecond=0) - timedelta(hours=1)
    then = now + later
    leaf = outcome(lambda: issue.make_client("a", KEY, ca, CA_KEY, days, then))
    if isinstance(leaf, Problem):
        assert leaf.code == "pki.ca-expired"
        assert then.replace(microsecond=0) > ca.not_valid_after_utc
        return
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    assert ca.not_valid_before_utc <= begin <= then.replace(microsecond=0) <= end
    assert end <= ca.not_valid_after_utc
    assert end - begin < timedelta(days=398)
    assert end <= then + timedelta(days=days)
    if end < ca.not_valid_after_utc and days < 398:
        assert end == then.replace(microsecond=0) + timedelta(days=days)


def test_the_clock_zone_does_not_matter() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=8)))
    ca = issue.make_ca(Subject("CA"), CA_KEY, 1, there)
    assert ca.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=1)
    with pytest.raises(ValueError, match="time zone"):
        issue.make_ca(Subject("CA"), CA_KEY, 1, NOW.replace(tzinfo=None))


def test_a_ca_from_the_future_issues_nothing() -> None:
    ca = issue.make_ca(Subject("CA"), CA_KEY, 9, NOW + timedelta(days=1))
    with pytest.raises(Problem, match=r"pki\.ca-not-yet-valid"):
        issue.make_client("a", KEY, ca, CA_KEY, 1, NOW)


def test_serials_are_long_positive_and_never_the_same() -> None:
    made = [issue.make_client("a", KEY, CA, CA_KEY, 1, NOW).serial_number for _ in range(100)]
    assert len(set(made)) == 100
    assert all(0 < serial < 2**159 for serial in made)
    # 100 serials of 159 random bits: all below 2**144 has a chance of 2**-1500.
    assert max(made) > 2**144


@given(days=st.one_of(st.integers(max_value=0), st.integers(min_value=399)))
def test_a_life_outside_the_limits_is_refused(days: int) -> None:
    with pytest.raises(Problem, match=r"pki\.bad-days"):
        issue.make_client("a", KEY, CA, CA_KEY, days, NOW)
    with pytest.raises(Problem, match=r"pki\.bad-days"):
        issue.make_server(["a.example"], KEY, CA, CA_KEY, days, NOW)


def test_ca_and_leaf_never_share_a_subject() -> None:
    ca = issue.make_ca(Subject("a.example"), CA_KEY, 9, NOW, path_length=1)
    with pytest.raises(Problem, match=r"pki\.same-subject"):
        issue.make_client("a.example", KEY, ca, CA_KEY, 1, NOW)
    with pytest.raises(Problem, match=r"pki\.same-subject"):
        issue.make_server(["a.example"], KEY, ca, CA_KEY, 1, NOW)


def test_only_a_ca_with_its_own_key_issues() -> None:
    with pytest.raises(Problem, match=r"pki\.key-mismatch"):
        issue.make_client("a", KEY, CA, KEY, 1, NOW)
    with pytest.raises(Problem, match=r"pki\.not-a-ca"):
        issue.make_client("a", KEY, SERVER, KEY, 1, NOW)


def test_a_server_without_a_name_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        issue.make_server([], KEY, CA, CA_KEY, 1, NOW)


@pytest.mark.parametrize(
    ("subject", "part"),
    [
        (Subject(""), "common_name"),
        (Subject("a" * 65), "common_name"),
        (Subject("CA", organization="x\ny"), "organization"),
        (Subject("CA", unit="李" * 22), "unit"),
        (Subject("CA", locality="a" * 129), "locality"),
        (Subject("CA", country="CHN"), "country"),
        (Subject("CA", country="C1"), "country"),
    ],
)
def test_a_subject_that_does_not_fit_is_refused(subject: Subject, part: str) -> None:
    with pytest.raises(Problem, match=r"pki\.bad-subject") as caught:
        issue.make_csr(subject, KEY)
    assert caught.value.facts["part"] == part


@pytest.mark.parametrize("kind", [KeyKind.EC_P256, KeyKind.RSA_2048])
def test_openssl_reads_the_request(kind: KeyKind) -> None:
    subject = Subject("www.example.com", "Example", "Web", "Hangzhou", "Zhejiang", "cn")
    request = issue.make_csr(subject, keys.new_key(kind), ["www.example.com", "192.0.2.1"])
    text = openssl("req", "-verify", "-noout", "-text", give=request).decode()
    assert (
        "Subject: C = CN, ST = Zhejiang, L = Hangzhou, O = Example, OU = Web, "
        "CN = www.example.com\n"
    ) in text
    assert "DNS:www.example.com, IP Address:192.0.2.1\n" in text


def test_a_certificate_can_be_made_for_the_public_half_alone(tmp_path: Path) -> None:
    request = x509.load_pem_x509_csr(issue.make_csr(Subject("alice"), KEY))
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    leaf = issue.make_client("alice", public, CA, CA_KEY, 1, NOW)
    assert leaf.public_key() == KEY.public_key()
    assert verify(tmp_path, leaf, [], [CA], "-x509_strict", "-purpose", "sslclient") == ""


def test_stronger_keys_sign_with_stronger_hashes() -> None:
    for curve, name in ((ec.SECP384R1(), "sha384"), (ec.SECP521R1(), "sha512")):
        ca = issue.make_ca(Subject("CA"), ec.generate_private_key(curve), 9, NOW)
        algorithm = ca.signature_hash_algorithm
        assert algorithm is not None
        assert algorithm.name == name
