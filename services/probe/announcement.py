"""What a server says of itself before it knows who is there.

A server's first flight tells its chain, whether it asks for a client certificate, and which CAs it
accepts (RFC 5246 section 7.3, RFC 8446 section 2), also when it goes on to refuse us, and also
when its chain is not to be trusted. Python's ssl module keeps all that to itself; pyOpenSSL does
not. It is asked in each version of TLS apart, so that the versions are known besides.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import re
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.probe.address import Address
from services.probe.poller import READ, WRITE, DefaultPoller
from services.probe.target import Target
from services.stop import Stop

if TYPE_CHECKING:
    from OpenSSL import SSL

_LIMIT = 256 * 1024
"""Bytes that a server may send on one connection; OpenSSL takes no chain beyond 100 KiB."""
_LATECOMERS_S = 0.5
"""How long all else may take once one first flight was heard, or as long again as that one took:
some servers answer a version that they do not speak with silence, or never close."""
_POLL_S = 0.05
_ALPN = (b"h2", b"http/1.1")

# What a connection has passed through, by OpenSSL's names for it (ssl/ssl_stat.c).
_REQUEST = b"SSLv3/TLS read server certificate request"
_CERTIFICATE = b"SSLv3/TLS read server certificate"
_TICKET = b"SSLv3/TLS read server session ticket"
_FLIGHT_READ = frozenset({b"SSLv3/TLS read server done", b"SSLv3/TLS read finished"})
"""The end of the server's first flight, up to TLS 1.2 and in TLS 1.3."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A server's first flight in the newest version of TLS that it speaks, and what it can do.

    Texts from the server are OpenSSL's own names, so safe to print.
    """

    chain: tuple[bytes, ...] = ()
    """Certificates in DER, the server's own first."""
    certificate_asked: bool = False
    accepted_cas: tuple[bytes, ...] = ()
    """Names (DER) of the CAs that the server announces; empty when it announces none."""
    versions: tuple[str, ...] = ()
    """Those that it speaks, oldest first: `TLSv1`, `TLSv1.1`, `TLSv1.2`, `TLSv1.3`."""
    cipher: str = ""
    group: str = ""
    """The group of the key exchange, as `x25519`; empty when it is RSA's or has no name."""
    alpn: str = ""
    """What it picked of `h2` and `http/1.1`; empty when it picks nothing."""
    resumption: bool | None = None
    """Whether a second connection resumed the first one's session; None when that could not be
    tried, because the server refuses us. The requests of a tally never resume one."""


def announce(target: Target, addresses: Sequence[Address], stop: Stop) -> Announcement | None:
    """Hear what the server says in each version of TLS, at the first address that says anything.

    No request is sent. None when there is nothing to be learnt: no TLS, no version or cipher in
    common with this computer, not reached, or stopped. Takes the time of one handshake and its
    resumption; against a server that says nothing, the timeouts of connect and handshake once.
    """
    times = target.timeouts
    with ExitStack() as open_until_heard:
        heard = {
            address: [
                open_until_heard.enter_context(closing(_Dialogue(address, context, target.name)))
                for context in map(_context, _versions())
            ]
            for address in addresses
        }
        everyone = [each for dialogues in heard.values() for each in dialogues]
        _converse(everyone, times.connect_s + times.handshake_s, stop)
        for address, dialogues in heard.items():
            if spoken := [each for each in dialogues if each.heard]:
                announced = spoken[-1].announcement(tuple(each.version for each in spoken))
                resumes = _resumes(target, address, spoken[-1].tls.get_protocol_version(), stop)
                return replace(announced, resumption=resumes)
    return None


def _versions() -> tuple[int, ...]:
    """Oldest first, as numbers."""
    from OpenSSL import SSL  # 40 ms, with cryptography

    return SSL.TLS1_VERSION, SSL.TLS1_1_VERSION, SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION


def _context(version: int) -> SSL.Context:
    """For one version. Nothing is verified and nothing too weak: this is to hear, not to trust."""
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_options(SSL.OP_LEGACY_SERVER_CONNECT)
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
    context.set_alpn_protos(list(_ALPN))
    return context


def _resumes(target: Target, address: Address, version: int, stop: Stop) -> bool | None:
    """Whether a second connection of the rightful client's resumes the first one's session."""
    from OpenSSL import SSL

    context = _context(version)
    if target.certificate_file is not None:
        try:
            context.use_certificate_chain_file(target.certificate_file)
            context.use_privatekey_file(target.key_file or target.certificate_file)
        except SSL.Error:
            return None
    timeout_s = target.timeouts.connect_s + target.timeouts.handshake_s
    session, resumed = None, None
    for _ in range(2):
        with closing(_Dialogue(address, context, target.name, whole=True)) as dialogue:
            if session is not None:
                dialogue.tls.set_session(session)
            _converse([dialogue], timeout_s, stop)
            if not dialogue.welcome:
                break
            resumed = _CERTIFICATE not in dialogue.passed
            session = dialogue.session()
            if session is None:
                break
    return resumed


