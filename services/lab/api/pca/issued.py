"""End certificates: issued by a subordinate CA, told, revoked, deleted, copied to CAS."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from datetime import datetime

from services.lab.api.call import Call
from services.lab.api.cas.certificates import tags_of
from services.lab.api.errors import ApiError, missing, not_found
from services.lab.api.paging import by_number
from services.lab.api.pca.authorities import (
    authority_of,
    chain,
    check_family,
    outlives,
    quota,
)
from services.lab.api.pca.description import described
from services.lab.state.account import (
    Account,
    CertificateAuthority,
    IssuedCertificate,
    Json,
    UserCertificate,
)
from services.lab.state.identifiers import fresh, fresh_certificate
from services.lab.state.x509 import (
    ALGORITHMS,
    Issuer,
    Subject,
    Unusable,
    Usage,
    describe,
    encrypted_key,
    issue_leaf,
    joined,
    moment,
    new_key,
    public_key_of,
    read_request,
)

_DAY_S = 86_400
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last that a certificate can say (RFC 5280 4.1.2.5)."""

_PASSWORD = re.compile(r"[A-Za-z0-9,.+_#-]{1,32}")


def create_client_certificate(call: Call) -> tuple[Json, Account]:
    return _issued_with_new_key(call, "CLIENT", _client_sans(call))


def create_server_certificate(call: Call) -> tuple[Json, Account]:
    call.parameters.needed("Algorithm")
    names = _server_sans(call, call.parameters.needed("CommonName"))
    return _issued_with_new_key(call, "SERVER", names)


def create_client_certificate_with_csr(call: Call) -> tuple[Json, Account]:
    subject, public_key = _request(call)
    return _issued(call, "CLIENT", subject, public_key, "", _client_sans(call))


def create_server_certificate_with_csr(call: Call) -> tuple[Json, Account]:
    subject, public_key = _request(call)
    names = _server_sans(call, subject.common_name)
    return _issued(call, "SERVER", subject, public_key, "", names)


