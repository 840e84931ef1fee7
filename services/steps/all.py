"""The steps, in their order. A new step is a module and its name here."""

from __future__ import annotations

from collections.abc import Sequence

from services.steps import ca, client, install, listener, prepare, server, verify
from services.steps.step import Step

STEPS: Sequence[Step] = (prepare, ca, server, client, install, listener, verify)
