"""Step 0: the prerequisites. Identity, region, balancer, and a server group fit for TCPSSL."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from services.cloud.equivalent import Parameters, aliyun
from services.cloud.port import IngressRule, Instance, LoadBalancer, Server, ServerGroup
from services.cloud.sites import CAS_SITES, usual_cas_site
from services.hosts import scripts
from services.hosts.port import Host, Output, Ran
from services.hosts.scripts.answer import PREFIX
from services.problem import Problem
from services.session.model import Deed, Facts, Session
from services.steps import material
from services.steps.admission import admits
from services.steps.asks import always, answered, one_of, whole
from services.steps.reach import host, names
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result

NAME = "prepare"
LIVE = None

NEW = "new"
_new_group = answered("prepare.server_group", NEW)
_pages = answered("prepare.pages", "yes")


def _cas_site(session: Session) -> str:
    return usual_cas_site(session.answers.get("prepare.region", ""))


def _balancers(here: Here) -> Sequence[Choice]:
    return [
        Choice(each.id, f"{each.name}, {each.dns_name}")
        for each in here.cloud.nlb.load_balancers(here.stop)
    ]


def _groups(here: Here) -> Sequence[Choice]:
    fit = [
        Choice(each.id, f"{each.name}, {each.server_count} servers")
        for each in here.cloud.nlb.server_groups(here.stop)
        if each.protocol.upper() == "TCP"
    ]
    return [*fit, Choice(NEW)] if len(fit) != 1 else fit


def _check_domain(value: str, session: Session) -> str:
    from services.pki.names import check_domain

    return check_domain(value)


def _text(value: str, session: Session) -> str:
    return value.strip()


ASKS: Sequence[Ask] = (
    Ask("prepare.domain", check=_check_domain),
    Ask("prepare.region", default=always("cn-hangzhou"), check=_text),
    one_of("prepare.cas_site", CAS_SITES, _cas_site),
    Ask("prepare.load_balancer", "choice", choices=_balancers, check=_text),
    Ask("prepare.server_group", "choice", choices=_groups, check=_text),
    Ask("prepare.backends", when=_new_group, check=_text),
    whole("prepare.backend_port", 1, 65535, always("80"), _new_group),
    one_of("prepare.pages", ("yes", "no"), always("no")),
    Ask("prepare.ssh_user", default=always("root"), when=_pages, check=_text),
    Ask(
        "prepare.ssh_key_file",
        "path",
        when=_pages,
        required=False,
        check=material.readable,
    ),
)


@dataclass(frozen=True, slots=True)
class CreateServerGroup(Action):
    """CreateServerGroup and AddServersToServerGroup: TCP, client-IP preservation off."""

    region: str
    name: str
    vpc_id: str
    instance_ids: tuple[str, ...]
    port: int

    KIND: ClassVar[str] = "server-group"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        for group in here.cloud.nlb.server_groups(here.stop, self.vpc_id):
            if group.name == self.name:
                there = {each.id for each in here.cloud.nlb.servers(group.id, here.stop)}
                if there >= set(self.instance_ids):
                    return replace(self._result(group.id), ours=True)
        return None

    def _result(self, group_id: str) -> Result:
        return Result(group_id, {"server_group.id": group_id})

    def apply(self, here: Here, token: str) -> Result:
        nlb = here.cloud.nlb
        group_id = nlb.create_server_group(
            self.name, self.vpc_id, token, here.stop, tags=(("nlb-mtls", here.session.id),)
        )
        there = {each.id for each in nlb.servers(group_id, here.stop)}
        missing = [
            Server(each, "Ecs", self.port, 100) for each in self.instance_ids if each not in there
        ]
        if missing:
            nlb.add_servers(group_id, missing, f"{token}-servers", here.stop)
        return self._result(group_id)

    def undo(self, here: Here, deed: Deed) -> None:
        group_id = deed.resource or next(
            (
                each.id
                for each in here.cloud.nlb.server_groups(here.stop, self.vpc_id)
                if each.name == self.name
            ),
            "",
        )
        if group_id:
            here.cloud.nlb.delete_server_group(group_id, f"{deed.token}-undo", here.stop)

    def equivalent(self) -> Sequence[str]:
        group: Parameters = {
            "ServerGroupName": self.name,
            "VpcId": self.vpc_id,
            "Protocol": "TCP",
            "PreserveClientIpEnabled": False,
        }
        servers: Sequence[Parameters] = [
            {"ServerId": each, "ServerType": "Ecs", "Port": self.port, "Weight": 100}
            for each in self.instance_ids
        ]
        add: Parameters = {"ServerGroupId": "…", "Servers": servers}
        return [
            aliyun("nlb", "CreateServerGroup", group, self.region),
            aliyun("nlb", "AddServersToServerGroup", add, self.region),
        ]


@dataclass(frozen=True, slots=True)
class PreservationOff(Action):
    """UpdateServerGroupAttribute: a TCPSSL listener cannot use a group that keeps client IPs."""

    region: str
    server_group_id: str

    KIND: ClassVar[str] = "preservation-off"
    STEP: ClassVar[str] = NAME

    def find(self, here: Here) -> Result | None:
        group = here.cloud.nlb.server_group(self.server_group_id, here.stop)
        return None if group.preserve_client_ip else self._result()

    def _result(self) -> Result:
        return Result(self.server_group_id)

    def apply(self, here: Here, token: str) -> Result:
        nlb = here.cloud.nlb
        nlb.set_client_ip_preservation(self.server_group_id, False, token, here.stop)
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        nlb, token = here.cloud.nlb, f"{deed.token}-undo"
        nlb.set_client_ip_preservation(self.server_group_id, True, token, here.stop)

    def equivalent(self) -> Sequence[str]:
        parameters: Parameters = {
            "ServerGroupId": self.server_group_id,
            "PreserveClientIpEnabled": False,
        }
        return [aliyun("nlb", "UpdateServerGroupAttribute", parameters, self.region)]


@dataclass(frozen=True, slots=True)
class AllowBalancer(Action):
    """AuthorizeSecurityGroup: the balancer's own addresses, and nobody else, to the backends."""

    region: str
    security_group_id: str
    port: int
    sources: tuple[str, ...]

    KIND: ClassVar[str] = "security-group-rule"
    STEP: ClassVar[str] = NAME

    @property
    def id(self) -> str:
        return f"{NAME}.{self.KIND}.{self.security_group_id}.{self.port}"

    def _rules(self) -> list[IngressRule]:
        return [
            IngressRule("TCP", f"{self.port}/{self.port}", f"{source}/32")
            for source in self.sources
        ]

    def find(self, here: Here) -> Result | None:
        rules = here.cloud.ecs.ingress_rules(self.security_group_id, here.stop)
        if all(admits(rules, self.port, source) for source in self.sources):
            return self._result()
        return None

    def _result(self) -> Result:
        return Result(f"{self.security_group_id}:tcp/{self.port}")

    def before(self, here: Here) -> Facts:
        rules = here.cloud.ecs.ingress_rules(self.security_group_id, here.stop)
        return {"sources": ",".join(s for s in self.sources if not admits(rules, self.port, s))}

    def apply(self, here: Here, token: str) -> Result:
        for rule in self._rules():
            here.cloud.ecs.allow_ingress(
                self.security_group_id, rule, f"{token}-{rule.source_cidr}", here.stop
            )
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        ours = names(deed.before.get("sources", ""))
        for rule in self._rules():
            if rule.source_cidr.removesuffix("/32") in ours:
                token = f"{deed.token}-undo-{rule.source_cidr}"
                here.cloud.ecs.revoke_ingress(self.security_group_id, rule, token, here.stop)

    def equivalent(self) -> Sequence[str]:
        permissions: Sequence[Parameters] = [
            {
                "IpProtocol": rule.protocol,
                "PortRange": rule.port_range,
                "SourceCidrIp": rule.source_cidr,
                "Policy": "accept",
            }
            for rule in self._rules()
        ]
        parameters: Parameters = {
            "SecurityGroupId": self.security_group_id,
            "Permissions": permissions,
        }
        return [aliyun("ecs", "AuthorizeSecurityGroup", parameters, self.region)]


