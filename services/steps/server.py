"""Step 2: the server certificate for the domain, where a listener can use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from services import disk
from services.cloud.equivalent import FileRef, Parameters, aliyun
from services.pki.names import asked_for
from services.pki.names import matches as covers
from services.problem import Exit, Problem
from services.session.model import Deed, Facts, Session
from services.steps import material, openssl
from services.steps.asks import always, answered, key_kind, one_of, whole
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result

NAME = "server"
LIVE = None

_own = answered("server.source", "own")
_made = answered("server.source", "own", "pca")
_files = answered("server.source", "files")


def _source(session: Session) -> str:
    """As the CA: who has a private CA in the cloud wants one authority, not two."""
    return "pca" if session.answers.get("ca.source") == "pca" else "own"


def _existing(here: Here) -> Sequence[Choice]:
    return [
        Choice(found.certificate_id, f"{found.common_name}, until {found.not_after}")
        for found in here.cloud.cas.server_certificates(here.stop)
        if not found.expired
    ]


def _issuers(here: Here) -> Sequence[Choice]:
    chosen = here.answer("ca.pca")
    return [
        Choice(ca.id, f"{ca.common_name} ({ca.algorithm})")
        for ca in here.cloud.pca.private_cas(here.stop)
        if ca.kind == "subordinate" and ca.status.upper() == "ISSUE" and chosen in ("", ca.id)
    ]


ASKS: Sequence[Ask] = (
    one_of("server.source", ("own", "pca", "existing", "files"), _source),
    Ask("server.pca", "choice", choices=_issuers, when=answered("server.source", "pca")),
    whole("server.days", 1, 398, always("397"), _made),
    key_kind("server.key_kind", _made),
    Ask("server.existing", "choice", choices=_existing, when=answered("server.source", "existing")),
    Ask("server.certificate_file", "path", when=_files, check=material.readable),
    Ask("server.key_file", "path", when=_files, check=material.readable),
    Ask(
        "server.ca_file",
        "path",
        when=answered("server.source", "files", "existing"),
        required=False,
        check=material.readable,
    ),
)


@dataclass(frozen=True, slots=True)
class MakeServerCa(Action):
    """A CA for server certificates, where the clients' CA has no key on this computer."""

    name: str
    key_kind: str

    KIND: ClassVar[str] = "server-ca"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return material.found(here.pki, "server-ca", "server-ca")

    def apply(self, here: Here, token: str) -> Result:
        from services.pki import issue

        key = material.key(here.pki / "server-ca.key", self.key_kind)
        subject = issue.Subject(common_name=self.name)
        certificate = issue.make_ca(subject, key, 3650, here.world.now())
        material.keep_certificates(here.pki / "server-ca.crt", [certificate])
        return material.result(here.pki, "server-ca", "server-ca")

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.pki, "server-ca.crt", "server-ca.key")

    def equivalent(self) -> Sequence[str]:
        return openssl.ca("server-ca", self.name, 3650, self.key_kind)


