"""What a session knows of its endpoint besides what is seen from outside.

Files, names and clocks are at hand at once. The listener's settings, the backends' security groups
and the backends themselves are asked only when something is wrong, so that a verification of what
is well stays quick. What cannot be asked is not known; the rules do without.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from services.cloud.port import Listener, Server
from services.hosts.port import Host, Ran
from services.hosts.scripts import curl_itself, curled
from services.pki.names import asked_for
from services.probe.observations import Direct, Health, ListenerView, Member, Names
from services.probe.refusals import Pair
from services.probe.report import Inside, Known, Report
from services.problem import Problem
from services.steps.admission import admits
from services.steps.endpoint import called
from services.steps.live import by_name
from services.steps.reach import host, names
from services.steps.step import Here

LOOKUP_S = 3.0
"""How long the resolver may take; a slower one is not waited for."""
CURL_S = 5
"""How long a backend may take to answer itself."""
DIRECTLY_S = 20
"""How long asking all of them may take, connecting included."""
ASKED = 10
"""So many backends are asked by themselves, those that are suspected first."""
_WEAK_POLICIES = frozenset({"tls_cipher_policy_1_0", "tls_cipher_policy_1_1"})
"""The vendor's TLS security policies with TLS 1.0 or 1.1."""


def known(here: Here) -> Known:
    """What is known of the session's endpoint, and how to look inside. Raises Stopped."""
    ahead_s = here.cloud.clock_ahead_s()
    return Known(
        dns=_names(here),
        clock={} if ahead_s is None else {"cloud": ahead_s},
        listener_ca=_pem(here, "ca.crt"),
        certificates=_pem(
            here, "ca.crt", "server.crt", "client.crt", here.facts.get("server.trust", "")
        ),
        issuer=_pair(here, "ca"),
        server=_pair(here, "server"),
        weak_versions_allowed=here.answer("listener.policy") in _WEAK_POLICIES,
        look_inside=partial(_look_inside, here),
    )


def _pem(here: Here, *files: str) -> bytes:
    """The session's files with these names one after the other, without those that are absent."""
    found = []
    for name in dict.fromkeys(filter(None, files)):
        with suppress(OSError):
            found.append((here.pki / name).read_bytes().strip() + b"\n")
    return b"".join(found)


def _pair(here: Here, name: str) -> Pair | None:
    pair = Pair(here.pki / f"{name}.crt", here.pki / f"{name}.key")
    there = pair.certificate_file.is_file() and pair.key_file.is_file()
    return pair if there else None


# DNS


def _names(here: Here) -> Names | None:
    domain = asked_for(here.answer("prepare.domain"))
    balancer = here.facts.get("balancer.dns_name", "")
    addresses = _looked_up(here, domain)
    if addresses is None:
        return None
    # The requests go to the balancer by its own name, or to where a person says that it is.
    return Names(domain, tuple(addresses), balancer, tuple(_looked_up(here, balancer) or ()))


def _looked_up(here: Here, name: str) -> Sequence[str] | None:
    """The addresses of `name`; None when that cannot be found out, or takes too long."""
    answers: queue.SimpleQueue[Sequence[str] | None] = queue.SimpleQueue()

    def look_up() -> None:
        found = None
        with suppress(OSError):
            found = here.world.lookup(name)
        answers.put(found)

    # The C library's resolver cannot be interrupted.
    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    deadline = time.monotonic() + LOOKUP_S
    while time.monotonic() < deadline:
        here.stop.check()
        with suppress(queue.Empty):
            return answers.get(timeout=0.05)
    return None


# inside


def _look_inside(here: Here, report: Report) -> Inside:
    """The listener and health as the API has them, and the backends by themselves. Raises Stopped.

    Each is asked for apart: what one person may not see leaves the rest as it is.
    """
    return Inside(
        listener=_unless_problem(here, lambda: _listener(here), None),
        health=_unless_problem(here, lambda: _health(here), None),
        direct=_unless_problem(here, lambda: _directly(here, report), {}),
    )


_Found = TypeVar("_Found")


def _unless_problem(here: Here, ask: Callable[[], _Found], otherwise: _Found) -> _Found:
    try:
        return ask()
    except Problem as problem:
        here.output(problem.words().what)
        return otherwise


def _health(here: Here) -> Sequence[Health]:
    found = here.cloud.nlb.health(here.facts.get("listener.id", ""), here.stop)
    return by_name(found, called(here))


