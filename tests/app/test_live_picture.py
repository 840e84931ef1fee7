"""The live screen drawn from what a report keeps of a verification."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from app.live_picture import draw
from services.handover.content import Content
from services.handover.snapshot import snapshot
from tests.services.handover.sample import CONTENT, HOSTILE


def shown(content: Content) -> str:
    live = snapshot(content)
    assert live is not None
    assert live.health_at is not None
    picture = draw(live, live.health_at, lab=False)
    root = ElementTree.fromstring(picture)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not names & {"script", "image", "a", "foreignObject", "animate"}
    style = "".join(element.text or "" for element in root.iter() if element.tag.endswith("style"))
    assert "http" not in style
    return "".join(root.itertext()).replace("\xa0", " ")


def test_it_shows_what_the_report_tells() -> None:
    text = shown(CONTENT)
    assert "PASS since" in text
    assert "https://www.example.com" in text
    assert "responses 200 of 200" in text
    for words in ("ECS01", "ECS02", "101", "99", "50.5", "TLSv1.3 TLS_AES_128_GCM_SHA256"):
        assert words in text
    assert "server certificate until 2027-12-26" in text
    # The phases, to the width of a bucket.
    assert re.search(r"TLS (7\.\d|8\.\d)/9\.\d", text)


def test_what_a_backend_says_stays_text() -> None:
    text = shown(HOSTILE)
    assert "FAIL since" in text
    assert "<script>" in text
