"""`export`: what a session came to, as files to hand over."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from app.console import Console
from app.options import Options
from app.version import __version__
from app.wiring import Wiring
from services.handover.content import MARK, Content, to_json
from services.handover.delivery import deliver
from services.handover.gather import gather
from services.handover.html.document import document
from services.handover.metrics import prometheus
from services.handover.snapshot import snapshot
from services.problem import Exit
from services.text import say, spoken


def run(options: Options, console: Console, home: Path) -> Exit:
    """Write the report of a session at rest; reaches for nothing else. Raises Problem."""
    wiring = Wiring(home, redact=console.redact)
    walk = wiring.at_rest(wiring.read(options.session))
    content = gather(walk, datetime.now(UTC), __version__, console.redact)
    folder = Path(options.output).expanduser().absolute() if options.output else None
    written = deliver(folder or walk.store.folder.reports, _files(content, spoken("handover")))
    if console.json:
        console.result(
            {
                "session": content.session,
                "folder": str(written[0].path.parent),
                "files": [each.to_map() for each in written],
            }
        )
    else:
        console.say(say("app.export.written", session=content.session))
        for each in written:
            console.say(say("app.export.file", path=each.path))
    return Exit.FINE


def _files(content: Content, language: str) -> dict[str, bytes]:
    picture = _picture(content)
    files = {
        "report.html": document(content, language, picture),
        "report.json": to_json(content),
        "nlb-mtls.prom": prometheus(content),
    }
    return files if picture is None else {**files, "live.svg": picture}


def _picture(content: Content) -> bytes | None:
    live = snapshot(content)
    if live is None or live.health_at is None:
        return None
    from app.live_picture import draw  # 0.4 s: Textual

    drawn = draw(live, live.health_at, lab=content.place == "lab")
    return f"<!-- {MARK} {content.program} -->\n{drawn}".encode()
