"""The HTTP reader: the same result however the bytes are cut, and never more than its limits."""

from __future__ import annotations

import http.client
import io
import itertools
import socket
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.answer import (
    BODY_LIMIT,
    HEAD_LIMIT,
    Answer,
    AnswerReader,
    NotHttp,
    TooLarge,
    date_s,
    header,
)

PAGE = b"Hello World ! This is ECS01.\n"
Result = Answer | str | None


def read(pieces: list[bytes], *, clean: bool = True) -> Result:
    """An answer, the name of an error, or None for one that was cut short."""
    reader = AnswerReader()
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.close(clean)
    except (NotHttp, TooLarge) as error:
        return type(error).__name__
    return reader.answer


def fed_before_too_large(stream: bytes, more: bytes) -> int:
    """How many bytes of `more`, over and over, are taken after `stream`."""
    reader = AnswerReader()
    reader.feed(stream)
    fed = 0
    while fed < 4 * BODY_LIMIT:
        try:
            reader.feed(more)
        except TooLarge:
            break
        fed += len(more)
    return fed


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


bodies = st.binary(max_size=300)
heads = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\n",
        b"HTTP/1.0 200 \r\n",
        b"HTTP/1.1 404 Not Found\r\nX:\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204\r\n",
        b"HTTP/1.1 200 OK\r\nX: folded\r\n\t over\r\n  lines\r\n",
        b"HTTP/2 200\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\nServer: nginx\n",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"",
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Whole answers in each framing, damaged ones, and noise."""
    head, body = draw(heads), draw(bodies)
    framed = draw(
        st.sampled_from(
            [
                b"Content-Length: %d\r\n\r\n" % len(body) + body,
                b"content-length:%d \r\nContent-Length: %d\r\n\r\n" % (len(body), len(body)) + body,
                b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body,
                b"Content-Length: -1\r\n\r\n" + body,
                b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + body,
                b"Content-Length: 99999999\r\n\r\n" + body,
                b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, draw(st.integers(1, 64))),
                b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + chunked(body, 8),
                b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
                b"Transfer-Encoding: chunked\r\n\r\n2\r\n" + body,
                b"Transfer-Encoding: gzip, chunked\r\n\r\n" + body,
                b"\r\n" + body,
            ]
        )
    )
    return head + framed + draw(st.sampled_from([b"", b"more", b"\r\n"]))


@given(stream=st.one_of(answers(), st.binary(max_size=200)), clean=st.booleans(), data=st.data())
def test_any_split_gives_the_same_result(stream: bytes, clean: bool, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    whole = read([stream], clean=clean)
    assert read(pieces, clean=clean) == whole
    assert read([bytes([byte]) for byte in stream], clean=clean) == whole


class _Wire:
    """What http.client needs of a socket."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._stream)


@given(body=bodies, framing=st.sampled_from(["length", "chunked", "close"]))
def test_http_client_reads_the_same_body(body: bytes, framing: str) -> None:
    rest = {
        "length": b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 7),
        "close": b"\r\n" + body,
    }[framing]
    stream = b"HTTP/1.1 203 Fine\r\nServer: x\r\n" + rest
    judge = http.client.HTTPResponse(cast(socket.socket, _Wire(stream)))
    judge.begin()
    found = read([stream])
    assert isinstance(found, Answer)
    assert (found.status, found.body) == (judge.status, judge.read()) == (203, body)


def test_body_until_close_needs_an_announced_end() -> None:
    stream = b"HTTP/1.1 200 OK\r\n\r\n" + PAGE
    assert isinstance(read([stream], clean=True), Answer)
    assert read([stream], clean=False) is None


def test_length_needs_no_announced_end() -> None:
    found = read([b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" + PAGE], clean=False)
    assert isinstance(found, Answer)
    assert found.body == PAGE


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" + PAGE[:-1],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1D\r\n" + PAGE + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTT",
        b"",
    ],
)
def test_part_of_an_answer_is_none(stream: bytes) -> None:
    assert read([stream]) is None


@pytest.mark.parametrize(
    ("stream", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", bytes(16384)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"4000\r\n" + bytes(16384) + b"\r\n",
        ),
    ],
    ids=["until close", "chunked"],
)
def test_endless_body_stops_at_its_limit(stream: bytes, more: bytes) -> None:
    assert fed_before_too_large(stream, more) <= BODY_LIMIT + len(more)


@pytest.mark.parametrize(
    ("stream", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Filler: %s\r\n" % (b"x" * 80)),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 100),
    ],
    ids=["headers", "header", "interim", "trailers", "tiny chunks", "chunk extension"],
)
def test_endless_framing_stops_at_its_limit(stream: bytes, more: bytes) -> None:
    assert fed_before_too_large(stream, more) <= 4 * HEAD_LIMIT


def test_status_is_known_before_the_body() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n")
    assert (reader.status, reader.answer) == (503, None)


def test_header_on_several_lines_is_read_as_one() -> None:
    reader = AnswerReader()
    folded = b"HTTP/1.1 200 OK\r\nX-Backend:\r\n web\r\n\t7\r\nContent-Length:\r\n 2\r\n\r\nhi"
    assert reader.feed(folded)
    assert reader.answer is not None
    assert reader.answer.body == b"hi"
    assert header(reader.answer.head, "x-backend") == b"web 7"


def test_folded_framing_hides_nothing() -> None:
    with pytest.raises(NotHttp):
        AnswerReader().feed(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n , gzip\r\n\r\n0\r\n\r\n"
        )


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
def test_date_is_read_as_the_standard_library_writes_it(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = format_datetime(moment, usegmt=True).encode()
    assert date_s(b"HTTP/1.1 200 OK\r\ndate: " + text + b"\r\n") == moment.timestamp()


@given(st.binary(max_size=40))
def test_date_without_sense_is_none(value: bytes) -> None:
    assert date_s(b"HTTP/1.1 200 OK\r\nDate: " + value + b"\r\n") is None


@pytest.mark.parametrize(
    "value", [b"Sun, 06 anF 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 24:49:37 GMT"]
)
def test_date_out_of_range_is_none(value: bytes) -> None:
    assert date_s(b"HTTP/1.1 200 OK\r\nDate: " + value + b"\r\n") is None
