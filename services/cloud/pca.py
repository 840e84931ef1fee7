"""Private CA, API version 2020-06-30: CAs that were bought, and what they issue.

Only a subordinate CA issues end certificates. The variants that take a request (CSR) are used, so
that no private key is ever made, or known, by the vendor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.cloud.answer import Answer
from services.cloud.api import Api
from services.cloud.equivalent import FileRef, Parameters, Value
from services.cloud.errors import PERHAPS_DONE
from services.cloud.pages import by_number
from services.cloud.port import IssuedCertificate, PrivateCa
from services.problem import Problem
from services.stop import Stop

_NOT_BOUGHT = frozenset({"cloud.refused", "cloud.not-found", "cloud.quota"})
"""How the vendor may answer an account that has no Private CA; its codes are not published."""


class AlibabaPca:
    """`services.cloud.port.Pca` over the vendor's API, at the same site as CAS."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def private_cas(self, stop: Stop) -> Sequence[PrivateCa]:
        try:
            count = self._api.call("pca", "DescribeCACertificateCount", {}, stop)
        except Problem as problem:
            if problem.code not in _NOT_BOUGHT:
                raise
            return []
        if count.number("TotalCount") == 0:
            return []
        return [
            _private_ca(found)
            for found in by_number(
                self._api, "pca", "DescribeCACertificateList", {}, "CertificateList", stop
            )
        ]

    def private_ca(self, ca_id: str, stop: Stop) -> PrivateCa:
        answer = self._api.call("pca", "DescribeCACertificate", {"Identifier": ca_id}, stop)
        return _private_ca(answer.item("Certificate"))

    def issue_client_certificate(
        self, ca_id: str, csr_pem: str, days: int, custom_id: str, token: str, stop: Stop
    ) -> IssuedCertificate:
        """`token` cannot be sent: the action takes none. `custom_id` does its work."""
        asked = _request(ca_id, FileRef("client.csr", csr_pem), days, custom_id)
        return self._issue("CreateClientCertificateWithCsr", asked, custom_id, stop)

    def issue_server_certificate(
        self,
        ca_id: str,
        csr_pem: str,
        names: Sequence[str],
        days: int,
        custom_id: str,
        token: str,
        stop: Stop,
    ) -> IssuedCertificate:
        """`token` cannot be sent: the action takes none. `custom_id` does its work."""
        asked = _request(ca_id, FileRef("server.csr", csr_pem), days, custom_id)
        asked["CommonName"] = names[0]
        if names[1:]:
            asked["Domain"] = ",".join(names[1:])
        return self._issue("CreateServerCertificateWithCsr", asked, custom_id, stop)

    def issued_certificates(self, stop: Stop) -> Sequence[IssuedCertificate]:
        return [
            _issued(found)
            for found in by_number(
                self._api, "pca", "ListClientCertificate", {}, "CertificateList", stop
            )
        ]

    def issued_certificate(self, certificate_id: str, stop: Stop) -> IssuedCertificate | None:
        asked = {"Identifier": certificate_id}
        try:
            answer = self._api.call("pca", "DescribeClientCertificate", asked, stop)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise
            return None
        return _issued(answer.item("Certificate"))

    def revoke_issued_certificate(self, certificate_id: str, stop: Stop) -> None:
        asked = {"Identifier": certificate_id}

        def revoked() -> bool | None:
            found = self.issued_certificate(certificate_id, stop)
            return found.status.upper() == "REVOKE" if found else None

        known = revoked()
        if known is None:
            return
        if not known:
            try:
                self._api.call("pca", "CreateRevokeClientCertificate", asked, stop)
            except Problem as problem:
                if problem.code not in PERHAPS_DONE or revoked() is False:
                    raise
        try:
            self._api.call("pca", "DeleteClientCertificate", asked, stop)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise

    def _issue(
        self, action: str, asked: Parameters, custom_id: str, stop: Stop
    ) -> IssuedCertificate:
        """Issue once. Where it is not clear whether that happened, look before saying so."""
        try:
            certificate_id = self._api.call("pca", action, asked, stop).required("Identifier")
        except Problem as problem:
            if problem.code not in PERHAPS_DONE:
                raise
            listed = self.issued_certificates(stop)
            done = next((one.id for one in listed if one.custom_id == custom_id), None)
            if done is None:
                raise
            certificate_id = done
        issued = self.issued_certificate(certificate_id, stop)
        if issued is None:
            raise Problem(
                "cloud.not-found",
                f"{action} made {certificate_id}, and DescribeClientCertificate does not know it",
                subject=certificate_id,
                region=self._api.sdk.regions["pca"],
                product="Private CA",
            )
        return issued


def _request(ca_id: str, csr: FileRef, days: int, custom_id: str) -> dict[str, Value]:
    return {
        "ParentIdentifier": ca_id,
        "Csr": csr,
        "Days": days,
        "CustomIdentifier": custom_id,
        "Immediately": 2,
    }


def _private_ca(found: Answer) -> PrivateCa:
    return PrivateCa(
        id=found.required("Identifier"),
        kind="root" if found.text("CertificateType").upper() == "ROOT" else "subordinate",
        common_name=found.text("CommonName"),
        algorithm=found.text("FullAlgorithm") or found.text("Algorithm"),
        status=found.text("Status"),
        parent_id=found.text("ParentIdentifier"),
        certificate_pem=found.pem("X509Certificate"),
        not_after_ms=found.number("AfterDate"),
        remaining=found.optional_number("CertRemainingCount"),
    )


def _issued(found: Answer) -> IssuedCertificate:
    certificate = found.pem("X509Certificate")
    return IssuedCertificate(
        id=found.required("Identifier"),
        custom_id=found.text("CustomIdentifier"),
        serial_number=found.text("SerialNumber"),
        certificate_pem=certificate,
        chain_pem=_without(certificate, found.pem("CertChain")),
        status=found.text("Status") or "ISSUE",
        parent_id=found.text("ParentIdentifier"),
    )


def _without(certificate: str, chain: str) -> str:
    """The chain above a certificate: the vendor does not say whether its chain begins with it."""
    blocks = re.findall(r"-----BEGIN [^-]+-----\n.*?-----END [^-]+-----\n", chain, re.DOTALL)
    return "".join(block for block in blocks if block != certificate)
