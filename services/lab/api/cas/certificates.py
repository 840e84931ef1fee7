"""Server certificates: uploaded, bought, described, deleted.

The API pages publish no codes for a certificate, key or name that is refused; the ones here are in
the style of those that public clients met.
"""

from __future__ import annotations

from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.errors import ApiError, missing, not_found
from services.lab.api.moments import day
from services.lab.api.paging import by_number
from services.lab.state.account import Account, Json, Tags, UserCertificate
from services.lab.state.cloud import certificate_identifier
from services.lab.state.identifiers import fresh
from services.lab.state.x509 import Unusable, check_pair, describe, split

_LONGEST_NAME = 63
_SOON_MS = 30 * 86_400_000
"""A certificate that ends within 30 days is called WILLEXPIRED."""

_REFUSALS = {
    "certificate": ("CertificateFormatError", "The certificate format error."),
    "key": ("PrivateKeyFormatError", "The private key format error, or the key is encrypted."),
    "pair": ("CertificateKeyNotMatch", "The certificate and the private key do not match."),
}


def upload_user_certificate(call: Call) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    name = asked.needed("Name")
    if len(name) > _LONGEST_NAME:
        raise asked.illegal("Name")
    for name_of_sm2 in ("EncryptCert", "EncryptPrivateKey", "SignCert", "SignPrivateKey"):
        if asked.text(name_of_sm2):  # SM2's pair of certificates, which the balancer cannot use
            raise asked.illegal(name_of_sm2)
    chain, key = asked.needed("Cert"), asked.needed("Key")
    if any(known.name == name for known in account.certificates.values()):
        raise ApiError("NameRepeat", "The certificate name already exists.")
    try:
        check_pair(chain, key)
    except Unusable as unusable:
        raise refusal(unusable) from None
    number = account.next_number
    certificate = UserCertificate(
        id=number,
        name=name,
        resource_id=fresh("cas-upload"),
        certificate_pem=chain,
        key_pem=key,
        uploaded=True,
        since=call.now,
        resource_group_id=asked.text("ResourceGroupId"),
        tags=tags_of(call),
    )
    return (
        {"CertId": number, "ResourceId": certificate.resource_id},
        replace(
            account,
            certificates={**account.certificates, number: certificate},
            next_number=number + 1,
        ),
    )


