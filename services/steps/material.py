"""The session's own keys and certificates, as files: made once, found again, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from services import disk
from services.cloud.port import IssuedCertificate
from services.problem import Problem
from services.session.model import Session
from services.steps.step import Here, Result

if TYPE_CHECKING:
    from cryptography import x509

    from services.pki.keys import PrivateKey

_LIMIT = 1024 * 1024
"""No certificate, key or chain is larger than this."""


def readable(value: str, session: Session) -> str:
    """A path as given by a person, absolute, if it can be read. Raises Problem (room `disk`)."""
    path = Path(value.strip()).expanduser().absolute()
    disk.read(path, _LIMIT)
    return str(path)


def key(path: Path, kind: str) -> PrivateKey:
    """The private key at `path`, made and kept first if there is none yet.

    It is on disk before anything is made with it, so that a kill loses no key.
    """
    from services.pki import keys

    if path.exists():
        return load_key(path)
    made = keys.new_key(keys.KeyKind(kind))
    disk.write(path, keys.key_pem(made))
    return made


def load_key(path: Path) -> PrivateKey:
    """Raises Problem for what is no usable, unencrypted private key (room `pki`)."""
    from services.pki import keys

    return keys.load_key(disk.read(path, _LIMIT))


def certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, in its order. Raises Problem (room `pki`)."""
    from services.pki import check

    return list(check.certificates_of(disk.read(path, _LIMIT)))


def certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file."""
    return certificates(path)[0]


def keep_certificates(path: Path, chain: Sequence[x509.Certificate]) -> None:
    """Write a chain as PEM, leaf first."""
    from cryptography.hazmat.primitives.serialization import Encoding

    disk.write(path, b"".join(each.public_bytes(Encoding.PEM) for each in chain))


def keep_issued(path: Path, issued: IssuedCertificate) -> None:
    """Write what the cloud issued, with the intermediate ones that a peer needs."""
    chain = [issued.certificate_pem.strip()]
    if issued.chain_pem.strip() and issued.chain_pem.strip() not in chain[0]:
        chain.append(issued.chain_pem.strip())
    disk.write(path, ("\n".join(chain) + "\n").encode())


def found(folder: Path, name: str, room: str) -> Result | None:
    """The pair NAME.crt and NAME.key, if both are there and belong together."""
    if not (folder / f"{name}.crt").exists() or not fits(folder, name):
        return None
    return result(folder, name, room)


def result(folder: Path, name: str, room: str) -> Result:
    """What later steps want to know of NAME.crt."""
    from services.pki import check

    leaf = certificate(folder / f"{name}.crt")
    facts = {
        f"{room}.certificate": f"{name}.crt",
        f"{room}.sha256": check.fingerprint_sha256(leaf),
        f"{room}.not_before": _spelt(leaf.not_valid_before_utc),
        f"{room}.not_after": _spelt(leaf.not_valid_after_utc),
    }
    return Result(f"{name}.crt", facts)


def fits(folder: Path, name: str) -> bool:
    """Whether NAME.key is the private key of NAME.crt."""
    key_file = folder / f"{name}.key"
    if not key_file.exists():
        return False
    try:
        match(folder / f"{name}.crt", key_file)
    except Problem:
        return False
    return True


def match(certificate_file: Path, key_file: Path) -> None:
    """Raises Problem `pki.key-mismatch` if the two do not belong together."""
    from services.pki import check

    check.match(disk.read(certificate_file, _LIMIT), disk.read(key_file, _LIMIT))


def fingerprint(path: Path) -> str:
    """SHA-256 of the first certificate in a file, upper-case hex."""
    from services.pki import check

    return check.fingerprint_sha256(certificate(path))


def fingerprint_of(pem: str) -> str:
    """SHA-256 of the first certificate of a PEM text, upper-case hex."""
    from services.pki import check

    return check.fingerprint_sha256(check.certificates_of(pem.encode())[0])


def describe(path: Path, now: datetime) -> dict[str, str]:
    """Subject, end, whether it is valid now and whether it is a CA's, of the first certificate."""
    from cryptography import x509

    leaf = certificate(path)
    try:
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        is_ca = basic.ca
    except x509.ExtensionNotFound:
        is_ca = False
    return {
        "subject": leaf.subject.rfc4514_string(),
        "not_after": _spelt(leaf.not_valid_after_utc),
        "valid": str(leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc),
        "is_ca": str(is_ca),
    }


def _spelt(moment: datetime) -> str:
    """RFC 3339, whole seconds as in the certificate."""
    return moment.isoformat().replace("+00:00", "Z")


def client_refusal(certificate_file: Path, ca_file: Path, now: datetime) -> str:
    """Why a listener that trusts `ca_file` would refuse the client; empty if it accepts it."""
    from services.pki import check

    chain = certificates(certificate_file)
    refusals = check.verify_client(chain[0], chain[1:], disk.read(ca_file, _LIMIT), now)
    return ", ".join(each.code for each in refusals)


def remove(folder: Path, *names: str) -> None:
    """Delete these files; absent is fine. Raises Problem `disk.cannot-write`."""
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise disk.cannot_write(folder / name, error) from error


def server_refusal(certificate_file: Path, ca_file: Path, name: str, now: datetime) -> str:
    """Why clients that trust `ca_file` would refuse the server; empty if none of them does."""
    from services.pki import check

    ca = disk.read(ca_file, _LIMIT)
    refusals = check.verify_server(certificates(certificate_file), ca, name, now)
    return ", ".join(each.code for each in refusals if each.refused_by)


def private_ca_chain(here: Here, ca_id: str) -> str:
    """The certificate of a CA that the cloud holds and of those above it, nearest first, as PEM."""
    pems: list[str] = []
    while ca_id and len(pems) < 10:
        ca = here.cloud.pca.private_ca(ca_id, here.stop)
        pems.append(ca.certificate_pem.strip() + "\n")
        ca_id = "" if ca.kind == "root" else ca.parent_id
    return "".join(pems)


def revoke(here: Here, custom_id: str) -> None:
    """Revoke what Private CA issued under our own identifier, if it did."""
    for issued in here.cloud.pca.issued_certificates(here.stop):
        if issued.custom_id == custom_id:
            here.cloud.pca.revoke_issued_certificate(issued.id, here.stop)
