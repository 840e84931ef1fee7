"""Private CA through the vendor's SDK, and its certificates through the `openssl` program."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.lab import scenario
from services.lab.state.x509 import describe
from tests.programs import program
from tests.services.lab.api.lab import Lab


@pytest.fixture(scope="session")
def m() -> Any:
    from alibabacloud_cas20200630 import models

    return models


class Cas:
    def __init__(self, lab: Lab) -> None:
        self.root, self.sub = lab.state.account.authorities


@pytest.fixture
def cas(lab: Lab) -> Cas:
    return Cas(lab)


def csr(key_type: str = "ec", name: str = "/CN=client-1/O=Example") -> tuple[str, str]:
    """A CSR and its key, by another program than the lab's."""
    kind = (
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        if key_type == "ec"
        else ["-newkey", "rsa:2048"]
    )
    command = [program("openssl"), "req", "-new", "-nodes", *kind, "-subj", name]
    made = subprocess.run(
        [*command, "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=True
    ).stdout
    start = made.index("-----BEGIN CERTIFICATE REQUEST")
    end = made.index("-----END CERTIFICATE REQUEST-----") + len("-----END CERTIFICATE REQUEST-----")
    return made[start:end] + "\n", made[:start] + made[end:]


def verify(folder: Path, root: str, between: str, leaf: str, purpose: str) -> str:
    """What `openssl verify` says of a chain."""
    for name, pem in (("root", root), ("between", between), ("leaf", leaf)):
        (folder / name).write_text(pem)
    return subprocess.run(
        [
            *(program("openssl"), "verify", "-x509_strict", "-purpose", purpose),
            *("-CAfile", str(folder / "root"), "-untrusted", str(folder / "between")),
            str(folder / "leaf"),
        ],
        capture_output=True,
        text=True,
    ).stdout


def test_root_and_intermediate_are_there(lab: Lab, m: Any, cas: Cas) -> None:
    request = m.DescribeCACertificateListRequest(current_page=1, show_size=20)
    listed = lab.ask(lab.pca.describe_cacertificate_list, request)
    assert [(one.certificate_type, one.status) for one in listed.certificate_list] == [
        ("ROOT", "ISSUE"),
        ("SUB_ROOT", "ISSUE"),
    ]
    assert (listed.total_count, listed.page_count) == (2, 1)
    sub = listed.certificate_list[1]
    assert (sub.parent_identifier, sub.algorithm, sub.key_size) == (cas.root, "RSA", 2048)
    assert sub.after_date > sub.before_date > 1_000_000_000_000
    one = lab.ask(
        lab.pca.describe_cacertificate, m.DescribeCACertificateRequest(identifier=cas.sub)
    ).certificate
    assert (one.cert_total_count, one.cert_remaining_count, one.cert_issued_count) == (3, 3, 0)
    assert one.ca_cert_chain.count("BEGIN CERTIFICATE") == 2
    assert lab.ask(lab.pca.describe_cacertificate_count).total_count == 2
    states = lab.ask(lab.pca.get_cainstance_status, m.GetCAInstanceStatusRequest())
    assert [one.status for one in states.instance_status_list] == ["USED"] * 2 + ["UNUSED"] * 2
    for filters in ({"cert_type": "subRoot"}, {"identifier": cas.sub}):
        request = m.DescribeCACertificateListRequest(**filters)
        found = lab.ask(lab.pca.describe_cacertificate_list, request).certificate_list
        assert [one.identifier for one in found] == [cas.sub]
    absent = m.DescribeCACertificateRequest(identifier="160ae6bb538d538c70c01f81dcf2aaaa")
    assert lab.refused(lab.pca.describe_cacertificate, absent) == (404, "NotFound")


def test_a_client_certificate_for_a_key_that_stays_at_home(
    lab: Lab, m: Any, cas: Cas, tmp_path: Path
) -> None:
    request_pem, _ = csr()
    request = m.CreateClientCertificateWithCsrRequest(
        parent_identifier=cas.sub,
        csr=request_pem,
        days=30,
        immediately=2,
        custom_identifier="laptop",
        san_type=1,
        san_value="one@example.com,two@example.com",
    )
    made = lab.ask(lab.pca.create_client_certificate_with_csr, request)
    root = lab.state.account.authorities[cas.root].certificate_pem
    said = verify(tmp_path, root, made.certificate_chain, made.x_509certificate, "sslclient")
    assert said.endswith(": OK\n")
    told = describe(made.x_509certificate)
    assert (told.subject.common_name, told.subject.organization) == ("client-1", "Example")
    assert told.serial_number == made.serial_number
    listed = lab.ask(lab.pca.list_client_certificate, m.ListClientCertificateRequest())
    (one,) = listed.certificate_list
    assert (one.custom_identifier, one.certificate_type, one.days) == ("laptop", "CLIENT", 30)
    assert json.loads(one.sans)[1] == {"Type": 1, "Value": "two@example.com"}
    described = lab.ask(
        lab.pca.describe_client_certificate,
        m.DescribeClientCertificateRequest(identifier=made.identifier),
    ).certificate
    assert described.cert_chain.count("BEGIN CERTIFICATE") == 3
    remaining = lab.ask(
        lab.pca.describe_cacertificate, m.DescribeCACertificateRequest(identifier=cas.sub)
    ).certificate.cert_remaining_count
    assert remaining == 2
    no_key = m.DescribeCertificatePrivateKeyRequest(
        identifier=made.identifier, encrypted_code="secret"
    )
    assert lab.refused(lab.pca.describe_certificate_private_key, no_key) == (404, "NotFound")
    request.csr = csr("rsa", "/CN=client-2")[0]
    assert lab.refused(lab.pca.create_client_certificate_with_csr, request) == (
        400,
        "CustomIdentifierRepeat",
    )


def test_a_key_made_there_comes_encrypted(lab: Lab, m: Any, cas: Cas) -> None:
    request = m.CreateClientCertificateRequest(
        parent_identifier=cas.sub, common_name="client-1", days=1, immediately=1
    )
    made = lab.ask(lab.pca.create_client_certificate, request)
    assert made.certificate_chain is None
    told = describe(made.x_509certificate)
    assert (told.subject.organization, told.full_algorithm) == ("Alibaba Inc", "RSA_2048")
    ask = m.DescribeCertificatePrivateKeyRequest(
        identifier=made.identifier, encrypted_code="Lab-1,secret"
    )
    data = lab.ask(lab.pca.describe_certificate_private_key, ask).encrypted_data
    assert data.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    judged = subprocess.run(
        [program("openssl"), "pkey", "-passin", "pass:Lab-1,secret", "-pubout"],
        input=data,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    asked = subprocess.run(
        [program("openssl"), "x509", "-noout", "-pubkey"],
        input=made.x_509certificate,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert judged == asked
    ask.encrypted_code = "no spaces"
    assert lab.refused(lab.pca.describe_certificate_private_key, ask) == (
        400,
        "InvalidParameter",
    )


def test_a_server_certificate_names_domain_and_addresses(
    lab: Lab, m: Any, cas: Cas, tmp_path: Path
) -> None:
    request = m.CreateServerCertificateRequest(
        parent_identifier=cas.sub,
        common_name="www.example.com",
        domain="nlb-x.cn-hangzhou.nlb.aliyuncsslb.com, 203.0.113.1",
        algorithm="RSA_2048",
        days=30,
        immediately=2,
    )
    made = lab.ask(lab.pca.create_server_certificate, request)
    assert describe(made.x_509certificate).sans == (
        (2, "www.example.com"),
        (2, "nlb-x.cn-hangzhou.nlb.aliyuncsslb.com"),
        (7, "203.0.113.1"),
    )
    root = lab.state.account.authorities[cas.root].certificate_pem
    said = verify(tmp_path, root, made.certificate_chain, made.x_509certificate, "sslserver")
    assert said.endswith(": OK\n")
    number = (
        lab.ask(
            lab.pca.list_client_certificate,
            m.ListClientCertificateRequest(identifier=made.identifier),
        )
        .certificate_list[0]
        .id
    )
    lab.ask(lab.pca.upload_pca_cert_to_cas, m.UploadPcaCertToCasRequest(ids=str(number)))
    names = [one.name for one in lab.state.account.certificates.values()]
    assert names == ["cert-www.example.com", f"pca-{number}"]


def test_a_server_certificate_for_a_csr(lab: Lab, m: Any, cas: Cas) -> None:
    request = m.CreateServerCertificateWithCsrRequest(
        parent_identifier=cas.sub,
        csr=csr(name="/CN=www.example.com")[0],
        domain="example.com",
        days=30,
        immediately=1,
    )
    made = lab.ask(lab.pca.create_server_certificate_with_csr, request)
    assert describe(made.x_509certificate).dns_names == ("www.example.com", "example.com")
    request.csr = "no CSR"
    assert lab.refused(lab.pca.create_server_certificate_with_csr, request) == (
        400,
        "CsrFormatError",
    )


def test_revoke_then_delete(lab: Lab, m: Any, cas: Cas) -> None:
    request = m.CreateClientCertificateRequest(
        parent_identifier=cas.sub, common_name="client-1", days=1
    )
    made = lab.ask(lab.pca.create_client_certificate, request).identifier
    delete = m.DeleteClientCertificateRequest(identifier=made)
    assert lab.refused(lab.pca.delete_client_certificate, delete) == (
        400,
        "CertificateNotRevoked",
    )

    def statuses() -> list[str]:
        ask = m.DescribeClientCertificateStatusRequest(identifier=f"{made},nobody")
        body = lab.ask(lab.pca.describe_client_certificate_status, ask)
        return [one.status for one in body.certificate_status]

    assert statuses() == ["good", "unknown"]
    lab.ask(
        lab.pca.create_revoke_client_certificate,
        m.CreateRevokeClientCertificateRequest(identifier=made),
    )
    assert statuses() == ["revoked", "unknown"]
    lab.ask(lab.pca.delete_client_certificate, delete)
    assert statuses() == ["unknown", "unknown"]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"parent_identifier": None}, (400, "MissingParentIdentifier")),
        ({"parent_identifier": "nobody"}, (404, "NotFound")),
        ({"days": None}, (400, "MissingDays")),
        ({"days": 3650}, (400, "InvalidParameter")),
        ({"algorithm": "ECC_256"}, (400, "InvalidParameter")),
        ({"algorithm": "SM2_256"}, (400, "InvalidParameter")),
        ({"common_name": None}, (400, "MissingCommonName")),
        ({"common_name": "n" * 65}, (400, "InvalidParameter")),
        ({"san_type": 3, "san_value": "x"}, (400, "InvalidParameter")),
        ({"days": None, "before_time": 1_900_000_000}, (400, "MissingDays")),
    ],
)
def test_an_impossible_certificate_is_refused(
    lab: Lab, m: Any, cas: Cas, change: dict[str, Any], refusal: tuple[int, str]
) -> None:
    settings = {"parent_identifier": cas.sub, "common_name": "client-1", "days": 30}
    request = m.CreateClientCertificateRequest(**(settings | change))
    assert lab.refused(lab.pca.create_client_certificate, request) == refusal


