"""What is verified: where to connect, whom to expect there, and who we say we are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from services.problem import Exit, Problem

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of one request may take, in seconds; `whole_s` bounds them all."""

    connect_s: float = 5.0
    handshake_s: float = 5.0
    first_byte_s: float = 10.0
    whole_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and what a client of it needs.

    `host` and `port` say where to connect, `name` what is asked for (SNI) and what the server's
    certificate must be for. Without `certificate_file` no client certificate is offered; without
    `ca_file` the system's trust store decides. `tls` off means plain HTTP.
    """

    host: str
    port: int
    name: str
    certificate_file: Path | None = None
    key_file: Path | None = None
    ca_file: Path | None = None
    path: str = "/"
    timeouts: Timeouts = field(default_factory=Timeouts)
    backends: tuple[str, ...] = ()
    """The names that must answer; empty when they are not known."""
    tls: bool = True
    backend_pattern: str | None = None
    """A regular expression (Python's `re`) that finds the backend's name in the answer's body:
    its first group, or the whole match if it has none."""
    backend_header: str | None = None
    """The header of the answer that holds the backend's name; it goes before the pattern."""

    @property
    def endpoint(self) -> str:
        """`HOST:PORT`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def check(self) -> None:
        """Raise a Problem for anything that no request could be made with.

        So a typing error in a file's name is told at once, and is not 200 failed requests.
        """
        if not self.host or not 0 < self.port < 65536:
            raise Problem("probe.endpoint", self.endpoint, exit=Exit.USAGE, endpoint=self.endpoint)
        try:
            # What the ssl module does with a name; it refuses empty and overlong labels.
            _ = self.name.encode("idna")
        except UnicodeError as error:
            raise Problem("probe.name", str(error), exit=Exit.USAGE, name=self.name) from None
        if not self.name or self.name.startswith(".") or _UNSAFE.search(self.name):
            raise Problem("probe.name", exit=Exit.USAGE, name=self.name)
        if not self.path.startswith("/") or _UNSAFE.search(self.path):
            raise Problem("probe.path", exit=Exit.USAGE, path=self.path)
        if self.backend_pattern is not None:
            try:
                re.compile(self.backend_pattern)
            except re.error as error:
                raise Problem(
                    "probe.backend-pattern",
                    str(error),
                    exit=Exit.USAGE,
                    pattern=self.backend_pattern,
                ) from None
        if self.backend_header is not None and not _TOKEN.fullmatch(self.backend_header):
            raise Problem("probe.backend-header", exit=Exit.USAGE, header=self.backend_header)
        if self.tls:
            client_context(self)

    def request(self) -> bytes:
        """The one request, asking for a fresh connection each time."""
        host = f"[{self.name}]" if ":" in self.name else self.name.encode("idna").decode("ascii")
        path = quote(self.path, safe=_ASCII)
        return (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: nlb-mtls\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("ascii")


_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_UNSAFE = re.compile(r"[^\x21-\x7e\u00a1-\uffff]")
"""Blanks and control characters: they would end a line of the request."""


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: RFC 9110 section 5.6.2."""


def parse_endpoint(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`, split. Raises Problem `probe.endpoint` (exit 2)."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text.strip())
    if not found or not 0 < int(found[3]) < 65536:
        raise Problem("probe.endpoint", exit=Exit.USAGE, endpoint=text)
    return found[1] or found[2], int(found[3])


def client_context(target: Target, *, verify: bool = True) -> ssl.SSLContext:
    """The TLS settings of every connection to `target`, built once a run.

    Spelt out rather than `ssl.create_default_context`, whose meaning changes between Python
    versions: TLS 1.2 or newer, chain and name verified, a CA file may hold an intermediate as the
    anchor (as curl accepts it), no resumption because no session is ever handed on.
    Raises Problem for files that are unreadable, no PEM, encrypted, or do not belong together.
    """
    import ssl  # 12 ms

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify:
        # Nor does any browser look at it: RFC 9525 section 2.
        context.hostname_checks_common_name = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if target.ca_file is None:
            context.load_default_certs()
        else:
            _require(target.ca_file, _CERTIFICATE, "probe.not-a-certificate")
            try:
                context.load_verify_locations(target.ca_file)
            except ssl.SSLError as error:
                raise _damaged(target.ca_file, error) from None
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.certificate_file is not None:
        _load_pair(context, target.certificate_file, target.key_file or target.certificate_file)
    elif target.key_file is not None:
        raise Problem("probe.key-alone", exit=Exit.USAGE, key=target.key_file)
    return context


_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")
_FILE_LIMIT = 1024 * 1024


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    import ssl

    _require(certificate, _CERTIFICATE, "probe.not-a-certificate")
    if _ENCRYPTED.search(_require(key, _KEY, "probe.not-a-key")):
        raise Problem("probe.key-encrypted", file=key)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise Problem(
                "probe.key-mismatch", error.reason, certificate=certificate, key=key
            ) from None
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "EE_MD_TOO_WEAK"):
            raise Problem("probe.certificate-weak", error.reason, file=certificate) from None
        raise _damaged(certificate, error) from None


def _require(file: Path, wanted: re.Pattern[bytes], otherwise: str) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(_FILE_LIMIT)
    except OSError as error:
        raise Problem("probe.file-unreadable", str(error.strerror), file=file) from None
    if not wanted.search(content):
        raise Problem(otherwise, file=file)
    return content


def _damaged(file: Path, error: ssl.SSLError) -> Problem:
    return Problem("probe.file-damaged", error.reason or "PEM", file=file)
