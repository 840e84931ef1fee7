"""Server groups and the servers in them."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.errors import (
    ApiError,
    incorrect_status,
    mismatch,
    missing,
    resource_not_found,
)
from services.lab.api.nlb import jobs
from services.lab.api.nlb.balancers import NAME
from services.lab.api.nlb.tags import key_value, tagged_as_asked, tags_of
from services.lab.api.paging import by_token
from services.lab.api.parameters import Parameters
from services.lab.state.account import (
    Account,
    Change,
    HealthCheck,
    Json,
    Member,
    ServerGroup,
)
from services.lab.state.identifiers import fresh

_MOST_SERVERS = 400
_MOST_SERVERS_A_CALL = 200
_SCHEDULERS = ("Wrr", "Wlc", "rr", "sch", "tch", "qch")


def list_server_groups(call: Call) -> Json:
    asked = call.parameters
    identifiers = asked.texts("ServerGroupIds", 20)
    names = asked.texts("ServerGroupNames", 20)
    kind = asked.text("ServerGroupType", among=("Instance", "Ip"))
    vpc_id, resource_group = asked.text("VpcId"), asked.text("ResourceGroupId")
    found = [
        group
        for group in call.account.server_groups.values()
        if not identifiers or group.id in identifiers
        if not names or group.name in names
        if not kind or group.type == kind
        if not vpc_id or group.vpc_id == vpc_id
        if not resource_group or group.resource_group_id == resource_group
        if tagged_as_asked(asked, group.tags)
    ]
    page, fields = by_token(asked, found)
    return {"ServerGroups": [_shown(call.account, group) for group in page], **fields}


def create_server_group(call: Call) -> tuple[Json, Account]:
    asked = call.parameters
    name, vpc_id = asked.needed("ServerGroupName"), asked.needed("VpcId")
    if not NAME.fullmatch(name):
        raise asked.illegal("ServerGroupName")
    if asked.flag("AnyPortEnabled"):
        # A range of ports on one loopback address would take ports that are not the lab's.
        raise ApiError("OperationDenied.AnyPortEnabled", "All-port forwarding is not available.")
    if vpc_id not in call.account.vpc_cidrs:
        raise resource_not_found("Vpc")
    group = _settled(
        asked,
        ServerGroup(
            id=fresh("sgp"),
            name=name,
            type=asked.text("ServerGroupType", "Instance", among=("Instance", "Ip")),
            protocol=asked.text("Protocol", "TCP", among=("TCP", "UDP", "TCP_UDP")),
            vpc_id=vpc_id,
            preserve_client_ip=True,
            address_ip_version=asked.text("AddressIPVersion", "ipv4", among=("ipv4",)),
            resource_group_id=asked.text("ResourceGroupId"),
            tags=tags_of(asked),
        ),
    )
    return _changing(call, group, "Creating", call.timing.server_group_s)


def update_server_group_attribute(call: Call) -> tuple[Json, Account]:
    asked, group = call.parameters, _free_group(call)
    changed = _settled(asked, group)
    if name := asked.text("ServerGroupName"):
        if not NAME.fullmatch(name):
            raise asked.illegal("ServerGroupName")
        changed = replace(changed, name=name)
    if changed.preserve_client_ip and any(
        listener.protocol == "TCPSSL" and listener.server_group_id == group.id
        for listener in call.account.listeners.values()
    ):
        raise preserves_client_ip()
    return _changing(call, changed, "Configuring", call.timing.server_group_s)


def delete_server_group(call: Call) -> tuple[Json, Account]:
    group = group_of(call)
    if any(listener.server_group_id == group.id for listener in call.account.listeners.values()):
        raise ApiError("ResourceInUse.ServerGroup", "The specified ServerGroup is in use.")
    _check_free(group)
    reply, account = _changing(call, group, "Deleting", call.timing.server_group_s, removes=True)
    return {"JobId": reply["JobId"]}, account


def add_servers_to_server_group(call: Call) -> tuple[Json, Account]:
    group = _free_group(call)
    until = call.through_at(call.timing.servers_s)
    new = [_new_member(call, group, one, until) for one in _servers(call)]
    places = [member.place for member in (*group.members, *new)]
    if len({member.place for member in new}) != len(new):
        raise ApiError("DuplicatedParam.Server", "The param of Server is duplicated.")
    if len(set(places)) != len(places):
        raise ApiError(
            "ResourceAlreadyAssociated.Server", "The specified Server is already associated."
        )
    if len(places) > _MOST_SERVERS:
        raise ApiError(
            "QuotaExceeded.QuotaInsufficient",
            f"The quota of servers per server group is insufficient: {_MOST_SERVERS}.",
        )
    changed = replace(group, members=(*group.members, *new))
    return _changing(call, changed, "Configuring", call.timing.servers_s)


def remove_servers_from_server_group(call: Call) -> tuple[Json, Account]:
    group = _free_group(call)
    gone = {_place(one) for one in _servers(call)}
    _check_members(group, gone)
    leaving = Change("Removing", call.through_at(call.timing.servers_s), removes=True)
    changed = replace(
        group,
        members=tuple(
            replace(member, change=leaving) if member.place in gone else member
            for member in group.members
        ),
    )
    return _changing(call, changed, "Configuring", call.timing.servers_s)


def update_server_group_servers_attribute(call: Call) -> tuple[Json, Account]:
    group = _free_group(call)
    asked = {_place(one): one for one in _servers(call)}
    _check_members(group, set(asked))
    busy = Change("Configuring", call.through_at(call.timing.servers_s))
    changed = replace(
        group,
        members=tuple(
            replace(
                member,
                weight=asked[member.place].number("Weight", member.weight, 0, 100),
                description=asked[member.place].text("Description", member.description),
                change=busy,
            )
            if member.place in asked
            else member
            for member in group.members
        ),
    )
    return _changing(call, changed, "Configuring", call.timing.servers_s)


def list_server_group_servers(call: Call) -> Json:
    asked = call.parameters
    identifier = asked.text("ServerGroupId")
    if identifier and identifier not in call.account.server_groups:
        raise resource_not_found("serverGroup")
    ids, addresses = asked.texts("ServerIds", 40), asked.texts("ServerIps", 40)
    found = [
        {
            "Description": member.description,
            "Port": member.port,
            "ServerGroupId": group.id,
            "ServerId": member.server_id,
            "ServerIp": member.address,
            "ServerType": member.type,
            "Status": member.status,
            "Weight": member.weight,
            "ZoneId": member.zone_id,
        }
        for group in call.account.server_groups.values()
        if not identifier or group.id == identifier
        for member in group.members
        if not ids or member.server_id in ids
        if not addresses or member.address in addresses
    ]
    page, fields = by_token(asked, found)
    return {"Servers": list(page), **fields}


def group_of(call: Call) -> ServerGroup:
    """The server group that a call is about. Raises `ApiError`."""
    found = call.account.server_groups.get(call.parameters.needed("ServerGroupId"))
    if found is None:
        raise resource_not_found("serverGroup")
    return found


def preserves_client_ip() -> ApiError:
    """What a TCPSSL listener and client-IP preservation have to say to each other."""
    return ApiError(
        "IllegalParam.PreserveClientIpSwitch",
        "The PreserveClientIpSwitch of the server group of a TCPSSL listener must be off.",
    )


def _free_group(call: Call) -> ServerGroup:
    group = group_of(call)
    _check_free(group)
    return group


def _check_free(group: ServerGroup) -> None:
    if group.status != "Available":
        raise incorrect_status("serverGroup", group.id)


def _changing(
    call: Call, group: ServerGroup, status: str, seconds: float, *, removes: bool = False
) -> tuple[Json, Account]:
    until = call.through_at(seconds)
    group = replace(group, change=Change(status, until, removes))
    groups = {**call.account.server_groups, group.id: group}
    job_id, account = jobs.started(replace(call.account, server_groups=groups), until)
    return {"JobId": job_id, "ServerGroupId": group.id}, account


def _settled(asked: Parameters, group: ServerGroup) -> ServerGroup:
    """The group with what a call says; what it leaves out stays."""
    return replace(
        group,
        scheduler=asked.text("Scheduler", group.scheduler, among=_SCHEDULERS),
        preserve_client_ip=asked.flag("PreserveClientIpEnabled", group.preserve_client_ip),
        connection_drain=asked.flag("ConnectionDrainEnabled", group.connection_drain),
        connection_drain_s=asked.number("ConnectionDrainTimeout", group.connection_drain_s, 0, 900),
        health_check=_health_check(asked.structure("HealthCheckConfig"), group.health_check),
    )


def _health_check(asked: Parameters, known: HealthCheck) -> HealthCheck:
    return HealthCheck(
        enabled=asked.flag("HealthCheckEnabled", known.enabled),
        type=asked.text("HealthCheckType", known.type, among=("TCP", "HTTP", "UDP")),
        port=asked.number("HealthCheckConnectPort", known.port, 0, 65535),
        timeout_s=asked.number("HealthCheckConnectTimeout", known.timeout_s, 1, 300),
        interval_s=asked.number("HealthCheckInterval", known.interval_s, 1, 50),
        healthy_threshold=asked.number("HealthyThreshold", known.healthy_threshold, 2, 10),
        unhealthy_threshold=asked.number("UnhealthyThreshold", known.unhealthy_threshold, 2, 10),
        url=asked.text("HealthCheckUrl", known.url),
        domain=asked.text("HealthCheckDomain", known.domain),
        method=asked.text("HttpCheckMethod", known.method, among=("GET", "HEAD")),
        codes=asked.texts("HealthCheckHttpCode", 4) or known.codes,
        version=asked.text("HealthCheckHttpVersion", known.version, among=("HTTP1.0", "HTTP1.1")),
    )


def _servers(call: Call) -> tuple[Parameters, ...]:
    servers = call.parameters.structures("Servers", _MOST_SERVERS_A_CALL)
    if not servers:
        raise missing("Servers")
    return servers


def _place(server: Parameters) -> tuple[str, int]:
    server.needed("ServerType", among=("Ecs", "Eni", "Eci", "Ip"))
    return server.needed("ServerId"), server.number("Port", 0, 0, 65535)


def _check_members(group: ServerGroup, places: set[tuple[str, int]]) -> None:
    if not places <= {member.place for member in group.members}:
        raise resource_not_found("backendServer")


def _new_member(call: Call, group: ServerGroup, asked: Parameters, until: float) -> Member:
    identifier, port = _place(asked)
    kind = asked.needed("ServerType", among=("Ecs", "Eni", "Eci", "Ip"))
    if (kind == "Ip") != (group.type == "Ip"):
        raise ApiError("Mismatch.ServerType", "The ServerType is mismatched for the server group.")
    if port == 0:  # means "every port", which no group of the lab has
        raise asked.illegal("Port")
    address, zone_id = _found(call, group, kind, identifier)
    return Member(
        server_id=identifier,
        type=kind,
        port=port,
        weight=asked.number("Weight", 100, 0, 100),
        address=asked.text("ServerIp") or address,
        zone_id=zone_id,
        description=asked.text("Description"),
        change=Change("Adding", until),
    )


def _found(call: Call, group: ServerGroup, kind: str, identifier: str) -> tuple[str, str]:
    """Address and zone of a server. Raises `ApiError` when there is none, or not in that VPC."""
    if kind == "Ip":
        try:
            return str(ipaddress.ip_address(identifier)), ""
        except ValueError:
            raise ApiError("IllegalParam.IP", "The param of IP is illegal.") from None
    for instance in call.account.instances.values():
        if identifier == {"Ecs": instance.id, "Eni": instance.eni_id}.get(kind):
            if instance.vpc_id != group.vpc_id:
                raise mismatch("VpcId", "servergroup", "server")
            return instance.private_address, instance.zone_id
    raise resource_not_found(kind)


def _shown(account: Account, group: ServerGroup) -> Json:
    check = group.health_check
    return {
        "AddressIPVersion": group.address_ip_version,
        "AliUid": int(account.id),
        "AnyPortEnabled": False,
        "ConnectionDrainEnabled": group.connection_drain,
        "ConnectionDrainTimeout": group.connection_drain_s,
        "HealthCheck": {
            "HealthCheckConnectPort": check.port,
            "HealthCheckConnectTimeout": check.timeout_s,
            "HealthCheckDomain": check.domain,
            "HealthCheckEnabled": check.enabled,
            "HealthCheckHttpCode": list(check.codes),
            "HealthCheckHttpVersion": check.version,
            "HealthCheckInterval": check.interval_s,
            "HealthCheckType": check.type,
            "HealthCheckUrl": check.url,
            "HealthyThreshold": check.healthy_threshold,
            "HttpCheckMethod": check.method,
            "UnhealthyThreshold": check.unhealthy_threshold,
        },
        "PreserveClientIpEnabled": group.preserve_client_ip,
        "Protocol": group.protocol,
        "RegionId": account.region,
        "RelatedLoadBalancerIds": sorted(
            {
                listener.load_balancer_id
                for listener in account.listeners.values()
                if listener.server_group_id == group.id
            }
        ),
        "ResourceGroupId": group.resource_group_id or "rg-default",
        "Scheduler": group.scheduler,
        "ServerCount": len(group.members),
        "ServerGroupId": group.id,
        "ServerGroupName": group.name,
        "ServerGroupStatus": group.status,
        "ServerGroupType": group.type,
        "Tags": key_value(group.tags),
        "VpcId": group.vpc_id,
    }
