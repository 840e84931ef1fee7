"""The openssl commands that make what this program makes in-process. Nothing is run here."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_KEYS = {
    "ec-p256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "rsa-2048": ("-newkey", "rsa:2048"),
    "rsa-4096": ("-newkey", "rsa:4096"),
}


def ca(stem: str, name: str, days: int, key_kind: str) -> Sequence[str]:
    """A self-signed CA in STEM.key and STEM.crt."""
    return [
        shlex.join(
            [
                *("openssl", "req", "-x509", *_KEYS[key_kind], "-noenc", "-days", str(days)),
                *("-keyout", f"{stem}.key", "-out", f"{stem}.crt", "-subj", _subject(name)),
                *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"),
                *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            ]
        )
    ]


def request(stem: str, name: str, key_kind: str, names: Sequence[str] = ()) -> str:
    """A key in STEM.key, and a request for it in STEM.csr."""
    alternative = ("-addext", f"subjectAltName={_alternative(names)}") if names else ()
    return shlex.join(
        [
            *("openssl", "req", "-new", *_KEYS[key_kind], "-noenc"),
            *(
                "-keyout",
                f"{stem}.key",
                "-out",
                f"{stem}.csr",
                "-subj",
                _subject(name),
                *alternative,
            ),
        ]
    )


def server(names: Sequence[str], days: int, key_kind: str, issuer: str) -> Sequence[str]:
    """A server certificate by the CA in ISSUER.crt and ISSUER.key."""
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth",
        f"subjectAltName={_alternative(names)}",
    ]
    return [
        request("server", names[0] if names else "", key_kind),
        *_sign("server", days, f"{issuer}.crt", f"{issuer}.key", extensions),
    ]


def client(
    name: str, days: int, key_kind: str, ca_certificate_file: str, ca_key_file: str
) -> Sequence[str]:
    """A client certificate by the CA in these files."""
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth",
    ]
    return [
        request("client", name, key_kind),
        *_sign("client", days, ca_certificate_file, ca_key_file, extensions),
    ]


def _sign(
    stem: str, days: int, ca_certificate: str, ca_key: str, extensions: Sequence[str]
) -> Sequence[str]:
    """`x509 -req` drops a request's extensions, so they come from a file."""
    lines = " ".join(shlex.quote(line) for line in extensions)
    return [
        f"printf '%s\\n' {lines} > {stem}.ext",
        shlex.join(
            [
                *("openssl", "x509", "-req", "-in", f"{stem}.csr", "-days", str(days)),
                *("-CA", ca_certificate, "-CAkey", ca_key, "-CAcreateserial"),
                *("-extfile", f"{stem}.ext", "-out", f"{stem}.crt"),
            ]
        ),
    ]


def _subject(name: str) -> str:
    """`/CN=…`, in which slashes and plus signs of the name would begin another part."""
    escaped = name.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")
    return f"/CN={escaped}"


def _alternative(names: Sequence[str]) -> str:
    return ",".join(f"DNS:{name}" for name in names)
