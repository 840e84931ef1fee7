"""Step 3: the client's certificate and key, and the PKCS#12 file that browsers import."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services import disk
from services.cloud.equivalent import FileRef, Parameters, aliyun
from services.problem import Problem
from services.session.model import Deed, Facts, Session
from services.steps import material, openssl
from services.steps.asks import always, answered, key_kind, one_of, whole
from services.steps.step import Action, Ask, Check, Here, Proof, Result

NAME = "client"
LIVE = None

PASSWORD = "client.pkcs12_password"
"""The secret ask for the PKCS#12's password; a generated one is revealed under this name."""

_issue = answered("client.source", "issue")
_files = answered("client.source", "files")


def _source(session: Session) -> str:
    """A CA in a repository can sign only where its key is at hand."""
    answers = session.answers
    if answers.get("ca.source") == "existing" and not answers.get("ca.key_file"):
        return "files"
    return "issue"


def _name(session: Session) -> str | None:
    domain = session.answers.get("prepare.domain")
    return f"{domain[:56]} client" if domain else None


def _days(session: Session) -> str:
    """Private CA's certificates live 30 days unless more was bought (vendor, PCA quotas)."""
    return "30" if session.answers.get("ca.source") == "pca" else "365"


def _check_name(value: str, session: Session) -> str:
    from services.pki.names import check_client_name

    return check_client_name(value)


def _check_password(value: str, session: Session) -> str:
    from services.pki import pkcs12

    pkcs12.check_password(value)
    return value


ASKS: Sequence[Ask] = (
    one_of("client.source", ("issue", "files"), _source),
    Ask("client.name", default=_name, check=_check_name, when=_issue),
    whole("client.days", 1, 398, _days, _issue),
    key_kind("client.key_kind", _issue),
    Ask("client.certificate_file", "path", when=_files, check=material.readable),
    Ask("client.key_file", "path", when=_files, check=material.readable),
    one_of("client.pkcs12_profile", ("modern", "legacy"), always("modern")),
    Ask(PASSWORD, "secret", required=False, check=_check_password),
)


@dataclass(frozen=True, slots=True)
class MakeClientCertificate(Action):
    """A client key on this computer, and its certificate: by our CA's key, or by Private CA."""

    region: str
    source: str
    """`own`, `existing` (a CA whose key is at `ca_key_file`) or `pca`."""
    name: str
    days: int
    key_kind: str
    ca_id: str
    custom_id: str
    ca_certificate_file: str = "ca.crt"
    ca_key_file: str = "ca.key"

    KIND: ClassVar[str] = "client-certificate"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return material.found(here.pki, "client", "client")

    def apply(self, here: Here, token: str) -> Result:
        from services.pki import issue

        key = material.key(here.pki / "client.key", self.key_kind)
        if self.source == "pca":
            csr = issue.make_csr(issue.Subject(common_name=self.name), key)
            issued = here.cloud.pca.issue_client_certificate(
                self.ca_id, csr.decode(), self.days, self.custom_id, token, here.stop
            )
            material.keep_issued(here.pki / "client.crt", issued)
            result = material.result(here.pki, "client", "client")
            return Result(result.resource, {**result.facts, "client.issued_id": issued.id})
        certificate = issue.make_client(
            self.name,
            key,
            material.certificate(here.pki / self.ca_certificate_file),
            material.load_key(here.pki / self.ca_key_file),
            self.days,
            here.world.now(),
        )
        material.keep_certificates(here.pki / "client.crt", [certificate])
        return material.result(here.pki, "client", "client")

    def undo(self, here: Here, deed: Deed) -> None:
        if self.source == "pca":
            material.revoke(here, self.custom_id)
        material.remove(here.pki, "client.crt", "client.key")

    def equivalent(self) -> Sequence[str]:
        if self.source == "pca":
            parameters: Parameters = {
                "ParentIdentifier": self.ca_id,
                "Csr": FileRef("client.csr"),
                "Days": self.days,
                "CustomIdentifier": self.custom_id,
                "Immediately": 2,
            }
            return [
                openssl.request("client", self.name, self.key_kind),
                aliyun("pca", "CreateClientCertificateWithCsr", parameters, self.region),
            ]
        return openssl.client(
            self.name, self.days, self.key_kind, self.ca_certificate_file, self.ca_key_file
        )


@dataclass(frozen=True, slots=True)
class TakeClientFiles(Action):
    """A client certificate and key that the person has already, copied into the session."""

    certificate_file: str
    key_file: str
    digest: str

    KIND: ClassVar[str] = "client-files"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return material.found(here.pki, "client", "client")

    def apply(self, here: Here, token: str) -> Result:
        disk.write(here.pki / "client.key", disk.read(Path(self.key_file)))
        disk.write(here.pki / "client.crt", disk.read(Path(self.certificate_file)))
        return material.result(here.pki, "client", "client")

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.pki, "client.crt", "client.key")

    def equivalent(self) -> Sequence[str]:
        return [
            shlex.join(["install", "-m", "600", self.certificate_file, "client.crt"]),
            shlex.join(["install", "-m", "600", self.key_file, "client.key"]),
        ]