@dataclass(frozen=True, slots=True)
class MakeServerCertificate(Action):
    """A server key on this computer, and its certificate: by our CA, or by the cloud's."""

    region: str
    names: tuple[str, ...]
    days: int
    key_kind: str
    issuer: str
    """`ca` or `server-ca` (the files of that name), or a Private CA's identifier."""
    by_pca: bool
    custom_id: str
    issuer_parameters: tuple[str, ...] = ()
    """What the issuer here was made of: another issuer makes this another wish."""

    KIND: ClassVar[str] = "server-certificate"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        return material.found(here.pki, "server", "server")

    def apply(self, here: Here, token: str) -> Result:
        from services.pki import issue

        key = material.key(here.pki / "server.key", self.key_kind)
        if self.by_pca:
            csr = issue.make_csr(issue.Subject(common_name=self.names[0]), key, self.names)
            issued = here.cloud.pca.issue_server_certificate(
                self.issuer,
                csr.decode(),
                self.names,
                self.days,
                self.custom_id,
                token,
                here.stop,
            )
            trust = material.private_ca_chain(here, self.issuer)
            disk.write(here.pki / "server-ca.crt", trust.encode())
            material.keep_issued(here.pki / "server.crt", issued)
            result = material.result(here.pki, "server", "server")
            return Result(result.resource, {**result.facts, "server.issued_id": issued.id})
        certificate = issue.make_server(
            self.names,
            key,
            material.certificate(here.pki / f"{self.issuer}.crt"),
            material.load_key(here.pki / f"{self.issuer}.key"),
            self.days,
            here.world.now(),
        )
        material.keep_certificates(here.pki / "server.crt", [certificate])
        return material.result(here.pki, "server", "server")

    def undo(self, here: Here, deed: Deed) -> None:
        if self.by_pca:
            material.revoke(here, self.custom_id)
            material.remove(here.pki, "server-ca.crt")
        material.remove(here.pki, "server.crt", "server.key")

    def equivalent(self) -> Sequence[str]:
        if self.by_pca:
            parameters: Parameters = {
                "ParentIdentifier": self.issuer,
                "Csr": FileRef("server.csr"),
                "CommonName": self.names[0],
                "Domain": ",".join(self.names[1:]),
                "Days": self.days,
                "CustomIdentifier": self.custom_id,
            }
            return [
                openssl.request("server", self.names[0], self.key_kind),
                aliyun("pca", "CreateServerCertificateWithCsr", parameters, self.region),
            ]
        return openssl.server(self.names, self.days, self.key_kind, self.issuer)


@dataclass(frozen=True, slots=True)
class UploadServerCertificate(Action):
    """UploadUserCertificate: the certificate with its chain, and the key a listener needs."""

    region: str
    name: str
    certificate_file: str
    key_file: str
    parameters: tuple[str, ...]
    """What the certificate was made of: another wish there makes this another one, too."""

    KIND: ClassVar[str] = "server-upload"
    STEP: ClassVar[str] = NAME

    def _path(self, here: Here, name: str) -> Path:
        return here.pki / name  # an absolute name stays itself

    def find(self, here: Here) -> Result | None:
        path = self._path(here, self.certificate_file)
        if not path.exists():
            return None
        ours = material.fingerprint(path)
        for found in here.cloud.cas.server_certificates(here.stop):
            if found.sha256.upper() == ours:
                exact = here.cloud.cas.server_certificate(found.cas_id, here.stop) or found
                result = self._result(exact.certificate_id, exact.cas_id)
                return replace(result, ours=found.name == self.name)
        return None

    def _result(self, certificate_id: str, cas_id: str) -> Result:
        facts = {"server.certificate_id": certificate_id, "server.cas_id": cas_id}
        return Result(certificate_id, facts)

    def apply(self, here: Here, token: str) -> Result:
        chain = disk.read(self._path(here, self.certificate_file))
        key = disk.read(self._path(here, self.key_file))
        uploaded = here.cloud.cas.upload_server_certificate(
            self.name, chain.decode(), key.decode(), token, here.stop
        )
        return self._result(uploaded.certificate_id, uploaded.cas_id)

    def undo(self, here: Here, deed: Deed) -> None:
        if cas_id := deed.facts.get("server.cas_id"):
            here.cloud.cas.delete_server_certificate(cas_id, f"{deed.token}-undo", here.stop)

    def equivalent(self) -> Sequence[str]:
        parameters: Parameters = {
            "Name": self.name,
            "Cert": FileRef(self.certificate_file),
            "Key": FileRef(self.key_file),
        }
        return [aliyun("cas", "UploadUserCertificate", parameters, self.region)]


ACTIONS: Sequence[type[Action]] = (MakeServerCa, MakeServerCertificate, UploadServerCertificate)


