"""Certificate Management Service, API version 2020-04-07: server certificates and repositories."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from services.cloud.answer import Answer
from services.cloud.api import Api
from services.cloud.equivalent import FileRef, Parameters
from services.cloud.errors import PERHAPS_DONE, PRODUCTS
from services.cloud.pages import by_number
from services.cloud.port import CaCertificate, CaRepository, ServerCertificate
from services.problem import Problem
from services.stop import Stop


class AlibabaCas:
    """`services.cloud.port.Cas` over the vendor's API, at one of its sites."""

    def __init__(self, api: Api, site: str) -> None:
        self._api = api
        self._site = site

    def server_certificates(self, stop: Stop) -> Sequence[ServerCertificate]:
        # Without OrderType the list holds orders, and uploaded certificates seem to be missing.
        asked = {"OrderType": "CERT"}
        return [
            self._certificate(found, found.required("CertificateId"), uploaded=found.flag("Upload"))
            for found in by_number(
                self._api,
                "cas",
                "ListUserCertificateOrder",
                asked,
                "CertificateOrderList",
                stop,
            )
        ]

    def server_certificate(self, cas_id: str, stop: Stop) -> ServerCertificate | None:
        try:
            return self._detail(cas_id, stop)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise
            return None

    def upload_server_certificate(
        self, name: str, chain_pem: str, key_pem: str, token: str, stop: Stop
    ) -> ServerCertificate:
        asked: Parameters = {
            "Name": name,
            "Cert": FileRef("server.crt", chain_pem),
            "Key": FileRef("server.key", key_pem),
            "ClientToken": token,
        }
        answer = self._api.call("cas", "UploadUserCertificate", asked, stop)
        cas_id = answer.required("CertId")
        found = self._detail(cas_id, stop, late={"cloud.not-found": self._api.pace.fresh_s})
        self._api.uploaded[found.certificate_id] = time.monotonic()
        return found

    def delete_server_certificate(self, cas_id: str, token: str, stop: Stop) -> None:
        asked: Parameters = {"CertId": cas_id, "ClientToken": token}
        self._delete("DeleteUserCertificate", asked, stop)

    def ca_repositories(self, stop: Stop) -> Sequence[CaRepository]:
        return [
            CaRepository(found.required("WhId"), found.text("Name"))
            for found in by_number(
                self._api,
                "cas",
                "ListCertWarehouse",
                {"Type": "uploadCA"},
                "CertWarehouseList",
                stop,
            )
        ]

    def create_ca_repository(self, name: str, token: str, stop: Stop) -> CaRepository:
        """`token` cannot be sent: the action takes none. The new repository is found by name."""
        asked = {"Name": name, "Type": "uploadCA"}
        problem = None
        try:
            self._api.call("cas", "CreateWarehouse", asked, stop)
        except Problem as met:
            if met.code not in PERHAPS_DONE:
                raise
            problem = met
        for found in self.ca_repositories(stop):
            if found.name == name:
                return found
        raise problem or Problem(
            "cloud.not-found",
            f"CreateWarehouse said yes to {name}, and ListCertWarehouse does not list it",
            subject=name,
            region=self._site,
            product=PRODUCTS["cas"],
        )

    def ca_certificates(self, stop: Stop) -> Sequence[CaCertificate]:
        return [
            CaCertificate(
                id=found.required("Identifier"),
                common_name=found.text("CommonName"),
                serial_number=found.text("SerialNo"),
                source="aliyun" if found.text("SourceType").lower() == "aliyun" else "upload",
                repository_id=found.text("WhId"),
            )
            for found in by_number(
                self._api, "cas", "ListCert", {"CertType": "CA"}, "CertList", stop
            )
        ]

    def ca_certificate_pem(self, ca_id: str, stop: Stop) -> str:
        asked = {"CertIdentifier": ca_id}
        return self._api.call("cas", "DescribeWarehouseCert", asked, stop).pem("Content")

    def upload_ca_certificate(
        self, repository_id: str, name: str, certificate_pem: str, token: str, stop: Stop
    ) -> str:
        """`token` cannot be sent: the action takes none. A lost answer is made up by looking."""
        asked: Parameters = {
            "WarehouseId": repository_id,
            "Name": name,
            "Cert": FileRef("ca.crt", certificate_pem),
        }
        try:
            ca_id = self._api.call("cas", "UploadPCACert", asked, stop).required("Identifier")
        except Problem as problem:
            if problem.code not in PERHAPS_DONE:
                raise
            there = self._find_ca_certificate(repository_id, certificate_pem, stop)
            if there is None:
                raise
            ca_id = there
        self._api.uploaded[ca_id] = time.monotonic()
        return ca_id

    def delete_ca_certificate(self, ca_id: str, token: str, stop: Stop) -> None:
        self._delete("DeletePCACert", {"Identifier": ca_id}, stop)

    def _find_ca_certificate(self, repository_id: str, pem: str, stop: Stop) -> str | None:
        """The identifier of a repository's certificate that is this one."""
        for found in self.ca_certificates(stop):
            if found.repository_id == repository_id:
                there = self.ca_certificate_pem(found.id, stop)
                if there.split() == pem.split():
                    return found.id
        return None

    def _detail(
        self, cas_id: str, stop: Stop, late: Mapping[str, float] | None = None
    ) -> ServerCertificate:
        # Without CertFilter the private key comes back.
        asked: Parameters = {"CertId": cas_id, "CertFilter": True}
        answer = self._api.call("cas", "GetUserCertificateDetail", asked, stop, also_retry=late)
        uploaded = not answer.flag("BuyInAliyun")
        return self._certificate(answer, answer.text("Id") or cas_id, uploaded=uploaded)

    def _certificate(self, found: Answer, cas_id: str, uploaded: bool) -> ServerCertificate:
        return ServerCertificate(
            certificate_id=found.text("CertIdentifier") or f"{cas_id}-{self._site}",
            cas_id=cas_id,
            name=found.text("Name"),
            common_name=found.text("CommonName") or found.text("Common"),
            sans=found.words("Sans"),
            sha256=found.text("Sha2").upper(),
            not_after=found.text("EndDate"),
            uploaded=uploaded,
            expired=found.flag("Expired"),
        )

    def _delete(self, action: str, asked: Parameters, stop: Stop) -> None:
        """ "In use" is repeated for a while: it stays so for seconds after the listener went."""
        try:
            late = {"cloud.in-use": self._api.pace.fresh_s}
            self._api.call("cas", action, asked, stop, also_retry=late)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise
