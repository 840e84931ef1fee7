"""The request engine: each request on a TCP and TLS connection of its own, many at once.

One thread, one selector, and TLS on memory buffers (`ssl.MemoryBIO`): measured against threads,
asyncio and non-blocking `SSLSocket` this costs the least CPU.
No session is ever resumed and no connection used twice, since a balancer chooses the backend,
and looks at the certificate, once a connection.
"""

from __future__ import annotations

import errno
import math
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from services.probe.address import Address
from services.probe.answer import Answer, AnswerReader, NotHttp, TooLarge
from services.probe.concurrency import (
    LEAST_INTERVAL_S,
    MOST,
    START,
    interval_s,
    next_concurrency,
)
from services.probe.outcome import (
    Outcome,
    alert_of,
    alert_record,
    alert_text,
    answer_text,
    looks_like_tls,
    of_answer,
    of_tls_error,
    printable,
)
from services.probe.poller import DOUBT, READ, WRITE, DefaultPoller, Poller
from services.probe.target import Target

TICK_S = 0.1
_SWEEP_S = 0.05
"""How often deadlines are looked at: the precision of every timeout."""
_DRAIN_S = 0.4
"""How long requests under way may still end when the run is stopped."""
_LINGER_S = 0.5
"""How long an answered connection waits for the other side to close first. Whoever closes first
keeps the port for a minute (TIME_WAIT, RFC 9293 section 3.6.1); at a thousand requests a second
that would use up ours."""
_IMPATIENT_S = 1.0
"""How long to wait once a whole round of connections has timed out, or `_PATIENCE` times the
slowest answer if that is longer. What is dead or hangs is proven by then; 200 requests that each
wait their full time would only keep people waiting."""
_PATIENCE = 4
_RETRY_S = 0.001
"""The pause when nothing is under way and the next request could not even begin."""
_READ_SIZE = 65536
_RECORD_SIZE = 16384
"""The largest TLS record (RFC 8446 section 5.1)."""
_HEARD_LIMIT = 8 * 1024 * 1024
"""Bytes that one connection may receive: the largest answer in small records. Whoever sends more
sends session tickets or key updates without end, which TLS itself does not bound."""
_UNSENT_LIMIT = 256 * 1024
"""Bytes that wait to be sent; we say little, but each key update asks for an answer."""


class Exchange(NamedTuple):
    """One request and how it ended. `answer` is whole or None; evidence is never translated,
    and empty when all is well."""

    outcome: Outcome
    evidence: str
    address: Address
    latency_s: float
    """From the first packet to the answer's last byte, or to the failure."""
    answer: Answer | None = None
    status: int = 0
    """The HTTP status, also of an answer that was cut short; 0 when none came."""
    alert: str | None = None
    """The TLS alert that the other side sent."""
    tls: str = ""
    """`TLSv1.3 TLS_AES_256_GCM_SHA384`."""
    server_not_after: str = ""
    """Until when the server's certificate is valid (RFC 3339); of the first ok request only."""
    connect_s: float | None = None
    """From the first packet to the TCP connection; None where it did not get so far."""
    handshake_s: float | None = None
    """From the TCP connection to the client's Finished; None without TLS, too."""
    first_byte_s: float | None = None
    """From the request to the answer's first byte."""


# The phases of a connection, in order. Plain numbers: an enum's member costs 60 ns each time.
_CONNECT, _HANDSHAKE, _FIRST_BYTE, _BODY, _LINGER, _GONE = range(6)

_TIMED_OUT = {
    _CONNECT: Outcome.CONNECT_TIMEOUT,
    _HANDSHAKE: Outcome.HANDSHAKE_TIMEOUT,
    _FIRST_BYTE: Outcome.FIRST_BYTE_TIMEOUT,
    _BODY: Outcome.WHOLE_TIMEOUT,
}
_CLOSED = {
    _HANDSHAKE: Outcome.HANDSHAKE_CLOSED,
    _FIRST_BYTE: Outcome.CLOSED_WITHOUT_ANSWER,
    _BODY: Outcome.ANSWER_CUT,
}
_RESET = {
    _CONNECT: Outcome.HANDSHAKE_RESET,
    _HANDSHAKE: Outcome.HANDSHAKE_RESET,
    _FIRST_BYTE: Outcome.RESET_WITHOUT_ANSWER,
    _BODY: Outcome.ANSWER_CUT,
}
_BY_CONNECT_ERROR = {
    errno.ECONNREFUSED: Outcome.CONNECT_REFUSED,
    errno.ETIMEDOUT: Outcome.CONNECT_TIMEOUT,
    errno.ECONNRESET: Outcome.HANDSHAKE_RESET,
    errno.ENETUNREACH: Outcome.UNREACHABLE,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.ENETDOWN: Outcome.UNREACHABLE,
    errno.EHOSTDOWN: Outcome.UNREACHABLE,
    errno.EACCES: Outcome.UNREACHABLE,  # a local firewall's "prohibited"
    errno.EPERM: Outcome.UNREACHABLE,
    errno.EINVAL: Outcome.UNREACHABLE,  # an IPv6 link-local address without its interface
    errno.EAFNOSUPPORT: Outcome.UNREACHABLE,
}
_SHORTAGE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)
"""This computer's own limits: files, memory, or (EADDRNOTAVAIL) ports. Waiting may help."""
_FEW_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
_LOAD = frozenset(
    {
        Outcome.CONNECT_TIMEOUT,
        Outcome.HANDSHAKE_TIMEOUT,
        Outcome.HANDSHAKE_CLOSED,
        Outcome.HANDSHAKE_RESET,
        Outcome.CLOSED_WITHOUT_ANSWER,
        Outcome.RESET_WITHOUT_ANSWER,
        Outcome.FIRST_BYTE_TIMEOUT,
        Outcome.WHOLE_TIMEOUT,
        Outcome.ANSWER_CUT,
        Outcome.HTTP_5XX,
        Outcome.NO_SOCKET,
    }
)
"""What requests end in where there are too many of them, if for other reasons as well."""

# The class without the Python layer of `socket.socket`, which only costs time here. Linux opens a
# socket non-blocking at once, elsewhere that takes a call more.
_Socket = socket.SocketType
_NON_BLOCKING = getattr(socket, "SOCK_NONBLOCK", 0)
_OK = Outcome.OK


class _Connection:
    __slots__ = (
        "address",
        "began",
        "broken",
        "connected",
        "deadline",
        "first",
        "flights",
        "heard",
        "incoming",
        "number",
        "outgoing",
        "phase",
        "reader",
        "requested",
        "socket",
        "tls",
        "unsent",
        "whole",
        "writing",
    )

    def __init__(
        self, sock: socket.SocketType, number: int, address: Address, began: float, whole: float
    ) -> None:
        self.socket = sock
        self.number = number
        """The socket's file descriptor."""
        self.address = address
        self.began = began
        self.connected = self.requested = self.first = 0.0
        """When the connection stood, the request was sent, and the answer's first byte came."""
        self.whole = whole
        """When the whole request must be done; `deadline` is the current phase's, if sooner."""
        self.deadline = whole
        self.phase = _CONNECT
        self.reader = AnswerReader()
        self.tls: ssl.SSLObject | None = None
        self.incoming: ssl.MemoryBIO
        self.outgoing: ssl.MemoryBIO
        self.flights = 0
        """How often TLS has sent something; the first is the ClientHello."""
        self.heard = 0
        """Bytes received."""
        self.unsent = b""
        self.writing = True
        self.broken = 0
        """The error number of a failed write."""


