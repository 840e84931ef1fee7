"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# On a busy machine an example may take long without anything being wrong.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
