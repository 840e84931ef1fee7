"""Certificate repositories ("warehouses"), and the CA certificates that are brought to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from services.lab.api.call import Call
from services.lab.api.cas.certificates import check_unused, refusal
from services.lab.api.errors import ApiError, missing, not_found
from services.lab.api.paging import by_number, by_token
from services.lab.state.account import Account, Json, Repository, RepositoryCertificate
from services.lab.state.identifiers import fresh, fresh_certificate
from services.lab.state.x509 import Unusable, describe, joined

_TYPES = ("uploadCA", "uploadPCA", "aliyunPCA")
_CALL_QUOTA = 10_000
_YEAR_MS = 365 * 86_400_000


def list_cert_warehouse(call: Call) -> Json:
    asked = call.parameters
    kind = asked.text("Type", among=_TYPES)
    name, instance = asked.text("Name"), asked.text("InstanceId")
    found = [
        one
        for one in _repositories(call)
        if not kind or one.type == kind
        if name in one.name
        if not instance or one.instance_id == instance
    ]
    page, fields = by_number(asked, found, default=50)
    shown = [
        {
            "EndTime": int(call.now * 1000) + _YEAR_MS,
            "InstanceId": one.instance_id,
            "IsExpired": False,
            "Name": one.name,
            "PcaInstanceId": one.pca_instance_id,
            "Qps": 10,
            "Type": one.type,
            "WhId": one.id,
        }
        for one in page
    ]
    return {"CertWarehouseList": shown, **fields}


def create_warehouse(call: Call) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    number = account.next_number
    made = Repository(
        id=number,
        name=asked.needed("Name"),
        type=asked.text("Type", "uploadCA", among=("uploadCA", "uploadPCA")),
        instance_id=fresh("cas_wh"),
    )
    if any(known.name == made.name for known in account.repositories.values()):
        raise ApiError("NameRepeat", "The warehouse name already exists.")
    return {"WarehouseInstanceId": made.instance_id}, replace(
        account, repositories={**account.repositories, number: made}, next_number=number + 1
    )


def list_warehouse(call: Call) -> Json:
    asked = call.parameters
    instances, kinds = asked.texts("WarehouseInstanceIds", 100), asked.texts("WarehouseTypes", 10)
    found = [
        {
            "WarehouseInstanceId": one.instance_id,
            "WarehouseName": one.name,
            "WarehouseType": one.type,
        }
        for one in _repositories(call)
        if not instances or one.instance_id in instances
        if not kinds or one.type in kinds
    ]
    page, fields = by_token(asked, found)
    return {"Data": list(page), **fields}


def get_cert_warehouse_quota(call: Call) -> Json:
    used = len(call.account.repository_certificates)
    return {
        "AppTotalQuota": _CALL_QUOTA,
        "AppUseCount": used,
        "TotalQuota": _CALL_QUOTA,
        "UseCount": 0,
    }


def upload_pca_cert(call: Call) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    if not asked.text("WarehouseId"):
        raise missing("WarehouseId")
    repository = account.repositories.get(asked.number("WarehouseId", 0, 0, 10**17))
    if repository is None:
        raise not_found("warehouse")
    if repository.type == "aliyunPCA":
        raise asked.illegal("WarehouseId")
    pem = asked.needed("Cert")
    try:
        is_ca = describe(pem).is_ca
    except Unusable as unusable:
        raise refusal(unusable) from None
    if repository.type == "uploadCA" and not is_ca:
        raise ApiError("CertificateNotCA", "The certificate is not a CA certificate.")
    made = RepositoryCertificate(
        id=fresh_certificate(),
        repository_id=repository.id,
        name=asked.text("Name"),
        certificate_pem=pem,
        since=call.now,
        is_ca=is_ca,
        key_given=bool(asked.text("PrivateKey")),
    )
    return {"Identifier": made.id}, replace(
        account, repository_certificates={**account.repository_certificates, made.id: made}
    )


def list_cert(call: Call) -> Json:
    asked = call.parameters
    kind = asked.text("CertType", among=("CA", "CERT"))
    source = asked.text("SourceType", among=("upload", "aliyun"))
    status = asked.text("Status", among=("ISSUE", "REVOKE"))
    keyword = asked.text("KeyWord").lower()
    identifiers = [one for one in asked.text("Identifiers").split(",") if one]
    repository = asked.number("WarehouseId", 0, 0, 10**17)
    found = [
        one
        for one in _stored(call)
        if not kind or one.kind == kind
        if not source or one.source == source
        if not status or one.status == status
        if not identifiers or one.id in identifiers
        if not repository or one.repository.id == repository
        if keyword in one.words.lower()
    ]
    page, fields = by_number(asked, found, default=50)
    return {"CertList": [_shown(one) for one in page], **fields}


def describe_warehouse_cert(call: Call) -> Json:
    identifier = call.parameters.needed("CertIdentifier")
    for one in _stored(call):
        if one.id == identifier:
            told = describe(one.pem)
            ours = one.source == "aliyun"
            return {
                "CertIdentifier": one.id,
                "CertStatus": one.status,
                "CertType": one.kind,
                "CommonName": told.subject.common_name,
                "Content": joined(one.pem, one.chain_pem) if one.chain_pem else one.pem,
                "Fingerprint": told.sha1,
                "Issuer": told.issuer,
                "IssuerIdentifier": one.issuer_id,
                "PrivateCaInstanceId": one.repository.pca_instance_id,
                "PrivateCaRegionId": call.account.cas_site if ours else "",
                "WarehouseInstanceId": one.repository.instance_id,
            }
    raise not_found("certificate")


def delete_pca_cert(call: Call) -> tuple[Json, Account]:
    identifier = call.parameters.needed("Identifier")
    if identifier not in call.account.repository_certificates:
        raise not_found("certificate")
    check_unused(call, identifier)
    kept = {
        key: one for key, one in call.account.repository_certificates.items() if key != identifier
    }
    return {}, replace(call.account, repository_certificates=kept)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A certificate in a repository, wherever it came from."""

    id: str
    kind: Literal["CA", "CERT"]
    source: Literal["upload", "aliyun"]
    status: str
    pem: str
    repository: Repository
    has_key: bool
    name: str = ""
    issuer_id: str = ""
    chain_pem: str = ""

    @property
    def words(self) -> str:
        told = describe(self.pem)
        return " ".join((self.name, told.subject.common_name, *told.dns_names))


