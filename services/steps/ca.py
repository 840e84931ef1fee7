"""Step 1: the CA that the listener will trust for clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services import disk
from services.cloud.equivalent import FileRef, Parameters, aliyun
from services.cloud.port import CaCertificate
from services.problem import Exit, Problem
from services.session.model import Deed, Facts, Session
from services.steps import material, openssl
from services.steps.asks import always, answered, key_kind, one_of, whole
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result

if TYPE_CHECKING:
    from services.cloud.port import PrivateCa

NAME = "ca"
LIVE = None

_own = answered("ca.source", "own")
_pca = answered("ca.source", "pca")
_existing = answered("ca.source", "existing")


def _subordinates(here: Here) -> Sequence[Choice]:
    """Only a subordinate CA issues end certificates (vendor, CreateClientCertificate)."""
    return [
        Choice(ca.id, f"{ca.common_name} ({ca.algorithm})")
        for ca in here.cloud.pca.private_cas(here.stop)
        if ca.kind == "subordinate" and ca.status.upper() == "ISSUE"
    ]


def _uploaded(here: Here) -> Sequence[Choice]:
    return [Choice(ca.id, ca.common_name) for ca in here.cloud.cas.ca_certificates(here.stop)]


def _check_name(value: str, session: Session) -> str:
    from services.pki.names import check_client_name

    return check_client_name(value)


def _default_name(session: Session) -> str | None:
    domain = session.answers.get("prepare.domain")
    return f"{domain[:48]} client CA" if domain else None


ASKS: Sequence[Ask] = (
    one_of("ca.source", ("own", "pca", "existing"), always("own")),
    Ask("ca.name", default=_default_name, check=_check_name, when=_own),
    whole("ca.days", 1, 7300, always("3650"), _own),
    key_kind("ca.key_kind", _own),
    Ask("ca.pca", "choice", choices=_subordinates, when=_pca),
    Ask("ca.existing", "choice", choices=_uploaded, when=_existing),
    Ask("ca.certificate_file", "path", when=_existing, required=False, check=material.readable),
    Ask("ca.key_file", "path", when=_existing, required=False, check=material.readable),
)


@dataclass(frozen=True, slots=True)
class MakeCa(Action):
    """A CA key and certificate on this computer; the key never leaves it."""

    name: str
    days: int
    key_kind: str

    KIND: ClassVar[str] = "ca"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return material.found(here.pki, "ca", "ca")

    def apply(self, here: Here, token: str) -> Result:
        from services.pki import issue

        key = material.key(here.pki / "ca.key", self.key_kind)
        certificate = issue.make_ca(
            issue.Subject(common_name=self.name), key, self.days, here.world.now()
        )
        material.keep_certificates(here.pki / "ca.crt", [certificate])
        return material.result(here.pki, "ca", "ca")

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.pki, "ca.crt", "ca.key")

    def equivalent(self) -> Sequence[str]:
        return openssl.ca("ca", self.name, self.days, self.key_kind)


@dataclass(frozen=True, slots=True)
class UploadCa(Action):
    """UploadPCACert: the CA's certificate, and never its key, into a certificate repository."""

    region: str
    name: str
    ca: MakeCa
    """The CA that it is about: another wish there makes this another one, too."""

    KIND: ClassVar[str] = "ca-upload"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        if not (here.pki / "ca.crt").exists():
            return None
        ours = material.fingerprint(here.pki / "ca.crt")
        serial = material.certificate(here.pki / "ca.crt").serial_number
        for ca in here.cloud.cas.ca_certificates(here.stop):
            if _same_serial(ca, serial):
                pem = here.cloud.cas.ca_certificate_pem(ca.id, here.stop)
                if material.fingerprint_of(pem) == ours:
                    return Result(ca.id, {"ca.id": ca.id})
        return None

    def apply(self, here: Here, token: str) -> Result:
        repositories = here.cloud.cas.ca_repositories(here.stop)
        if not repositories:
            raise Problem("ca.no-repository", site=here.cloud.cas_site)
        pem = disk.read(here.pki / "ca.crt").decode()
        ca_id = here.cloud.cas.upload_ca_certificate(
            repositories[0].id, self.name, pem, token, here.stop
        )
        return Result(ca_id, {"ca.id": ca_id})

    def undo(self, here: Here, deed: Deed) -> None:
        if deed.resource:
            here.cloud.cas.delete_ca_certificate(deed.resource, f"{deed.token}-undo", here.stop)

    def equivalent(self) -> Sequence[str]:
        parameters: Parameters = {"Name": self.name, "WarehouseId": "…", "Cert": FileRef("ca.crt")}
        return [
            aliyun("cas", "ListCertWarehouse", {"Type": "uploadCA"}, self.region),
            aliyun("cas", "UploadPCACert", parameters, self.region),
        ]


