"""Listeners: what they demand of their server group and certificates, and their life."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from services.lab.api.call import Call
from services.lab.api.errors import (
    ApiError,
    incorrect_status,
    locked,
    mismatch,
    resource_not_found,
)
from services.lab.api.nlb import jobs
from services.lab.api.nlb.balancers import balancer_of
from services.lab.api.nlb.groups import preserves_client_ip
from services.lab.api.nlb.tags import key_value, tag_key_value, tagged_as_asked, tags_of
from services.lab.api.paging import by_token
from services.lab.api.parameters import Parameters
from services.lab.state.account import Account, Change, Json, Listener, Member, ServerGroup
from services.lab.state.cloud import certificate_identifier
from services.lab.state.identifiers import fresh
from services.lab.state.policies import DEFAULT, POLICIES

_MOST_LISTENERS = 50
_DESCRIPTION = re.compile(r"[\w,.;/@-]{2,256}")
_FITTING_GROUPS = {"TCPSSL": ("TCP",), "TCP": ("TCP", "TCP_UDP"), "UDP": ("UDP", "TCP_UDP")}
_ALPN = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred")
_PROXY_FIELDS = ("Ppv2PrivateLinkEpIdEnabled", "Ppv2PrivateLinkEpsIdEnabled", "Ppv2VpcIdEnabled")

_Settled = Literal["Running", "Stopped"]


def create_listener(call: Call) -> tuple[Json, Account]:
    asked, account = call.parameters, call.account
    balancer = balancer_of(call)
    protocol = asked.needed("ListenerProtocol", among=_FITTING_GROUPS)
    port = asked.needed_number("ListenerPort", 0, 65535)
    asked.needed("ServerGroupId")
    if balancer.status != "Active":
        raise incorrect_status("loadbalancer", balancer.id)
    if port == 0:  # means a range of ports, which needs a group with every port, and none has
        raise ApiError(
            "IllegalParam.AnyPortListenerConflictWithNonAnyPortServerGroup",
            "An all-port listener needs a server group with AnyPortEnabled.",
        )
    listener = _settled(
        asked,
        Listener(
            id=f"{fresh('lsn')}@{port}",
            load_balancer_id=balancer.id,
            protocol=protocol,
            port=port,
            server_group_id="",
            security_policy_id=DEFAULT if protocol == "TCPSSL" else "",
            tags=tags_of(asked),
        ),
    )
    _check(call, listener)
    _check_port(call, listener)
    _check_lock(account, listener)
    return _changing(call, listener, "Provisioning")


def update_listener_attribute(call: Call) -> tuple[Json, Account]:
    known = _free_listener(call)
    listener = _settled(call.parameters, known)
    if "CertificateIds" in call.parameters and listener.certificate_ids == known.certificate_ids:
        raise ApiError(
            "ResourceAlreadyAssociated.Certificate",
            "The specified Certificate is already associated.",
        )
    _check(call, listener)
    reply, account = _changing(call, listener, "Configuring")
    return {"JobId": reply["JobId"]}, account


def start_listener(call: Call) -> tuple[Json, Account]:
    return _switched(call, "Stopped", "Running", "Starting")


def stop_listener(call: Call) -> tuple[Json, Account]:
    return _switched(call, "Running", "Stopped", "Stopping")


def delete_listener(call: Call) -> tuple[Json, Account]:
    reply, account = _changing(call, _free_listener(call), "Deleting", removes=True)
    return {"JobId": reply["JobId"]}, account


def get_listener_attribute(call: Call) -> Json:
    listener = _listener_of(call)
    return {**_shown(call, listener), "Tags": tag_key_value(listener.tags)}


def list_listeners(call: Call) -> Json:
    asked = call.parameters
    identifiers, balancers = asked.texts("ListenerIds", 20), asked.texts("LoadBalancerIds", 20)
    protocol = asked.text("ListenerProtocol", among=_FITTING_GROUPS)
    found = [
        listener
        for listener in call.account.listeners.values()
        if not identifiers or listener.id in identifiers
        if not balancers or listener.load_balancer_id in balancers
        if not protocol or listener.protocol == protocol
        if "SecSensorEnabled" not in asked or listener.sec_sensor == asked.flag("SecSensorEnabled")
        if tagged_as_asked(asked, listener.tags)
    ]
    page, fields = by_token(asked, found)
    shown = [{**_shown(call, one), "Tags": key_value(one.tags)} for one in page]
    return {"Listeners": shown, **fields}


def get_listener_health_status(call: Call) -> Json:
    listener = _listener_of(call)
    group = call.account.server_groups[listener.server_group_id]
    checked = call.health(listener.id)
    status = {
        "ListenerId": listener.id,
        "ListenerPort": listener.port,
        "ListenerProtocol": listener.protocol,
        "ServerGroupInfos": [
            {
                # The vendor's own spelling.
                "HeathCheckEnabled": group.health_check.enabled,
                "NonNormalServers": [
                    {
                        "Port": member.port,
                        **({"Reason": {"ReasonCode": reason}} if reason else {}),
                        "ServerId": member.server_id,
                        "ServerIp": member.address,
                        "Status": health,
                    }
                    for member in group.members
                    for health, reason in [_health(group, member, checked.get(member.server_id))]
                    if health != "Normal"
                ],
                "ServerGroupId": group.id,
            }
        ],
    }
    page, fields = by_token(call.parameters, [status])
    return {"ListenerHealthStatus": list(page), **fields}


def list_listener_certificates(call: Call) -> Json:
    asked, listener = call.parameters, _listener_of(call)
    kind = asked.text("CertType", among=("Ca", "Server"))
    wanted = asked.texts("CertificateIds", 20)
    status = "Associating" if listener.change else "Associated"
    found = [
        {
            "CertificateId": identifier,
            "CertificateType": certificate_type,
            "IsDefault": True,
            "Status": status,
        }
        for certificate_type, identifiers in (
            ("Server", listener.certificate_ids),
            ("Ca", listener.ca_certificate_ids),
        )
        if not kind or certificate_type == kind
        for identifier in identifiers
        if not wanted or identifier in wanted
    ]
    page, fields = by_token(asked, found, most=50)
    return {
        "CertificateIds": [one["CertificateId"] for one in page],
        "Certificates": list(page),
        **fields,
    }


def list_system_security_policy(_: Call) -> Json:
    return {
        "SecurityPolicies": [
            {
                "Ciphers": ",".join(policy.ciphers),
                "SecurityPolicyId": policy.id,
                "SecurityPolicyName": policy.id,
                "TlsVersion": ",".join(policy.tls_versions),
            }
            for policy in POLICIES.values()
        ]
    }


def list_security_policy(call: Call) -> Json:
    """Custom policies: nobody can make one here, so there are none."""
    _, fields = by_token(call.parameters, ())
    return {"SecurityPolicies": [], **fields}


def _listener_of(call: Call) -> Listener:
    found = call.account.listeners.get(call.parameters.needed("ListenerId"))
    if found is None:
        raise resource_not_found("listener")
    return found


def _free_listener(call: Call) -> Listener:
    listener = _listener_of(call)
    if listener.change:
        raise incorrect_status("listener", listener.id)
    balancer = call.account.load_balancers[listener.load_balancer_id]
    if balancer.status != "Active":
        raise incorrect_status("loadbalancer", balancer.id)
    _check_lock(call.account, listener)
    return listener


def _switched(
    call: Call, before: _Settled, after: _Settled, meanwhile: str
) -> tuple[Json, Account]:
    listener = _free_listener(call)
    if listener.status != before:
        raise incorrect_status("listener", listener.id)
    reply, account = _changing(call, replace(listener, settled=after), meanwhile)
    return {"JobId": reply["JobId"]}, account


def _changing(
    call: Call, listener: Listener, status: str, *, removes: bool = False
) -> tuple[Json, Account]:
    until = call.through_at(call.timing.listener_s)
    listener = replace(listener, change=Change(status, until, removes))
    listeners = {**call.account.listeners, listener.id: listener}
    job_id, account = jobs.started(replace(call.account, listeners=listeners), until)
    return {"ListenerId": listener.id, "JobId": job_id}, account


def _settled(asked: Parameters, known: Listener) -> Listener:
    """The listener with what a call says; what it leaves out stays."""
    description = asked.text("ListenerDescription", known.description)
    if description and not _DESCRIPTION.fullmatch(description):
        raise asked.illegal("ListenerDescription")
    proxy = known.proxy_protocol_v2
    if "ProxyProtocolV2Config" in asked:
        config = asked.json("ProxyProtocolV2Config", {})
        proxy = tuple(name for name in _PROXY_FIELDS if config.get(name) is True)
    return replace(
        known,
        server_group_id=asked.text("ServerGroupId", known.server_group_id),
        certificate_ids=asked.texts("CertificateIds", 20) or known.certificate_ids,
        ca_enabled=asked.flag("CaEnabled", known.ca_enabled),
        ca_certificate_ids=asked.texts("CaCertificateIds", 20) or known.ca_certificate_ids,
        security_policy_id=asked.text("SecurityPolicyId") or known.security_policy_id,
        idle_timeout_s=asked.number("IdleTimeout", known.idle_timeout_s, 10, 900),
        description=description,
        proxy_protocol=asked.flag("ProxyProtocolEnabled", known.proxy_protocol),
        proxy_protocol_v2=proxy,
        alpn=asked.flag("AlpnEnabled", known.alpn),
        alpn_policy=asked.text("AlpnPolicy", known.alpn_policy, among=_ALPN),
        cps=asked.number("Cps", known.cps, 0, 1_000_000),
        mss=asked.number("Mss", known.mss, 0, 1500),
        sec_sensor=asked.flag("SecSensorEnabled", known.sec_sensor),
    )


def _check(call: Call, listener: Listener) -> None:
    """Raise `ApiError` unless server group, certificates and policy fit the listener."""
    group = call.account.server_groups.get(listener.server_group_id)
    if group is None:
        raise resource_not_found("serverGroup")
    balancer = call.account.load_balancers[listener.load_balancer_id]
    if group.vpc_id != balancer.vpc_id:
        raise mismatch("VpcId", "loadbalancer", "servergroup")
    if group.protocol not in _FITTING_GROUPS[listener.protocol]:
        raise mismatch("Protocol", "listener", "servergroup")
    if group.status != "Available":
        raise incorrect_status("serverGroup", group.id)
    if listener.protocol == "TCPSSL":
        if group.preserve_client_ip:
            raise preserves_client_ip()
        _check_tls(call, listener)


def _check_tls(call: Call, listener: Listener) -> None:
    if not listener.certificate_ids:
        raise ApiError("MissingParam.Certificate", "The param of Certificate is missing.")
    if listener.ca_enabled and not listener.ca_certificate_ids:
        raise ApiError("MissingParam.CaCertificate", "The param of CaCertificate is missing.")
    if len(listener.certificate_ids) > 1 or len(listener.ca_certificate_ids) > 1:
        raise ApiError(
            "IllegalParamSize.certificateIds", "The size of certificateIds is illegal: 1 at most."
        )
    if not _known_certificate(call, listener.certificate_ids[0]):
        raise ApiError(
            "ResourceNotFound.Certificate", "The specified resource of Certificate is not found."
        )
    if listener.ca_certificate_ids and not _known_ca(call, listener.ca_certificate_ids[0]):
        raise resource_not_found("CaCertificate")
    if listener.security_policy_id not in POLICIES:
        raise resource_not_found("securitypolicy")
    if listener.alpn and not listener.alpn_policy:
        raise ApiError("MissingParam.AlpnPolicy", "The param of AlpnPolicy is missing.")


def _known_certificate(call: Call, identifier: str) -> bool:
    return any(
        certificate_identifier(call.account, known.id) == identifier
        and not _still_spreading(call, known.since if known.uploaded else 0)
        for known in call.account.certificates.values()
    )


def _known_ca(call: Call, identifier: str) -> bool:
    if (authority := call.authorities.get(identifier)) is not None:
        return authority.status == "ISSUE"
    uploaded = call.account.repository_certificates.get(identifier)
    return uploaded is not None and uploaded.is_ca and not _still_spreading(call, uploaded.since)


def _still_spreading(call: Call, since: float) -> bool:
    """Whether the balancer has not heard yet of what was uploaded at `since`."""
    return call.faults.on("certificate-not-found-yet") and call.now < since + call.timing.spread_s


def _check_port(call: Call, new: Listener) -> None:
    own = [
        listener
        for listener in call.account.listeners.values()
        if listener.load_balancer_id == new.load_balancer_id
    ]
    for listener in own:
        if listener.port == new.port and (listener.protocol == "UDP") == (new.protocol == "UDP"):
            raise ApiError(
                "Conflict.Port", f"The listener port {new.port} conflicts with another listener."
            )
    if len(own) >= _MOST_LISTENERS:
        raise ApiError(
            "QuotaExceeded.QuotaInsufficient",
            "The quota of nlb_quota_loadbalancer_listeners_num is insufficient:"
            f" used {len(own)} of {_MOST_LISTENERS}.",
        )


def _check_lock(account: Account, listener: Listener) -> None:
    """One change of a balancer's listeners at a time; clients are expected to wait."""
    for other in account.listeners.values():
        if other.load_balancer_id == listener.load_balancer_id and other.change:
            raise locked(listener.load_balancer_id)


