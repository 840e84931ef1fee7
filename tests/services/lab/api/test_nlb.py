"""The load balancer's API through the vendor's SDK."""

from __future__ import annotations

from typing import Any

import pytest

from services.lab.state.account import Account, UserCertificate
from services.lab.state.x509 import Subject, issue_ca, moment, new_key, years_after
from tests.services.lab.api.lab import Lab


@pytest.fixture(scope="session")
def m() -> Any:
    from alibabacloud_nlb20220430 import models

    return models


class Ids:
    """What a listener is made of, in the lab's first account."""

    def __init__(self, lab: Lab) -> None:
        account = lab.state.account
        self.balancer = next(iter(account.load_balancers))
        self.group = next(iter(account.server_groups))
        self.vpc = next(iter(account.vpc_cidrs))
        self.certificate = f"{next(iter(account.certificates))}-cn-hangzhou"
        self.root, self.ca = account.authorities
        self.instances = list(account.instances)
        self.vswitches = account.vswitches


@pytest.fixture
def ids(lab: Lab) -> Ids:
    return Ids(lab)


def listener_request(m: Any, ids: Ids, **changes: Any) -> Any:
    settings = {
        "load_balancer_id": ids.balancer,
        "listener_protocol": "TCPSSL",
        "listener_port": 443,
        "server_group_id": ids.group,
        "certificate_ids": [ids.certificate],
        "ca_enabled": True,
        "ca_certificate_ids": [ids.ca],
        "security_policy_id": "tls_cipher_policy_1_2_strict_with_1_3",
        "listener_description": "lab/listener",
    }
    return m.CreateListenerRequest(**(settings | changes))


def made_listener(lab: Lab, m: Any, ids: Ids, **changes: Any) -> str:
    identifier: str = lab.ask(
        lab.nlb.create_listener, listener_request(m, ids, **changes)
    ).listener_id
    lab.settle()
    return identifier


def status_of(lab: Lab, m: Any, listener_id: str) -> str:
    request = m.GetListenerAttributeRequest(listener_id=listener_id)
    found: str = lab.ask(lab.nlb.get_listener_attribute, request).listener_status
    return found


def test_regions_and_zones(lab: Lab, m: Any) -> None:
    regions = lab.ask(lab.nlb.describe_regions, m.DescribeRegionsRequest(accept_language="en-US"))
    assert "cn-hangzhou" in [one.region_id for one in regions.regions]
    zones = lab.ask(lab.nlb.describe_zones, m.DescribeZonesRequest(region_id="cn-hangzhou"))
    assert [one.zone_id for one in zones.zones] == ["cn-hangzhou-j", "cn-hangzhou-k"]


def test_the_balancer_is_where_the_tutorial_starts(lab: Lab, m: Any, ids: Ids) -> None:
    listed = lab.ask(lab.nlb.list_load_balancers, m.ListLoadBalancersRequest())
    assert listed.total_count == 1
    assert listed.next_token is None
    request = m.GetLoadBalancerAttributeRequest(load_balancer_id=ids.balancer)
    one = lab.ask(lab.nlb.get_load_balancer_attribute, request)
    assert one.load_balancer_status == "Active"
    assert one.dnsname == f"{ids.balancer}.cn-hangzhou.nlb.aliyuncsslb.com"
    assert len(one.zone_mappings) == 2
    assert one.zone_mappings[0].load_balancer_addresses[0].ipv_4local_addresses


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"load_balancer_status": "active"}, 1),
        ({"load_balancer_status": "Provisioning"}, 0),
        ({"address_type": "Intranet"}, 0),
        ({"zone_id": "cn-hangzhou-k"}, 1),
        ({"load_balancer_names": ["nobody"]}, 0),
        ({"region_id": "cn-beijing"}, 0),
    ],
)
def test_balancers_are_filtered(lab: Lab, m: Any, filters: dict[str, Any], count: int) -> None:
    listed = lab.ask(lab.nlb.list_load_balancers, m.ListLoadBalancersRequest(**filters))
    assert listed.total_count == count


