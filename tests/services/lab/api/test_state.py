"""The account on disk and in memory."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab import scenario
from services.lab.scenario import Scenario
from services.lab.state.account import (
    AccessKey,
    Account,
    Change,
    Job,
    LoadBalancer,
    Remembered,
    ServerGroup,
)
from services.lab.state.cloud import FILE_NAME, CloudState
from services.lab.state.identifiers import derived, fresh, fresh_certificate
from services.problem import Problem
from tests.services.lab.api.lab import WAIT_S, Lab

SERVER = """
import asyncio, sys
from pathlib import Path
from services.lab import scenario
from services.lab.api.server import make_application, serving
from services.lab.faults import Faults
from services.lab.state.cloud import CloudState

async def main():
    state = CloudState(Path(sys.argv[1]), scenario.default())
    async with serving(make_application(state, Faults(), dict)) as port:
        print(port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_all_is_there_after_kill_9(folder: Path, first_day: Scenario) -> None:
    """Groups are made one after another while the server dies; no answered one is lost."""
    from alibabacloud_nlb20220430 import models as m
    from alibabacloud_nlb20220430.client import Client
    from alibabacloud_tea_openapi.utils_models import Config
    from Tea.exceptions import TeaException

    before = CloudState(folder, first_day).account
    made: dict[str, str] = {}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        enough = threading.Event()

        def kill() -> None:
            assert enough.wait(WAIT_S)
            server.send_signal(signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        client = Client(
            Config(
                access_key_id=before.access_key.id,
                access_key_secret=before.access_key.secret,
                protocol="http",
                endpoint=f"127.0.0.1:{port}",
            )
        )
        vpc = next(iter(before.vpc_cidrs))

        def make_groups() -> None:
            for number in range(100_000):
                request = m.CreateServerGroupRequest(
                    server_group_name=f"group-{number}", vpc_id=vpc, client_token=str(number)
                )
                made[str(number)] = client.create_server_group(request).body.server_group_id
                if number == 5:
                    enough.set()

        with pytest.raises(TeaException):
            make_groups()
        killer.join(WAIT_S)
        assert server.wait(WAIT_S) == -signal.SIGKILL
    with Lab(folder, first_day) as lab:
        account = lab.state.account
        assert account.access_key == before.access_key
        assert account.authorities == before.authorities
        assert set(made.values()) <= account.server_groups.keys()
        last = max(made, key=int)
        again = m.CreateServerGroupRequest(
            server_group_name=f"group-{last}", vpc_id=vpc, client_token=last
        )
        assert lab.ask(lab.nlb.create_server_group, again).server_group_id == made[last]
    assert len([one for one in os.listdir(folder) if one == FILE_NAME]) == 1


def test_a_restart_changes_nothing(folder: Path, first_day: Scenario) -> None:
    from alibabacloud_nlb20220430 import models as m

    with Lab(folder, first_day) as lab:
        account = lab.state.account
        bought = next(iter(account.certificates))
        made = lab.ask(
            lab.nlb.create_listener,
            m.CreateListenerRequest(
                load_balancer_id=next(iter(account.load_balancers)),
                listener_protocol="TCPSSL",
                listener_port=443,
                server_group_id=next(iter(account.server_groups)),
                certificate_ids=[f"{bought}-cn-hangzhou"],
            ),
        )
        told, views = lab.state.account, lab.state.listeners()
    with Lab(folder, first_day) as lab:
        assert lab.state.listeners() == views
        lab.settle()
        request = m.GetJobStatusRequest(job_id=made.job_id)
        assert lab.ask(lab.nlb.get_job_status, request).status == "Succeeded"
        assert lab.state.account.settled(lab.clock() + 9) == told.settled(lab.clock() + 9)


def test_another_scenario_does_not_change_a_known_account(
    folder: Path, first_day: Scenario
) -> None:
    known = CloudState(folder, first_day).account
    assert CloudState(folder, scenario.default(backends=5)).account == known


@pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead")
def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "lab"
    bare = replace(scenario.default(), private_ca=False)
    CloudState(folder, bare)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"format":1', '"format":2'),
        lambda text: text.replace('"listeners":{}', '"listeners":[]'),
        lambda _: "",
    ],
)
def test_a_broken_file_is_named_and_left_alone(
    folder: Path, first_day: Scenario, spoil: Any
) -> None:
    file = folder / FILE_NAME
    broken = spoil(file.read_text())
    file.write_text(broken)
    with pytest.raises(Problem) as problem:
        CloudState(folder, first_day)
    assert problem.value.code == "lab.state-broken"
    assert str(file) in problem.value.words().what
    assert "BEGIN" not in problem.value.evidence
    assert file.read_text() == broken


