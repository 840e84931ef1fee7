"""The account's first day: a scenario's resources, with fresh keys and real certificates."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace

from services.lab.scenario import Scenario
from services.lab.state.account import (
    AccessKey,
    Account,
    CertificateAuthority,
    HealthCheck,
    Instance,
    LoadBalancer,
    Member,
    PcaInstance,
    Repository,
    Rule,
    SecurityGroup,
    ServerGroup,
    UserCertificate,
    VSwitch,
    ZoneMapping,
)
from services.lab.state.identifiers import derived, fresh, fresh_certificate
from services.lab.state.x509 import (
    Issuer,
    Subject,
    issue_ca,
    issue_leaf,
    joined,
    moment,
    new_key,
    public_key_of,
    years_after,
)

_HOUR_S = 3600
_PURCHASED_DAYS = 365
_PRIVATE_CA_ALGORITHM = "RSA_2048"


def found(scenario: Scenario, now: float) -> Account:
    """The account as `scenario` describes it, made anew at `now` (Unix seconds)."""
    root_pem, purchased = _public_ca(scenario, now)
    account = Account(
        id="1" + "".join(secrets.choice(string.digits) for _ in range(15)),
        user="nlb-mtls-lab",
        region=scenario.region,
        cas_site=scenario.cas_site,
        domain=scenario.domain,
        access_key=AccessKey("LTAI5tLAB" + _signs(15), _signs(30)),
        public_ca_pem=root_pem,
        vpc_cidrs={scenario.vpc_id: scenario.vpc_cidr},
        vswitches={
            zone.vswitch_id: VSwitch(zone.vswitch_id, scenario.vpc_id, zone.zone_id, zone.cidr)
            for zone in scenario.zones
        },
        load_balancers={scenario.load_balancer_id: _load_balancer(scenario, now)},
        server_groups={scenario.server_group_id: _server_group(scenario)},
        repositories={
            20_001: Repository(20_001, scenario.repository_name, "uploadCA", fresh("cas_wh"))
        },
        instances=_instances(scenario, now),
        security_groups={scenario.security_group_id: _security_group(scenario, now)},
    )
    if purchased is not None:
        account = replace(account, certificates={purchased.id: purchased})
    if scenario.private_ca:
        account = _with_private_ca(account, scenario, now)
    return account


def _signs(count: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(count))


def _load_balancer(scenario: Scenario, now: float) -> LoadBalancer:
    return LoadBalancer(
        id=scenario.load_balancer_id,
        name=scenario.load_balancer_name,
        dns_name=scenario.dns_name,
        address_type="Internet",
        vpc_id=scenario.vpc_id,
        zones=tuple(
            ZoneMapping(
                zone_id=zone.zone_id,
                vswitch_id=zone.vswitch_id,
                private_address=zone.private_address,
                public_address=zone.public_address,
                allocation_id=derived("eip", zone.zone_id),
                eni_id=derived("eni", zone.zone_id),
                local_addresses=zone.local_addresses,
            )
            for zone in scenario.zones
        ),
        created=now,
    )


def _server_group(scenario: Scenario) -> ServerGroup:
    return ServerGroup(
        id=scenario.server_group_id,
        name=scenario.server_group_name,
        type="Instance",
        protocol="TCP",
        vpc_id=scenario.vpc_id,
        preserve_client_ip=scenario.preserve_client_ip,
        health_check=HealthCheck(),
        members=tuple(
            Member(
                server_id=host.instance_id,
                type="Ecs",
                port=80,
                weight=100,
                address=host.private_address,
                zone_id=host.zone_id,
            )
            for host in scenario.backends
        ),
    )


def _instances(scenario: Scenario, now: float) -> dict[str, Instance]:
    vswitch = {zone.zone_id: zone.vswitch_id for zone in scenario.zones}
    return {
        host.instance_id: Instance(
            id=host.instance_id,
            name=host.name,
            zone_id=host.zone_id,
            vswitch_id=vswitch[host.zone_id],
            vpc_id=scenario.vpc_id,
            private_address=host.private_address,
            public_address=host.public_address,
            security_group_ids=(scenario.security_group_id,),
            created=now,
            eni_id=derived("eni", host.name),
        )
        for host in scenario.hosts
    }


def _security_group(scenario: Scenario, now: float) -> SecurityGroup:
    def rule(port_range: str, source: str, description: str) -> Rule:
        return Rule(
            id=fresh("sgr"),
            direction="ingress",
            protocol="TCP",
            port_range=port_range,
            source_cidr=source,
            description=description,
            created=now,
        )

    return SecurityGroup(
        id=scenario.security_group_id,
        name="lab-security-group",
        vpc_id=scenario.vpc_id,
        rules=(
            rule(
                "80/80", scenario.vpc_cidr, "HTTP from the VPC, where the balancer's addresses are"
            ),
            rule("22/22", "0.0.0.0/0", "SSH"),
        ),
    )


def _public_ca(scenario: Scenario, now: float) -> tuple[str, UserCertificate | None]:
    """A "public" CA's root, and the server certificate that was bought from it, if one was.

    Its keys are dropped: nobody buys again. Elliptic curves, since the first start waits for this.
    """
    start = moment(now - _HOUR_S)
    root_key, sub_key, leaf_key = (new_key("ECC_256") for _ in range(3))
    root = issue_ca(
        Subject("Lab Public Root CA", "Lab Public Trust", country="CN"),
        root_key,
        None,
        start,
        years_after(start, 20),
        None,
    )
    if not scenario.purchased_certificate:
        return root, None
    issuer = Issuer(root, root_key)
    sub = issue_ca(
        Subject("Lab Public Server CA", "Lab Public Trust", country="CN"),
        sub_key,
        issuer,
        start,
        years_after(start, 10),
        0,
    )
    leaf = issue_leaf(
        Subject(scenario.domain),
        public_key_of(leaf_key),
        Issuer(sub, sub_key),
        start,
        moment(now + _PURCHASED_DAYS * 24 * _HOUR_S),
        "SERVER",
        [(2, scenario.domain)],
    )
    bought = UserCertificate(
        id=10_741_303,
        name=f"cert-{scenario.domain}",
        resource_id=fresh("cas-ivauto"),
        certificate_pem=joined(leaf, sub),
        key_pem=leaf_key,
        uploaded=False,
        since=now,
        order_id=8_563_021,
    )
    return root, bought


def _with_private_ca(account: Account, scenario: Scenario, now: float) -> Account:
    start = moment(now - _HOUR_S)
    root_key, sub_key = new_key(_PRIVATE_CA_ALGORITHM), new_key(_PRIVATE_CA_ALGORITHM)

    def subject(name: str) -> Subject:
        return Subject(name, "Lab Private Trust", "Security", "CN", "Zhejiang", "Hangzhou")

    root = CertificateAuthority(
        id=fresh_certificate(),
        type="ROOT",
        certificate_pem=issue_ca(
            subject("Lab Private Root CA"), root_key, None, start, years_after(start, 10), None
        ),
        key_pem=root_key,
        years=10,
    )
    sub = CertificateAuthority(
        id=fresh_certificate(),
        type="SUB_ROOT",
        certificate_pem=issue_ca(
            subject("Lab Private Issuing CA"),
            sub_key,
            Issuer(root.certificate_pem, root_key),
            start,
            years_after(start, 5),
            0,
        ),
        key_pem=sub_key,
        parent_id=root.id,
        years=5,
    )
    quota = {"ROOT": 0, "SUB_ROOT": scenario.certificates_to_issue}
    bought = [
        PcaInstance(fresh("cas-member"), "ROOT", quota["ROOT"], now, root.id),
        PcaInstance(fresh("cas-member"), "SUB_ROOT", quota["SUB_ROOT"], now, sub.id),
        *(
            PcaInstance(fresh("cas-member"), kind, quota[kind], now)
            for kind in scenario.unused_private_cas
        ),
    ]
    repository = Repository(
        20_002, "lab-private-ca", "aliyunPCA", fresh("cas_wh"), pca_instance_id=bought[0].id
    )
    return replace(
        account,
        authorities={root.id: root, sub.id: sub},
        pca_instances={instance.id: instance for instance in bought},
        repositories={**account.repositories, repository.id: repository},
    )
