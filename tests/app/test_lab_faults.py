"""Faults that are on from a lab's first moment: how far one gets, and what one is told."""

from __future__ import annotations

from pathlib import Path

from tests.app.running import Program


def test_backend_that_does_not_serve_ends_in_step_0_by_its_name(tmp_path: Path) -> None:
    ended = Program(tmp_path / "home").run("lab", "--yes", "--json", "--fault", "backend-down")
    problem = ended.result["problem"]
    assert (ended.code, problem["code"]) == (1, "hosts.web-not-started")
    assert "ECS02" in problem["what"]
    assert "Active: inactive (dead)" in problem["evidence"]


def test_closed_security_group_is_opened_by_step_0(tmp_path: Path) -> None:
    words = ("lab", "--yes", "--json", "--fault", "security-group-closed")
    ended = Program(tmp_path / "home").run(*words)
    assert (ended.code, ended.result["verdict"]) == (0, "pass")
    made = {str(event.get("action", "")) for event in ended.lines()}
    assert [action for action in made if action.startswith("prepare.security-group-rule.")]