def test_no_secret_is_in_a_repr(folder: Path, first_day: Scenario) -> None:
    account = CloudState(folder, first_day).account
    assert account.access_key.secret not in repr(account)
    assert "PRIVATE KEY" not in repr(account)
    assert "PRIVATE KEY" in (folder / FILE_NAME).read_text()


async def test_changes_come_one_after_another_and_are_announced(
    folder: Path, first_day: Scenario
) -> None:
    state = CloudState(folder, first_day)
    heard: list[int] = []
    loop_thread = threading.get_ident()

    def hear() -> None:
        assert threading.get_ident() == loop_thread
        heard.append(state.account.next_number)

    state.on_change(hear)
    before = state.account.next_number

    def count(account: Account, _: float) -> tuple[int, Account]:
        return account.next_number, replace(account, next_number=account.next_number + 1)

    numbers = await asyncio.gather(*(state.transact(count) for _ in range(20)))
    assert sorted(numbers) == list(range(before, before + 20))
    assert state.account.next_number == before + 20
    assert heard[-1] == before + 20

    heard.clear()
    await state.transact(lambda account, _: (None, account))
    assert heard == []

    def refuse(account: Account, _: float) -> tuple[None, Account]:
        raise LookupError

    with pytest.raises(LookupError):
        await state.transact(refuse)
    saved = json.loads((folder / FILE_NAME).read_text())
    assert saved["account"]["next_number"] == before + 20


async def test_what_the_disk_refuses_has_not_happened(
    folder: Path, first_day: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = CloudState(folder, first_day)
    known = state.account

    def full(*_: object) -> None:
        raise Problem("disk.full")

    monkeypatch.setattr("services.disk.write", full)
    with pytest.raises(Problem, match=r"disk\.full"):
        await state.transact(lambda account, _: (None, replace(account, next_number=1)))
    assert state.account == known


def _account(**fields: Any) -> Account:
    return Account(
        id="1",
        user="u",
        region="r",
        cas_site="r",
        domain="d",
        access_key=AccessKey("i", "s"),
        public_ca_pem="",
        **fields,
    )


changes = st.none() | st.builds(Change, st.just("Busy"), st.floats(0, 10), removes=st.booleans())


@given(st.lists(changes, max_size=5), st.floats(0, 12), st.floats(0, 12))
def test_time_only_goes_on(pending: list[Change | None], one: float, other: float) -> None:
    """Settling is the same in one step or two, and after all changes nothing is pending."""
    account = _account(
        load_balancers={
            str(index): LoadBalancer(str(index), "n", "d", "Internet", "v", (), 0, change=change)
            for index, change in enumerate(pending)
        },
        server_groups={
            str(index): ServerGroup(str(index), "n", "Ip", "TCP", "v", False, change=change)
            for index, change in enumerate(pending)
        },
    )
    first, second = sorted((one, other))
    assert account.settled(first).settled(second) == account.settled(second)
    over = account.settled(13)
    assert all(not thing.change for thing in over.load_balancers.values())
    staying = [change for change in pending if change is None or not change.removes]
    assert len(over.server_groups) == len(staying)


def test_what_is_a_day_old_is_forgotten() -> None:
    day = 86_400.0
    account = _account(
        jobs={"old": Job("old", 0), "new": Job("new", day)},
        tokens={"old": Remembered("f", {}, 0), "new": Remembered("f", {}, day)},
    )
    left = account.pruned(day + 1)
    assert (list(left.jobs), list(left.tokens)) == (["new"], ["new"])


@given(st.integers(1, scenario.LARGEST_LAB))
def test_every_lab_has_a_client_and_no_address_twice(backends: int) -> None:
    lab = scenario.default(backends)
    assert [host.name for host in lab.hosts if not host.backend] == [f"ECS{backends + 1:02}"]
    assert len(lab.backends) == backends
    addresses = [host.private_address for host in lab.hosts]
    addresses += [zone.private_address for zone in lab.zones]
    addresses += [address for zone in lab.zones for address in zone.local_addresses]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("backends", [0, scenario.LARGEST_LAB + 1])
def test_a_lab_has_its_limits(backends: int) -> None:
    with pytest.raises(ValueError, match="1 to 200"):
        scenario.default(backends)


def test_identifiers_have_the_vendors_formats() -> None:
    assert derived("i", "ECS01") == derived("i", "ECS01") != derived("i", "ECS02")
    for identifier in (derived("nlb", "lab"), fresh("nlb")):
        prefix, _, rest = identifier.partition("-")
        assert (prefix, len(rest)) == ("nlb", 18)
        assert rest.isalnum()
        assert rest == rest.lower()
    assert fresh_certificate().split("-")[2].startswith("6")
