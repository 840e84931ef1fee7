"""The page in a real browser: it is shown as meant, asks no network, and prints."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.handover.content import Content
from services.handover.html.document import document
from tests.programs import program
from tests.services.handover.sample import CONTENT, HOSTILE, TRACKER

DEADLINE_S = 90

OWN = ("google.com", "googleapis.com", "gvt1.com", "googleusercontent.com", "gstatic.com")
"""Where a browser looks for news of itself, whatever it shows; none of it can be found here."""

DARK, LIGHT = 0, 1
"""Chromium's `preferredColorScheme`."""

PICTURE = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'
    f'<style>@import "{TRACKER}";</style><image href="{TRACKER}" width="10" height="10"/>'
    f'<script>fetch("{TRACKER}")</script><rect width="10" height="10" fill="#123456"/></svg>'
).encode()
"""A picture that would like to load something, if it were let."""


@dataclass(frozen=True, slots=True)
class Browser:
    """Chromium without a window, and without names to reach anything by."""

    folder: Path

    def show(self, page: bytes, *options: str) -> subprocess.CompletedProcess[str]:
        path = self.folder / "report.html"
        path.write_bytes(page)
        return subprocess.run(
            [
                program("chromium"),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={self.folder / 'profile'}",
                "--enable-logging=stderr",
                *options,
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE_S,
            check=True,
        )

    def dom(self, page: bytes) -> tuple[str, Sequence[str], Sequence[str]]:
        """The document as it stands after loading, what the console said, and what was asked for
        beside the page itself."""
        log = self.folder / "net.json"
        ran = self.show(page, f"--log-net-log={log}", "--dump-dom")
        console = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
        urls = re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', log.read_text(encoding="utf-8"))
        hosts = {url: re.sub(r"^[a-z]+://([^/:?#]*).*", r"\1", url) for url in urls}
        return ran.stdout, console, [url for url in urls if not hosts[url].endswith(OWN)]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


@pytest.mark.parametrize("content", [CONTENT, HOSTILE], ids=["well", "hostile"])
def test_it_is_shown_whole_without_a_complaint_or_a_request(
    browser: Browser, content: Content
) -> None:
    dom, console, asked = browser.dom(document(content, "en", PICTURE))
    verdict = content.verification.verdict if content.verification else ""
    assert f"Verdict: {verdict}" in dom
    assert "How to undo it" in dom
    assert dom.count("<script") == 0
    assert "<title>owned" not in dom
    assert console == []
    assert asked == []


def test_the_judge_sees_a_request_and_a_complaint(browser: Browser) -> None:
    page = f'<!doctype html><title>x</title><img src="{TRACKER}"><script>throw 1</script>'
    _, console, asked = browser.dom(page.encode())
    assert TRACKER in asked
    assert len(console) >= 1


def test_the_policy_alone_would_stop_it(browser: Browser) -> None:
    """Were an element ever to slip through, the browser would still load and run nothing."""
    page = document(CONTENT, "en").replace(
        b"<body>", f'<body><img src="{TRACKER}"><script>document.title="owned"</script>'.encode()
    )
    dom, console, asked = browser.dom(page)
    assert asked == []
    assert "<title>owned" not in dom
    assert any("Content Security Policy" in line for line in console)


def corner(picture: Path) -> tuple[int, int, int]:
    """The colour of the first pixel of a PNG (8 bits, RGB or RGBA; no filter changes it)."""
    data = picture.read_bytes()
    place, packed = 8, b""
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + size]
        place += 12 + size
    red, green, blue = zlib.decompress(packed)[1:4]
    return red, green, blue


def test_it_is_light_by_day_and_dark_by_night(browser: Browser, tmp_path: Path) -> None:
    page, seen = document(CONTENT, "en", PICTURE), {}
    for scheme in (DARK, LIGHT):
        picture = tmp_path / f"{scheme}.png"
        browser.show(
            page,
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1000,800",
            f"--screenshot={picture}",
        )
        seen[scheme] = corner(picture)
    assert min(seen[LIGHT]) > 240
    assert max(seen[DARK]) < 40


def test_it_prints_on_a_few_pages(browser: Browser, tmp_path: Path) -> None:
    paper = tmp_path / "report.pdf"
    browser.show(document(CONTENT, "en", PICTURE), f"--print-to-pdf={paper}")
    pages = len(re.findall(rb"/Type /Page\b", paper.read_bytes()))
    assert 2 <= pages <= 6
