"""`openssl version`, `x509`, `verify` and `pkey`: looking at what lies on the host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from getopt import GetoptError
from typing import TYPE_CHECKING

from services.lab.hosts.shell.machine import Process, Program
from services.lab.hosts.shell.streams import everything

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_SHORT_NAMES = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU",
    "countryName": "C", "stateOrProvinceName": "ST", "localityName": "L",
    "emailAddress": "emailAddress",
}  # fmt: skip


def openssl(process: Process, arguments: list[str]) -> int:
    """`openssl version | x509 … | verify … | pkey …`."""
    command, *rest = arguments or [""]
    match command:
        case "version":
            process.out("OpenSSL 1.1.1k  FIPS 25 Mar 2021\n")
            return 0
        case "x509":
            return _x509(process, rest)
        case "verify":
            return _verify(process, rest)
        case "pkey" | "rsa" | "ec":
            return _pkey(process, rest)
    process.err(f"openssl: '{command}' is not available on this host; make it elsewhere\n")
    return 1


def _options(
    arguments: list[str], flags: frozenset[str], valued: frozenset[str]
) -> tuple[list[str], dict[str, str], list[str]]:
    """OpenSSL's own style: one dash, long names, in order."""
    found, values = list[str](), dict[str, str]()
    waiting = arguments[::-1]
    while waiting and waiting[-1].startswith("-"):
        name = waiting.pop()[1:]
        if name in valued and waiting:
            values[name] = waiting.pop()
        elif name in flags:
            found.append(name)
        else:
            raise GetoptError(f"Unrecognized flag {name}")
    return found, values, waiting[::-1]


def _content(process: Process, path: str | None) -> bytes:
    return everything(process.stdin) if path is None else process.files.read(path, process.cwd)


def _x509(process: Process, arguments: list[str]) -> int:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    flags, values, _ = _options(
        arguments,
        frozenset(
            [
                "noout",
                "subject",
                "issuer",
                "dates",
                "startdate",
                "enddate",
                "serial",
                "fingerprint",
                "sha256",
                "sha1",
                "pubkey",
                "text",
                "modulus",
            ]
        ),
        frozenset(["in", "ext", "checkend", "nameopt", "inform"]),
    )
    try:
        certificate = x509.load_pem_x509_certificate(_content(process, values.get("in")))
    except ValueError:
        process.err("unable to load certificate\n")
        return 1
    for flag in flags:
        process.out(_field(certificate, flag, sha1="sha1" in flags or "sha256" not in flags))
    if "ext" in values:
        process.out(_alternative_names(certificate))
    if "checkend" in values:
        return _check_end(process, certificate, values["checkend"])
    if "noout" not in flags:
        process.out(certificate.public_bytes(Encoding.PEM).decode())
    return 0


def _field(certificate: x509.Certificate, flag: str, *, sha1: bool) -> str:
    from cryptography.hazmat.primitives import hashes

    match flag:
        case "subject":
            return f"subject={_name(certificate.subject)}\n"
        case "issuer":
            return f"issuer={_name(certificate.issuer)}\n"
        case "serial":
            digits = f"{certificate.serial_number:X}"
            return f"serial={digits.zfill(len(digits) + len(digits) % 2)}\n"
        case "startdate":
            return f"notBefore={_time(certificate.not_valid_before_utc)}\n"
        case "enddate":
            return f"notAfter={_time(certificate.not_valid_after_utc)}\n"
        case "dates":
            return _field(certificate, "startdate", sha1=sha1) + _field(
                certificate, "enddate", sha1=sha1
            )
        case "fingerprint":
            # OpenSSL 1.1.1 takes SHA-1 unless told otherwise; a fingerprint is no signature.
            algorithm = hashes.SHA1() if sha1 else hashes.SHA256()
            digest = certificate.fingerprint(algorithm).hex(":").upper()
            return f"{'SHA1' if sha1 else 'SHA256'} Fingerprint={digest}\n"
        case "pubkey":
            return _public_pem(certificate.public_key())
        case "text":
            return (
                "Certificate:\n    Data:\n"
                f"        Serial Number: {certificate.serial_number:x}\n"
                f"        Issuer: {_name(certificate.issuer)}\n"
                f"            Not Before: {_time(certificate.not_valid_before_utc)}\n"
                f"            Not After : {_time(certificate.not_valid_after_utc)}\n"
                f"        Subject: {_name(certificate.subject)}\n" + _alternative_names(certificate)
            )
    return ""


def _time(moment: datetime) -> str:
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S %Y} GMT"


def _name(name: x509.Name) -> str:
    return ", ".join(
        f"{_SHORT_NAMES.get(part.oid._name, part.oid._name)} = {part.value!s}" for part in name
    )


def _alternative_names(certificate: x509.Certificate) -> str:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return "No extensions in certificate\n"
    shown = [f"DNS:{name}" for name in extension.value.get_values_for_type(x509.DNSName)]
    shown += [f"IP Address:{ip}" for ip in extension.value.get_values_for_type(x509.IPAddress)]
    return f"X509v3 Subject Alternative Name: \n    {', '.join(shown)}\n"


def _check_end(process: Process, certificate: x509.Certificate, seconds: str) -> int:
    if not seconds.isdigit():
        return process.fail(f"Invalid number {seconds}")
    soon = datetime.now(UTC) + timedelta(seconds=int(seconds))
    expires = certificate.not_valid_after_utc < soon
    process.out(f"Certificate will {'' if expires else 'not '}expire\n")
    return int(expires)


def _public_pem(key: PublicKeyTypes) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _pkey(process: Process, arguments: list[str]) -> int:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    flags, values, _ = _options(
        arguments, frozenset(["noout", "pubout", "check"]), frozenset(["in", "passin", "inform"])
    )
    content = _content(process, values.get("in"))
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        process.err("unable to load key\n")
        return 1
    if "check" in flags:
        process.out("Key is valid\n")
    if "pubout" in flags:
        process.out(_public_pem(key.public_key()))
    elif "noout" not in flags:
        process.stdout.write(content)
    return 0


def _verify(process: Process, arguments: list[str]) -> int:
    """Whether each was issued by one of the trusted certificates, and is valid today."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    _, values, names = _options(
        arguments, frozenset(["partial_chain"]), frozenset(["CAfile", "untrusted", "purpose"])
    )
    trusted: list[x509.Certificate] = []
    for option in ("CAfile", "untrusted"):
        if option in values:
            content = process.files.read(values[option], process.cwd)
            trusted += x509.load_pem_x509_certificates(content)
    status, now = 0, datetime.now(UTC)
    for name in names:
        certificate = x509.load_pem_x509_certificate(process.files.read(name, process.cwd))
        trouble = "error 20 at 0 depth lookup: unable to get local issuer certificate"
        for issuer in trusted:
            try:
                certificate.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature):
                continue
            trouble = ""
            break
        if not trouble and certificate.not_valid_after_utc < now:
            trouble = "error 10 at 0 depth lookup: certificate has expired"
        if trouble:
            process.err(f"{trouble}\nerror {name}: verification failed\n")
            status = 2
        else:
            process.out(f"{name}: OK\n")
    return status


PROGRAMS: dict[str, Program] = {"openssl": openssl}