def _repositories(call: Call) -> list[Repository]:
    return [
        one
        for one in call.account.repositories.values()
        if not one.pca_instance_id or call.pca_instances
    ]


def _stored(call: Call) -> Iterator[_Stored]:
    """Everything that ListCert knows: what was uploaded, and what Private CA made."""
    for given in call.account.repository_certificates.values():
        yield _Stored(
            given.id,
            "CA" if given.is_ca else "CERT",
            "upload",
            "ISSUE",
            given.certificate_pem,
            call.account.repositories[given.repository_id],
            given.key_given,
            given.name,
        )
    made_by_pca = [one for one in _repositories(call) if one.pca_instance_id]
    for home in made_by_pca[:1]:
        for ca in call.authorities.values():
            above = call.authorities.get(ca.parent_id)
            yield _Stored(
                ca.id,
                "CA",
                "aliyun",
                ca.status,
                ca.certificate_pem,
                home,
                True,
                issuer_id=ca.parent_id,
                chain_pem=above.certificate_pem if above else "",
            )
        for end in call.account.issued.values():
            yield _Stored(
                end.id,
                "CERT",
                "aliyun",
                "REVOKE" if end.revoked_at else "ISSUE",
                end.certificate_pem,
                home,
                bool(end.key_pem),
                end.alias,
                end.parent_id,
            )


def _shown(one: _Stored) -> Json:
    told = describe(one.pem)
    return {
        "AfterDate": told.not_after_ms,
        "Algorithm": told.algorithm,
        "BeforeDate": told.not_before_ms,
        "CertType": one.kind,
        "CommonName": told.subject.common_name,
        "ExistPrivateKey": one.has_key,
        "Identifier": one.id,
        "Issuer": told.issuer,
        "Sans": ",".join(value for _, value in told.sans),
        "SerialNo": told.serial_number,
        "SignAlgorithm": told.signature_algorithm,
        "SourceType": one.source,
        "Status": one.status,
        "WhId": one.repository.id,
        "WhInstanceId": one.repository.instance_id,
    }