@dataclass(frozen=True, slots=True)
class WebPages(Action):
    """nginx on every backend, started and answering with a page that names the host."""

    hosts: tuple[str, ...]

    KIND: ClassVar[str] = "web-pages"
    STEP: ClassVar[str] = NAME

    def looked(self, here: Here) -> dict[str, scripts.WebHost]:
        """The web server of each host as it is now, all asked at once."""
        script = scripts.look_at_web_host()
        ran = self._run(here, dict.fromkeys(self.hosts, script), lambda name, line: None)
        return {each.name: scripts.web_host(each, done) for each, done in ran}

    def find(self, here: Here) -> Result | None:
        looked = self.looked(here)
        if all(looked[name].serves(page(name)) for name in self.hosts):
            return self._result()
        return None

    def _result(self) -> Result:
        return Result(",".join(self.hosts))

    def before(self, here: Here) -> Facts:
        return {
            f"{name}.{part}": str(value)
            for name, found in self.looked(here).items()
            for part, value in asdict(found.state()).items()
        }

    def apply(self, here: Here, token: str) -> Result:
        install = {name: scripts.install_web_page(page(name)) for name in self.hosts}
        for each, done in self._run(here, install, _talk(here)):
            scripts.installed_web_page(each, page(each.name), done)
        return self._result()

    def undo(self, here: Here, deed: Deed) -> None:
        def script(name: str) -> str:
            prefix = f"{name}."
            parts = {k.removeprefix(prefix): v for k, v in deed.before.items()}
            return scripts.remove_web_page(page(name), scripts.WebHostState.from_facts(parts))

        undo = {name: script(name) for name in self.hosts}
        for each, done in self._run(here, undo, _talk(here)):
            scripts.removed_web_page(each, done)

    def _run(
        self, here: Here, by_name: Mapping[str, str], output: Output
    ) -> list[tuple[Host, Ran]]:
        """Run a script a host, all at once. The first host's Problem is raised after the rest."""
        reached = {host(here.session, name): script for name, script in by_name.items()}
        ended = here.world.hosts.run_all(reached, here.stop, output)
        ran = []
        for each in reached:
            found = ended[each]
            if isinstance(found, Problem):
                raise found
            ran.append((each, found))
        return ran

    def equivalent(self) -> Sequence[str]:
        return [
            shlex.join(
                [
                    "ssh",
                    name,
                    "yum install -y nginx && systemctl start nginx.service && "
                    f"echo '{page(name)}' > /usr/share/nginx/html/index.html",
                ]
            )
            for name in self.hosts
        ]