@dataclass(frozen=True, slots=True)
class FetchCa(Action):
    """The certificate of a CA that the cloud has already, kept here for clients and checks."""

    region: str
    source: str
    ca_id: str

    KIND: ClassVar[str] = "ca-fetch"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return self._result() if (here.pki / "ca.crt").exists() else None

    def _result(self) -> Result:
        return Result(self.ca_id, {"ca.id": self.ca_id, "ca.certificate": "ca.crt"})

    def apply(self, here: Here, token: str) -> Result:
        if self.source == "pca":
            pem = material.private_ca_chain(here, self.ca_id)
        else:
            pem = here.cloud.cas.ca_certificate_pem(self.ca_id, here.stop)
        disk.write(here.pki / "ca.crt", pem.encode())
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.pki, "ca.crt")

    def equivalent(self) -> Sequence[str]:
        if self.source == "pca":
            call = aliyun("pca", "DescribeCACertificate", {"Identifier": self.ca_id}, self.region)
        else:
            parameters: Parameters = {"CertIdentifier": self.ca_id}
            call = aliyun("cas", "DescribeWarehouseCert", parameters, self.region)
        return [call]


ACTIONS: Sequence[type[Action]] = (MakeCa, UploadCa, FetchCa)


def look(here: Here) -> Facts:
    """That the chosen CA is there and can do what is asked of it."""
    if here.answer("ca.source") == "pca":
        ca = here.cloud.pca.private_ca(here.answer("ca.pca"), here.stop)
        if ca.kind != "subordinate":
            raise Problem("ca.not-subordinate", ca=ca.id, name=ca.common_name)
        left = "" if ca.remaining is None else str(ca.remaining)
        return {"ca.common_name": ca.common_name, "ca.algorithm": ca.algorithm, "ca.left": left}
    if here.answer("ca.source") == "existing":
        known = {ca.id: ca for ca in here.cloud.cas.ca_certificates(here.stop)}
        chosen = known.get(here.answer("ca.existing"))
        if chosen is None:
            raise Problem("ca.not-found", ca=here.answer("ca.existing"), exit=Exit.USAGE)
        return {"ca.common_name": chosen.common_name}
    return {}


def plan(session: Session) -> Sequence[Action]:
    """Own: make and upload. Else: fetch the certificate of the one that is there."""
    answers = session.answers
    region = answers.get("prepare.region", "")
    source = answers.get("ca.source", "own")
    if source == "own":
        make = MakeCa(
            name=answers.get("ca.name", ""),
            days=int(answers.get("ca.days", "3650")),
            key_kind=answers.get("ca.key_kind", "ec-p256"),
        )
        return [make, UploadCa(region=region, name=f"nlb-mtls-{session.id}-ca", ca=make)]
    return [FetchCa(region=region, source=source, ca_id=answers.get(f"ca.{source}", ""))]


def prove(here: Here) -> Proof:
    """The cloud knows the CA by the id that the listener will be given."""
    ca_id = here.facts.get("ca.id", "")
    if here.answer("ca.source") == "pca":
        known: Sequence[CaCertificate | PrivateCa] = here.cloud.pca.private_cas(here.stop)
    else:
        known = here.cloud.cas.ca_certificates(here.stop)
    there = any(ca.id == ca_id for ca in known)
    facts = material.describe(here.pki / "ca.crt", here.world.now())
    return Proof(
        (
            Check("ca.check.known", there, ca_id),
            Check("ca.check.is-ca", facts["is_ca"] == "True", facts["subject"]),
            Check("ca.check.valid", facts["valid"] == "True", facts["not_after"]),
        )
    )


def _same_serial(ca: CaCertificate, serial: int) -> bool:
    """The vendor shows serial numbers in hex, with leading zeros or without."""
    try:
        return int(ca.serial_number or "0", 16) == serial
    except ValueError:
        return False