@dataclass(frozen=True, slots=True)
class MakePkcs12(Action):
    """Certificate, chain and key in one file under a password, as browsers import them."""

    profile: str
    name: str
    parameters: tuple[str, ...]
    """What the certificate was made of: another wish there makes this another one, too."""

    KIND: ClassVar[str] = "pkcs12"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return self._result() if (here.pki / "client.p12").exists() else None

    def _result(self) -> Result:
        return Result("client.p12", {"client.pkcs12": "client.p12"})

    def apply(self, here: Here, token: str) -> Result:
        from services.pki import pkcs12

        password = here.secrets.get(PASSWORD) or ""
        generated = not password
        if generated:
            password = pkcs12.new_password()
        chain = material.certificates(here.pki / "client.crt")
        bundle = pkcs12.bundle(
            self.name,
            material.load_key(here.pki / "client.key"),
            chain[0],
            chain[1:] or material.certificates(here.pki / "ca.crt"),
            password,
            pkcs12.Profile(self.profile),
        )
        # Shown first: a file whose password nobody has seen would be there for good after a kill.
        if generated:
            here.reveal(PASSWORD, password)
        disk.write(here.pki / "client.p12", bundle)
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.pki, "client.p12")

    def equivalent(self) -> Sequence[str]:
        legacy = ["-legacy"] if self.profile == "legacy" else []
        return [
            shlex.join(
                [
                    *("openssl", "pkcs12", "-export", *legacy),
                    *("-in", "client.crt", "-inkey", "client.key", "-certfile", "ca.crt"),
                    *("-name", self.name, "-passout", "file:password.txt", "-out", "client.p12"),
                ]
            )
        ]


ACTIONS: Sequence[type[Action]] = (MakeClientCertificate, TakeClientFiles, MakePkcs12)


def look(here: Here) -> Facts:
    """That a key can be found to sign with, or that the given files fit."""
    if here.answer("client.source") == "files":
        certificate = Path(here.answer("client.certificate_file"))
        material.match(certificate, Path(here.answer("client.key_file")))
        return {"client.digest": material.fingerprint(certificate)}
    if here.answer("ca.source") == "existing":
        if not here.answer("ca.key_file"):
            raise Problem("client.no-ca-key")
        material.match(_existing_certificate(here), Path(here.answer("ca.key_file")))
    return {}


def _existing_certificate(here: Here) -> Path:
    return Path(here.answer("ca.certificate_file") or here.pki / "ca.crt")


def plan(session: Session) -> Sequence[Action]:
    """A certificate, issued or taken, and the PKCS#12 made of it."""
    answers, facts = session.answers, session.facts
    profile = answers.get("client.pkcs12_profile", "modern")
    if answers.get("client.source") == "files":
        digest = facts.get("client.digest", "")
        take = TakeClientFiles(
            answers["client.certificate_file"], answers["client.key_file"], digest
        )
        return [take, MakePkcs12(profile, "nlb-mtls client", (digest,))]
    source = answers.get("ca.source", "own")
    existing = source == "existing"
    make = MakeClientCertificate(
        region=answers.get("prepare.region", ""),
        source=source,
        name=answers.get("client.name", ""),
        days=int(answers.get("client.days", "365")),
        key_kind=answers.get("client.key_kind", "ec-p256"),
        ca_id=facts.get("ca.id", ""),
        custom_id=f"nlb-mtls-{session.id}-client",
        ca_certificate_file=(answers.get("ca.certificate_file") if existing else "") or "ca.crt",
        ca_key_file=(answers.get("ca.key_file") if existing else "") or "ca.key",
    )
    wish = (make.source, make.name, str(make.days), make.key_kind, make.ca_id)
    return [make, MakePkcs12(profile, make.name, wish)]


def prove(here: Here) -> Proof:
    """The listener's CA issued it, for clients, and its key fits."""
    facts = material.describe(here.pki / "client.crt", here.world.now())
    refusal = material.client_refusal(
        here.pki / "client.crt", here.pki / "ca.crt", here.world.now()
    )
    return Proof(
        (
            Check("client.check.accepted", not refusal, refusal or facts["subject"]),
            Check("client.check.key", material.fits(here.pki, "client"), "client.key"),
            Check("client.check.valid", facts["valid"] == "True", facts["not_after"]),
            Check("client.check.pkcs12", (here.pki / "client.p12").exists(), "client.p12"),
        )
    )