def _talk(here: Here) -> Output:
    """Show what the hosts print, but for the answers that are read here."""

    def show(name: str, line: str) -> None:
        if line.strip() and not line.startswith(PREFIX):
            here.output(f"{name}: {line}")

    return show


ACTIONS: Sequence[type[Action]] = (CreateServerGroup, PreservationOff, AllowBalancer, WebPages)


def page(name: str) -> str:
    """The tutorial's page, by which a response tells which backend gave it."""
    return f"Hello World ! This is {name}."


def look(here: Here) -> Facts:
    """Identity, balancer, server group, its members and their security groups."""
    caller = here.cloud.sts.caller(here.stop)
    balancer = here.cloud.nlb.load_balancer(here.answer("prepare.load_balancer"), here.stop)
    if balancer.status.lower() != "active":
        raise Problem("prepare.balancer-inactive", balancer=balancer.id, status=balancer.status)
    facts = {
        "account.id": caller.account_id,
        "balancer.id": balancer.id,
        "balancer.name": balancer.name,
        "balancer.dns_name": balancer.dns_name,
        "balancer.vpc_id": balancer.vpc_id,
    }
    if here.answer("prepare.server_group") == NEW:
        port = int(here.answer("prepare.backend_port", "80"))
        wanted = names(here.answer("prepare.backends"))
        members = [Server(each, "Ecs", port, 100) for each in wanted]
    else:
        group = here.cloud.nlb.server_group(here.answer("prepare.server_group"), here.stop)
        _fit(group, balancer)
        # What a finished session switched off stays part of its plan.
        switched = here.session.deed(f"{NAME}.{PreservationOff.KIND}")
        facts["server_group.preserve"] = str(group.preserve_client_ip or switched is not None)
        facts["server_group.id"] = group.id
        members = list(here.cloud.nlb.servers(group.id, here.stop))
    if not members:
        raise Problem("prepare.no-backends", group=here.answer("prepare.server_group"))
    instances = {
        each.id: each for each in here.cloud.ecs.instances(here.stop, [m.id for m in members])
    }
    absent = [each.id for each in members if each.type == "Ecs" and each.id not in instances]
    if absent:
        raise Problem("prepare.instance-absent", instances=", ".join(absent))
    return facts | _backends(members, instances) | _closed(here, balancer, members, instances)