def list_client_certificate(call: Call) -> Json:
    identifier = call.parameters.text("Identifier")
    found = [one for one in call.issued.values() if not identifier or one.id == identifier]
    page, fields = by_number(call.parameters, found, default=20)
    return {
        "CertificateList": [_shown(one) for one in page],
        "MaxResults": fields["ShowSize"],
        "PageCount": -(-len(found) // fields["ShowSize"]),
        **fields,
    }


def describe_client_certificate(call: Call) -> Json:
    one = _issued_of(call)
    return {
        "Certificate": {
            **_shown(one),
            "CertChain": joined(one.certificate_pem, chain(call, _parent(call, one))),
            "FullAlgorithm": describe(one.certificate_pem).full_algorithm,
            "Tags": [{"TagKey": key, "TagValue": value} for key, value in one.tags],
            "UploadFlag": int(one.uploaded),
        }
    }


def describe_client_certificate_status(call: Call) -> Json:
    found: list[Json] = []
    for identifier in call.parameters.needed("Identifier").split(","):
        one = call.issued.get(identifier)
        if one is None:
            found.append({"SerialNumber": "", "Status": "unknown"})
            continue
        status: Json = {
            "SerialNumber": describe(one.certificate_pem).serial_number,
            "Status": "revoked" if one.revoked_at else "good",
        }
        if one.revoked_at:
            status["RevokeTime"] = int(one.revoked_at * 1000)
        found.append(status)
    return {"CertificateStatus": found}


def describe_certificate_private_key(call: Call) -> Json:
    one = _issued_of(call)
    password = call.parameters.needed("EncryptedCode")
    if not _PASSWORD.fullmatch(password):
        raise call.parameters.illegal("EncryptedCode")
    if not one.key_pem:
        raise not_found("private key")
    return {"EncryptedData": encrypted_key(one.key_pem, password)}


def create_revoke_client_certificate(call: Call) -> tuple[Json, Account]:
    one = _issued_of(call)
    return {}, _with(call.account, replace(one, revoked_at=one.revoked_at or call.now))


def delete_client_certificate(call: Call) -> tuple[Json, Account]:
    one = _issued_of(call)
    if not one.revoked_at:
        raise ApiError("CertificateNotRevoked", "The certificate must be revoked first.")
    kept = {key: other for key, other in call.account.issued.items() if key != one.id}
    return {}, replace(call.account, issued=kept)


def upload_pca_cert_to_cas(call: Call) -> tuple[Json, Account]:
    by_number_ = {str(one.number): one for one in call.issued.values()}
    account = call.account
    for number in call.parameters.needed("Ids").split(","):
        one = by_number_.get(number)
        if one is None:
            raise not_found("certificate")
        if not one.key_pem:
            raise not_found("private key")
        if one.uploaded:
            continue
        copy = UserCertificate(
            id=account.next_number,
            name=one.alias or f"pca-{one.number}",
            resource_id=fresh("cas-upload"),
            certificate_pem=joined(one.certificate_pem, _parent(call, one).certificate_pem),
            key_pem=one.key_pem,
            uploaded=True,
            since=call.now,
        )
        account = replace(
            _with(account, replace(one, uploaded=True)),
            certificates={**account.certificates, copy.id: copy},
            next_number=copy.id + 1,
        )
    return {}, account


def _issued_with_new_key(
    call: Call, usage: Usage, sans: list[tuple[int, str]]
) -> tuple[Json, Account]:
    asked = call.parameters
    parent = _issuing(call)
    told = describe(parent.certificate_pem)
    algorithm = asked.text("Algorithm", told.full_algorithm, among=ALGORITHMS)
    check_family(call, algorithm, parent)
    subject = Subject(
        common_name=asked.needed("CommonName"),
        organization=asked.text("Organization") or "Alibaba Inc",
        organization_unit=asked.text("OrganizationUnit") or "Aliyun CDN",
        country=asked.text("Country") or "CN",
        state=asked.text("State") or told.subject.state,
        locality=asked.text("Locality") or told.subject.locality,
    )
    key = new_key(algorithm)
    return _issued(call, usage, subject, public_key_of(key), key, sans)


def _issued(
    call: Call,
    usage: Usage,
    subject: Subject,
    public_key: str,
    key: str,
    sans: list[tuple[int, str]],
) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    parent = _issuing(call)
    start, end = _validity(call, parent)
    custom_id = asked.text("CustomIdentifier")
    if custom_id and any(one.custom_id == custom_id for one in account.issued.values()):
        raise ApiError("CustomIdentifierRepeat", "The custom identifier already exists.")
    asked.number("EnableCrl", 0, 0, 1)
    try:
        pem = issue_leaf(
            subject,
            public_key,
            Issuer(parent.certificate_pem, parent.key_pem),
            start,
            end,
            usage,
            sans,
        )
    except Unusable as unusable:
        raise asked.illegal(_PARAMETER_OF[str(unusable)]) from None
    made = IssuedCertificate(
        id=fresh_certificate(),
        number=account.next_number,
        type=usage,
        parent_id=parent.id,
        certificate_pem=pem,
        key_pem=key,
        custom_id=custom_id,
        alias=asked.text("AliasName"),
        days=round((end - start).total_seconds() / _DAY_S),
        resource_group_id=asked.text("ResourceGroupId"),
        tags=tags_of(call),
    )
    reply: Json = {"Identifier": made.id, "SerialNumber": describe(pem).serial_number}
    at_once = asked.number("Immediately", 0, 0, 2)
    if at_once >= 1 and not asked.flag("AsynchronousFlag"):
        reply["X509Certificate"] = pem
    if at_once == 2 and not asked.flag("AsynchronousFlag"):
        reply["CertificateChain"] = chain(call, parent)
    return reply, replace(
        account,
        issued={**account.issued, made.id: made},
        authorities={
            **account.authorities,
            parent.id: replace(parent, issued=parent.issued + 1),
        },
        next_number=account.next_number + 1,
    )


_PARAMETER_OF = {"san": "SanValue", "subject": "CommonName", "csr": "Csr"}
"""Which parameter an unusable part of a certificate came from."""


def _issuing(call: Call) -> CertificateAuthority:
    """The CA that shall issue: a subordinate one, in force, with certificates left."""
    parent = authority_of(call, call.parameters.needed("ParentIdentifier"))
    if parent.type != "SUB_ROOT":
        raise call.parameters.illegal("ParentIdentifier")
    if parent.status != "ISSUE":
        raise ApiError("InvalidCaStatus", "The CA certificate has been revoked.")
    if parent.issued >= quota(call, parent):
        raise ApiError("InsufficientQuota", "The certificate quota of the private CA is used up.")
    return parent


def _validity(call: Call, parent: CertificateAuthority) -> tuple[datetime, datetime]:
    """From when to when: `Days` wins over `Years` and `Months`, these over two given times.

    Like the vendor's, the certificate begins now: on a client whose clock is behind it is not
    valid yet.
    """
    asked = call.parameters
    start = moment(call.now)
    days = asked.number("Days", 0, 0, 36_500)
    days = days or 365 * asked.number("Years", 0, 0, 100) + 30 * asked.number("Months", 0, 0, 1200)
    if days:
        end = moment(call.now + days * _DAY_S)
    else:
        # Named after X.509's notBefore and notAfter: the start is BeforeTime.
        start_s = asked.number("BeforeTime", 0, 0, _LAST_SECOND)
        end_s = asked.number("AfterTime", 0, 0, _LAST_SECOND)
        if not start_s or not end_s:
            raise missing("Days")
        start, end = moment(start_s), moment(end_s)
        if start >= end:
            raise asked.illegal("AfterTime")
    too_long = parent.longest_days and (end - start).total_seconds() > parent.longest_days * _DAY_S
    if too_long or end > describe(parent.certificate_pem).not_after:
        raise outlives()
    return start, end


def _request(call: Call) -> tuple[Subject, str]:
    asked = call.parameters
    try:
        subject, public_key = read_request(asked.needed("Csr"))
    except Unusable:
        raise ApiError("CsrFormatError", "The CSR format error.") from None
    if not subject.common_name:
        subject = replace(subject, common_name=asked.needed("CommonName"))
    return subject, public_key


def _client_sans(call: Call) -> list[tuple[int, str]]:
    values = [one.strip() for one in call.parameters.text("SanValue").split(",") if one.strip()]
    kind = call.parameters.number("SanType", 1, 0, 8)
    return [(kind, value) for value in values]


def _server_sans(call: Call, common_name: str) -> list[tuple[int, str]]:
    extra = [one.strip() for one in call.parameters.text("Domain").split(",")]
    sans = []
    for name in dict.fromkeys([common_name, *extra]):
        if name:
            try:
                sans.append((7, str(ipaddress.ip_address(name))))
            except ValueError:
                sans.append((2, name))
    return sans


def _issued_of(call: Call) -> IssuedCertificate:
    found = call.issued.get(call.parameters.needed("Identifier"))
    if found is None:
        raise not_found("certificate")
    return found


def _parent(call: Call, one: IssuedCertificate) -> CertificateAuthority:
    return call.account.authorities[one.parent_id]


def _with(account: Account, one: IssuedCertificate) -> Account:
    return replace(account, issued={**account.issued, one.id: one})


def _shown(one: IssuedCertificate) -> Json:
    return {
        **described(one.certificate_pem),
        "AliasName": one.alias,
        "CertificateType": one.type,
        "CustomIdentifier": one.custom_id,
        "Days": one.days,
        "Id": one.number,
        "Identifier": one.id,
        "ParentIdentifier": one.parent_id,
        "ResourceGroupId": one.resource_group_id or "rg-default",
        "Status": "REVOKE" if one.revoked_at else "ISSUE",
    }
