"""ECS instances, as DescribeInstances tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from services.lab.api.call import Call
from services.lab.api.moments import iso
from services.lab.api.paging import token, token_position
from services.lab.api.parameters import Parameters
from services.lab.state.account import Account, Instance, Json

T = TypeVar("T")


def describe_instances(call: Call) -> Json:
    asked = call.parameters
    asked.needed("RegionId")
    identifiers = asked.json("InstanceIds", [])
    if len(identifiers) > 100:
        raise asked.illegal("InstanceIds")
    addresses = asked.json("PrivateIpAddresses", [])
    name = asked.text("InstanceName", "*")
    tags = asked.structures("Tag", 20)
    found = [
        one
        for one in call.account.instances.values()
        if not identifiers or one.id in identifiers
        if not addresses or one.private_address in addresses
        if fnmatchcase(one.name, name)
        if asked.text("VpcId") in ("", one.vpc_id)
        if asked.text("VSwitchId") in ("", one.vswitch_id)
        if asked.text("ZoneId") in ("", one.zone_id)
        if asked.text("Status") in ("", one.status)
        if asked.text("SecurityGroupId") in ("", *one.security_group_ids)
        if not tags  # no instance has one
    ]
    page, fields = pages(asked, found, default=10, low=10, most=100)
    return {"Instances": {"Instance": [_shown(call.account, one) for one in page]}, **fields}


def pages(
    asked: Parameters, items: Sequence[T], *, default: int, low: int, most: int
) -> tuple[Sequence[T], Json]:
    """A page by `MaxResults` and `NextToken` or, deprecated, `PageSize` and `PageNumber`.

    A `MaxResults` below `low` becomes that. `NextToken` is empty on the last page.
    """
    number = asked.number("PageNumber", 1, 1, 10**9)
    size = asked.number("PageSize", default, 1, most)
    size = max(low, asked.number("MaxResults", size, 1, most)) if "MaxResults" in asked else size
    start = token_position(asked, len(items)) or (number - 1) * size
    more = start + size < len(items)
    return items[start : start + size], {
        "NextToken": token(start + size) if more else "",
        "PageNumber": number,
        "PageSize": size,
        "TotalCount": len(items),
    }


def _shown(account: Account, one: Instance) -> Json:
    return {
        "Cpu": 2,
        "CreationTime": iso(one.created),
        "EipAddress": {
            "AllocationId": "",
            "InternetChargeType": "",
            "IpAddress": "",
        },
        "HostName": one.name,
        "InnerIpAddress": {"IpAddress": []},
        "InstanceId": one.id,
        "InstanceName": one.name,
        "InstanceNetworkType": "vpc",
        "InstanceType": "ecs.t6-c1m1.large",
        "KeyPairName": "lab",
        "Memory": 2048,
        "NetworkInterfaces": {
            "NetworkInterface": [
                {
                    "NetworkInterfaceId": one.eni_id,
                    "PrimaryIpAddress": one.private_address,
                    "Type": "Primary",
                }
            ]
        },
        "OSName": "Alibaba Cloud Linux 3 64-bit",
        "OSNameEn": "Alibaba Cloud Linux 3 64 bit",
        "OSType": "linux",
        "OperationLocks": {"LockReason": []},
        "PublicIpAddress": {"IpAddress": [one.public_address] if one.public_address else []},
        "RegionId": account.region,
        "SecurityGroupIds": {"SecurityGroupId": list(one.security_group_ids)},
        "Status": one.status,
        "Tags": {"Tag": []},
        "VpcAttributes": {
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": [one.private_address]},
            "VSwitchId": one.vswitch_id,
            "VpcId": one.vpc_id,
        },
        "ZoneId": one.zone_id,
    }
