"""Certificate Management Service through the vendor's SDK."""

from __future__ import annotations

from typing import Any

import pytest

from services.lab.state.x509 import (
    Issuer,
    Subject,
    issue_ca,
    issue_leaf,
    joined,
    moment,
    new_key,
    public_key_of,
    split,
    years_after,
)
from tests.services.lab.api.lab import Lab


@pytest.fixture(scope="session")
def m() -> Any:
    from alibabacloud_cas20200407 import models

    return models


class Pair:
    """A server certificate of an own CA, with its key."""

    def __init__(self, now: float, name: str = "www.example.com") -> None:
        start = moment(now - 60)
        end = years_after(start, 1)
        ca_key, self.key = new_key("ECC_256"), new_key("ECC_256")
        self.ca = issue_ca(Subject("Own CA"), ca_key, None, start, end, None)
        issuer = Issuer(self.ca, ca_key)
        public = public_key_of(self.key)
        self.leaf = issue_leaf(Subject(name), public, issuer, start, end, "SERVER", [(2, name)])


@pytest.fixture
def pair(lab: Lab) -> Pair:
    return Pair(lab.clock())


def upload(m: Any, pair: Pair, **changes: Any) -> Any:
    settings = {"name": "own", "cert": joined(pair.leaf, pair.ca), "key": pair.key}
    return m.UploadUserCertificateRequest(**(settings | changes))


def test_an_uploaded_certificate_is_told_and_deleted(lab: Lab, m: Any, pair: Pair) -> None:
    tags = [m.UploadUserCertificateRequestTags(key="made-by", value="test")]
    made = lab.ask(lab.cas.upload_user_certificate, upload(m, pair, tags=tags))
    assert made.resource_id.startswith("cas-upload-")
    request = m.GetUserCertificateDetailRequest(cert_id=made.cert_id, cert_filter=True)
    told = lab.ask(lab.cas.get_user_certificate_detail, request)
    assert told.cert_identifier == f"{made.cert_id}-cn-hangzhou"
    assert (told.common, told.sans) == ("www.example.com", "www.example.com")
    assert (told.key, told.cert) == (None, None)
    assert [one.common_name for one in told.cert_chain] == ["www.example.com", "Own CA"]
    assert (told.buy_in_aliyun, told.expired) == (False, False)
    assert told.tags[0].tag_key == "made-by"
    request.cert_filter = False
    assert lab.ask(lab.cas.get_user_certificate_detail, request).key == pair.key
    delete = m.DeleteUserCertificateRequest(cert_id=made.cert_id)
    lab.ask(lab.cas.delete_user_certificate, delete)
    assert lab.refused(lab.cas.get_user_certificate_detail, request) == (404, "NotFound")
    assert lab.refused(lab.cas.delete_user_certificate, delete) == (404, "NotFound")


