"""Takes the README's pictures: the real assistant, in a real lab, by Enter alone.

Run as `.venv/bin/python -m scripts.picture`; writes docs/*.svg.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path

from services.redact import Redactor

FOLDER = Path(__file__).parents[1] / "docs"
SIZE = (100, 28)


async def take(home: Path) -> None:
    """Walk to the live screen, with a picture of the listener's preview on the way."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from app.assistant import Assistant
    from app.wiring import Wiring
    from screens.live import LiveScreen
    from screens.picture import svg

    app = Assistant(lambda: Wiring(home), "lab", home, Redactor())
    async with app.run_test(size=SIZE) as pilot:
        taken = ""
        while not isinstance(app.screen, LiveScreen):
            picture = svg(app)
            if "Listener · preview" in _text(picture) and picture != taken:
                taken = keep("preview.svg", picture)
            await pilot.press("enter")
            await pilot.pause(0.3)
        while "PASS" not in _text(svg(app)):
            await pilot.pause(0.2)
        await pilot.pause(6)  # for the sparkline to have something to show
        keep("live.svg", svg(app))


def _text(picture: str) -> str:
    return re.sub(r"<[^>]+>", "", picture).replace("&#160;", " ")


def keep(name: str, picture: str) -> str:
    (FOLDER / name).write_text(picture, encoding="utf-8")
    return picture


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(Path(folder)))