def new_balancer(m: Any, ids: Ids, **changes: Any) -> Any:
    settings = {
        "address_type": "Internet",
        "vpc_id": ids.vpc,
        "load_balancer_name": "second",
        "zone_mappings": [
            m.CreateLoadBalancerRequestZoneMappings(zone_id=one.zone_id, v_switch_id=one.id)
            for one in ids.vswitches.values()
        ],
    }
    return m.CreateLoadBalancerRequest(**(settings | changes))


def test_a_balancer_is_provisioned_then_active_and_takes_no_listener_before(
    lab: Lab, m: Any, ids: Ids
) -> None:
    made = lab.ask(lab.nlb.create_load_balancer, new_balancer(m, ids)).loadbalancer_id
    request = m.GetLoadBalancerAttributeRequest(load_balancer_id=made)
    one = lab.ask(lab.nlb.get_load_balancer_attribute, request)
    assert one.load_balancer_status == "Provisioning"
    early = listener_request(m, ids, load_balancer_id=made)
    assert lab.refused(lab.nlb.create_listener, early) == (400, "IncorrectStatus.loadbalancer")
    lab.settle()
    one = lab.ask(lab.nlb.get_load_balancer_attribute, request)
    assert one.load_balancer_status == "Active"
    assert all(zone.load_balancer_addresses[0].public_ipv_4address for zone in one.zone_mappings)
    listener = made_listener(lab, m, ids, load_balancer_id=made)
    lab.ask(lab.nlb.delete_load_balancer, m.DeleteLoadBalancerRequest(load_balancer_id=made))
    lab.settle()
    assert lab.refused(lab.nlb.get_load_balancer_attribute, request) == (
        404,
        "ResourceNotFound.loadBalancer",
    )
    gone = m.GetListenerAttributeRequest(listener_id=listener)
    assert lab.refused(lab.nlb.get_listener_attribute, gone) == (404, "ResourceNotFound.listener")


def test_a_protected_balancer_stays(lab: Lab, m: Any, ids: Ids) -> None:
    protected = new_balancer(
        m,
        ids,
        deletion_protection_config=m.CreateLoadBalancerRequestDeletionProtectionConfig(
            enabled=True, reason="lesson"
        ),
    )
    made = lab.ask(lab.nlb.create_load_balancer, protected).loadbalancer_id
    lab.settle()
    delete = m.DeleteLoadBalancerRequest(load_balancer_id=made)
    assert lab.refused(lab.nlb.delete_load_balancer, delete) == (
        400,
        "OperationDenied.DeletionProtectionEnabled",
    )
    off = m.UpdateLoadBalancerProtectionRequest(
        load_balancer_id=made, deletion_protection_enabled=False
    )
    lab.ask(lab.nlb.update_load_balancer_protection, off)
    lab.ask(lab.nlb.delete_load_balancer, delete)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"address_type": None}, (400, "MissingAddressType")),
        ({"address_type": "Both"}, (400, "IllegalParam.AddressType")),
        ({"vpc_id": "vpc-other"}, (404, "ResourceNotFound.Vpc")),
        ({"load_balancer_name": "1"}, (400, "IllegalParam.LoadBalancerName")),
        ({"zone_mappings": []}, (400, "IllegalParamSize.zoneMappings")),
    ],
)
def test_an_impossible_balancer_is_refused(
    lab: Lab, m: Any, ids: Ids, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert lab.refused(lab.nlb.create_load_balancer, new_balancer(m, ids, **changes)) == refusal


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        ({}, {"v_switch_id": "vsw-other"}, (404, "ResourceNotFound.VSwitch")),
        ({}, {"zone_id": "cn-hangzhou-x"}, (400, "Mismatch.ZoneIdAndVswitchId")),
        (
            {"private_ipv_4address": "10.0.0.1"},
            {},
            (400, "IllegalParam.ZoneMappings.1.PrivateIPv4Address"),
        ),
        (
            {"private_ipv_4address": "no address"},
            {},
            (400, "IllegalParam.ZoneMappings.1.PrivateIPv4Address"),
        ),
        ({"private_ipv_4address": "192.168.1.11"}, {}, (400, "ResourceInUse.IP")),
        ({"allocation_id": "eip-1"}, {}, (400, "IllegalParam.AllocationId")),
        (
            {"allocation_id": "eip-1"},
            {"allocation_id": "eip-1"},
            (400, "DuplicatedParam.AllocationId"),
        ),
    ],
)
def test_zones_must_fit(
    lab: Lab,
    m: Any,
    ids: Ids,
    first: dict[str, str],
    second: dict[str, str],
    refusal: tuple[int, str],
) -> None:
    zones = [
        m.CreateLoadBalancerRequestZoneMappings(
            **({"zone_id": vswitch.zone_id, "v_switch_id": vswitch.id} | changes)
        )
        for vswitch, changes in zip(ids.vswitches.values(), (first, second), strict=True)
    ]
    request = new_balancer(m, ids, zone_mappings=zones)
    assert lab.refused(lab.nlb.create_load_balancer, request) == refusal