def _fit(group: ServerGroup, balancer: LoadBalancer) -> None:
    """What a TCPSSL listener demands of its server group (vendor, CreateListener)."""
    if group.protocol.upper() != "TCP":
        raise Problem("prepare.group-protocol", group=group.id, protocol=group.protocol)
    if group.vpc_id != balancer.vpc_id:
        raise Problem(
            "prepare.group-vpc", group=group.id, vpc=group.vpc_id, balancer_vpc=balancer.vpc_id
        )


def _backends(members: Sequence[Server], instances: Mapping[str, Instance]) -> dict[str, str]:
    facts: dict[str, str] = {}
    labels = []
    for member in members:
        instance = instances.get(member.id)
        name = instance.name if instance else member.description or member.id
        labels.append(name)
        facts |= {
            f"backend.{name}.instance_id": member.id,
            f"backend.{name}.port": str(member.port),
            f"backend.{name}.weight": str(member.weight),
        }
        if instance:
            facts[f"instance.{name}.address"] = instance.public_address or instance.private_address
    return {"backends": ",".join(labels), **facts}


def _closed(
    here: Here,
    balancer: LoadBalancer,
    members: Sequence[Server],
    instances: Mapping[str, Instance],
) -> dict[str, str]:
    """Which security groups keep the balancer out: `closed.<group>` is `port,source,…`.

    With client-IP preservation off the backends see the balancer's local addresses only.
    """
    sources = [address for zone in balancer.zones for address in zone.local_addresses]
    rules = {
        group: here.cloud.ecs.ingress_rules(group, here.stop)
        for group in {g for each in instances.values() for g in each.security_group_ids}
    }
    found: dict[str, str] = {}
    for member in members:
        groups = instances[member.id].security_group_ids if member.id in instances else ()
        together = [rule for group in groups for rule in rules[group]]
        shut = [each for each in sources if not admits(together, member.port, each)]
        if groups and shut:
            found[f"closed.{groups[0]}"] = ",".join([str(member.port), *shut])
    for deed in here.session.deeds:
        # A rule that this session made stays part of its plan.
        if deed.kind == AllowBalancer.KIND:
            group, port = deed.params["security_group_id"], deed.params["port"]
            found[f"closed.{group}"] = ",".join([str(port), *deed.params["sources"]])
    return found


def plan(session: Session) -> Sequence[Action]:
    """What is missing of the prerequisites; nothing at all where everything is in place."""
    answers, facts = session.answers, session.facts
    region = answers.get("prepare.region", "")
    actions: list[Action] = []
    if answers.get("prepare.server_group") == NEW:
        actions.append(
            CreateServerGroup(
                region=region,
                name=f"nlb-mtls-{session.id}",
                vpc_id=facts.get("balancer.vpc_id", ""),
                instance_ids=names(answers.get("prepare.backends", "")),
                port=int(answers.get("prepare.backend_port", "80")),
            )
        )
    elif facts.get("server_group.preserve") == "True":
        actions.append(PreservationOff(region, facts.get("server_group.id", "")))
    for key, value in sorted(session.seen.get(NAME, {}).items()):
        if key.startswith("closed."):
            port, *sources = value.split(",")
            group = key.removeprefix("closed.")
            actions.append(AllowBalancer(region, group, int(port), tuple(sources)))
    if answers.get("prepare.pages") == "yes":
        actions.append(WebPages(names(facts.get("backends", ""))))
    return actions


def prove(here: Here) -> Proof:
    """The balancer is active, its group fits, and where pages were asked for they are served."""
    facts = here.facts
    balancer = here.cloud.nlb.load_balancer(facts.get("balancer.id", ""), here.stop)
    group = here.cloud.nlb.server_group(facts.get("server_group.id", ""), here.stop)
    servers = here.cloud.nlb.servers(group.id, here.stop)
    fit = group.protocol.upper() == "TCP" and not group.preserve_client_ip
    checks = [
        Check("prepare.check.balancer", balancer.status.lower() == "active", balancer.status),
        Check("prepare.check.group", fit, f"{group.id}, {group.protocol}"),
        Check(
            "prepare.check.backends",
            bool(servers),
            ", ".join(f"{each.id}:{each.port}" for each in servers),
        ),
    ]
    if here.answer("prepare.pages") == "yes":
        backends = names(facts.get("backends", ""))
        looked = WebPages(backends).looked(here)
        checks += [
            Check(
                "prepare.check.page",
                looked[name].serves(page(name)),
                served.text if (served := looked[name].served) else "-",
                {"host": name},
            )
            for name in backends
        ]
    return Proof(tuple(checks))
