"""Who the strangers are: what each shows at the door, and why one may have nothing to show.

Each looks like the rightful client in all but one thing, so that a refusal proves that this one
thing is looked at. Their certificates and keys are made here, and last for an hour. Python's ssl
module reads keys from files only: they lie in a private folder until the TLS settings are made,
before the first connection, and are gone after that, whatever happens.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.probe.identity import client_certificate
from services.probe.target import Target, client_context
from services.problem import Problem

if TYPE_CHECKING:
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

Stranger = Literal[
    "no_certificate",
    "unknown_ca",
    "plain_http",
    "impostor_ca",
    "expired",
    "wrong_usage",
    "server_certificate",
    "tls_1_0",
    "tls_1_1",
]
MUST_TRY: tuple[Stranger, ...] = ("no_certificate", "unknown_ca", "plain_http")
"""Those that need nothing but the endpoint: without their refusal nothing is proven."""
STRANGERS: tuple[Stranger, ...] = (
    *MUST_TRY,
    "impostor_ca",
    "expired",
    "wrong_usage",
    "server_certificate",
    "tls_1_0",
    "tls_1_1",
)
OLD_TLS: frozenset[Stranger] = frozenset({"tls_1_0", "tls_1_1"})
"""The rightful client itself, in a version that is no longer to be spoken (RFC 8996)."""

_LIFE = timedelta(hours=1)
_DAY = timedelta(days=1)
_LEEWAY = timedelta(hours=1)
"""For clocks that are behind ours."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files (PEM)."""

    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Visitor:
    """A stranger at the door: `context` has what it shows; None speaks plain HTTP."""

    target: Target
    context: ssl.SSLContext | None


class Untried(Exception):
    """A stranger has nothing to show; the text says why, without anything of a key's."""


def dressed(
    target: Target, issuer: Pair | None, server: Pair | None
) -> dict[Stranger, Visitor | Untried]:
    """Each of `STRANGERS`, in that order, ready to knock at `target`.

    `issuer` is the CA that issued the rightful client's certificate, `server` what the server
    shows; those that need a key that is not at hand are `Untried`.
    """
    with tempfile.TemporaryDirectory(prefix="nlb-mtls-") as folder:
        wardrobe = _Wardrobe(target, Path(folder), issuer, server)
        return {name: wardrobe.dress(name) for name in STRANGERS}


