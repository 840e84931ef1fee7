"""A screen as an SVG that stands alone: it loads nothing when it is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

_FONT = re.compile(r"@font-face \{[^}]*\}")
"""Where Rich would have the viewer load a font from the network; the viewer's own will do."""


def svg(app: App[Any], title: str = "nlb-mtls") -> str:
    """What the app shows now."""
    return _FONT.sub("", app.export_screenshot(title=title))
