"""Six commands on each of 20 hosts at 40 ms round trip: this program's way, and `ssh` processes.

An OpenSSH server on the far side of a delayed link (`delayed_link`) stands for all 20 hosts. Ours
is `SshHosts.run_all`, as the assistant uses it: a connection a host, all at once, the commands
joined into one script. Theirs is what a person would write: a shell loop a host, all 20 at once, an
`ssh` process a command. Both are timed from nothing connected to everything answered; not counted
is the import of paramiko, which happens once however many hosts there are.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.balancer import free_port
from scripts.benchmarks.child import PYTHON, ROOT, need, spend
from scripts.benchmarks.delayed_link import FAR, DelayedLink, delayed_link
from scripts.benchmarks.finding import Finding, Skipped, at_most
from scripts.benchmarks.link import ROUND_TRIP_S
from scripts.benchmarks.rounds import in_turn, ratio, summary
from services.hosts.host_keys import KnownHosts
from services.hosts.host_trust import refuse_host_key
from services.hosts.port import Host
from services.hosts.ssh import SshHosts
from services.problem import Problem
from services.stop import Stop

ROUNDS = 3

HOSTS = 20
COMMANDS = (
    "uname -r",
    "id -u",
    "date +%s",
    "df -P /",
    "cat /etc/hostname",
    "command -v sh",
)
_PATIENCE_S = 10


def measure(rounds: int) -> Sequence[Finding]:
    if os.geteuid() != 0:
        raise Skipped("an SSH server in a user namespace cannot become the user who logs in")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        link = stack.enter_context(delayed_link(ROUND_TRIP_S))
        port = stack.enter_context(_sshd(folder, link))
        spent = in_turn(
            {
                "ours": partial(_ours, folder, link, port),
                "theirs": partial(_theirs, folder, link, port),
            },
            rounds,
        )
    return [
        ratio("20 hosts, run_all / ssh processes", spent["ours"], spent["theirs"], at_most(1 / 6)),
        summary("run_all", spent["ours"], unit="s"),
        summary("ssh processes", spent["theirs"], unit="s"),
    ]


@contextmanager
def _sshd(folder: Path, link: DelayedLink) -> Iterator[int]:
    """A server on the link's far side that lets this user in with `folder`'s client key."""
    sshd, keygen, port = need("sshd"), need("ssh-keygen"), free_port()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # compiled into sshd
    for name in ("host", "client"):
        key = str(folder / name)
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    settings = {
        "ListenAddress": FAR,
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "client.pub",
        "PidFile": folder / "sshd.pid",
        "MaxStartups": 200,
        "ClientAliveInterval": 2,  # so that no session outlives the link
        "ClientAliveCountMax": 1,
        "UseDNS": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{FAR}]:{port} {host_key}\n")
    log = ["-E", str(folder / "sshd.log")]
    with subprocess.Popen([*link.far, sshd, "-D", "-f", str(config), *log]) as process:
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while not (folder / "sshd.pid").exists():  # written once it listens
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (folder / "sshd.log").read_text().strip()
                    raise RuntimeError(f"sshd does not start: {said}")
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()


def _ours(folder: Path, link: DelayedLink, port: int) -> float:
    command = [PYTHON, "-P", "-m", "scripts.benchmarks.ssh", str(folder), str(port)]
    ran = subprocess.run(
        [*link.near, *command],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return float(json.loads(ran.stdout))


def _theirs(folder: Path, link: DelayedLink, port: int) -> float:
    options = {
        "UserKnownHostsFile": folder / "known_hosts",
        "IdentityFile": folder / "client",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
    }
    ssh = shlex.join(
        [
            *(need("ssh"), "-F", "none", "-p", str(port)),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            f"{getpass.getuser()}@{FAR}",
        ]
    )
    one_host = "; ".join(f"{ssh} {shlex.quote(command)}" for command in COMMANDS)
    loops = "".join(f'( {one_host} ) & running="$running $!"\n' for _ in range(HOSTS))
    script = f"{loops}for each in $running; do wait $each; done\n"
    return spend([*link.near, "sh", "-ec", script]).wall_s


def _scripts(folder: Path, port: int) -> Mapping[Host, str]:
    hosts = (
        Host(f"ECS{number:02}", FAR, port, getpass.getuser(), str(folder / "client"))
        for number in range(1, HOSTS + 1)
    )
    return dict.fromkeys(hosts, "\n".join(COMMANDS))


def main() -> None:
    """Our side, in a process on the link's near side: seconds that all took, as JSON."""
    import paramiko  # noqa: F401  0.3 s, once

    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    scripts = _scripts(folder, port)
    hosts = SshHosts(refuse_host_key, KnownHosts(folder / "known_hosts"), width=HOSTS)
    began = time.perf_counter()
    ran = hosts.run_all(scripts, Stop())
    taken = time.perf_counter() - began
    hosts.close()
    for host, result in ran.items():
        if isinstance(result, Problem) or result.exit_status:
            raise RuntimeError(f"{host.name}: {result}")
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