def test_a_zone_counts_once(lab: Lab, m: Any, ids: Ids) -> None:
    request = new_balancer(m, ids)
    request.zone_mappings[1] = request.zone_mappings[0]
    assert lab.refused(lab.nlb.create_load_balancer, request) == (
        400,
        "OperationFailed.DuplicateZones.",
    )


def test_a_private_balancer_has_the_address_it_asked_for(lab: Lab, m: Any, ids: Ids) -> None:
    request = new_balancer(m, ids, address_type="intranet")
    request.zone_mappings[0].private_ipv_4address = "192.168.1.99"
    made = lab.ask(lab.nlb.create_load_balancer, request).loadbalancer_id
    zones = lab.state.account.load_balancers[made].zones
    assert (zones[0].private_address, zones[0].public_address) == ("192.168.1.99", "")


def test_a_group_of_addresses(lab: Lab, m: Any, ids: Ids) -> None:
    request = m.CreateServerGroupRequest(
        server_group_name="addresses", vpc_id=ids.vpc, server_group_type="Ip"
    )
    group = lab.ask(lab.nlb.create_server_group, request).server_group_id
    lab.settle()

    def add(*addresses: str) -> Any:
        servers = [
            m.AddServersToServerGroupRequestServers(server_id=one, server_type="Ip", port=80)
            for one in addresses
        ]
        return m.AddServersToServerGroupRequest(server_group_id=group, servers=servers)

    method = lab.nlb.add_servers_to_server_group
    assert lab.refused(method, add("nowhere")) == (400, "IllegalParam.IP")
    assert lab.refused(method, add()) == (400, "MissingServers")
    assert lab.refused(method, add("10.0.0.1", "10.0.0.1")) == (400, "DuplicatedParam.Server")
    lab.ask(method, add("10.0.0.1", "10.0.0.2"))
    lab.settle()
    assert [one.weight for one in members(lab, m, group)] == [100, 100]
    gone = m.RemoveServersFromServerGroupRequest(
        server_group_id=group,
        servers=[
            m.RemoveServersFromServerGroupRequestServers(
                server_id="10.0.0.3", server_type="Ip", port=80
            )
        ],
    )
    assert lab.refused(lab.nlb.remove_servers_from_server_group, gone) == (
        404,
        "ResourceNotFound.backendServer",
    )