def test_uploads_are_not_listed_among_orders(lab: Lab, m: Any, pair: Pair) -> None:
    made = lab.ask(lab.cas.upload_user_certificate, upload(m, pair))

    def listed(order_type: str | None, **filters: Any) -> list[Any]:
        request = m.ListUserCertificateOrderRequest(order_type=order_type, **filters)
        body = lab.ask(lab.cas.list_user_certificate_order, request)
        found: list[Any] = body.certificate_order_list
        return found

    (order,) = listed(None)
    assert order.domain == "www.example.com"
    (own,) = listed("UPLOAD")
    assert (own.certificate_id, own.upload, own.name) == (made.cert_id, True, "own")
    assert len(own.sha_2) == 64
    assert own.sha_2 == own.sha_2.upper()
    assert len(listed("CERT")) == 2
    assert listed("CERT", status="EXPIRED") == []
    assert listed("CERT", keyword="elsewhere") == []
    assert len(listed("CERT", current_page=2, show_size=1)) == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"name": None}, (400, "MissingName")),
        ({"name": "n" * 64}, (400, "InvalidParameter")),
        ({"cert": "no PEM"}, (400, "CertificateFormatError")),
        ({"key": "no PEM"}, (400, "PrivateKeyFormatError")),
        ({"sign_cert": "SM2"}, (400, "InvalidParameter")),
    ],
)
def test_an_impossible_upload_is_refused(
    lab: Lab, m: Any, pair: Pair, change: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert lab.refused(lab.cas.upload_user_certificate, upload(m, pair, **change)) == refusal


def test_pem_on_one_line_another_key_and_a_name_twice_are_refused(
    lab: Lab, m: Any, pair: Pair
) -> None:
    one_line = upload(m, pair, cert=pair.leaf.replace("\n", ""))
    assert lab.refused(lab.cas.upload_user_certificate, one_line) == (
        400,
        "CertificateFormatError",
    )
    other = upload(m, pair, key=Pair(lab.clock()).key)
    assert lab.refused(lab.cas.upload_user_certificate, other) == (400, "CertificateKeyNotMatch")
    wrong_order = upload(m, pair, cert=joined(pair.ca, pair.leaf))
    assert lab.refused(lab.cas.upload_user_certificate, wrong_order) == (
        400,
        "CertificateKeyNotMatch",
    )
    lab.ask(lab.cas.upload_user_certificate, upload(m, pair))
    assert lab.refused(lab.cas.upload_user_certificate, upload(m, pair)) == (400, "NameRepeat")


def test_a_certificate_in_use_is_not_deleted(lab: Lab, m: Any, pair: Pair) -> None:
    from alibabacloud_nlb20220430 import models as nlb

    account = lab.state.account
    made = lab.ask(lab.cas.upload_user_certificate, upload(m, pair)).cert_id
    own_ca = m.UploadPCACertRequest(
        warehouse_id=next(iter(account.repositories)), cert=pair.ca, name="own"
    )
    ca = lab.ask(lab.cas.upload_pcacert, own_ca).identifier
    listener = nlb.CreateListenerRequest(
        load_balancer_id=next(iter(account.load_balancers)),
        listener_protocol="TCPSSL",
        listener_port=443,
        server_group_id=next(iter(account.server_groups)),
        certificate_ids=[f"{made}-cn-hangzhou"],
        ca_enabled=True,
        ca_certificate_ids=[ca],
    )
    lab.ask(lab.nlb.create_listener, listener)
    assert lab.refused(
        lab.cas.delete_user_certificate, m.DeleteUserCertificateRequest(cert_id=made)
    ) == (400, "CertificateInUse")
    assert lab.refused(lab.cas.delete_pcacert, m.DeletePCACertRequest(identifier=ca)) == (
        400,
        "CertificateInUse",
    )


def test_a_bought_certificate_is_not_deleted(lab: Lab, m: Any) -> None:
    bought = next(iter(lab.state.account.certificates))
    request = m.DeleteUserCertificateRequest(cert_id=bought)
    assert lab.refused(lab.cas.delete_user_certificate, request) == (400, "OperationDenied")


def test_repositories(lab: Lab, m: Any) -> None:
    listed = lab.ask(lab.cas.list_cert_warehouse, m.ListCertWarehouseRequest(type="uploadCA"))
    assert [one.name for one in listed.cert_warehouse_list] == ["lab-ca-repository"]
    made = lab.ask(lab.cas.create_warehouse, m.CreateWarehouseRequest(name="mine"))
    listed = lab.ask(lab.cas.list_warehouse, m.ListWarehouseRequest())
    assert {one.warehouse_name: one.warehouse_instance_id for one in listed.data}["mine"] == (
        made.warehouse_instance_id
    )
    assert lab.refused(lab.cas.create_warehouse, m.CreateWarehouseRequest(name="mine")) == (
        400,
        "NameRepeat",
    )
    quota = lab.ask(lab.cas.get_cert_warehouse_quota)
    assert quota.app_total_quota > quota.app_use_count


def test_a_repository_of_cas_takes_no_leaf(lab: Lab, m: Any, pair: Pair) -> None:
    repository = next(iter(lab.state.account.repositories))

    def given(**changes: Any) -> Any:
        settings = {"warehouse_id": repository, "cert": pair.ca, "name": "own"}
        return m.UploadPCACertRequest(**(settings | changes))

    assert lab.refused(lab.cas.upload_pcacert, given(cert=pair.leaf)) == (
        400,
        "CertificateNotCA",
    )
    assert lab.refused(lab.cas.upload_pcacert, given(warehouse_id=1)) == (404, "NotFound")
    assert lab.refused(lab.cas.upload_pcacert, given(warehouse_id=None)) == (
        400,
        "MissingWarehouseId",
    )
    made = lab.ask(lab.cas.upload_pcacert, given()).identifier
    told = lab.ask(
        lab.cas.describe_warehouse_cert, m.DescribeWarehouseCertRequest(cert_identifier=made)
    )
    assert (told.content, told.cert_type, told.common_name) == (pair.ca, "CA", "Own CA")
    lab.ask(lab.cas.delete_pcacert, m.DeletePCACertRequest(identifier=made))
    assert lab.refused(lab.cas.delete_pcacert, m.DeletePCACertRequest(identifier=made)) == (
        404,
        "NotFound",
    )


def test_ca_certificates_of_both_sources_are_listed(lab: Lab, m: Any, pair: Pair) -> None:
    repository = next(iter(lab.state.account.repositories))
    lab.ask(
        lab.cas.upload_pcacert,
        m.UploadPCACertRequest(warehouse_id=repository, cert=pair.ca, name="own"),
    )

    def names(**filters: Any) -> list[tuple[str, str]]:
        body = lab.ask(lab.cas.list_cert, m.ListCertRequest(cert_type="CA", **filters))
        return [(one.source_type, one.common_name) for one in body.cert_list]

    of_ours = [("aliyun", "Lab Private Root CA"), ("aliyun", "Lab Private Issuing CA")]
    assert names() == [("upload", "Own CA"), *of_ours]
    assert names(source_type="upload") == [("upload", "Own CA")]
    assert names(warehouse_id=repository) == [("upload", "Own CA")]
    assert names(key_word="issuing") == of_ours[1:]
    lab.faults.add("no-private-ca")
    assert names() == [("upload", "Own CA")]


def test_the_bought_chain_is_whole(lab: Lab) -> None:
    from cryptography import x509

    account = lab.state.account
    bought = next(iter(account.certificates.values()))
    leaf, sub = map(x509.load_pem_x509_certificate, map(str.encode, split(bought.certificate_pem)))
    root = x509.load_pem_x509_certificate(account.public_ca_pem.encode())
    leaf.verify_directly_issued_by(sub)
    sub.verify_directly_issued_by(root)