def get_user_certificate_detail(call: Call) -> Json:
    known = _certificate_of(call)
    told = describe(known.certificate_pem)
    chain = [describe(pem) for pem in split(known.certificate_pem)]
    reply: Json = {
        "Algorithm": told.algorithm,
        "BuyInAliyun": not known.uploaded,
        "CertChain": [
            {
                "CommonName": one.subject.common_name,
                "IssuerCommonName": one.issuer,
                "NotAfter": one.not_after_ms,
                "NotBefore": one.not_before_ms,
                "RemainDay": max(0, int((one.not_after_ms / 1000 - call.now) // 86_400)),
            }
            for one in chain
        ],
        "CertIdentifier": certificate_identifier(call.account, known.id),
        "CertSha2": told.sha256,
        "Common": told.subject.common_name,
        "Id": known.id,
        "NotAfter": told.not_after_ms,
        "NotBefore": told.not_before_ms,
        "OrderId": known.order_id,
        "ResourceGroupId": known.resource_group_id or "rg-default",
        "Tags": [{"TagKey": key, "TagValue": value} for key, value in known.tags],
        **_shown(call, known),
    }
    if not call.parameters.flag("CertFilter"):
        reply |= {"Cert": known.certificate_pem, "Key": known.key_pem}
    return reply


def list_user_certificate_order(call: Call) -> Json:
    asked = call.parameters
    kind = asked.text("OrderType", "CPACK", among=("CPACK", "BUY", "UPLOAD", "CERT"))
    status, keyword = asked.text("Status").upper(), asked.text("Keyword").lower()
    found = [
        known
        for known in call.account.certificates.values()
        if kind == "CERT" or known.uploaded == (kind == "UPLOAD")
        if not status or status in _statuses(call, known)
        if not keyword or keyword in f"{known.name} {_domains(known)}".lower()
    ]
    page, fields = by_number(asked, found, default=50)
    show = _ordered if kind in ("CPACK", "BUY") else _listed
    return {"CertificateOrderList": [show(call, known) for known in page], **fields}


def delete_user_certificate(call: Call) -> tuple[Json, Account]:
    known = _certificate_of(call)
    if not known.uploaded and "EXPIRED" not in _statuses(call, known):
        raise ApiError("OperationDenied", "A bought certificate is deleted once it has expired.")
    identifier = certificate_identifier(call.account, known.id)
    check_unused(call, identifier)
    kept = {key: one for key, one in call.account.certificates.items() if key != known.id}
    return {}, replace(call.account, certificates=kept)


def check_unused(call: Call, identifier: str) -> None:
    """Raise `ApiError` while a listener has the certificate with this id."""
    for listener in call.account.listeners.values():
        if identifier in (*listener.certificate_ids, *listener.ca_certificate_ids):
            raise ApiError("CertificateInUse", "The certificate is deployed to a cloud product.")


def refusal(unusable: Unusable) -> ApiError:
    """What CAS says of a certificate or key that it cannot use."""
    return ApiError(*_REFUSALS[str(unusable)])


def tags_of(call: Call) -> Tags:
    """The tags that a CAS or Private CA call gives to what it makes."""
    return tuple(
        (one.needed("Key"), one.text("Value")) for one in call.parameters.structures("Tags", 20)
    )


def _certificate_of(call: Call) -> UserCertificate:
    if not call.parameters.text("CertId"):
        raise missing("CertId")
    number = call.parameters.number("CertId", 0, 0, 10**17)
    known = call.account.certificates.get(number)
    if known is None:
        raise not_found("certificate")
    return known


def _statuses(call: Call, known: UserCertificate) -> set[str]:
    left_ms = describe(known.certificate_pem).not_after_ms - call.now * 1000
    if left_ms <= 0:
        return {"EXPIRED"}
    return {"ISSUED", "WILLEXPIRED"} if left_ms < _SOON_MS else {"ISSUED"}


def _domains(known: UserCertificate) -> str:
    return ",".join(describe(known.certificate_pem).dns_names)


def _shown(call: Call, known: UserCertificate) -> Json:
    """What the single certificate and the list have in common."""
    told = describe(known.certificate_pem)
    return {
        "City": told.subject.locality,
        "Country": told.subject.country,
        "EndDate": day(told.not_after),
        "Expired": "EXPIRED" in _statuses(call, known),
        "Fingerprint": told.sha1,
        "InstanceId": known.resource_id,
        "Issuer": told.issuer,
        "Name": known.name,
        "OrgName": told.subject.organization,
        "Province": told.subject.state,
        "Sans": _domains(known),
        "SerialNo": told.serial_number,
        "Sha2": told.sha256,
        "StartDate": day(told.not_before),
    }


def _listed(call: Call, known: UserCertificate) -> Json:
    return {
        "CertificateId": known.id,
        "CommonName": describe(known.certificate_pem).subject.common_name,
        "Upload": known.uploaded,
        **_shown(call, known),
    }


def _ordered(call: Call, known: UserCertificate) -> Json:
    """An order, which is another thing than its certificate and tells other things."""
    told = describe(known.certificate_pem)
    return {
        "Algorithm": told.algorithm,
        "AliyunOrderId": known.order_id,
        "BuyDate": int(known.since * 1000),
        "CertEndTime": told.not_after_ms,
        "CertStartTime": told.not_before_ms,
        "CertType": "DV",
        "CertificateId": known.id,
        "Domain": _domains(known),
        "DomainCount": len(told.dns_names),
        "DomainType": "ONE",
        "InstanceId": known.resource_id,
        "Name": known.name,
        "OrderId": known.order_id,
        "ProductCode": "lab-dv-1-personal",
        "ProductName": "Lab DV SSL",
        "ResourceGroupId": known.resource_group_id or "rg-default",
        "RootBrand": told.issuer,
        "SourceType": "aliyun",
        "Status": "EXPIRED" if "EXPIRED" in _statuses(call, known) else "ISSUED",
        "TrusteeStatus": "unTrustee",
        "WildDomainCount": sum(name.startswith("*.") for name in told.dns_names),
    }
