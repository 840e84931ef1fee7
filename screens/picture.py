"""A screen as an SVG that stands alone: it loads nothing when it is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

_FONT = re.compile(r"@font-face \{[^}]*\}")
"""Where Rich would have the viewer load a font from the network; the viewer's own will do."""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 has no place for (section 2.2); one of them and nobody shows the rest."""


def svg(app: App[Any], title: str = "nlb-mtls") -> str:
    """What the app shows now."""
    drawn = _FONT.sub("", app.export_screenshot(title=title))
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", drawn)
