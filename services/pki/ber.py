"""Just enough of BER (X.690) to see how a PKCS#12 file is protected.

The library opens such files but does not say how they were closed. NSS and old Windows write
indefinite lengths and octet strings in pieces, so DER alone would not do.
"""

from __future__ import annotations

from dataclasses import dataclass

INTEGER, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x06, 0x30
CONTEXT_0 = 0xA0

_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_INDEFINITE = 0x80
_MAX_DEPTH = 32


class Malformed(Exception):
    """The bytes are no BER, or not what was looked for."""


@dataclass(frozen=True, slots=True)
class Element:
    """One tag-length-value, its tag of one octet: PKCS#12 has no others."""

    tag: int
    body: bytes

    def children(self) -> tuple[Element, ...]:
        if not self.tag & _CONSTRUCTED:
            raise Malformed
        found, offset = [], 0
        while offset < len(self.body):
            child, offset = _next(self.body, offset, 0)
            found.append(child)
        return tuple(found)

    def octets(self, depth: int = 0) -> bytes:
        """The value of an octet string, also of one in pieces."""
        if depth > _MAX_DEPTH:
            raise Malformed
        if self.tag & _CONSTRUCTED:
            return b"".join(child.octets(depth + 1) for child in self.children())
        return self.body

    def integer(self) -> int:
        if self.tag != INTEGER:
            raise Malformed
        return int.from_bytes(self.body, signed=True)

    def oid(self) -> str:
        """The dotted form of an object identifier."""
        if self.tag != OBJECT_IDENTIFIER or not self.body or self.body[-1] & 0x80:
            raise Malformed
        arcs, arc = [], 0
        for octet in self.body:
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def element(data: bytes) -> Element:
    """The first element in `data`; what follows it is ignored, as other readers do."""
    return _next(data, 0, 0)[0]


def _next(data: bytes, offset: int, depth: int) -> tuple[Element, int]:
    if depth > _MAX_DEPTH or offset + 2 > len(data):
        raise Malformed
    tag, length = data[offset], data[offset + 1]
    if tag & _LONG_TAG == _LONG_TAG:
        raise Malformed
    start = offset + 2
    if length == _INDEFINITE:
        end = start
        while data[end : end + 2] != b"\0\0":
            end = _next(data, end, depth + 1)[1]
        return Element(tag, data[start:end]), end + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size])
        start += size
    if start + length > len(data):
        raise Malformed
    return Element(tag, data[start : start + length]), start + length
