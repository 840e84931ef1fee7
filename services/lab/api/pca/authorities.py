"""Private CAs: what was bought, and the CA certificates made with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from services.lab.api.call import Call
from services.lab.api.cas.certificates import tags_of
from services.lab.api.errors import ApiError, not_found
from services.lab.api.paging import by_number
from services.lab.api.pca.description import described
from services.lab.state.account import Account, CertificateAuthority, Json
from services.lab.state.identifiers import fresh_certificate
from services.lab.state.x509 import (
    ALGORITHMS,
    Issuer,
    Subject,
    Unusable,
    describe,
    issue_ca,
    joined,
    moment,
    new_key,
    years_after,
)

_LONGEST_YEARS = 30
_TERM_MS = 365 * 86_400_000
_KINDS = {"root": "ROOT", "subRoot": "SUB_ROOT", "externalCa": "EXTERNAL_CA"}
"""A list's filter words, and what its items say."""


def describe_ca_certificate_list(call: Call) -> Json:
    asked = call.parameters
    kind = asked.text("CertType", among=_KINDS)
    status = asked.text("CaStatus", among=("issue", "forbidden", "revoke"))
    validity = asked.text("ValidStatus", among=("valid", "notValid"))
    source = asked.text("IssuerType", among=("local", "iTrusChina", "external"))
    identifier = asked.text("Identifier")
    found = [
        one
        for one in call.authorities.values()
        if not identifier or one.id == identifier
        if not kind or one.type == _KINDS[kind]
        if not status or one.status == status.upper()
        if not validity or _is_valid(call, one) == (validity == "valid")
        if source in ("", "local")
    ]
    page, fields = by_number(asked, found, default=20)
    pages = -(-len(found) // fields["ShowSize"])
    shown = [{**_shown(one), "Alias": "", "Gift": 0, "Trial": 0} for one in page]
    return {"CertificateList": shown, "PageCount": pages, **fields}


def describe_ca_certificate(call: Call) -> Json:
    one = authority_of(call, call.parameters.needed("Identifier"))
    total = quota(call, one)
    return {
        "Certificate": {
            **_shown(one),
            "CaCertChain": chain(call, one),
            "CertIssuedCount": one.issued,
            "CertMaxTime": one.longest_days,
            "CertRemainingCount": total - one.issued,
            "CertTotalCount": total,
            "CrlDay": one.crl_days,
            "CrlStatus": "1" if one.crl_days else "0",
            "FullAlgorithm": describe(one.certificate_pem).full_algorithm,
            "IssuerType": "local",
            "Tags": [{"TagKey": key, "TagValue": value} for key, value in one.tags],
        }
    }


def describe_ca_certificate_count(call: Call) -> Json:
    return {"TotalCount": len(call.authorities)}


def get_ca_instance_status(call: Call) -> Json:
    asked = call.parameters
    identifier, instance_id = asked.text("Identifier"), asked.text("InstanceId")
    found = []
    for bought in call.pca_instances.values():
        if identifier not in ("", bought.ca_id) or instance_id not in ("", bought.id):
            continue
        made = call.authorities.get(bought.ca_id)
        since_ms = int(bought.since * 1000)
        found.append(
            {
                "AfterTime": since_ms + _TERM_MS,
                "BeforeTime": since_ms,
                "CertIssuedCount": made.issued if made else 0,
                "CertTotalCount": bought.quota,
                "Identifier": bought.ca_id,
                "InstanceId": bought.id,
                "Status": "USED" if made else "UNUSED",
                "Type": bought.type,
                "UseExpireTime": since_ms + _TERM_MS,
            }
        )
    return {"InstanceStatusList": found}


def create_root_ca_certificate(call: Call) -> tuple[Json, Account]:
    return _made(call, "ROOT", None)


def create_sub_ca_certificate(call: Call) -> tuple[Json, Account]:
    parent = authority_of(call, call.parameters.needed("ParentIdentifier"))
    if parent.type != "ROOT" or parent.status != "ISSUE":
        raise call.parameters.illegal("ParentIdentifier")
    return _made(call, "SUB_ROOT", parent)


def update_ca_certificate_status(call: Call) -> tuple[Json, Account]:
    """Revoke a CA, and all that came from it."""
    call.parameters.needed("Status", among=("REVOKE",))
    top = authority_of(call, call.parameters.needed("Identifier"))
    gone = {top.id} | {one.id for one in call.authorities.values() if one.parent_id == top.id}
    return {}, replace(
        call.account,
        authorities={
            key: replace(one, status="REVOKE") if key in gone else one
            for key, one in call.account.authorities.items()
        },
        issued={
            key: replace(one, revoked_at=one.revoked_at or call.now)
            if one.parent_id in gone
            else one
            for key, one in call.account.issued.items()
        },
    )


def authority_of(call: Call, identifier: str) -> CertificateAuthority:
    """The private CA with this id. Raises `ApiError`."""
    found = call.authorities.get(identifier)
    if found is None:
        raise not_found("CA certificate")
    return found


def quota(call: Call, authority: CertificateAuthority) -> int:
    """How many end certificates were bought with a CA."""
    return sum(one.quota for one in call.pca_instances.values() if one.ca_id == authority.id)


def chain(call: Call, authority: CertificateAuthority) -> str:
    """A CA's certificate and those above it."""
    above = call.authorities.get(authority.parent_id)
    return joined(authority.certificate_pem, *((above.certificate_pem,) if above else ()))


def check_family(call: Call, algorithm: str, parent: CertificateAuthority) -> None:
    """Refuse a key of another family than the issuing CA's (RSA under ECC, or the reverse)."""
    if algorithm.partition("_")[0] != describe(parent.certificate_pem).algorithm:
        raise call.parameters.illegal("Algorithm")


def _made(
    call: Call, kind: Literal["ROOT", "SUB_ROOT"], parent: CertificateAuthority | None
) -> tuple[Json, Account]:
    asked = call.parameters
    subject = Subject(
        common_name=asked.needed("CommonName"),
        organization=asked.needed("Organization"),
        organization_unit=asked.needed("OrganizationUnit"),
        country=asked.text("CountryCode") or "CN",
        state=asked.needed("State"),
        locality=asked.needed("Locality"),
    )
    years = asked.needed_number("Years", 1, _LONGEST_YEARS)
    algorithm = asked.text("Algorithm", "RSA_2048", among=ALGORITHMS)
    start = moment(call.now)
    end = years_after(start, years)
    if parent is not None:
        asked.needed("Algorithm")
        check_family(call, algorithm, parent)
        if end > describe(parent.certificate_pem).not_after:
            raise outlives()
    bought = next(
        (one for one in call.pca_instances.values() if one.type == kind and not one.ca_id), None
    )
    if bought is None:
        raise ApiError("CaInstanceNotFound", f"There is no unused private CA instance of {kind}.")
    key = new_key(algorithm)
    issuer = Issuer(parent.certificate_pem, parent.key_pem) if parent else None
    path_length = asked.number("PathLenConstraint", 0, 0, 10) if parent else None
    try:
        pem = issue_ca(subject, key, issuer, start, end, path_length)
    except Unusable as unusable:
        raise asked.illegal("Subject") from unusable
    made = CertificateAuthority(
        id=fresh_certificate(),
        type=kind,
        certificate_pem=pem,
        key_pem=key,
        parent_id=parent.id if parent else "",
        years=years,
        crl_days=asked.number("CrlDay", 30, 1, 365) if asked.flag("EnableCrl") else 0,
        longest_days=asked.number("CertMaxTime", 0, 0, 36_500),
        resource_group_id=asked.text("ResourceGroupId"),
        tags=tags_of(call),
    )
    account = replace(
        call.account,
        authorities={**call.account.authorities, made.id: made},
        pca_instances={**call.account.pca_instances, bought.id: replace(bought, ca_id=made.id)},
    )
    reply = {
        "Identifier": made.id,
        "Certificate": pem,
        "CertificateChain": joined(pem, *((parent.certificate_pem,) if parent else ())),
    }
    return reply, account


def outlives() -> ApiError:
    return ApiError(
        "InvalidParameter", "The validity period exceeds that of the issuing CA certificate."
    )


def _is_valid(call: Call, authority: CertificateAuthority) -> bool:
    told = describe(authority.certificate_pem)
    return told.not_before <= moment(call.now) <= told.not_after


def _shown(authority: CertificateAuthority) -> Json:
    return {
        **described(authority.certificate_pem),
        "CertificateType": authority.type,
        "Identifier": authority.id,
        **({"ParentIdentifier": authority.parent_id} if authority.parent_id else {}),
        "ResourceGroupId": authority.resource_group_id or "rg-default",
        "Status": authority.status,
        "Years": authority.years,
    }