def test_a_server_group_grows_and_shrinks(lab: Lab, m: Any, ids: Ids) -> None:
    made = lab.ask(
        lab.nlb.create_server_group,
        m.CreateServerGroupRequest(
            server_group_name="second",
            vpc_id=ids.vpc,
            preserve_client_ip_enabled=False,
            health_check_config=m.CreateServerGroupRequestHealthCheckConfig(
                health_check_enabled=True, health_check_interval=1
            ),
            tag=[m.CreateServerGroupRequestTag(key="made-by", value="test")],
        ),
    )
    group = made.server_group_id
    assert job_status(lab, m, made.job_id) == "Processing"
    assert shown_group(lab, m, group).server_group_status == "Creating"
    servers = [
        m.AddServersToServerGroupRequestServers(
            server_id=one, server_type="Ecs", port=80, weight=weight
        )
        for one, weight in zip(ids.instances[:2], (100, 0), strict=True)
    ]
    add = m.AddServersToServerGroupRequest(server_group_id=group, servers=servers)
    assert lab.refused(lab.nlb.add_servers_to_server_group, add) == (
        400,
        "IncorrectStatus.serverGroup",
    )
    lab.settle()
    assert job_status(lab, m, made.job_id) == "Succeeded"
    lab.ask(lab.nlb.add_servers_to_server_group, add)
    assert {one.status for one in members(lab, m, group)} == {"Adding"}
    lab.settle()
    assert {one.status for one in members(lab, m, group)} == {"Available"}
    assert [one.server_ip for one in members(lab, m, group)] == ["192.168.1.11", "192.168.2.12"]
    assert lab.refused(lab.nlb.add_servers_to_server_group, add) == (
        400,
        "ResourceAlreadyAssociated.Server",
    )
    heavier = m.UpdateServerGroupServersAttributeRequest(
        server_group_id=group,
        servers=[
            m.UpdateServerGroupServersAttributeRequestServers(
                server_id=ids.instances[1], server_type="Ecs", port=80, weight=50
            )
        ],
    )
    lab.ask(lab.nlb.update_server_group_servers_attribute, heavier)
    lab.settle()
    assert [one.weight for one in members(lab, m, group)] == [100, 50]
    remove = m.RemoveServersFromServerGroupRequest(
        server_group_id=group,
        servers=[
            m.RemoveServersFromServerGroupRequestServers(
                server_id=ids.instances[0], server_type="Ecs", port=80
            )
        ],
    )
    lab.ask(lab.nlb.remove_servers_from_server_group, remove)
    assert [one.status for one in members(lab, m, group)] == ["Removing", "Available"]
    lab.settle()
    assert [one.server_id for one in members(lab, m, group)] == [ids.instances[1]]
    shown = shown_group(lab, m, group)
    assert (shown.server_count, shown.preserve_client_ip_enabled) == (1, False)
    assert shown.health_check.health_check_interval == 1
    assert shown.tags[0].key == "made-by"
    lab.ask(lab.nlb.delete_server_group, m.DeleteServerGroupRequest(server_group_id=group))
    lab.settle()
    listed = lab.ask(
        lab.nlb.list_server_groups, m.ListServerGroupsRequest(server_group_ids=[group])
    )
    assert listed.total_count == 0


def members(lab: Lab, m: Any, group: str) -> list[Any]:
    request = m.ListServerGroupServersRequest(server_group_id=group)
    found: list[Any] = lab.ask(lab.nlb.list_server_group_servers, request).servers
    return found


def shown_group(lab: Lab, m: Any, group: str) -> Any:
    request = m.ListServerGroupsRequest(server_group_ids=[group])
    return lab.ask(lab.nlb.list_server_groups, request).server_groups[0]


def job_status(lab: Lab, m: Any, job_id: str) -> str:
    assert job_id == job_id.lower()
    status: str = lab.ask(lab.nlb.get_job_status, m.GetJobStatusRequest(job_id=job_id)).status
    jobs = lab.ask(lab.nlb.list_asyn_jobs, m.ListAsynJobsRequest(job_ids=[job_id]))
    assert [one.status for one in jobs.jobs] == [status]
    return status


@pytest.mark.parametrize(
    ("server", "refusal"),
    [
        ({"server_id": "i-nobody"}, (404, "ResourceNotFound.Ecs")),
        ({"server_id": None}, (400, "MissingServers.1.ServerId")),
        ({"port": 0}, (400, "IllegalParam.Servers.1.Port")),
        ({"weight": 101}, (400, "IllegalParam.Servers.1.Weight")),
        ({"server_type": "Ip", "server_id": "192.168.1.11"}, (400, "Mismatch.ServerType")),
    ],
)
def test_an_impossible_server_is_refused(
    lab: Lab, m: Any, ids: Ids, server: dict[str, Any], refusal: tuple[int, str]
) -> None:
    settings = {"server_id": ids.instances[2], "server_type": "Ecs", "port": 8080, "weight": 1}
    one = m.AddServersToServerGroupRequestServers(**(settings | server))
    request = m.AddServersToServerGroupRequest(server_group_id=ids.group, servers=[one])
    assert lab.refused(lab.nlb.add_servers_to_server_group, request) == refusal