def test_only_the_subordinate_issues_and_only_what_was_bought(lab: Lab, m: Any, cas: Cas) -> None:
    def issue(parent: str, number: int) -> Any:
        return m.CreateClientCertificateWithCsrRequest(
            parent_identifier=parent, csr=request_pem, days=1, custom_identifier=str(number)
        )

    request_pem, _ = csr()
    method = lab.pca.create_client_certificate_with_csr
    assert lab.refused(method, issue(cas.root, 0)) == (400, "InvalidParameter")
    for number in range(3):
        lab.ask(method, issue(cas.sub, number))
    assert lab.refused(method, issue(cas.sub, 3)) == (400, "InsufficientQuota")


def test_validity_between_two_times(lab: Lab, m: Any, cas: Cas) -> None:
    start = int(lab.clock())
    request = m.CreateClientCertificateWithCsrRequest(
        parent_identifier=cas.sub,
        csr=csr()[0],
        before_time=start,
        after_time=start + 7 * 86_400,
        immediately=1,
    )
    told = describe(lab.ask(lab.pca.create_client_certificate_with_csr, request).x_509certificate)
    assert (told.not_before_ms, told.not_after_ms) == (
        start * 1000,
        (start + 7 * 86_400) * 1000,
    )


def test_a_ca_is_made_only_with_what_was_bought(lab: Lab, m: Any, cas: Cas) -> None:
    def subject(name: str) -> dict[str, Any]:
        return {
            "common_name": name,
            "organization": "Example",
            "organization_unit": "Security",
            "locality": "Hangzhou",
            "state": "Zhejiang",
        }

    root = m.CreateRootCACertificateRequest(**subject("Second Root"), years=5, algorithm="ECC_256")
    made = lab.ask(lab.pca.create_root_cacertificate, root)
    assert lab.refused(lab.pca.create_root_cacertificate, root) == (400, "CaInstanceNotFound")
    settings = {"parent_identifier": made.identifier, "years": 5, "algorithm": "ECC_384"}

    def sub(**changes: Any) -> Any:
        return m.CreateSubCACertificateRequest(**(subject("Second Sub") | settings | changes))

    method = lab.pca.create_sub_cacertificate
    assert lab.refused(method, sub(years=6)) == (400, "InvalidParameter")
    assert lab.refused(method, sub(algorithm="RSA_2048")) == (400, "InvalidParameter")
    assert lab.refused(method, sub(parent_identifier=cas.sub)) == (400, "InvalidParameter")
    second = lab.ask(method, sub())
    assert second.certificate_chain.count("BEGIN CERTIFICATE") == 2
    assert describe(second.certificate).issuer == "Second Root"
    revoke = m.UpdateCACertificateStatusRequest(identifier=made.identifier, status="REVOKE")
    lab.ask(lab.pca.update_cacertificate_status, revoke)
    issue = m.CreateClientCertificateRequest(
        parent_identifier=second.identifier, common_name="client-1", days=1
    )
    assert lab.refused(lab.pca.create_client_certificate, issue) == (400, "InvalidCaStatus")


def test_nothing_bought(lab: Lab, m: Any, cas: Cas) -> None:
    lab.faults.add("no-private-ca")
    assert lab.ask(lab.pca.describe_cacertificate_count).total_count == 0
    listed = lab.ask(lab.pca.describe_cacertificate_list, m.DescribeCACertificateListRequest())
    assert listed.certificate_list == []
    issue = m.CreateClientCertificateRequest(
        parent_identifier=cas.sub, common_name="client-1", days=1
    )
    assert lab.refused(lab.pca.create_client_certificate, issue) == (404, "NotFound")
    lab.faults.discard("no-private-ca")
    assert lab.ask(lab.pca.describe_cacertificate_count).total_count == 2


def test_a_scenario_may_begin_without_private_ca_and_purchase(tmp_path: Path) -> None:
    bare = replace(scenario.default(), private_ca=False, purchased_certificate=False)
    with Lab(tmp_path, bare) as lab:
        assert lab.ask(lab.pca.describe_cacertificate_count).total_count == 0
        assert lab.state.account.certificates == {}
