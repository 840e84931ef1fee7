"""Step 4: the client's material where the clients are."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from services import disk
from services.hosts import scripts
from services.hosts.port import RemoteFile
from services.problem import Exit, Problem
from services.session.model import Deed, Facts, Session
from services.steps import material
from services.steps.asks import always
from services.steps.reach import host
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result
from services.text import say

NAME = "install"
LIVE = None

NOWHERE = "none"
"""No Linux client: this computer and the desktops only."""

FILES = ("client.crt", "client.key", "ca.crt")
"""What a client needs, and all that it gets: never a CA's or a server's key."""


def _hosts(here: Here) -> Sequence[Choice]:
    instances = here.cloud.ecs.instances(here.stop)
    found = [Choice(each.name, each.id) for each in instances if each.os_type != "windows"]
    return [*found, Choice(NOWHERE, say("install.nowhere"))]


def _check_directory(value: str, session: Session) -> str:
    path = value.strip().rstrip("/")
    if not path.startswith("/") or path.count("/") < 2 or "/../" in f"{path}/":
        raise Problem("install.bad-directory", value=value, exit=Exit.USAGE)
    return path


ASKS: Sequence[Ask] = (
    Ask("install.host", "choice", default=always(NOWHERE), choices=_hosts),
    Ask(
        "install.directory",
        default=always("/root/ca"),
        check=_check_directory,
        when=lambda session: session.answers.get("install.host", NOWHERE) != NOWHERE,
    ),
)


@dataclass(frozen=True, slots=True)
class InstallFiles(Action):
    """The client's certificate, its key and the CA's certificate in a 0700 directory."""

    host: str
    directory: str
    parameters: tuple[str, ...]
    """Digests of the material: other files make this another wish."""

    KIND: ClassVar[str] = "client-material"
    STEP: ClassVar[str] = NAME

    def _result(self) -> Result:
        return Result(f"{self.host}:{self.directory}", {"install.directory": self.directory})

    def find(self, here: Here) -> Result | None:
        there = _listing(here, self.host, self.directory)
        wanted = _digests_of(_material(here))
        if wanted and there.mode == 0o700 and wanted.items() <= _digests(there).items():
            return self._result()
        present = sorted(set(FILES) & set(_digests(there)))
        if present and here.session.deed(self.id) is None:
            raise Problem(
                "install.files-there",
                evidence=", ".join(present),
                host=self.host,
                directory=self.directory,
                exit=Exit.REFUSED,
            )
        return None

    def before(self, here: Here) -> Facts:
        there = _listing(here, self.host, self.directory)
        return {
            "made": "\n".join(there.missing),
            **{f"sha256.{name}": digest for name, digest in _digests_of(_material(here)).items()},
        }

    def apply(self, here: Here, token: str) -> Result:
        files = [
            RemoteFile(f"{self.directory}/{name}", content)
            for name, content in _material(here).items()
        ]
        here.world.hosts.put(host(here.session, self.host), self.directory, files, here.stop)
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        where = host(here.session, self.host)
        placed = {
            name.removeprefix("sha256."): digest
            for name, digest in deed.before.items()
            if name.startswith("sha256.")
        }
        made = deed.before.get("made", "").split("\n") if deed.before.get("made") else []
        script = scripts.remove_client_files(self.directory, placed, made)
        ran = here.world.hosts.run(where, script, here.stop)
        scripts.removed_client_files(where, self.directory, placed, made, ran)

    def equivalent(self) -> Sequence[str]:
        directory = shlex.quote(self.directory)
        return [
            shlex.join(["ssh", self.host, f"install -d -m 700 {directory}"]),
            shlex.join(["scp", *FILES, f"{self.host}:{self.directory}/"]),
            shlex.join(["ssh", self.host, f"chmod 600 {directory}/*"]),
        ]


@dataclass(frozen=True, slots=True)
class WriteInstructions(Action):
    """What to do on Windows, macOS and Firefox, as a file and as scripts for this very set-up."""

    domain: str

    KIND: ClassVar[str] = "instructions"
    STEP: ClassVar[str] = NAME

    def _texts(self, here: Here) -> Mapping[str, str]:
        trust = here.pki / (here.facts.get("server.trust") or "ca.crt")
        facts = {"pki": here.pki, "domain": self.domain, "ca": trust}
        return {
            "install.txt": say("install.instructions.text", **facts),
            "install-windows.ps1": say("install.instructions.windows", **facts),
            "install-macos.sh": say("install.instructions.macos", **facts),
            "install-firefox.sh": say("install.instructions.firefox", **facts),
        }

    def find(self, here: Here) -> Result | None:
        there = all(
            (here.reports / name).exists() and disk.read(here.reports / name) == text.encode()
            for name, text in self._texts(here).items()
        )
        return self._result(here) if there else None

    def _result(self, here: Here) -> Result:
        return Result("install.txt", {"install.instructions": str(here.reports / "install.txt")})

    def apply(self, here: Here, token: str) -> Result:
        for name, text in self._texts(here).items():
            disk.write(here.reports / name, text.encode())
        return self._result(here)

    def undo(self, here: Here, deed: Deed) -> None:
        material.remove(here.reports, *self._texts(here))

    def equivalent(self) -> Sequence[str]:
        return ["less reports/install.txt"]


ACTIONS: Sequence[type[Action]] = (InstallFiles, WriteInstructions)


def look(here: Here) -> Facts:
    """Where the chosen host is, and what is to be placed there."""
    facts = {f"install.digest.{name}": each for name, each in _digests_of(_material(here)).items()}
    name = here.answer("install.host", NOWHERE)
    if name != NOWHERE and not here.answer(f"hosts.{name}.address"):
        for instance in here.cloud.ecs.instances(here.stop):
            if name in (instance.name, instance.id):
                address = instance.public_address or instance.private_address
                facts[f"instance.{name}.address"] = address
    return facts


def plan(session: Session) -> Sequence[Action]:
    """The files on the Linux client, if there is one; instructions for the rest."""
    answers, facts = session.answers, session.facts
    actions: list[Action] = []
    name = answers.get("install.host", NOWHERE)
    if name != NOWHERE:
        digests = tuple(facts.get(f"install.digest.{file}", "") for file in FILES)
        directory = answers.get("install.directory", "/root/ca")
        actions.append(InstallFiles(name, directory, digests))
    actions.append(WriteInstructions(answers.get("prepare.domain", "")))
    return actions


def prove(here: Here) -> Proof:
    """The host's own sha256sum and stat say that everything, and nothing else, is in place."""
    name = here.answer("install.host", NOWHERE)
    written = Check(
        "install.check.instructions",
        (here.reports / "install.txt").exists(),
        str(here.reports / "install.txt"),
    )
    if name == NOWHERE:
        return Proof((written,))
    directory = here.answer("install.directory")
    there = _listing(here, name, directory)
    wanted = _digests_of(_material(here))
    modes = {file.name: file.mode for file in there.files if file.name in FILES}
    names = {"host": name}
    return Proof(
        (
            Check(
                "install.check.same",
                wanted.items() <= _digests(there).items(),
                ", ".join(sorted(_digests(there))) or "-",
                names,
            ),
            Check(
                "install.check.private",
                there.mode == 0o700 and set(modes.values()) <= {0o600},
                f"{there.mode:o} {directory}",
                names,
            ),
            Check(
                "install.check.no-foreign-key",
                not {"ca.key", "server.key", "root.key"} & set(_digests(there)),
                ", ".join(sorted(_digests(there))) or "-",
                names,
            ),
            written,
        )
    )


def _material(here: Here) -> Mapping[str, bytes]:
    """The client's files. `ca.crt` is the CA that the client must trust for the server."""
    trust = here.facts.get("server.trust", "")
    sources = {"client.crt": "client.crt", "client.key": "client.key", "ca.crt": trust}
    return {
        name: disk.read(here.pki / source)
        for name, source in sources.items()
        if source and (here.pki / source).exists()
    }


def _digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _listing(here: Here, name: str, directory: str) -> scripts.ClientDirectory:
    where = host(here.session, name)
    ran = here.world.hosts.run(where, scripts.look_at_client_directory(directory), here.stop)
    return scripts.client_directory(where, directory, ran)


def _digests(there: scripts.ClientDirectory) -> dict[str, str]:
    return {file.name: file.sha256 for file in there.files}