class _Wardrobe:
    """Makes the strangers' certificates, in a folder that its owner removes."""

    def __init__(
        self, target: Target, folder: Path, issuer: Pair | None, server: Pair | None
    ) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._target = replace(target, tls=True)
        self._folder = folder
        self._issuer, self._server = issuer, server
        self._rightful = client_certificate(target)
        self._key = ec.generate_private_key(ec.SECP256R1())
        """One for all: their certificates are what differs."""
        self._now = datetime.now(UTC)

    def dress(self, name: Stranger) -> Visitor | Untried:
        try:
            match name:
                case "no_certificate":
                    return self._with(None)
                case "plain_http":
                    bare = replace(self._target, certificate_file=None, key_file=None, tls=False)
                    return Visitor(bare, None)
                case "unknown_ca":
                    return self._of_another_ca(name, "A CA that nobody knows")
                case "impostor_ca":
                    return self._of_an_impostor(name)
                case "expired":
                    return self._of_the_ca(name, "clientAuth", ended=True)
                case "wrong_usage":
                    return self._of_the_ca(name, "serverAuth")
                case "server_certificate":
                    if self._server is None:
                        raise Untried("the server's key is not here")
                    return self._with(self._server)
                case "tls_1_0" | "tls_1_1":
                    return self._in_old_tls(name)
        except Untried as why:
            return why
        except Problem as problem:
            return Untried(problem.code)

    def _with(self, pair: Pair | None) -> Visitor:
        """The rightful client's visit with `pair` in place of its certificate and key."""
        certificate_file, key_file = (pair.certificate_file, pair.key_file) if pair else (None,) * 2
        visitor = replace(self._target, certificate_file=certificate_file, key_file=key_file)
        return Visitor(visitor, client_context(visitor, verify=False))

    def _of_another_ca(self, name: Stranger, ca: str) -> Visitor:
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        return self._with(self._write(name, self._certificate(_named(ca), key, "clientAuth")))

    def _of_an_impostor(self, name: Stranger) -> Visitor:
        """Of a CA with the rightful one's name and key identifier, but not its key."""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        if self._rightful is None:
            raise Untried("there is no client certificate to imitate")
        key, issuer = ec.generate_private_key(ec.SECP256R1()), self._rightful.issuer
        identifier = _authority_key_identifier(self._rightful)
        ca = self._begin(issuer, issuer, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        if identifier is not None:
            ca = ca.add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
        leaf = self._certificate(issuer, key, "clientAuth", identifier=identifier)
        return self._with(self._write(name, leaf, [_sign(ca, key)]))

    def _of_the_ca(self, name: Stranger, usage: str, *, ended: bool = False) -> Visitor:
        """Really issued by the rightful client's CA, and still not to be let in."""
        ca, key = self._authority()
        issued = self._certificate(
            ca.subject, key, usage, ended=ended, identifier=_subject_key_identifier(ca)
        )
        return self._with(self._write(name, issued, self._intermediates()))

    def _authority(self) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        from services.pki.facts import signed_by

        if self._issuer is None:
            raise Untried("the CA's key is not here")
        try:
            ca = x509.load_pem_x509_certificate(self._issuer.certificate_file.read_bytes())
            key = load_pem_private_key(self._issuer.key_file.read_bytes(), None)
        except OSError:
            raise Untried("the CA's key is not here") from None
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            # Encrypted or damaged; the library's text is not for reports.
            raise Untried("the CA's certificate or key cannot be used here") from None
        if self._rightful is not None and not signed_by(self._rightful, ca):
            raise Untried("the CA whose key is here did not issue the client's certificate")
        if key.public_key() != ca.public_key() or not isinstance(
            key,
            ec.EllipticCurvePrivateKey
            | rsa.RSAPrivateKey
            | ed25519.Ed25519PrivateKey
            | ed448.Ed448PrivateKey,
        ):
            raise Untried("the CA's certificate or key cannot be used here")
        return ca, key

    def _intermediates(self) -> list[x509.Certificate]:
        """What the rightful client sends along, so that the chain is not what is missing."""
        from cryptography import x509

        file = self._target.certificate_file
        try:
            return x509.load_pem_x509_certificates(file.read_bytes())[1:] if file else []
        except (OSError, ValueError, x509.InvalidVersion):
            return []

    def _in_old_tls(self, name: Stranger) -> Visitor:
        import ssl

        context = client_context(self._target, verify=False)
        version = ssl.TLSVersion.TLSv1 if name == "tls_1_0" else ssl.TLSVersion.TLSv1_1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
                context.minimum_version = context.maximum_version = version
            # Their signatures use SHA-1, which level 1 and above forbid.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return Visitor(self._target, context)
        except (ssl.SSLError, ValueError):
            pass
        raise Untried("this computer's OpenSSL does not speak it")

    def _certificate(
        self,
        issuer: x509.Name,
        issuer_key: CertificateIssuerPrivateKeyTypes,
        usage: str,
        *,
        ended: bool = False,
        identifier: bytes | None = None,
    ) -> x509.Certificate:
        """The rightful client's certificate but for what the arguments say."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        purpose = {
            "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
            "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
        }[usage]
        builder = (
            self._begin(_subject(self._rightful), issuer, self._key, ended=ended)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if identifier is not None:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier(identifier, None, None), critical=False
            )
        return _sign(builder, issuer_key)

    def _begin(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ended: bool = False,
    ) -> x509.CertificateBuilder:
        from cryptography import x509

        end = self._now - _DAY if ended else self._now + _LIFE
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - _DAY if ended else self._now - _LEEWAY)
            .not_valid_after(end)
        )

    def _write(
        self, name: str, certificate: x509.Certificate, chain: Sequence[x509.Certificate] = ()
    ) -> Pair:
        from cryptography.hazmat.primitives.serialization import Encoding

        from services.pki.keys import key_pem

        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        text = b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *chain))
        for file, content in ((pair.certificate_file, text), (pair.key_file, key_pem(self._key))):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                f.write(content)
        return pair


def _sign(
    builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes
) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

    own_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if own_hash else hashes.SHA256())


def _named(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _subject(certificate: x509.Certificate | None) -> x509.Name:
    try:
        return certificate.subject if certificate else _named("client")
    except ValueError:  # parsed late, and broken inside
        return _named("client")


def _authority_key_identifier(certificate: x509.Certificate) -> bytes | None:
    from services.pki.extensions import read_extensions

    found = read_extensions(certificate).authority_key_id
    return None if found is None else bytes.fromhex(found)


def _subject_key_identifier(certificate: x509.Certificate) -> bytes | None:
    from services.pki.extensions import read_extensions

    found = read_extensions(certificate).subject_key_id
    return None if found is None else bytes.fromhex(found)