def _listener(here: Here) -> ListenerView:
    facts, nlb = here.facts, here.cloud.nlb
    wanted = facts.get("listener.id", "")
    found = nlb.listener(wanted, here.stop)
    if found is None:
        return ListenerView(wanted, exists=False)
    settings = found.settings
    return ListenerView(
        id=found.id,
        status=found.status,
        protocol=found.protocol,
        mutual=settings.mutual,
        proxy_protocol=found.proxy_protocol,
        idle_timeout_s=settings.idle_timeout_s,
        policy=settings.security_policy_id,
        certificate_id=settings.certificate_id,
        wanted_certificate_id=facts.get("server.certificate_id", ""),
        ca_id=settings.ca_certificate_id,
        wanted_ca_id=facts.get("ca.id", ""),
        members=_members(here, found),
    )


def _members(here: Here, listener: Listener) -> tuple[Member, ...]:
    nlb, stop = here.cloud.nlb, here.stop
    group_id = listener.settings.server_group_id
    servers = nlb.servers(group_id, stop)
    known_as = called(here)
    shut = _shut(here, listener, servers)
    return tuple(
        Member(known_as.get(each.id, each.id), each.port, each.weight, *shut.get(each.id, ((), ())))
        for each in servers
    )


def _shut(
    here: Here, listener: Listener, servers: Sequence[Server]
) -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By server: the balancer's addresses that its security groups keep out, and those groups.

    With client-IP preservation on, the backends see the clients' addresses, and nothing is known.
    """
    cloud, stop = here.cloud, here.stop
    if cloud.nlb.server_group(listener.settings.server_group_id, stop).preserve_client_ip:
        return {}
    balancer = cloud.nlb.load_balancer(listener.balancer_id, stop)
    sources = [address for zone in balancer.zones for address in zone.local_addresses]
    ids = [each.id for each in servers if each.type == "Ecs"]
    instances = {each.id: each for each in cloud.ecs.instances(stop, ids)} if ids else {}
    groups = {group for each in instances.values() for group in each.security_group_ids}
    rules = {group: cloud.ecs.ingress_rules(group, stop) for group in groups}
    found = {}
    for each in servers:
        own = instances[each.id].security_group_ids if each.id in instances else ()
        together = [rule for group in own for rule in rules[group]]
        closed_to = tuple(s for s in sources if own and not admits(together, each.port, s))
        found[each.id] = (closed_to, own)
    return found


def _backends(here: Here) -> tuple[str, ...]:
    return names(here.facts.get("backends", ""))


def _directly(here: Here, report: Report) -> dict[str, Direct]:
    """Each backend asked on itself: over SSH where the session has been there before, else by
    Cloud Assistant."""
    sick = [each.server for each in report.health if not each.well(report.expected)]
    unheard = [name for name in report.expected if name not in report.tally.backends]
    suspected = dict.fromkeys((*sick, *unheard, *_backends(here)))
    asked = [name for name in suspected if name in _backends(here)][:ASKED]
    scripts = {
        name: curl_itself(int(here.facts.get(f"backend.{name}.port", "80")), CURL_S)
        for name in asked
    }
    found = _by_ssh(here, scripts) if here.answer("prepare.pages") == "yes" else {}
    return found | _by_assistant(here, {n: s for n, s in scripts.items() if n not in found})


def _by_ssh(here: Here, scripts: Mapping[str, str]) -> dict[str, Direct]:
    hosts = {}
    for name in scripts:
        with suppress(Problem):  # no address is known
            hosts[host(here.session, name)] = scripts[name]
    ran = here.world.hosts.run_all(hosts, here.stop, timeout_s=DIRECTLY_S)
    return {
        each.name: answer
        for each, done in ran.items()
        if not isinstance(done, Problem) and (answer := _direct(each, done)) is not None
    }


def _by_assistant(here: Here, scripts: Mapping[str, str]) -> dict[str, Direct]:
    """One script an instance: the ports may differ."""
    found = {}
    for name, script in scripts.items():
        instance = here.facts.get(f"backend.{name}.instance_id", "")
        ran = here.cloud.ecs.run_script([instance], script, DIRECTLY_S, here.stop).get(instance)
        if ran is not None:
            done = Ran(ran.exit_status, ran.output, ran.output)
            if (answer := _direct(Host(name, instance), done)) is not None:
                found[name] = answer
    return found


def _direct(where: Host, ran: Ran) -> Direct | None:
    """What curl got there; None where there is no curl, or something else went wrong."""
    try:
        got = curled(where, ran)
    except Problem:
        return None
    if got.status:
        said = " ".join(got.text.split())[:60]
        return Direct(got.status, f"HTTP {got.status}, {said}" if said else f"HTTP {got.status}")
    if got.exit_status:
        return Direct(0, f"curl: ({got.exit_status}) {got.complaint[:120]}")
    return None