def _health(group: ServerGroup, member: Member, checked: tuple[str, str] | None) -> tuple[str, str]:
    """A server's status and ReasonCode, or `Normal`, which the API leaves out."""
    if member.weight == 0:
        return "Unused", ""
    if not group.health_check.enabled:
        return "Unavailable", ""
    return checked or ("Normal", "")


def _shown(call: Call, listener: Listener) -> Json:
    return {
        "AlpnEnabled": listener.alpn,
        "AlpnPolicy": listener.alpn_policy,
        "CaCertificateIds": list(listener.ca_certificate_ids),
        "CaEnabled": listener.ca_enabled,
        "CertificateIds": list(listener.certificate_ids),
        "Cps": listener.cps,
        "EndPort": "",
        "IdleTimeout": listener.idle_timeout_s,
        "ListenerDescription": listener.description,
        "ListenerId": listener.id,
        "ListenerPort": listener.port,
        "ListenerProtocol": listener.protocol,
        "ListenerStatus": listener.status,
        "LoadBalancerId": listener.load_balancer_id,
        "Mss": listener.mss,
        "ProxyProtocolEnabled": listener.proxy_protocol or call.faults.on("proxy-header"),
        "ProxyProtocolV2Config": {
            name: name in listener.proxy_protocol_v2 for name in _PROXY_FIELDS
        },
        "RegionId": call.account.region,
        "SecSensorEnabled": listener.sec_sensor,
        "SecurityPolicyId": listener.security_policy_id,
        "ServerGroupId": listener.server_group_id,
        "StartPort": "",
    }
