"""`SshHosts` against a real OpenSSH server: scripts, connections, several hosts, stopping."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest

from services.hosts.output import KEPT_CHARACTERS
from services.hosts.port import Hosts, Ran
from services.problem import Problem, Stopped
from services.stop import Stop
from tests.services.hosts.conftest import Make
from tests.services.hosts.openssh import OpenSsh
from tests.services.hosts.problems import assert_worded, problem
from tests.services.hosts.stopping import stops_within_a_second


def test_it_is_what_the_steps_ask_for(hosts: Make) -> None:
    _: Hosts = hosts()


def test_script_gives_status_and_both_streams(sshd: OpenSsh, hosts: Make) -> None:
    ran = hosts().run(sshd.pinned(), "echo out; echo err >&2; exit 3", Stop())
    assert ran == Ran(3, "out\n", "err\n")


def test_lines_arrive_while_the_script_runs(sshd: OpenSsh, hosts: Make) -> None:
    seen = threading.Event()
    lines: list[tuple[str, str]] = []

    def output(name: str, line: str) -> None:
        lines.append((name, line))
        seen.set()

    stop = Stop()

    def run() -> None:
        with pytest.raises(Stopped):
            hosts().run(sshd.pinned(), "echo first; sleep 60", stop, output)

    running = threading.Thread(target=run)
    running.start()
    assert seen.wait(10)
    stop.set()
    running.join(10)
    assert lines == [("ECS01", "first")]


def test_last_line_without_newline_arrives(sshd: OpenSsh, hosts: Make) -> None:
    lines: list[str] = []
    hosts().run(sshd.pinned(), "printf 'a\\nb'", Stop(), lambda _, line: lines.append(line))
    assert lines == ["a", "b"]


def test_untrusted_bytes_become_harmless_text(sshd: OpenSsh, hosts: Make) -> None:
    ran = hosts().run(sshd.pinned(), r"printf '\033[31mred\033[0m \377 gr\303\274n\n'", Stop())
    assert ran.stdout == "red \N{REPLACEMENT CHARACTER} grün\n"


def test_script_gets_no_input(sshd: OpenSsh, hosts: Make) -> None:
    assert hosts().run(sshd.pinned(), "cat; echo done", Stop()).stdout == "done\n"


def test_script_longer_than_an_argument_runs_whole(sshd: OpenSsh, hosts: Make) -> None:
    script = f"cat; : {'x' * 300_000}\necho end; exit 7"
    assert hosts().run(sshd.pinned(), script, Stop()) == Ran(7, "end\n", "")


def test_endless_output_keeps_both_ends_and_is_bounded(sshd: OpenSsh, hosts: Make) -> None:
    script = "echo begin; head -c 6000000 /dev/zero | tr '\\0' x; echo; echo end"
    ran = hosts().run(sshd.pinned(), script, Stop())
    assert ran.stdout.startswith("begin\n")
    assert ran.stdout.endswith("\nend\n")
    assert len(ran.stdout) < KEPT_CHARACTERS + 100


def test_script_ended_by_a_signal_has_no_status(sshd: OpenSsh, hosts: Make) -> None:
    assert hosts().run(sshd.pinned(), "echo so far; kill -9 $$", Stop()) == Ran(-1, "so far\n", "")


def test_daemon_that_keeps_the_output_open_does_not_hold_up(sshd: OpenSsh, hosts: Make) -> None:
    ran = hosts().run(sshd.pinned(), "sleep 30 & echo started $!", Stop())
    assert ran.stdout.startswith("started")
    hosts().run(sshd.pinned(), f"kill {ran.stdout.split()[1]}", Stop())


def test_connection_is_kept(sshd: OpenSsh, hosts: Make) -> None:
    reach, before = hosts(), len(sshd.sessions)
    for _ in range(3):
        reach.run(sshd.pinned(), "true", Stop())
    assert len(sshd.sessions) - before == 1


def test_connection_that_died_meanwhile_is_made_anew(sshd: OpenSsh, hosts: Make) -> None:
    reach = hosts()
    reach.run(sshd.pinned(), "true", Stop())
    sshd.sessions[-1].kill()
    sshd.sessions[-1].wait()
    assert reach.run(sshd.pinned(), "echo again", Stop()).stdout == "again\n"


def test_connection_that_dies_under_a_script_is_a_problem(sshd: OpenSsh, hosts: Make) -> None:
    reach, host = hosts(), sshd.pinned()
    with problem("connection-lost", host=host):
        # The shell's parent is the sshd process that serves this connection.
        reach.run(host, "kill -9 $PPID; sleep 30", Stop())


def test_closed_hosts_can_be_used_again(sshd: OpenSsh, hosts: Make) -> None:
    reach = hosts()
    reach.run(sshd.pinned(), "true", Stop())
    reach.close()
    assert reach.run(sshd.pinned(), "echo back", Stop()).stdout == "back\n"


def test_closing_ends_what_runs(sshd: OpenSsh, hosts: Make) -> None:
    reach, started = hosts(), threading.Event()
    failed: list[Problem] = []

    def run() -> None:
        with pytest.raises(Problem) as caught:
            reach.run(sshd.pinned(), "echo; sleep 60", Stop(), lambda *_: started.set())
        failed.append(caught.value)

    running = threading.Thread(target=run)
    running.start()
    assert started.wait(10)
    reach.close()
    running.join(10)
    assert_worded(failed[0], "connection-lost")


def test_threads_share_one_connection(sshd: OpenSsh, hosts: Make) -> None:
    reach, before = hosts(), len(sshd.sessions)
    answers: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: answers.append(reach.run(sshd.pinned(), f"echo {n}", Stop()).stdout)
        )
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"{n}\n" for n in range(5)]
    assert len(sshd.sessions) - before == 1


def test_time_is_up(sshd: OpenSsh, hosts: Make) -> None:
    reach, host = hosts(), sshd.pinned()
    with problem("command-timeout", host=host) as raised:
        reach.run(host, "sleep 60", Stop(), timeout_s=0.5)
    assert raised.facts["seconds"] == "0.5"
    assert reach.run(host, "echo next", Stop()).stdout == "next\n"


def test_stop_unblocks_a_script_at_once(sshd: OpenSsh, hosts: Make) -> None:
    started = threading.Event()
    stops_within_a_second(
        lambda stop: hosts().run(sshd.pinned(), "echo; sleep 60", stop, lambda *_: started.set()),
        started,
    )


def test_stop_that_is_set_already_connects_nowhere(sshd: OpenSsh, hosts: Make) -> None:
    stop, before = Stop(), len(sshd.sessions)
    stop.set()
    for act in (
        lambda: hosts().run(sshd.pinned(), "true", stop),
        lambda: hosts().run_all({sshd.pinned(): "true"}, stop),
        lambda: hosts().read(sshd.pinned(), "/etc/hostname", stop),
    ):
        with pytest.raises(Stopped):
            act()
    assert len(sshd.sessions) == before


def test_several_hosts_at_once_each_with_its_own_end(
    sshd: OpenSsh, hosts: Make, closed_port: int
) -> None:
    names = [f"ECS{n:02}" for n in range(1, 7)]
    scripts = {sshd.pinned(name): f"echo {name} 1; echo {name} 2; exit 0" for name in names}
    down = sshd.pinned("down", port=closed_port)
    lines: defaultdict[str, list[str]] = defaultdict(list)
    ran = hosts(width=3).run_all(
        scripts | {down: "true"}, Stop(), lambda name, line: lines[name].append(line)
    )
    assert [host.name for host in ran] == [*names, "down"]
    assert [ran[host] for host in scripts] == [Ran(0, f"{n} 1\n{n} 2\n", "") for n in names]
    assert lines == {name: [f"{name} 1", f"{name} 2"] for name in names}
    failed = ran[down]
    assert isinstance(failed, Problem)
    assert_worded(failed, "port-closed", host=down)


def test_no_hosts_is_fine(hosts: Make) -> None:
    assert hosts().run_all({}, Stop()) == {}


def test_stop_ends_all_hosts_at_once(sshd: OpenSsh, hosts: Make) -> None:
    together, started = threading.Barrier(4, lambda: started.set()), threading.Event()
    scripts = {sshd.pinned(f"ECS{n}"): "echo; sleep 60" for n in range(4)}

    def output(name: str, line: str) -> None:
        together.wait(10)

    stops_within_a_second(lambda stop: hosts().run_all(scripts, stop, output), started)