class Engine:
    """Makes requests to `target` at `addresses`, in turn. Runs once.

    `context` None speaks plain HTTP. Nothing that the other side does makes it wait beyond the
    target's timeouts, or hold more than the limits of `services.probe.answer` a connection.
    `record` is called with each request as it ends.

    Open at any time are at most `concurrency` sockets with a request under way, and as many that
    are answered and wait for the other side to close first: 512 in all, since `concurrency` is
    never above 256. Where this computer allows fewer open files, fewer of both.
    """

    def __init__(
        self,
        target: Target,
        addresses: Sequence[Address],
        context: ssl.SSLContext | None,
        record: Callable[[Exchange], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _import_now()
        self._timeouts = target.timeouts
        # As bytes: a text would go through the slow IDNA codec at each request.
        self._name = target.name.encode("idna")
        self._request = target.request()
        self._offered = target.certificate_file is not None
        self.addresses = addresses
        """May be set while the engine runs: requests are begun at these from then on."""
        self._context = context
        self._record = record
        self._clock = clock
        self._poller: Poller[_Connection] = DefaultPoller()
        self.concurrency = 1
        """The most connections at once, as it stands."""
        self.limited_to = 0
        """The most connections at once that the limit on open files left room for, where that
        was fewer than wanted; else 0."""
        self._turn = 0
        self._launched = 0
        self._active: set[_Connection] = set()
        self._lingering: dict[_Connection, None] = {}
        """Answered connections that wait for the other side's end, oldest first."""
        self._short_since: float | None = None
        self._timed_out = 0
        self._slowest_s = 0.0
        self._not_after_told = False
        self._room = memoryview(bytearray(_READ_SIZE))
        # What is decided on how many connections at once to have, when that is ours to decide.
        self._decided = 0.0
        self._decided_cpu = 0.0
        self._ended = 0
        self._failed_by_load = 0
        self._all_in_use = False
        self._round_trips: dict[Address, float] = {}
        """The quickest TCP connection to each address."""

    def run(
        self,
        *,
        requests: int | None = None,
        duration_s: float | None = None,
        rate_per_s: float | None = None,
        concurrency: int | None = 1,
        stop: Callable[[], bool] = lambda: False,
        tick: Callable[[], None] = lambda: None,
    ) -> int:
        """Make `requests` requests, or as many as fit in `duration_s`, `concurrency` at once.

        Without `concurrency` there are as many at once as the round-trip time makes worth having.
        `rate_per_s` bounds how many are begun a second, evenly; None is as many as can be.
        `tick` is called each `TICK_S`. When `stop` says so no request is begun any more, and
        those under way have `_DRAIN_S` to end. Returns how many did not end.
        """
        self.concurrency = START if concurrency is None else min(concurrency, MOST)
        began = now = self._decided = self._clock()
        self._decided_cpu = time.process_time()
        decide_at = began + LEAST_INTERVAL_S if concurrency is None else math.inf
        next_tick, next_sweep = began + TICK_S, began + _SWEEP_S
        limit, give_up_at = requests, None
        try:
            while True:
                if give_up_at is None and stop():
                    limit, give_up_at = self._launched, now + _DRAIN_S
                elif duration_s is not None and now - began >= duration_s:
                    limit = self._launched
                most, due_s = limit, math.inf
                if rate_per_s is not None:
                    due = int((now - began) * rate_per_s) + 1
                    most = due if limit is None else min(limit, due)
                    due_s = due / rate_per_s - (now - began)
                while (most is None or self._launched < most) and self._start():
                    pass
                if give_up_at is not None and now >= give_up_at:
                    return len(self._active)
                pause = min(next_tick, next_sweep) - now
                if self._launched == most:
                    if not self._active and most == limit:
                        return 0
                    pause = min(pause, due_s)
                elif not self._active:
                    pause = _RETRY_S
                for connection, events in self._poller.wait(max(pause, 0)):
                    self._serve(connection, events)
                now = self._clock()
                if now >= next_sweep:
                    next_sweep = now + _SWEEP_S
                    self._sweep(now)
                if now >= next_tick:
                    next_tick = max(next_tick + TICK_S, now)
                    tick()
                if now >= decide_at:
                    decide_at = self._decide(now)
        finally:
            for connection in (*self._active, *self._lingering):
                connection.socket.close()
            self._poller.close()

    def _start(self) -> bool:
        """Begin one request; False when there is no room for one, or it failed at once."""
        if len(self._active) >= self.concurrency:
            self._all_in_use = True
            return False
        while self.limited_to and len(self._active) + len(self._lingering) >= self.limited_to:
            if not self._lingering:
                return False
            self._close(next(iter(self._lingering)))
        now = self._clock()
        address = self.addresses[self._turn % len(self.addresses)]
        try:
            sock = _Socket(address.family, socket.SOCK_STREAM | _NON_BLOCKING)
        except OSError as error:
            self._not_begun(address, error.errno or 0, now)
            return False
        if not _NON_BLOCKING:
            sock.setblocking(False)
        code = sock.connect_ex((address.host, address.port))
        if code not in _UNDER_WAY:
            sock.close()
            self._not_begun(address, code, now)
            return False
        number = sock.fileno()
        connection = _Connection(sock, number, address, now, now + self._timeouts.whole_s)
        self._until(connection, self._timeouts.connect_s, now)
        self._poller.watch(number, WRITE, connection)
        self._active.add(connection)
        self._turn += 1
        self._launched += 1
        self._short_since = None
        return True

    def _not_begun(self, address: Address, code: int, now: float) -> None:
        """No packet could be sent. A shortage is waited out before it counts as a request."""
        outcome = _BY_CONNECT_ERROR.get(code, Outcome.UNREACHABLE)
        if code in _SHORTAGE:
            if self._short_since is None:
                self._short_since = now
            held = len(self._active) + len(self._lingering)
            if code in _FEW_FILES and 0 < held < 2 * self.concurrency:
                self.limited_to = held if not self.limited_to else min(self.limited_to, held)
                self.concurrency = min(self.concurrency, self.limited_to)
            for idle in tuple(self._lingering):
                self._close(idle)
            if self._active or now - self._short_since < self._timeouts.connect_s:
                return
            outcome = Outcome.NO_SOCKET
        self._turn += 1
        self._launched += 1
        self._note(outcome)
        self._record(Exchange(outcome, f"{_error_text(code)}, {address}", address, 0.0))

    def _note(self, outcome: Outcome) -> None:
        self._ended += 1
        if outcome is not _OK and outcome in _LOAD:
            self._failed_by_load += 1

    def _decide(self, now: float) -> float:
        """How many connections at once from here on; returns when to decide again."""
        trips = {at: trip for at, trip in self._round_trips.items() if at in self.addresses}
        self._round_trips = trips
        round_trip_s = sum(trips.values()) / len(trips) if trips else 0.0
        span, cpu = now - self._decided, time.process_time()
        self.concurrency = next_concurrency(
            self.concurrency,
            most=min(MOST, self.limited_to or MOST),
            rate_per_s=self._ended / span,
            round_trip_s=round_trip_s,
            core_share=(cpu - self._decided_cpu) / span,
            failing_share=self._failed_by_load / self._ended if self._ended else 0.0,
            all_in_use=self._all_in_use,
        )
        self._decided, self._decided_cpu = now, cpu
        self._ended = self._failed_by_load = 0
        self._all_in_use = False
        return now + interval_s(round_trip_s)

    def _serve(self, connection: _Connection, events: int) -> None:
        phase = connection.phase
        if phase == _GONE:  # closed for another's sake since this event was reported
            return
        if phase == _LINGER:
            self._linger(connection)
            return
        if phase == _CONNECT:
            self._connected(connection, events)
        else:
            if events & WRITE:
                self._send(connection)
            if events & READ:
                self._receive(connection)
        if connection.broken:
            self._hear_last_words(connection)

    def _connected(self, connection: _Connection, events: int) -> None:
        if events & DOUBT:
            code = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                outcome = _BY_CONNECT_ERROR.get(code, Outcome.UNREACHABLE)
                self._finish(connection, outcome, _error_text(code))
                return
        now = connection.connected = self._clock()
        trip, address = now - connection.began, connection.address
        if trip < self._round_trips.get(address, math.inf):
            self._round_trips[address] = trip
        if self._context is None:
            connection.phase = _FIRST_BYTE
            self._until(connection, self._timeouts.first_byte_s, now)
            connection.requested = now
            connection.unsent = self._request
        else:
            connection.phase = _HANDSHAKE
            self._until(connection, self._timeouts.handshake_s, now)
            connection.incoming, connection.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            connection.tls = tls = self._context.wrap_bio(
                connection.incoming, connection.outgoing, server_hostname=self._name
            )
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:  # this computer allows no version or cipher at all
                self._tls_failed(connection, error)
                return
        self._send(connection)

    def _send(self, connection: _Connection) -> None:
        """Send what is to be sent, and wait for the right events after it."""
        if connection.broken:
            return
        unsent = connection.unsent
        if connection.tls is not None and connection.outgoing.pending:
            unsent += connection.outgoing.read()
            connection.flights += 1
        if unsent:
            try:
                sent = connection.socket.send(unsent)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                connection.broken = error.errno or errno.EPIPE
                return
            connection.unsent = unsent = unsent[sent:]
        writing = bool(unsent)
        if writing is not connection.writing:
            connection.writing = writing
            self._poller.change(connection.number, READ | WRITE if writing else READ)

    def _hear_last_words(self, connection: _Connection) -> None:
        """The other side has gone. What it said before may still lie in our receive buffer, and
        is the only explanation: the alert of a refusal, for one."""
        while connection in self._active:
            if not self._receive(connection):
                self._lost(connection, connection.broken)

    def _receive(self, connection: _Connection) -> bool:
        """Read once; False when there is nothing to read now."""
        try:
            size = connection.socket.recv_into(self._room)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lost(connection, error.errno or errno.ECONNRESET)
            return True
        data = self._room[:size]
        first = connection.heard == 0
        connection.heard += size
        try:
            if connection.heard > _HEARD_LIMIT or len(connection.unsent) > _UNSENT_LIMIT:
                self._too_much(connection)
            elif connection.tls is None:
                self._plain(connection, bytes(data))
            elif first and size and not looks_like_tls(bytes(data[:2])):
                says = printable(bytes(data[:100]))
                self._finish(connection, Outcome.NOT_TLS, f"it says {says}")
            else:
                self._encrypted(connection, connection.tls, data)
        except NotHttp as error:
            heard = connection.reader.heard
            alert = alert_record(heard)
            evidence = alert_text(alert) if alert else f"{error}: {printable(heard)}"
            self._finish(connection, Outcome.NOT_HTTP, evidence, alert=alert)
        except TooLarge as error:
            self._finish(connection, Outcome.ANSWER_TOO_LARGE, f"{error} beyond the limit")
        return True

    def _too_much(self, connection: _Connection) -> None:
        early = connection.phase == _HANDSHAKE
        outcome = Outcome.HANDSHAKE_FAILED if early else Outcome.ANSWER_TOO_LARGE
        self._finish(connection, outcome, f"{connection.heard} bytes and no end")

    def _plain(self, connection: _Connection, data: bytes) -> None:
        if data:
            connection.reader.feed(data)
        else:
            connection.reader.close(clean=True)
        self._progress(connection, ended=not data)

    def _encrypted(self, connection: _Connection, tls: ssl.SSLObject, data: memoryview) -> None:
        incoming, ended, eof = connection.incoming, False, not data
        if eof:
            incoming.write_eof()
        else:
            incoming.write(data)
        reader = connection.reader
        try:
            if connection.phase == _HANDSHAKE:
                tls.do_handshake()
                tls.write(self._request)
                # At once, so that in TLS 1.3 it leaves with Finished: a round trip less.
                self._send(connection)
                connection.phase = _FIRST_BYTE
                now = connection.requested = self._clock()
                self._until(connection, self._timeouts.first_byte_s, now)
            # Reading where nothing is left would raise SSLWantReadError, which is slow to make.
            while (eof or incoming.pending) and not ended:
                if text := tls.read(_RECORD_SIZE):
                    reader.feed(text)
                else:  # close_notify
                    ended = True
                    reader.close(clean=True)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            ended = True
            reader.close(clean=False)
        except ssl.SSLError as error:
            if reader.answer is None:
                self._tls_failed(connection, error)
                return
            ended = True
        if connection.outgoing.pending:
            self._send(connection)
        self._progress(connection, ended)

    def _progress(self, connection: _Connection, ended: bool) -> None:
        """Go on after a read: the answer is whole, or the other side has ended, or neither."""
        reader = connection.reader
        if connection.phase == _FIRST_BYTE and reader.heard:
            connection.phase = _BODY
            connection.first = self._clock()
            connection.deadline = connection.whole
        if answer := reader.answer:
            outcome = of_answer(answer)
            evidence = "" if outcome is _OK else answer_text(answer)
            self._finish(connection, outcome, evidence, answer, ended)
        elif ended and connection.broken:
            self._lost(connection, connection.broken)
        elif ended:
            self._finish(connection, _CLOSED[connection.phase], "closed")

    def _tls_failed(self, connection: _Connection, error: ssl.SSLError) -> None:
        outcome = of_tls_error(error, certified=connection.flights > 1, offered=self._offered)
        if connection.reader.heard:
            outcome = Outcome.ANSWER_CUT
        alert = alert_of(error)
        evidence = getattr(error, "verify_message", None) or (
            alert_text(alert) if alert else f"OpenSSL: {error.reason or 'unknown error'}"
        )
        self._send(connection)  # our own alert, so that the server's log can say why
        self._finish(connection, outcome, evidence, alert=alert)

    def _lost(self, connection: _Connection, code: int) -> None:
        self._finish(connection, _RESET[connection.phase], _error_text(code))

    def _linger(self, connection: _Connection) -> None:
        """The other side ends, as it should, or says something more, which nobody hears."""
        try:
            if connection.socket.recv(_READ_SIZE):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # a reset is an end too
        self._close(connection)

    def _sweep(self, now: float) -> None:
        late = [c for c in (*self._active, *self._lingering) if c.deadline <= now]
        for connection in late:
            if connection.phase == _LINGER:
                self._close(connection)
                continue
            waited = now - connection.began
            self._timed_out += 1
            self._finish(connection, _TIMED_OUT[connection.phase], f"given up after {waited:.1f} s")

    def _until(self, connection: _Connection, timeout_s: float, now: float) -> None:
        if self._timed_out >= self.concurrency:
            timeout_s = min(timeout_s, max(_IMPATIENT_S, _PATIENCE * self._slowest_s))
        until = now + timeout_s
        connection.deadline = until if until < connection.whole else connection.whole

    def _finish(
        self,
        connection: _Connection,
        outcome: Outcome,
        evidence: str,
        answer: Answer | None = None,
        ended: bool = True,
        alert: str | None = None,
    ) -> None:
        """The request is done: record it, and close, or let the other side close first."""
        now = self._clock()
        began, connected = connection.began, connection.connected
        requested, first = connection.requested, connection.first
        latency_s = now - began
        if answer is not None and latency_s > self._slowest_s:
            self._slowest_s = latency_s
        negotiated, not_after = "", ""
        if (tls := connection.tls) is not None and connection.phase >= _FIRST_BYTE:
            cipher = tls.cipher()
            negotiated = f"{tls.version()} {cipher[0] if cipher else ''}"
            if outcome is _OK and not self._not_after_told:
                self._not_after_told = True
                not_after = _not_after(tls)
        if ended or connection.unsent:
            self._close(connection)
        else:
            connection.phase = _LINGER
            connection.deadline = now + _LINGER_S
            self._active.discard(connection)
            if len(self._lingering) >= self.concurrency:
                self._close(next(iter(self._lingering)))
            self._lingering[connection] = None
        self._note(outcome)
        self._record(
            Exchange(
                outcome,
                evidence and f"{evidence}, {connection.address}",
                connection.address,
                latency_s,
                answer,
                connection.reader.status,
                alert,
                negotiated,
                not_after,
                connected - began if connected else None,
                requested - connected if tls is not None and requested else None,
                first - requested if first else None,
            )
        )

    def _close(self, connection: _Connection) -> None:
        connection.phase = _GONE
        self._active.discard(connection)
        self._lingering.pop(connection, None)
        self._poller.forget(connection.number)
        connection.socket.close()


def _import_now() -> None:
    """Use what Python imports at its first use: once every file that this process may open is a
    connection, no module can be read any more."""
    printable(b"\0")
    ssl.cert_time_to_seconds("Jan  1 00:00:00 2000 GMT")


def _error_text(code: int) -> str:
    return errno.errorcode.get(code, str(code))


def _not_after(tls: ssl.SSLObject) -> str:
    """The server certificate's end; empty without verification: the ssl module then hides it."""
    certificate = tls.getpeercert()
    if not certificate:
        return ""
    seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
