"""How a host's web server can misbehave although it runs."""

from __future__ import annotations

from typing import Literal, get_args

Trouble = Literal[
    "",
    "another-page",
    "cut",
    "drips",
    "empty",
    "error",
    "floods",
    "garbage",
    "hangs",
    "redirects",
    "slow",
]
"""What is wrong with the answers; the fault of the same name is `backend-…`.

    another-page  nginx's default page, as where another `server` block takes the requests
    cut           twice as many bytes are announced as are sent
    drips         a byte a second, and never the last one
    empty         200 with Content-Length: 0
    error         500
    floods        a body without an end
    garbage       bytes that are no HTTP
    hangs         nothing at all
    redirects     301 to https:// on the same host
    slow          the right answer, a second late
"""

TROUBLES: tuple[Trouble, ...] = tuple(name for name in get_args(Trouble) if name)