def _converse(dialogues: Sequence[_Dialogue], timeout_s: float, stop: Stop) -> None:
    """Go on until each has ended, or there is no reason to wait any longer."""
    began = time.monotonic()
    deadline, any_heard = began + timeout_s, False
    with closing(DefaultPoller[_Dialogue]()) as poller:
        waiting = {each for each in dialogues if not each.ended}
        for dialogue in waiting:
            poller.watch(dialogue.number, WRITE, dialogue)
        while waiting and not stop.is_set() and (now := time.monotonic()) < deadline:
            for dialogue, _ in poller.wait(min(_POLL_S, deadline - now)):
                if not dialogue.connected:
                    dialogue.connect()
                    poller.change(dialogue.number, READ)
                else:
                    dialogue.hear()
                if dialogue.ended:
                    poller.forget(dialogue.number)
                    dialogue.close()  # now: some servers serve nobody else until we have gone
                    waiting.discard(dialogue)
            if not any_heard and any(each.heard for each in dialogues):
                any_heard, now = True, time.monotonic()
                deadline = min(deadline, now + max(_LATECOMERS_S, now - began))


class _Dialogue:
    """One connection: as far as the server's first flight, or a `whole` handshake and its end."""

    def __init__(
        self, address: Address, context: SSL.Context, name: str, *, whole: bool = False
    ) -> None:
        from OpenSSL import SSL

        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.tls.set_info_callback(self._pass)
        if not _is_address(name):
            self.tls.set_tlsext_host_name(name.encode("idna"))
        self.passed: set[bytes] = set()
        self.connected = self.ended = self._shaken = self._refused = False
        self._whole = whole
        self._taken = 0
        self.socket = socket.socket(address.family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.number = self.socket.fileno()
        code = self.socket.connect_ex((address.host, address.port))
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self.ended = True

    @property
    def heard(self) -> bool:
        """The server's first flight is complete."""
        return not _FLIGHT_READ.isdisjoint(self.passed)

    @property
    def welcome(self) -> bool:
        """The handshake is complete, and no alert came after it."""
        return self._shaken and not self._refused

    @property
    def version(self) -> str:
        return self.tls.get_protocol_version_name()

    def announcement(self, versions: tuple[str, ...]) -> Announcement:
        from OpenSSL import crypto

        chain = self.tls.get_peer_cert_chain() or ()
        return Announcement(
            chain=tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in chain),
            certificate_asked=_REQUEST in self.passed,
            accepted_cas=tuple(name.der() for name in self.tls.get_client_ca_list()),
            versions=versions,
            cipher=self.tls.get_cipher_name() or "",
            group=self.tls.get_group_name() or "",
            alpn=self.tls.get_alpn_proto_negotiated().decode("ascii", "replace"),
        )

    def session(self) -> SSL.Session | None:
        """What a later connection may resume: in TLS 1.3 there is none without a ticket."""
        if self.version == "TLSv1.3" and _TICKET not in self.passed:
            return None
        return self.tls.get_session()

    def connect(self) -> None:
        """The connection stands, or has failed."""
        self.connected = True
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.ended = True
        else:
            self._go_on()

    def hear(self) -> None:
        """Something came, or the end."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._taken += len(data)
        if not data or self._taken > _LIMIT:
            self.ended = True
            return
        self.tls.bio_write(data)
        self._go_on()

    def close(self) -> None:
        self.socket.close()

    def _pass(self, tls: SSL.Connection, where: int, code: int) -> None:
        self.passed.add(tls.get_state_string())

    def _go_on(self) -> None:
        from OpenSSL import SSL

        try:
            if not self._shaken:
                self.tls.do_handshake()
                self._shaken = True
                if self._whole:
                    # So the server closes after its tickets, and nobody has to wait for more.
                    self.tls.shutdown()
            while self._whole and self.tls.recv(16384):
                pass
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.SysCallError):
            self.ended = True
        except SSL.Error:  # an alert, or nothing that is TLS
            self.ended = self._refused = True
        if self.heard and not self._whole:
            self.ended = True  # unanswered: who we are is not for now
        if not self.ended:
            self._send()

    def _send(self) -> None:
        from OpenSSL import SSL

        try:
            self.socket.sendall(self.tls.bio_read(65536))
        except SSL.WantReadError:
            pass
        except OSError:
            self.ended = True


def _is_address(name: str) -> bool:
    """Server Name Indication is for names only (RFC 6066 section 3)."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_COMMON_NAME = re.compile(rb"\x06\x03\x55\x04\x03[\x0c\x13\x14\x16]([\x01-\x7f])", re.DOTALL)
"""The attribute CN (2.5.4.3), a text of any type, a short length."""


def ca_name(name: bytes) -> str:
    """A CA's name (DER) for evidence: its CN, or where it has none a digest."""
    if found := _COMMON_NAME.search(name):
        text = name[found.end() : found.end() + found[1][0]].decode("utf-8", "replace")
        return "".join(letter for letter in text if letter.isprintable())
    return f"a CA without CN ({hashlib.sha256(name).hexdigest()[:8]})"