def test_a_listener_from_provisioning_to_gone(lab: Lab, m: Any, ids: Ids) -> None:
    made = lab.ask(lab.nlb.create_listener, listener_request(m, ids))
    assert made.listener_id.startswith("lsn-")
    assert made.listener_id.endswith("@443")
    assert status_of(lab, m, made.listener_id) == "Provisioning"
    assert job_status(lab, m, made.job_id) == "Processing"
    lab.settle()
    assert status_of(lab, m, made.listener_id) == "Running"
    listed = lab.ask(
        lab.nlb.list_listeners, m.ListListenersRequest(load_balancer_ids=[ids.balancer])
    )
    one = listed.listeners[0]
    assert (one.ca_enabled, one.ca_certificate_ids) == (True, [ids.ca])
    assert one.certificate_ids == [ids.certificate]
    assert shown_group(lab, m, ids.group).related_load_balancer_ids == [ids.balancer]
    for action, during, after in (
        ("stop", "Stopping", "Stopped"),
        ("start", "Starting", "Running"),
    ):
        request = getattr(m, f"{action.title()}ListenerRequest")(listener_id=made.listener_id)
        method = getattr(lab.nlb, f"{action}_listener")
        lab.ask(method, request)
        assert status_of(lab, m, made.listener_id) == during
        lab.settle()
        assert status_of(lab, m, made.listener_id) == after
        assert lab.refused(method, request) == (400, "IncorrectStatus.listener")
    delete = m.DeleteListenerRequest(listener_id=made.listener_id)
    lab.ask(lab.nlb.delete_listener, delete)
    assert status_of(lab, m, made.listener_id) == "Deleting"
    in_use = m.DeleteServerGroupRequest(server_group_id=ids.group)
    assert lab.refused(lab.nlb.delete_server_group, in_use) == (400, "ResourceInUse.ServerGroup")
    lab.settle()
    assert lab.refused(lab.nlb.delete_listener, delete) == (404, "ResourceNotFound.listener")
    lab.ask(lab.nlb.delete_server_group, in_use)


