"""Load balancers, and the regions and zones that they stand in."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.errors import ApiError, incorrect_status, mismatch, resource_not_found
from services.lab.api.moments import iso
from services.lab.api.nlb import jobs
from services.lab.api.nlb.tags import key_value, tag_key_value, tagged_as_asked, tags_of
from services.lab.api.paging import by_token
from services.lab.api.parameters import Parameters
from services.lab.api.regions import REGIONS
from services.lab.state.account import Account, Change, Json, LoadBalancer, ZoneMapping
from services.lab.state.identifiers import fresh

_MOST_BALANCERS = 60
_LANGUAGES = ("zh-CN", "en-US", "ja")
_FILTERS = (
    "AddressIpVersion",
    "AddressType",
    "DNSName",
    "LoadBalancerBusinessStatus",
    "LoadBalancerStatus",
    "LoadBalancerType",
    "ResourceGroupId",
)
"""What a list is filtered by, under the names that its items have."""

NAME = re.compile(r"[^\W\d_][\w.-]{1,127}")
"""Names of balancers and server groups: 2 to 128, a letter first."""


def describe_regions(call: Call) -> Json:
    call.parameters.text("AcceptLanguage", among=_LANGUAGES)
    return {
        "Regions": [
            {
                "LocalName": name,
                "RegionEndpoint": f"nlb.{region}.aliyuncs.com",
                "RegionId": region,
            }
            for region, name in REGIONS.items()
        ]
    }


def describe_zones(call: Call) -> Json:
    region = call.parameters.needed("RegionId")
    zones = {vswitch.zone_id for vswitch in call.account.vswitches.values()} or {
        f"{region}-a",
        f"{region}-b",
    }
    return {
        "Zones": [
            {"LocalName": f"{REGIONS[region]} Zone {zone[-1].upper()}", "ZoneId": zone}
            for zone in sorted(zones)
        ]
    }


def list_load_balancers(call: Call) -> Json:
    asked = call.parameters
    identifiers = asked.texts("LoadBalancerIds", 20)
    names = asked.texts("LoadBalancerNames", 20)
    vpcs = asked.texts("VpcIds", 10)
    zone = asked.text("ZoneId")
    found = [
        balancer
        for balancer in call.account.load_balancers.values()
        if not identifiers or balancer.id in identifiers
        if not names or balancer.name in names
        if not vpcs or balancer.vpc_id in vpcs
        if not zone or zone in [mapping.zone_id for mapping in balancer.zones]
        if all(
            asked.text(name, value).lower() == value.lower()
            for name, value in _shown(call.account, balancer).items()
            if name in _FILTERS
        )
        if tagged_as_asked(asked, balancer.tags)
    ]
    page, fields = by_token(asked, found)
    shown = [{**_shown(call.account, one), "Tags": key_value(one.tags)} for one in page]
    return {"LoadBalancers": shown, **fields}


def get_load_balancer_attribute(call: Call) -> Json:
    balancer = balancer_of(call)
    shown = _shown(call.account, balancer)
    for mapping, zone in zip(shown["ZoneMappings"], balancer.zones, strict=True):
        mapping["LoadBalancerAddresses"][0]["Ipv4LocalAddresses"] = list(zone.local_addresses)
        mapping["LoadBalancerAddresses"][0]["Ipv6LocalAddresses"] = []
    return {**shown, "Cps": 0, "Tags": tag_key_value(balancer.tags)}


def create_load_balancer(call: Call) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    address_type = asked.needed("AddressType", among=("Internet", "Intranet"))
    vpc_id = asked.needed("VpcId")
    asked.text("LoadBalancerType", among=("network",))
    asked.text("AddressIpVersion", among=("ipv4",))
    asked.structure("LoadBalancerBillingConfig").text("PayType", among=("PostPay",))
    name = asked.text("LoadBalancerName")
    if name and not NAME.fullmatch(name):
        raise asked.illegal("LoadBalancerName")
    if vpc_id not in account.vpc_cidrs:
        raise resource_not_found("Vpc")
    zones = _zones(call, vpc_id, address_type)
    if len(account.load_balancers) >= _MOST_BALANCERS:
        raise ApiError(
            "QuotaExceeded.QuotaInsufficient",
            f"The quota of load balancers is insufficient: used {_MOST_BALANCERS}"
            f" of {_MOST_BALANCERS}.",
        )
    identifier = fresh("nlb")
    deletion = asked.structure("DeletionProtectionConfig")
    modification = asked.structure("ModificationProtectionConfig")
    balancer = LoadBalancer(
        id=identifier,
        name=name,
        dns_name=f"{identifier}.{account.region}.{account.dns_suffix}",
        address_type=address_type,
        vpc_id=vpc_id,
        zones=zones,
        created=call.now,
        deletion_protection=deletion.flag("Enabled"),
        deletion_protection_reason=deletion.text("Reason"),
        modification_protection=modification.text(
            "Status", "NonProtection", among=("NonProtection", "ConsoleProtection")
        ),
        modification_protection_reason=modification.text("Reason"),
        resource_group_id=asked.text("ResourceGroupId"),
        tags=tags_of(asked),
        change=Change("Provisioning", call.through_at(call.timing.balancer_s)),
    )
    known = {**account.load_balancers, identifier: balancer}
    number = account.next_number
    return (
        # Lower-case b: the vendor's own spelling, in this reply alone.
        {"LoadbalancerId": identifier, "OrderId": number},
        replace(account, load_balancers=known, next_number=number + 1),
    )


def update_load_balancer_protection(call: Call) -> tuple[Json, Account]:
    asked, balancer = call.parameters, balancer_of(call)
    if "DeletionProtectionEnabled" in asked:
        balancer = replace(
            balancer,
            deletion_protection=asked.flag("DeletionProtectionEnabled"),
            deletion_protection_reason=asked.text("DeletionProtectionReason"),
        )
    if "ModificationProtectionStatus" in asked:
        balancer = replace(
            balancer,
            modification_protection=asked.text(
                "ModificationProtectionStatus", among=("NonProtection", "ConsoleProtection")
            ),
            modification_protection_reason=asked.text("ModificationProtectionReason"),
        )
    return {}, replace(
        call.account, load_balancers={**call.account.load_balancers, balancer.id: balancer}
    )


def delete_load_balancer(call: Call) -> tuple[Json, Account]:
    balancer = balancer_of(call)
    if balancer.deletion_protection:
        raise ApiError(
            "OperationDenied.DeletionProtectionEnabled",
            "The operation is not allowed because of DeletionProtectionEnabled.",
        )
    if balancer.status != "Active":
        raise incorrect_status("loadbalancer", balancer.id)
    until = call.through_at(call.timing.balancer_s)
    gone = Change("Deleting", until, removes=True)
    account = replace(
        call.account,
        load_balancers={
            **call.account.load_balancers,
            balancer.id: replace(balancer, change=gone),
        },
        listeners={
            key: replace(listener, change=gone)
            if listener.load_balancer_id == balancer.id
            else listener
            for key, listener in call.account.listeners.items()
        },
    )
    job_id, account = jobs.started(account, until)
    return {"JobId": job_id}, account


def balancer_of(call: Call) -> LoadBalancer:
    """The balancer that a call is about. Raises `ApiError`."""
    found = call.account.load_balancers.get(call.parameters.needed("LoadBalancerId"))
    if found is None:
        raise resource_not_found("loadBalancer")
    return found


def _zones(call: Call, vpc_id: str, address_type: str) -> tuple[ZoneMapping, ...]:
    mappings = call.parameters.structures("ZoneMappings", 10)
    if len(mappings) < 2:
        raise ApiError("IllegalParamSize.zoneMappings", "At least two zones must be specified.")
    allocations = [one.text("AllocationId") for one in mappings]
    if any(allocations) and (not all(allocations) or address_type != "Internet"):
        raise call.parameters.illegal("AllocationId")
    if any(allocations) and len(set(allocations)) < len(allocations):
        raise ApiError("DuplicatedParam.AllocationId", "The param of AllocationId is duplicated.")
    taken = {
        address
        for balancer in call.account.load_balancers.values()
        for zone in balancer.zones
        for address in (zone.private_address, zone.public_address, *zone.local_addresses)
    } | {instance.private_address for instance in call.account.instances.values()}
    zones: list[ZoneMapping] = []
    for one, allocation in zip(mappings, allocations, strict=True):
        zone = _zone(call, one, vpc_id, taken)
        if zone.zone_id in [known.zone_id for known in zones]:
            # The dot at the end is the vendor's.
            raise ApiError("OperationFailed.DuplicateZones.", "The zones are duplicated.")
        if address_type == "Internet":
            public = _free("203.0.113.0/24", taken)
            zone = replace(zone, public_address=public, allocation_id=allocation or fresh("eip"))
        zones.append(zone)
    return tuple(zones)


def _zone(call: Call, asked: Parameters, vpc_id: str, taken: set[str]) -> ZoneMapping:
    zone_id = asked.needed("ZoneId")
    vswitch = call.account.vswitches.get(asked.needed("VSwitchId"))
    if vswitch is None:
        raise resource_not_found("VSwitch")
    if vswitch.vpc_id != vpc_id:
        raise mismatch("VpcId", "loadbalancer", "vswitch")
    if vswitch.zone_id != zone_id:
        raise ApiError(
            "Mismatch.ZoneIdAndVswitchId", "The ZoneId and the VSwitchId are mismatched."
        )
    private = asked.text("PrivateIPv4Address")
    if private:
        try:
            inside = ipaddress.ip_address(private) in ipaddress.ip_network(vswitch.cidr)
        except ValueError:
            inside = False
        if not inside:
            raise asked.illegal("PrivateIPv4Address")
        if private in taken:
            raise ApiError("ResourceInUse.IP", "The IP is in use.")
        taken.add(private)
    return ZoneMapping(
        zone_id=zone_id,
        vswitch_id=vswitch.id,
        private_address=private or _free(vswitch.cidr, taken),
        eni_id=fresh("eni"),
        local_addresses=(_free(vswitch.cidr, taken), _free(vswitch.cidr, taken)),
    )


def _free(cidr: str, taken: set[str]) -> str:
    """A free address, from the top down; it is taken then."""
    for address in reversed(list(ipaddress.ip_network(cidr).hosts())):
        if str(address) not in taken:
            taken.add(str(address))
            return str(address)
    raise ApiError("ResourceNotEnough.VSwitchIp", "The IP of the vSwitch is not enough.")


def _shown(account: Account, balancer: LoadBalancer) -> Json:
    return {
        "AddressIpVersion": "ipv4",
        "AddressType": balancer.address_type,
        "CreateTime": iso(balancer.created),
        "CrossZoneEnabled": balancer.cross_zone,
        "DNSName": balancer.dns_name,
        "DeletionProtectionConfig": {
            "Enabled": balancer.deletion_protection,
            "Reason": balancer.deletion_protection_reason,
        },
        "LoadBalancerBillingConfig": {"PayType": "PostPay"},
        "LoadBalancerBusinessStatus": "Normal",
        "LoadBalancerId": balancer.id,
        "LoadBalancerName": balancer.name,
        "LoadBalancerStatus": balancer.status,
        "LoadBalancerType": "network",
        "ModificationProtectionConfig": {
            "Reason": balancer.modification_protection_reason,
            "Status": balancer.modification_protection,
        },
        "OperationLocks": [],
        "RegionId": account.region,
        "ResourceGroupId": balancer.resource_group_id or "rg-default",
        "SecurityGroupIds": list(balancer.security_group_ids),
        "VpcId": balancer.vpc_id,
        "ZoneMappings": [
            {
                "LoadBalancerAddresses": [
                    {
                        "AllocationId": zone.allocation_id,
                        "EniId": zone.eni_id,
                        "PrivateIPv4Address": zone.private_address,
                        "PrivateIPv4HcStatus": "Healthy",
                        "PublicIPv4Address": zone.public_address,
                    }
                ],
                "Status": "Active",
                "VSwitchId": zone.vswitch_id,
                "ZoneId": zone.zone_id,
            }
            for zone in balancer.zones
        ],
    }
