"""Servers that mean harm: TLS 1.3 messages after the handshake that OpenSSL itself would not send.

The handshake is OpenSSL's; then the server's traffic secret, which OpenSSL tells a key log, makes
records of any content (RFC 8446 sections 5.2, 7.1 and 7.2).
"""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import Behave

HANDSHAKE = 22
"""Content type (RFC 8446 section 5.1)."""
_TICKET = struct.pack("!IIB8sH200sH", 7200, 0, 8, bytes(8), 200, bytes(200), 0)
NEW_SESSION_TICKET = b"\x04" + len(_TICKET).to_bytes(3, "big") + _TICKET
KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x01"


class _Records:
    """Protects what the server says with TLS_AES_256_GCM_SHA384."""

    def __init__(self, secret: bytes) -> None:
        self._use(secret)

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(_expand(secret, b"key", 32))
        self._iv = int.from_bytes(_expand(secret, b"iv", 12), "big")
        self._number = 0

    def record(self, content: bytes) -> bytes:
        inner = content + bytes([HANDSHAKE])
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._key.encrypt(nonce, inner, head)

    def update(self) -> None:
        self._use(_expand(self._secret, b"traffic upd", 48))


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return HKDFExpand(hashes.SHA384(), length, info).derive(secret)


def tickets(records: _Records) -> Iterator[bytes]:
    """Session tickets without end."""
    while True:
        yield b"".join(records.record(NEW_SESSION_TICKET) for _ in range(50))


def key_updates(records: _Records) -> Iterator[bytes]:
    """Key updates without end, each of which asks for one in return."""
    while True:
        said = b""
        for _ in range(50):
            said += records.record(KEY_UPDATE_REQUESTED)
            records.update()
        yield said


def instead_of_an_answer(
    certificates: Certificates, say: Callable[[_Records], Iterator[bytes]]
) -> Behave:
    """Shake hands as the right server, hear the request, and then send what `say` makes."""

    def behave(connection: socket.socket) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "keys")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.num_tickets = 0
            context.keylog_filename = str(log)
            pair = certificates.server
            context.load_cert_chain(pair.certificate_file, pair.key_file)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_side=True)
            heard = b""
            while b"\r\n\r\n" not in heard:
                if not (more := connection.recv(65536)):
                    return
                incoming.write(more)
                try:
                    tls.do_handshake()
                    heard += tls.read()
                except ssl.SSLWantReadError:
                    pass
                connection.sendall(outgoing.read())
            logged = (line.split() for line in log.read_text().splitlines())
            secrets = {words[0]: words[2] for words in logged if len(words) == 3}
            records = _Records(bytes.fromhex(secrets["SERVER_TRAFFIC_SECRET_0"]))
            for said in say(records):
                connection.sendall(said)

    return behave


def handshake_without_end(connection: socket.socket) -> None:
    """One ServerHello after another, in clear: each claims to be 16 MiB long."""
    connection.recv(65536)
    body = b"\x02\xff\xff\xff" + bytes(16000)
    while True:
        connection.sendall(b"\x16\x03\x03" + len(body).to_bytes(2, "big") + body)
        body = bytes(16000)


def empty_records(connection: socket.socket) -> None:
    """Records of nothing, for as long as anyone listens."""
    connection.recv(65536)
    while True:
        connection.sendall(b"\x16\x03\x03\x00\x00" * 1000)


def bytes_one_by_one(certificates: Certificates) -> Behave:
    """A true handshake, at a byte each 20 ms."""

    def behave(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = certificates.server
        context.load_cert_chain(pair.certificate_file, pair.key_file)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.settimeout(0.02)
        for byte in outgoing.read():
            connection.sendall(bytes([byte]))
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                pass

    return behave