def test_a_listener_is_changed_and_keeps_what_is_not_said(lab: Lab, m: Any, ids: Ids) -> None:
    listener = made_listener(lab, m, ids)
    change = m.UpdateListenerAttributeRequest(
        listener_id=listener,
        ca_enabled=False,
        idle_timeout=60,
        security_policy_id="tls_cipher_policy_1_2",
    )
    lab.ask(lab.nlb.update_listener_attribute, change)
    assert status_of(lab, m, listener) == "Configuring"
    assert lab.refused(lab.nlb.update_listener_attribute, change) == (
        400,
        "IncorrectStatus.listener",
    )
    lab.settle()
    request = m.GetListenerAttributeRequest(listener_id=listener)
    one = lab.ask(lab.nlb.get_listener_attribute, request)
    assert (one.ca_enabled, one.ca_certificate_ids, one.idle_timeout) == (False, [ids.ca], 60)
    again = m.UpdateListenerAttributeRequest(
        listener_id=listener, certificate_ids=[ids.certificate]
    )
    assert lab.refused(lab.nlb.update_listener_attribute, again) == (
        400,
        "ResourceAlreadyAssociated.Certificate",
    )
    with_root = m.UpdateListenerAttributeRequest(
        listener_id=listener, ca_certificate_ids=[ids.root]
    )
    lab.ask(lab.nlb.update_listener_attribute, with_root)
    lab.settle()
    certificates = lab.ask(
        lab.nlb.list_listener_certificates,
        m.ListListenerCertificatesRequest(listener_id=listener, cert_type="Ca"),
    )
    assert certificates.certificate_ids == [ids.root]
    assert certificates.certificates[0].status == "Associated"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"load_balancer_id": None}, (400, "MissingLoadBalancerId")),
        ({"load_balancer_id": "nlb-other"}, (404, "ResourceNotFound.loadBalancer")),
        ({"listener_protocol": "HTTPS"}, (400, "IllegalParam.ListenerProtocol")),
        ({"listener_port": 65536}, (400, "IllegalParam.ListenerPort")),
        (
            {"listener_port": 0},
            (400, "IllegalParam.AnyPortListenerConflictWithNonAnyPortServerGroup"),
        ),
        ({"server_group_id": "sgp-other"}, (404, "ResourceNotFound.serverGroup")),
        ({"certificate_ids": None}, (400, "MissingParam.Certificate")),
        ({"certificate_ids": ["1-cn-hangzhou"]}, (400, "ResourceNotFound.Certificate")),
        ({"ca_certificate_ids": None}, (400, "MissingParam.CaCertificate")),
        (
            {"ca_certificate_ids": ["1ee47e24-c51b-67cc-aa6b-1f7561cf9d9a"]},
            (404, "ResourceNotFound.CaCertificate"),
        ),
        ({"security_policy_id": "tls-other"}, (404, "ResourceNotFound.securitypolicy")),
        ({"idle_timeout": 9}, (400, "IllegalParam.IdleTimeout")),
        ({"listener_description": "no!"}, (400, "IllegalParam.ListenerDescription")),
        ({"alpn_policy": "HTTP3"}, (400, "IllegalParam.AlpnPolicy")),
        ({"alpn_enabled": True}, (400, "MissingParam.AlpnPolicy")),
        ({"region_id": "cn-beijing"}, (403, "UnauthorizedRegion")),
        ({"region_id": "xx-nowhere"}, (404, "InvalidRegionId.NotFound")),
    ],
)
def test_an_impossible_listener_is_refused(
    lab: Lab, m: Any, ids: Ids, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert lab.refused(lab.nlb.create_listener, listener_request(m, ids, **changes)) == refusal


def test_certificate_ids_need_their_site_and_there_is_one_each(lab: Lab, m: Any, ids: Ids) -> None:
    bare = ids.certificate.partition("-")[0]
    for certificates in ([bare], [f"{bare}-ap-southeast-1"]):
        request = listener_request(m, ids, certificate_ids=certificates)
        assert lab.refused(lab.nlb.create_listener, request) == (
            400,
            "ResourceNotFound.Certificate",
        )
    for changes in (
        {"certificate_ids": [ids.certificate] * 2},
        {"ca_certificate_ids": [ids.ca, ids.root]},
    ):
        request = listener_request(m, ids, **changes)
        assert lab.refused(lab.nlb.create_listener, request) == (
            400,
            "IllegalParamSize.certificateIds",
        )


def test_a_group_that_keeps_client_addresses_is_refused_until_it_does_not(
    lab: Lab, m: Any, ids: Ids
) -> None:
    switch = m.UpdateServerGroupAttributeRequest(
        server_group_id=ids.group, preserve_client_ip_enabled=True
    )
    lab.ask(lab.nlb.update_server_group_attribute, switch)
    request = listener_request(m, ids)
    assert lab.refused(lab.nlb.create_listener, request) == (400, "IncorrectStatus.serverGroup")
    lab.settle()
    assert lab.refused(lab.nlb.create_listener, request) == (
        400,
        "IllegalParam.PreserveClientIpSwitch",
    )
    switch.preserve_client_ip_enabled = False
    lab.ask(lab.nlb.update_server_group_attribute, switch)
    lab.settle()
    made_listener(lab, m, ids)
    switch.preserve_client_ip_enabled = True
    assert lab.refused(lab.nlb.update_server_group_attribute, switch) == (
        400,
        "IllegalParam.PreserveClientIpSwitch",
    )


def test_a_udp_group_fits_no_tls_listener(lab: Lab, m: Any, ids: Ids) -> None:
    request = m.CreateServerGroupRequest(
        server_group_name="datagrams", vpc_id=ids.vpc, protocol="UDP"
    )
    group = lab.ask(lab.nlb.create_server_group, request).server_group_id
    lab.settle()
    assert lab.refused(
        lab.nlb.create_listener, listener_request(m, ids, server_group_id=group)
    ) == (400, "Mismatch.Protocol")


def test_one_port_once_and_one_change_at_a_time(lab: Lab, m: Any, ids: Ids) -> None:
    lab.ask(lab.nlb.create_listener, listener_request(m, ids))
    other = listener_request(m, ids, listener_port=8443)
    assert lab.refused(lab.nlb.create_listener, other) == (400, "Conflict.Lock")
    lab.settle()
    same = listener_request(m, ids)
    assert lab.refused(lab.nlb.create_listener, same) == (400, "Conflict.Port")
    lab.ask(lab.nlb.create_listener, other)


def test_health_lists_only_what_is_not_normal(lab: Lab, m: Any, ids: Ids) -> None:
    listener = made_listener(lab, m, ids)
    request = m.GetListenerHealthStatusRequest(listener_id=listener)

    def unwell() -> list[tuple[str, str, str | None]]:
        body = lab.ask(lab.nlb.get_listener_health_status, request)
        info = body.listener_health_status[0].server_group_infos[0]
        assert info.heath_check_enabled is True
        return [
            (one.server_id, one.status, one.reason.reason_code if one.reason else None)
            for one in info.non_normal_servers or []
        ]

    first, second = ids.instances[:2]
    assert unwell() == [(first, "Initial", None), (second, "Initial", None)]
    lab.state.health = lambda _: {second: ("Unhealthy", "CONNECT_FAILED")}
    assert unwell() == [(second, "Unhealthy", "CONNECT_FAILED")]
    lab.state.health = lambda _: {}
    assert unwell() == []


def test_a_server_without_weight_or_check_is_said_to_be_so(lab: Lab, m: Any, ids: Ids) -> None:
    listener = made_listener(lab, m, ids)
    lab.state.health = lambda _: {}

    def statuses() -> list[str]:
        request = m.GetListenerHealthStatusRequest(listener_id=listener)
        body = lab.ask(lab.nlb.get_listener_health_status, request)
        (info,) = body.listener_health_status[0].server_group_infos
        return [one.status for one in info.non_normal_servers]

    weight = m.UpdateServerGroupServersAttributeRequest(
        server_group_id=ids.group,
        servers=[
            m.UpdateServerGroupServersAttributeRequestServers(
                server_id=ids.instances[0], server_type="Ecs", port=80, weight=0
            )
        ],
    )
    lab.ask(lab.nlb.update_server_group_servers_attribute, weight)
    lab.settle()
    assert statuses() == ["Unused"]
    (view,) = lab.state.listeners()
    assert [weight for _, _, weight in view.backends] == [0, 100]
    unchecked = m.UpdateServerGroupAttributeRequest(
        server_group_id=ids.group,
        server_group_name="renamed",
        health_check_config=m.UpdateServerGroupAttributeRequestHealthCheckConfig(
            health_check_enabled=False
        ),
    )
    lab.ask(lab.nlb.update_server_group_attribute, unchecked)
    lab.settle()
    assert statuses() == ["Unused", "Unavailable"]
    assert shown_group(lab, m, ids.group).server_group_name == "renamed"


def test_a_listener_that_ends_is_closed_at_once_and_one_that_begins_is_open(
    lab: Lab, m: Any, ids: Ids
) -> None:
    """What the balancer sees is ahead of the status, so that the status is never a lie."""
    made = lab.ask(lab.nlb.create_listener, listener_request(m, ids)).listener_id
    assert [view.running for view in lab.state.listeners()] == [True]
    lab.settle()
    for method, request, running in (
        (lab.nlb.stop_listener, m.StopListenerRequest(listener_id=made), False),
        (lab.nlb.start_listener, m.StartListenerRequest(listener_id=made), True),
        (lab.nlb.delete_listener, m.DeleteListenerRequest(listener_id=made), False),
    ):
        lab.ask(method, request)
        assert [view.running for view in lab.state.listeners()] == [running]
        lab.settle()
    assert lab.state.listeners() == ()


def test_policies_are_the_vendors(lab: Lab, m: Any) -> None:
    body = lab.ask(
        lab.nlb.list_system_security_policy,
        m.ListSystemSecurityPolicyRequest(region_id="cn-hangzhou"),
    )
    versions = {one.security_policy_id: one.tls_version for one in body.security_policies}
    assert versions["tls_cipher_policy_1_2_strict_with_1_3"] == "TLSv1.2,TLSv1.3"
    assert len(versions) == 5
    custom = lab.ask(lab.nlb.list_security_policy, m.ListSecurityPolicyRequest())
    assert custom.security_policies == []


def test_tags_are_set_listed_filtered_and_taken_away(lab: Lab, m: Any, ids: Ids) -> None:
    tag = m.TagResourcesRequest(
        resource_id=[ids.balancer],
        resource_type="loadbalancer",
        tag=[m.TagResourcesRequestTag(key="made-by", value="nlb-mtls")],
    )
    lab.ask(lab.nlb.tag_resources, tag)
    listed = lab.ask(
        lab.nlb.list_tag_resources, m.ListTagResourcesRequest(resource_type="loadbalancer")
    )
    assert [(one.tag_key, one.tag_value) for one in listed.tag_resources] == [
        ("made-by", "nlb-mtls")
    ]
    for value, count in (("nlb-mtls", 1), ("somebody", 0)):
        wanted = m.ListLoadBalancersRequest(
            tag=[m.ListLoadBalancersRequestTag(key="made-by", value=value)]
        )
        assert lab.ask(lab.nlb.list_load_balancers, wanted).total_count == count
    one = lab.ask(
        lab.nlb.get_load_balancer_attribute,
        m.GetLoadBalancerAttributeRequest(load_balancer_id=ids.balancer),
    )
    assert [(t.tag_key, t.tag_value) for t in one.tags] == [("made-by", "nlb-mtls")]
    tag.tag[0].key = "acs:made-by"
    assert lab.refused(lab.nlb.tag_resources, tag) == (400, "IllegalParam.Tag.1.Key")
    untag = m.UntagResourcesRequest(
        resource_id=[ids.balancer], resource_type="loadbalancer", tag_key=["made-by"]
    )
    lab.ask(lab.nlb.untag_resources, untag)
    assert lab.state.account.load_balancers[ids.balancer].tags == ()


def test_pages_join_to_the_whole_list(lab: Lab, m: Any, ids: Ids) -> None:
    for number in range(5):
        request = m.CreateServerGroupRequest(server_group_name=f"group-{number}", vpc_id=ids.vpc)
        lab.ask(lab.nlb.create_server_group, request)
    found: list[str] = []
    token = None
    while True:
        request = m.ListServerGroupsRequest(max_results=2, next_token=token)
        page = lab.ask(lab.nlb.list_server_groups, request)
        assert page.total_count == 6
        found += [one.server_group_id for one in page.server_groups]
        token = page.next_token
        if not token:
            break
    assert found == list(lab.state.account.server_groups)
    bad = m.ListServerGroupsRequest(next_token="somewhere")
    assert lab.refused(lab.nlb.list_server_groups, bad) == (400, "IllegalParam.NextToken")
    bad = m.ListServerGroupsRequest(max_results=101)
    assert lab.refused(lab.nlb.list_server_groups, bad) == (400, "IllegalParam.MaxResults")


def test_an_uploaded_ca_serves_as_well(lab: Lab, m: Any, ids: Ids) -> None:
    from alibabacloud_cas20200407 import models as cas

    key, start = new_key("ECC_256"), moment(lab.clock())
    pem = issue_ca(Subject("Own CA"), key, None, start, years_after(start, 1), None)
    repository = next(iter(lab.state.account.repositories))
    request = cas.UploadPCACertRequest(warehouse_id=repository, cert=pem, name="own")
    own = lab.ask(lab.cas.upload_pcacert, request).identifier
    made_listener(lab, m, ids, ca_certificate_ids=[own])
    (view,) = lab.state.listeners()
    assert view.ca_pem == pem
    assert (view.running, view.mutual, view.port) == (True, True, 443)
    assert [port for _, port, _ in view.backends] == [80, 80]
    bought: UserCertificate = next(iter(_account(lab).certificates.values()))
    assert (view.certificate_pem, view.key_pem) == (bought.certificate_pem, bought.key_pem)
    assert "PRIVATE" not in repr(view)


def _account(lab: Lab) -> Account:
    return lab.state.account