def look(here: Here) -> Facts:
    """That a certificate which is there already can serve the domain."""
    source = here.answer("server.source")
    if source == "existing":
        wanted = here.answer("server.existing")
        for found in here.cloud.cas.server_certificates(here.stop):
            if wanted in (found.certificate_id, found.cas_id, found.name):
                if found.expired:
                    raise Problem("server.expired", name=found.name, not_after=found.not_after)
                # A list forms the id by the site's rule; only the detail has it from the vendor.
                exact = here.cloud.cas.server_certificate(found.cas_id, here.stop) or found
                return {
                    "server.certificate_id": exact.certificate_id,
                    "server.cas_id": exact.cas_id,
                    "server.trust": here.answer("server.ca_file"),
                    "server.not_after": found.not_after,
                }
        raise Problem("server.not-found", certificate=wanted, exit=Exit.USAGE)
    if source == "files":
        certificate = Path(here.answer("server.certificate_file"))
        material.match(certificate, Path(here.answer("server.key_file")))
        return {
            "server.trust": here.answer("server.ca_file"),
            "server.not_after": material.describe(certificate, here.world.now())["not_after"],
            "server.digest": material.fingerprint(certificate),
        }
    trusted = "ca.crt" if (source, here.answer("ca.source")) == ("own", "own") else "server-ca.crt"
    return {"server.trust": trusted}


def plan(session: Session) -> Sequence[Action]:
    """Make (or be issued) and upload; an existing one needs nothing."""
    answers, facts = session.answers, session.facts
    source = answers.get("server.source", "own")
    region = answers.get("prepare.region", "")
    name = f"nlb-mtls-{session.id}-server"
    if source == "existing":
        return []
    if source == "files":
        certificate, key = answers["server.certificate_file"], answers["server.key_file"]
        digest = (facts.get("server.digest", ""),)
        return [UploadServerCertificate(region, name, certificate, key, digest)]
    kind = answers.get("server.key_kind", "ec-p256")
    days = int(answers.get("server.days", "397"))
    names = tuple(
        each
        for each in (answers.get("prepare.domain", ""), facts.get("balancer.dns_name", ""))
        if each
    )
    actions: list[Action] = []
    made_of: tuple[str, ...] = ()
    if source == "pca":
        issuer = answers.get("server.pca", "")
    elif answers.get("ca.source") == "own":
        issuer = "ca"
        made_of = tuple(answers.get(f"ca.{part}", "") for part in ("name", "days", "key_kind"))
    else:
        issuer = "server-ca"
        actions.append(MakeServerCa(f"{names[0][:48]} server CA", kind))
    actions.append(
        MakeServerCertificate(
            region=region,
            names=names,
            days=days,
            key_kind=kind,
            issuer=issuer,
            by_pca=source == "pca",
            custom_id=name,
            issuer_parameters=made_of,
        )
    )
    wish = (*names, str(days), kind, issuer, *made_of)
    actions.append(UploadServerCertificate(region, name, "server.crt", "server.key", wish))
    return actions


def prove(here: Here) -> Proof:
    """CAS knows it by the id that the listener will be given, and it holds for the domain."""
    wanted = here.facts.get("server.certificate_id", "")
    found = here.cloud.cas.server_certificate(here.facts.get("server.cas_id", ""), here.stop)
    if found is None:
        return Proof((Check("server.check.known", False, wanted or "-"),))
    domain = here.answer("prepare.domain")
    names = (found.common_name, *found.sans)
    checks = [
        Check("server.check.known", found.certificate_id == wanted, found.certificate_id),
        Check(
            "server.check.name",
            any(covers(name, domain) for name in names),
            ", ".join(dict.fromkeys(names)),
            {"domain": domain},
        ),
        Check("server.check.valid", not found.expired, found.not_after),
    ]
    # What is only in the cloud shows itself in step 6.
    files = here.answer("server.source") == "files"
    local = here.pki / (here.answer("server.certificate_file") if files else "server.crt")
    trust = here.pki / here.facts.get("server.trust", "")
    if local.is_file() and trust.is_file():
        refusal = material.server_refusal(local, trust, asked_for(domain), here.world.now())
        checks.append(Check("server.check.accepted", not refusal, refusal or trust.name))
    return Proof(tuple(checks))
