"""The live screen over snapshots as the proof makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from textual.app import App
from textual.signal import Signal
from textual.widgets import Static

from screens.clipboard import Copy
from screens.live import LiveScreen
from screens.news import Latest, News
from screens.widgets.bars import bar, sparkline
from screens.widgets.tally_table import TallyTable
from services.cloud.port import Server, ServerHealth
from services.events import Event, rfc3339
from services.probe.diagnosis import Diagnosis
from services.probe.refusals import Refusal
from services.probe.tally import Histogram, Rates, Tally
from services.steps.course import GENTLE, Pace
from services.steps.live import Change, Live
from tests.screens.settle import settle, text

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def server(name: str, status: str = "Normal", reason: str = "") -> ServerHealth:
    return ServerHealth(Server(f"i-{name}", "Ecs", 80, 100), status, reason)


PASSING = Live(
    endpoint="127.0.0.1:35161",
    name="www.example.com",
    started=NOON,
    names={"i-ECS01": "ECS01", "i-ECS02": "ECS02"},
    expected={"ECS01": 0.5, "ECS02": 0.5},
    tally=Tally(
        backends={"ECS01": 611, "ECS02": 593},
        outcomes={"ok": 1204},
        latency=Histogram({123: 1100, 140: 104}),
        connect=Histogram({70: 1204}),
        tls_handshake=Histogram({90: 1204}),
        first_byte=Histogram({100: 1204}),
        tls={"TLSv1.3 TLS_AES_256_GCM_SHA384": 1204},
        elapsed_s=6.0,
        rates=Rates((31.0, 180.0, 214.0), 31.0, 228.0),
    ),
    health=(server("ECS01"), server("ECS02")),
    health_at=NOON,
    refusals=(
        Refusal("no_certificate", True, "alert certificate_required (116), 0 B from a backend"),
        Refusal("unknown_ca", True, "alert unknown_ca (48), 0 B from a backend"),
        Refusal("plain_http", True, "closed, 0 B from a backend"),
    ),
    verdict="pass",
    certificate_until="2027-12-23T00:00:00Z",
)

DOWN = Diagnosis(
    "backend-down",
    "error",
    "likely",
    "ECS01 400 of 400",
    {"backends": "ECS02", "ok": "400"},
)

FAILING = replace(
    PASSING,
    tally=replace(
        PASSING.tally,
        backends={"ECS01": 400},
        outcomes={"ok": 400, "closed-without-answer": 3},
        samples={"closed-without-answer": "closed after [/] 0 B"},
    ),
    health=(server("ECS01"), server("ECS02", "Abnormal", "CONNECT_TIMEOUT")),
    refusals=(Refusal("no_certificate", False, "200 from a backend"),),
    diagnosis=(DOWN,),
    verdict="fail",
)


class Host(App[int]):
    """Shows the live screen and nothing else."""

    def __init__(self, now: Callable[[], datetime] = lambda: NOON) -> None:
        super().__init__()
        self.news: Signal[News] = Signal(self, "news")
        self.again = 0
        self.copies: list[Copy] = []
        self.pace = Pace(GENTLE)
        self.live = LiveScreen(
            "Verify", self.news, lab=True, again=self._again, pace=self.pace, now=now
        )

    def _again(self) -> None:
        self.again += 1

    def on_mount(self) -> None:
        self.push_screen(self.live)

    def on_copy(self, message: Copy) -> None:
        self.copies.append(message)

    def tell(self, live: Live) -> None:
        """News of a snapshot."""
        self.news.publish(Event("snapshot", snapshot=live))


@pytest.fixture
def app() -> Host:
    return Host()


async def test_a_pass_is_told_in_one_word_with_its_grounds(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        await settle(pilot, lambda: "✓ PASS since" in text(app))
        shown = text(app)
        assert "https://www.example.com · fresh connections" in shown
        assert "[lab]" in shown
        assert "responses 1,204 of 1,204" in shown
        assert "✓ ECS01 normal    ECS01" in shown
        assert "611  50.7 %   50 %  within chance" in shown
        assert "now 214, at most 20" in shown
        assert "ms p50/p99: connect 0.3/0.3 · TLS 0.8/0.8 · first byte 1.3/1.3" in shown
        assert "TLSv1.3 TLS_AES_256_GCM_SHA384 · server certificate until 2027-12-23" in shown
        assert "✓ refused: no certificate, another CA, plain HTTP" in shown
        assert "Verdict: pass" in shown
        # Nothing is cut at 80 columns.
        assert "…" not in shown


async def test_a_failure_names_the_worst_first_and_why(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(FAILING)
        await settle(pilot, lambda: "✗ FAIL since" in text(app))
        lines = text(app).splitlines()
        assert lines[3].startswith(" ✗ ECS02 Abnormal")
        assert "not chance" in lines[3]
        assert "✗ let in: no certificate (200 from a backend)" in text(app)
        assert "✗ ECS02 gave none of the 400 answers." in text(app)
        await pilot.press("enter")
        await settle(pilot, lambda: "127.0.0.1:35161" in text(app))
        assert "backend-down · likely · ECS01 400 of 400" in text(app)


async def test_the_causes_of_a_failed_proof_stay_while_it_is_watched(app: Host) -> None:
    seven = replace(FAILING.tally, backends={"ECS01": 7}, outcomes={"ok": 7})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(FAILING)
        app.tell(replace(FAILING, diagnosis=(), tally=seven))
        await settle(pilot, lambda: "7 of 7" in text(app))
        assert "✗ ECS02 gave none of the 400 answers." in text(app)
        app.tell(replace(FAILING, diagnosis=(), verdict="pass", health=PASSING.health))
        await settle(pilot, lambda: "PASS" in text(app))
        assert "gave none" not in text(app)


async def test_pausing_stops_the_drawing_only(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        await settle(pilot, lambda: "1,204 of 1,204" in text(app))
        await pilot.press("space")
        assert "paused; requests go on" in text(app)
        app.tell(FAILING)
        await pilot.pause()
        assert "1,204 of 1,204" in text(app)
        await pilot.press("space")
        await settle(pilot, lambda: "400 of 403" in text(app))


DOWN_AT = NOON + timedelta(seconds=4)
BACK_AT = NOON + timedelta(seconds=35)
WENT = Change(
    DOWN_AT,
    "backend-down",
    "ECS02",
    {"by": "health", "status": "Unhealthy", "reason": "CONNECT_TIMEOUT"},
)
CAME = Change(
    BACK_AT,
    "backend-up",
    "ECS02",
    {"since": rfc3339(DOWN_AT), "until": rfc3339(BACK_AT), "lost": 0},
)


def later(seconds: float, requests: int, *changes: Change, failed: int = 0) -> Live:
    """The passing endpoint after a while."""
    outcomes = {"ok": requests - failed, **({"http-5xx": failed} if failed else {})}
    backends = {"ECS01": requests - failed}
    tally = replace(PASSING.tally, elapsed_s=seconds, outcomes=outcomes, backends=backends)
    return replace(PASSING, tally=tally, changes=changes)


async def test_each_change_is_told_once_and_marked_below_the_curve(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for second in range(4):
            app.tell(later(second, 20 * second))
        for second in range(4, 35):
            app.tell(later(second, 20 * second, WENT))
        app.tell(later(35, 701, WENT, CAME, failed=1))
        app.tell(later(36, 720, WENT, CAME, failed=1))
        await settle(pilot, lambda: "720" in text(app))
        shown = text(app)
        assert shown.count("ECS02 is down: Unhealthy, CONNECT_TIMEOUT") == 1
        assert shown.count("; 0 requests lost") == 1
        lines = shown.splitlines()
        curve = next(place for place, line in enumerate(lines) if line.startswith(" req/s"))
        assert set(lines[curve].split()[1]) <= set("▇█")
        assert lines[curve + 1].split() == ["▲", "✗▲", "36", "s"]


async def test_plus_and_minus_change_the_rate_within_bounds(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        await settle(pilot, lambda: "at most 20" in text(app))
        await pilot.press("plus")
        await settle(pilot, lambda: "at most 50" in text(app))
        assert app.pace.rate_per_s == 50
        for _ in range(9):
            await pilot.press("equals_sign")
        await settle(pilot, lambda: "at most 1000" in text(app))
        for _ in range(12):
            await pilot.press("minus")
        await settle(pilot, lambda: "at most 1" in text(app) and app.pace.rate_per_s == 1)


async def test_several_addresses_have_a_line_each_the_worst_first(app: Host) -> None:
    addresses = {
        "192.0.2.1:443": {"ok": 600},
        "192.0.2.2:443": {"ok": 10, "connect-refused": 590},
        "192.0.2.3:443": {"ok": 600},
        "192.0.2.4:443": {"ok": 600},
    }
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(replace(PASSING, tally=replace(PASSING.tally, addresses=addresses)))
        await settle(pilot, lambda: "and 1 more addresses" in text(app))
        shown = text(app)
        assert shown.index("! 192.0.2.2:443  10 of 600 answered") < shown.index("✓ 192.0.2.1")


async def test_strangers_who_prove_nothing_are_told_apart(app: Host) -> None:
    untried = Refusal("tls_1_0", None, "", untried="this computer's OpenSSL cannot speak it")
    live = replace(PASSING, refusals=(*PASSING.refusals, untried))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(live)
        await settle(pilot, lambda: "· not proven: TLS 1.0" in text(app))
        await pilot.resize_terminal(120, 40)
        await settle(pilot, lambda: "· TLS 1.0" in text(app))
        assert "✓ no certificate alert certificate_required (116)" in text(app)
        assert "this computer's OpenSSL cannot speak it" in text(app)


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("2026-12-04T12:00:00Z", "! server certificate ends in 10 days (2026-12-04)"),
        ("2026-11-23T12:00:00Z", "✗ server certificate ended on 2026-11-23"),
    ],
)
async def test_the_end_of_the_certificate_is_warned_of(app: Host, until: str, told: str) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        app.tell(replace(PASSING, certificate_until=until))
        await settle(pilot, lambda: told in text(app))


async def test_old_health_stays_and_says_its_age() -> None:
    late = NOON + timedelta(seconds=42)
    app = Host(lambda: late)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        await settle(pilot, lambda: "health is 42 s old" in text(app))
        assert "✓ ECS01 normal" in text(app)


async def test_reset_export_and_events(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        app.tell(FAILING)
        await settle(pilot, lambda: "✗ FAIL" in text(app))
        await pilot.press("e")
        await settle(pilot, lambda: len(app.copies) == 2)
        data, picture = app.copies
        assert json.loads(data.text)["requests"] == 403
        assert "<svg" in picture.text
        assert "@font-face" not in picture.text
        assert [each.file.rpartition(".")[2] for each in app.copies] == ["json", "svg"]
        assert not any(each.clipboard for each in app.copies)
        await pilot.press("r")
        assert app.again == 1


async def test_the_cursor_stays_on_its_backend_when_the_order_changes(app: Host) -> None:
    many = {f"ECS{n:03}": 10 for n in range(500)}
    live = replace(
        PASSING,
        names={},
        expected=dict.fromkeys(many, 1 / 500),
        tally=replace(PASSING.tally, backends=many, outcomes={"ok": 5000}),
        health=tuple(server(name) for name in many),
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.tell(live)
        await settle(pilot, lambda: "5,000 of 5,000" in text(app))
        table = app.screen.query_one(TallyTable)
        await pilot.press("down", "down", "down")
        assert table.selected == "ECS002"
        tally = replace(live.tally, backends={**many, "ECS499": 900})
        app.tell(replace(live, tally=tally))
        await settle(pilot, lambda: "900" in text(app))
        # ECS499 went to the top, and the rest one line down.
        await pilot.press("down")
        assert table.selected == "ECS003"
        await pilot.press("end")
        assert table.selected == "ECS498"
        await settle(pilot, lambda: "ECS498" in text(app))


async def test_new_events_do_not_tear_away_what_is_being_read(app: Host) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.tell(PASSING)
        for n in range(30):
            app.news.publish(Event("output", data={"line": f"line {n}"}))
        await settle(pilot, lambda: "line 29" in text(app))
        events = app.screen.query_one("#events")
        events.scroll_to(y=5, animate=False, force=True)
        await settle(pilot, lambda: "line 29" not in text(app))
        app.news.publish(Event("output", data={"line": "one more"}))
        app.news.publish(Event("output", data={"line": "and more"}))
        await settle(
            pilot, lambda: "2 new ↑" in str(app.screen.query_one("#unseen", Static).content)
        )
        before = text(app)
        assert "and more" not in before
        events.scroll_home(animate=False)
        await settle(pilot, lambda: "and more" in text(app))


def test_only_the_newest_snapshot_counts_and_ten_a_second() -> None:
    now = [100.0]
    latest = Latest(lambda: now[0])
    first, second = Event("snapshot", status="1"), Event("snapshot", status="2")
    assert latest.put(first)
    assert not latest.put(second)
    assert latest.due_s() == 0
    assert latest.take() is second
    assert latest.take() is None
    assert latest.put(first)
    now[0] += 0.04
    assert latest.due_s() == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, "    "), (0.5, "██  "), (1, "████"), (0.28, "█▏  "), (7, "████")]
)
def test_bars_have_eighths(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_a_sparkline_has_eight_levels_and_the_latest_values() -> None:
    assert sparkline([9, 0, 1, 2, 3, 4, 5, 6, 7, 8], 9) == "▁▂▃▄▅▆▇██"
    assert sparkline([0, 0], 5) == "▁▁"
    assert sparkline([], 5) == ""
