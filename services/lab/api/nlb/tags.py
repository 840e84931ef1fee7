"""Tags on NLB resources, and the actions for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.lab.api.call import Call
from services.lab.api.errors import ApiError, missing, resource_not_found
from services.lab.api.paging import by_token
from services.lab.api.parameters import Parameters
from services.lab.state.account import Account, Json, Tags

_KINDS = {
    "loadbalancer": ("load_balancers", "loadBalancer"),
    "servergroup": ("server_groups", "serverGroup"),
    "listener": ("listeners", "listener"),
}
"""ResourceType to the account's field, and to what errors call it."""

_MOST = 20
_KEY = re.compile(r"(?!aliyun|acs:)(?!.*https?://)[\w.:/=+@ -]{1,64}", re.IGNORECASE)
_VALUE = re.compile(r"(?!.*https?://)[\w.:/=+@ -]{0,128}", re.IGNORECASE)


def tags_of(parameters: Parameters) -> Tags:
    """The tags that a call gives to what it makes."""
    tags = []
    for one in parameters.structures("Tag", _MOST):
        key, value = one.needed("Key"), one.text("Value")
        if not _KEY.fullmatch(key):
            raise one.illegal("Key")
        if not _VALUE.fullmatch(value):
            raise one.illegal("Value")
        tags.append((key, value))
    if len(dict(tags)) != len(tags):
        raise parameters.illegal("Tag")
    return tuple(tags)


def tagged_as_asked(parameters: Parameters, tags: Tags) -> bool:
    """Whether a resource has each tag that a list call filters by; a key alone fits any value."""
    known = dict(tags)
    return all(
        one.text("Key") in known
        and ("Value" not in one or known[one.text("Key")] == one.text("Value"))
        for one in parameters.structures("Tag", _MOST)
    )


def key_value(tags: Tags) -> list[Json]:
    """Tags as lists of resources show them."""
    return [{"Key": key, "Value": value} for key, value in tags]


def tag_key_value(tags: Tags) -> list[Json]:
    """Tags as a single resource shows them."""
    return [{"TagKey": key, "TagValue": value} for key, value in tags]


def tag_resources(call: Call) -> tuple[Json, Account]:
    added = dict(tags_of(call.parameters))
    if not added:
        raise missing("Tag")
    return _retagged(call, lambda tags: {**tags, **added})


def untag_resources(call: Call) -> tuple[Json, Account]:
    removed = call.parameters.texts("TagKey", _MOST)
    every = call.parameters.flag("All")
    if not removed and not every:
        raise missing("TagKey")
    return _retagged(
        call, lambda tags: {} if every else {k: v for k, v in tags.items() if k not in removed}
    )


def list_tag_resources(call: Call) -> Json:
    kind = call.parameters.needed("ResourceType", among=[*_KINDS, "securitypolicy"])
    wanted = call.parameters.texts("ResourceId", 50)
    found = [
        {
            "AliUid": int(call.account.id),
            "Category": "Custom",
            "RegionNo": call.account.region,
            "ResourceId": identifier,
            "ResourceType": kind,
            "Scope": "public",
            "TagKey": key,
            "TagValue": value,
        }
        for identifier, resource in _resources(call.account, kind).items()
        if not wanted or identifier in wanted
        if tagged_as_asked(call.parameters, resource.tags)
        for key, value in resource.tags
    ]
    page, fields = by_token(call.parameters, found)
    return {"TagResources": list(page), **fields}


def _retagged(call: Call, new: Any) -> tuple[Json, Account]:
    kind = call.parameters.needed("ResourceType", among=_KINDS)
    identifiers = call.parameters.texts("ResourceId", 50)
    if not identifiers:
        raise missing("ResourceId")
    field, name = _KINDS[kind]
    resources = dict(_resources(call.account, kind))
    for identifier in identifiers:
        if identifier not in resources:
            raise resource_not_found(name)
        tags = new(dict(resources[identifier].tags))
        if len(tags) > _MOST:
            raise ApiError("QuotaExceeded.Tag", "The quota of tags per resource is insufficient.")
        resources[identifier] = replace(resources[identifier], tags=tuple(tags.items()))
    changed: dict[str, Any] = {field: resources}
    return {}, replace(call.account, **changed)


def _resources(account: Account, kind: str) -> Mapping[str, Any]:
    if kind not in _KINDS:
        return {}
    found: Mapping[str, Any] = getattr(account, _KINDS[kind][0])
    return found
