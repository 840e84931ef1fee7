"""The one place that decides whether a walk is in the cloud or in the lab, and builds its World."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app import answers, lab_process
from app.lab_process import Lab, LabSettings
from app.start import AskHostKey, Reveal
from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.events import Emit, Event
from services.hosts.host_keys import KnownHosts
from services.hosts.host_trust import refuse_host_key
from services.hosts.ssh import SshHosts
from services.problem import Problem
from services.redact import Redactor
from services.session.model import Session
from services.session.store import Sessions, Store
from services.steps import all as all_steps
from services.walk import Walk
from services.world import Locate, Lookup, Place, World

if TYPE_CHECKING:
    from services.cloud.api import Call
    from services.cloud.port import Cloud

API = "NLB_MTLS_API"
"""The variable that points the program at a lab, or at any other address of the API."""


class Wiring:
    """Opens walks on the sessions below one home folder (`app.start.Start`)."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str] = os.environ,
        lab: LabSettings | None = None,
        redact: Redactor | None = None,
    ) -> None:
        self.home = home
        self._environment = environment
        self._lab = lab or LabSettings()
        self._redact = redact or Redactor()
        self._saved = Sessions(home)
        self.steps = all_steps.STEPS

    def sessions(self) -> Sequence[Session | tuple[str, Problem]]:
        """What is saved, latest first."""
        return self._saved.all()

    def read(self, id: str = "") -> Session:
        """A saved session (the latest when empty) as it stands, whoever is at work on it."""
        return self._saved.read(id)

    def has_credentials(self) -> bool:
        """Whether keys of a real account can be found on this computer; asks no network."""
        return _has_credentials(self._environment)

    @contextmanager
    def new(
        self, place: Place, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> Iterator[Walk]:
        """A new session. One that ends in a Problem before it made anything leaves no trace, nor
        does one that never opened.

        Raises Problem: `cloud.bad-api-address`, `app.lab-failed`, and those of the disk.
        """
        lab = self._pointed_at() if place == "cloud" else None
        with self._without_trace() as trace, ExitStack() as stack:
            store = stack.enter_context(self._saved.create("lab" if lab is not None else place))
            folder = self._lab_folder(store.session.id)
            trace += [store.folder.path, folder]
            if place == "lab":
                words = self._lab.words()
                lab = stack.enter_context(lab_process.started(folder, self.home, words))
            walk = stack.enter_context(self._walk(store, lab, emit, reveal, ask_host_key))
            if place == "lab" and lab is not None:
                vocabulary = answers.Vocabulary.of(walk.steps)
                answers.give(walk, answers.read(lab.answers, vocabulary))
            try:
                yield walk
            except Problem:
                if store.session.deeds:
                    trace.clear()
                raise
            except BaseException:
                trace.clear()
                raise

    @staticmethod
    @contextmanager
    def _without_trace() -> Iterator[list[Path]]:
        """Folders that are removed if the block fails, once everything in it is closed."""
        folders: list[Path] = []
        try:
            yield folders
        except BaseException:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    @contextmanager
    def resume(
        self, id: str, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> Iterator[Walk]:
        """A saved session (the latest when empty), in the place where it was begun.

        Raises Problem: those of `Sessions.open`, `app.lab-gone`, `app.lab-failed`.
        """
        with ExitStack() as stack:
            store = stack.enter_context(self._saved.open(id))
            lab, due = self._same_place(store.session, stack)
            walk = stack.enter_context(self._walk(store, lab, emit, reveal, ask_host_key))
            answers.give(walk, due)
            yield walk

    @contextmanager
    def look(self, id: str, emit: Emit) -> Iterator[Walk]:
        """A saved session to look at only: nothing is held, so nothing may be recorded."""
        session = self._saved.read(id)
        with ExitStack() as stack:
            lab, _ = self._same_place(session, stack, share=True)
            store = Store(self._saved.folder(session.id), session)
            yield stack.enter_context(
                self._walk(store, lab, emit, lambda name, secret: None, refuse_host_key)
            )

    def at_rest(self, session: Session) -> Walk:
        """A walk that says where a session stands, and reaches for nothing."""
        store = Store(self._saved.folder(session.id), session)
        return Walk(store, self._world(None, _unheard, refuse_host_key), self.steps)

    # where

    def _pointed_at(self) -> Lab | None:
        """The lab that the environment points at; None for the cloud, or an API that is no lab."""
        api = self._environment.get(API, "")
        return lab_process.running(api) if api else None

    def _same_place(
        self, session: Session, stack: ExitStack, *, share: bool = False
    ) -> tuple[Lab | None, list[answers.Answer]]:
        """The lab in which a session was begun, and those of its answers that the session lacks, or
        that are others now.

        `share`: a lab that another nlb-mtls runs for this session will do.
        """
        if session.place != "lab":
            return self._pointed_at(), []
        folder = self._lab_folder(session.id)
        if not folder.is_dir():
            lab = self._pointed_at()
            if lab is not None:
                return lab, []
            # A session without a deed may have been killed before its lab was there.
            if session.deeds:
                raise Problem("app.lab-gone", session=session.id)
        before = self._answers_of(folder / "answers.toml")
        lab = stack.enter_context(lab_process.started(folder, self.home, (), share=share))
        # A port may have been taken meanwhile; what a person answered instead stays.
        known = session.answers
        due = [
            each
            for each in self._answers_of(lab.answers).values()
            if each.name not in known
            or (each.name in before and before[each.name].value == known[each.name] != each.value)
        ]
        return lab, due

    def _answers_of(self, path: Path) -> dict[str, answers.Answer]:
        if not path.is_file():
            return {}
        found = answers.read(path, answers.Vocabulary.of(self.steps))
        return {each.name: each for each in found}

    def _lab_folder(self, id: str) -> Path:
        return self.home / "lab" / id

    # the world

    @contextmanager
    def _walk(
        self, store: Store, lab: Lab | None, emit: Emit, reveal: Reveal, ask: AskHostKey
    ) -> Iterator[Walk]:
        world = self._world(lab, emit, ask)
        try:
            yield Walk(store, world, self.steps, emit, reveal)
        finally:
            world.hosts.close()

    def _world(self, lab: Lab | None, emit: Emit, ask: AskHostKey) -> World:
        """The only place that makes lab and cloud differ: an address, keys, known hosts, names."""
        if lab is None:
            known = (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
            return World(
                place="cloud",
                connect=self._connect(self._environment.get(API) or None, None, emit),
                hosts=SshHosts(ask, KnownHosts(self.home / "known_hosts", known)),
                locate=_as_named,
            )
        keys = None
        if lab.api != self._environment.get(API):
            # A lab of our own; to one that the environment points at belong the environment's keys.
            self._redact.learn(lab.key_secret)
            keys = AccessKey(lab.key_id, lab.key_secret)
        return World(
            place="lab",
            connect=self._connect(lab.api, keys, emit),
            hosts=SshHosts(ask, KnownHosts(self.home / "known_hosts")),
            locate=_in_lab(lab),
            lookup=_names_of(lab),
        )

    @staticmethod
    def _connect(
        api: str | None, keys: AccessKey | None, emit: Emit
    ) -> Callable[[str, str], Cloud]:
        made: dict[tuple[str, str], Cloud] = {}

        def tell(call: Call) -> None:
            emit(Event("command", data=_command(call)))

        def connected(region: str, cas_site: str) -> Cloud:
            pair = region, cas_site
            if pair not in made:
                made[pair] = connect(region, cas_site, api, keys, tell)
            return made[pair]

        return connected


def _unheard(event: Event) -> None:
    return None


def _as_named(name: str, port: int) -> Sequence[tuple[str, int]]:
    """The real network: whoever dials looks the name up, and says so where that fails."""
    return [(name, port)]


def _in_lab(lab: Lab) -> Locate:
    """The lab's domain and balancer are on this computer, and no resolver knows them.

    A balancer has an address in each of its zones.
    """

    def locate(name: str, port: int) -> Sequence[tuple[str, int]]:
        zones = lab.zones
        if str(port) not in zones:
            # A listener made since then.
            now = lab_process.running(lab.api)
            zones = now.zones if now is not None else zones
        found = []
        for address in zones.get(str(port), [f"127.0.0.1:{port}"]):
            host, _, really = address.rpartition(":")
            found.append((host.strip("[]"), int(really)))
        return found

    return locate


def _names_of(lab: Lab) -> Lookup:
    """The lab's DNS, asked anew each time: a fault may have changed it."""

    def lookup(name: str) -> Sequence[str]:
        now = lab_process.running(lab.api)
        if now is None:
            raise OSError(f"the lab at {lab.api} does not answer")
        return now.names.get(name.lower().rstrip("."), ())

    return lookup


def _command(call: Call) -> dict[str, object]:
    """A request for the command log: what it was, how it ended, and how a person would type it."""
    from services.cloud.equivalent import aliyun

    return {
        "command": aliyun(call.product, call.action, call.parameters, call.region),
        "outcome": call.outcome,
        "request_id": call.request_id,
        "duration_s": round(call.duration_s, 3),
        "reads": call.reads,
    }


def _has_credentials(environment: Mapping[str, str]) -> bool:
    direct = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    other = (
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        "ALIBABA_CLOUD_ECS_METADATA",
        "ALIBABA_CLOUD_CREDENTIALS_URI",
    )
    home = Path(environment.get("HOME") or Path.home())
    profile = environment.get("ALIBABA_CLOUD_CREDENTIALS_FILE")
    files = (
        home / ".aliyun" / "config.json",
        Path(profile) if profile else home / ".alibabacloud" / "credentials.ini",
    )
    return (
        all(environment.get(name) for name in direct)
        or any(environment.get(name) for name in other)
        or any(path.is_file() for path in files)
    )
