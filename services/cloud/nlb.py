"""Network Load Balancer, API version 2022-04-30."""

from __future__ import annotations

import time
from collections.abc import Sequence

from services.cloud.answer import Answer
from services.cloud.api import Api
from services.cloud.equivalent import Parameters, Value
from services.cloud.errors import PRODUCTS
from services.cloud.jobs import wait_until
from services.cloud.pages import by_token
from services.cloud.port import (
    Listener,
    ListenerSettings,
    LoadBalancer,
    SecurityPolicy,
    Server,
    ServerGroup,
    ServerHealth,
    Zone,
)
from services.problem import Problem
from services.stop import Stop

_SERVERS_AT_ONCE = 200
"""AddServersToServerGroup takes no more."""


class AlibabaNlb:
    """`services.cloud.port.Nlb` over the vendor's API."""

    def __init__(self, api: Api, region: str) -> None:
        self._api = api
        self._region = region

    def load_balancers(self, stop: Stop) -> Sequence[LoadBalancer]:
        return [
            _load_balancer(found)
            for page in by_token(self._api, "nlb", "ListLoadBalancers", self._with_region(), stop)
            for found in page.items("LoadBalancers")
        ]

    def load_balancer(self, balancer_id: str, stop: Stop) -> LoadBalancer:
        asked = self._with_region(LoadBalancerId=balancer_id)
        return _load_balancer(self._api.call("nlb", "GetLoadBalancerAttribute", asked, stop))

    def server_groups(self, stop: Stop, vpc_id: str = "") -> Sequence[ServerGroup]:
        asked = self._with_region(VpcId=vpc_id) if vpc_id else self._with_region()
        return self._server_groups(asked, stop)

    def server_group(self, group_id: str, stop: Stop) -> ServerGroup:
        if found := self._find_server_group(group_id, stop):
            return found
        raise self._absent(group_id, "ListServerGroups")

    def create_server_group(
        self, name: str, vpc_id: str, token: str, stop: Stop, tags: Sequence[tuple[str, str]] = ()
    ) -> str:
        asked = self._with_region(
            ServerGroupName=name,
            VpcId=vpc_id,
            Protocol="TCP",
            ServerGroupType="Instance",
            # The vendor's default is true, which a TCPSSL listener refuses.
            PreserveClientIpEnabled=False,
            ClientToken=token,
            **_tags(tags),
        )
        answer = self._api.call("nlb", "CreateServerGroup", asked, stop)
        group_id = answer.required("ServerGroupId")
        self._wait_for_group(group_id, answer, stop)
        return group_id

    def set_client_ip_preservation(self, group_id: str, on: bool, token: str, stop: Stop) -> None:
        asked = self._with_region(
            ServerGroupId=group_id, PreserveClientIpEnabled=on, ClientToken=token
        )
        answer = self._api.call("nlb", "UpdateServerGroupAttribute", asked, stop)
        self._wait_for_group(group_id, answer, stop, preserve=on)

    def delete_server_group(self, group_id: str, token: str, stop: Stop) -> None:
        asked = self._with_region(ServerGroupId=group_id, ClientToken=token)
        answer = self._delete("DeleteServerGroup", asked, stop)
        if answer is not None:

            def missing() -> str:
                group = self._find_server_group(group_id, stop)
                return group.status or "still there" if group else ""

            wait_until(self._api, group_id, answer.text("JobId"), missing, stop)

    def servers(self, group_id: str, stop: Stop) -> Sequence[Server]:
        asked = self._with_region(ServerGroupId=group_id)
        return [
            _server(found)
            for page in by_token(self._api, "nlb", "ListServerGroupServers", asked, stop)
            for found in page.items("Servers")
        ]

    def add_servers(self, group_id: str, servers: Sequence[Server], token: str, stop: Stop) -> None:
        for number, some in enumerate(_batches(servers)):
            asked = self._with_region(
                ServerGroupId=group_id,
                Servers=[_member(server) | {"Weight": server.weight} for server in some],
                ClientToken=_numbered(token, number),
            )
            answer = self._api.call("nlb", "AddServersToServerGroup", asked, stop)
            wanted = {(server.id, server.port) for server in some}

            def missing(wanted: set[tuple[str, int]] = wanted) -> str:
                there = {
                    (server.id, server.port): server.status
                    for server in self.servers(group_id, stop)
                }
                return ", ".join(
                    f"{key[0]} {there.get(key, 'absent')}"
                    for key in sorted(wanted)
                    if there.get(key, "absent").lower() != "available"
                )

            wait_until(self._api, group_id, answer.text("JobId"), missing, stop)

    def remove_servers(
        self, group_id: str, servers: Sequence[Server], token: str, stop: Stop
    ) -> None:
        for number, some in enumerate(_batches(servers)):
            asked = self._with_region(
                ServerGroupId=group_id,
                Servers=[_member(server) for server in some],
                ClientToken=_numbered(token, number),
            )
            answer = self._delete("RemoveServersFromServerGroup", asked, stop)
            if answer is None:
                continue
            gone = {(server.id, server.port) for server in some}

            def missing(gone: set[tuple[str, int]] = gone) -> str:
                there = {(server.id, server.port) for server in self.servers(group_id, stop)}
                return ", ".join(f"{key[0]} still there" for key in sorted(gone & there))

            wait_until(self._api, group_id, answer.text("JobId"), missing, stop)

    def listeners(self, balancer_id: str, stop: Stop) -> Sequence[Listener]:
        asked = self._with_region(LoadBalancerIds=[balancer_id])
        return [
            _listener(found)
            for page in by_token(self._api, "nlb", "ListListeners", asked, stop)
            for found in page.items("Listeners")
        ]

    def listener(self, listener_id: str, stop: Stop) -> Listener | None:
        asked = self._with_region(ListenerId=listener_id)
        try:
            return _listener(self._api.call("nlb", "GetListenerAttribute", asked, stop))
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise
            return None

    def create_listener(
        self,
        balancer_id: str,
        settings: ListenerSettings,
        token: str,
        stop: Stop,
        tags: Sequence[tuple[str, str]] = (),
    ) -> str:
        asked = self._with_region(
            LoadBalancerId=balancer_id,
            ListenerProtocol="TCPSSL",
            ListenerPort=settings.port,
            **_settings(settings),
            ClientToken=token,
            **_tags(tags),
        )
        answer = self._call_with_certificates("CreateListener", asked, settings, stop)
        listener_id = answer.required("ListenerId")
        self._wait_for_listener(listener_id, answer, stop)
        return listener_id

    def update_listener(
        self, listener_id: str, settings: ListenerSettings, token: str, stop: Stop
    ) -> None:
        found = self.listener(listener_id, stop)
        if found is None:
            raise self._absent(listener_id, "GetListenerAttribute")
        # Only what differs: a certificate that is attached already is refused.
        wanted, there = _settings(settings), _settings(found.settings)
        changed = {name: part for name, part in wanted.items() if there.get(name) != part}
        if not changed:
            return
        asked = self._with_region(ListenerId=listener_id, **changed, ClientToken=token)
        answer = self._call_with_certificates("UpdateListenerAttribute", asked, settings, stop)
        self._wait_for_listener(listener_id, answer, stop)

    def delete_listener(self, listener_id: str, token: str, stop: Stop) -> None:
        asked = self._with_region(ListenerId=listener_id, ClientToken=token)
        answer = self._delete("DeleteListener", asked, stop)
        if answer is not None:

            def missing() -> str:
                found = self.listener(listener_id, stop)
                gone = found is None or found.status.lower() == "deleted"
                return "" if gone or found is None else found.status or "still there"

            wait_until(self._api, listener_id, answer.text("JobId"), missing, stop)

    def health(self, listener_id: str, stop: Stop) -> Sequence[ServerHealth]:
        asked = self._with_region(ListenerId=listener_id)
        answer = self._api.call("nlb", "GetListenerHealthStatus", asked, stop)
        groups = [
            group
            for listener in answer.items("ListenerHealthStatus")
            for group in listener.items("ServerGroupInfos")
        ]
        abnormal = {
            (server.text("ServerId"), server.number("Port")): (
                server.text("Status") or "Unhealthy",
                server.item("Reason").text("ReasonCode"),
            )
            for group in groups
            for server in group.items("NonNormalServers")
        }
        group_ids = {group.text("ServerGroupId") for group in groups} - {""}
        if not group_ids:
            listener = self.listener(listener_id, stop)
            group_ids = {listener.settings.server_group_id} - {""} if listener else set()
        return [
            _health(server, abnormal.get((server.id, server.port)))
            for group_id in sorted(group_ids)
            for server in self.servers(group_id, stop)
        ]

    def security_policies(self, stop: Stop) -> Sequence[SecurityPolicy]:
        """The system policies; those that the vendor documents if the list is forbidden."""
        try:
            answer = self._api.call("nlb", "ListSystemSecurityPolicy", self._with_region(), stop)
        except Problem as problem:
            if problem.code != "cloud.forbidden":
                raise
            return DOCUMENTED_POLICIES
        return [
            SecurityPolicy(
                id=found.required("SecurityPolicyId"),
                tls_versions=found.words("TlsVersion"),
                ciphers=found.words("Ciphers"),
            )
            for found in answer.items("SecurityPolicies")
        ]

    def _with_region(self, **parameters: Value) -> dict[str, Value]:
        return {"RegionId": self._region, **parameters}

    def _absent(self, subject: str, action: str) -> Problem:
        return Problem(
            "cloud.not-found",
            f"{action} knows no {subject} in {self._region}",
            subject=subject,
            region=self._region,
            product=PRODUCTS["nlb"],
        )

    def _server_groups(self, asked: Parameters, stop: Stop) -> list[ServerGroup]:
        return [
            _server_group(found)
            for page in by_token(self._api, "nlb", "ListServerGroups", asked, stop)
            for found in page.items("ServerGroups")
        ]

    def _find_server_group(self, group_id: str, stop: Stop) -> ServerGroup | None:
        """There is no action that gets one."""
        found = self._server_groups(self._with_region(ServerGroupIds=[group_id]), stop)
        return next((group for group in found if group.id == group_id), None)

    def _wait_for_group(
        self, group_id: str, answer: Answer, stop: Stop, preserve: bool = False
    ) -> None:
        def missing() -> str:
            group = self._find_server_group(group_id, stop)
            if group is None:
                return "not listed yet"
            if group.status.lower() != "available":
                return group.status
            return "" if group.preserve_client_ip is preserve else "client-IP preservation unset"

        wait_until(self._api, group_id, answer.text("JobId"), missing, stop)

    def _wait_for_listener(self, listener_id: str, answer: Answer, stop: Stop) -> None:
        def missing() -> str:
            found = self.listener(listener_id, stop)
            status = found.status if found else "not listed yet"
            return "" if status.lower() == "running" else status

        wait_until(self._api, listener_id, answer.text("JobId"), missing, stop)

    def _delete(self, action: str, asked: Parameters, stop: Stop) -> Answer | None:
        """None if there was nothing left to delete.

        "In use" is repeated for a while: a group stays in use for seconds after its listener went.
        """
        try:
            late = {"cloud.in-use": self._api.pace.fresh_s}
            return self._api.call("nlb", action, asked, stop, also_retry=late)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise
            return None

    def _call_with_certificates(
        self, action: str, asked: Parameters, settings: ListenerSettings, stop: Stop
    ) -> Answer:
        """The balancer learns of an upload late: "not found" is believed only after a minute."""
        used = {
            "cloud.certificate-not-found": settings.certificate_id,
            "cloud.ca-not-found": settings.ca_certificate_id,
        }
        uploaded = self._api.uploaded
        fresh_until = {
            code: uploaded[name] + self._api.pace.fresh_s - time.monotonic()
            for code, name in used.items()
            if name in uploaded
        }
        return self._api.call("nlb", action, asked, stop, also_retry=fresh_until)


def _load_balancer(found: Answer) -> LoadBalancer:
    return LoadBalancer(
        id=found.required("LoadBalancerId"),
        name=found.text("LoadBalancerName"),
        dns_name=found.text("DNSName"),
        status=found.text("LoadBalancerStatus"),
        vpc_id=found.text("VpcId"),
        address_type=found.text("AddressType"),
        zones=tuple(_zone(zone) for zone in found.items("ZoneMappings")),
        cross_zone=found.flag("CrossZoneEnabled", absent=True),
    )


def _zone(found: Answer) -> Zone:
    addresses = found.items("LoadBalancerAddresses")

    def first(name: str) -> str:
        return next((text for address in addresses if (text := address.text(name))), "")

    return Zone(
        zone_id=found.text("ZoneId"),
        vswitch_id=found.text("VSwitchId"),
        public_address=first("PublicIPv4Address"),
        private_address=first("PrivateIPv4Address"),
        local_addresses=tuple(
            local for address in addresses for local in address.texts("Ipv4LocalAddresses")
        ),
    )


def _server_group(found: Answer) -> ServerGroup:
    return ServerGroup(
        id=found.required("ServerGroupId"),
        name=found.text("ServerGroupName"),
        protocol=found.text("Protocol"),
        status=found.text("ServerGroupStatus"),
        vpc_id=found.text("VpcId"),
        preserve_client_ip=found.flag("PreserveClientIpEnabled", absent=True),
        server_count=found.number("ServerCount"),
        scheduler=found.text("Scheduler"),
        health_check=found.item("HealthCheck").flag("HealthCheckEnabled", absent=True),
        tags=found.tags(),
    )


def _server(found: Answer) -> Server:
    weight = found.optional_number("Weight")
    return Server(
        id=found.required("ServerId"),
        type=found.text("ServerType"),
        port=found.number("Port"),
        weight=100 if weight is None else weight,
        status=found.text("Status"),
        address=found.text("ServerIp"),
        description=found.text("Description"),
    )


def _listener(found: Answer) -> Listener:
    certificates, cas = found.texts("CertificateIds"), found.texts("CaCertificateIds")
    timeout = found.optional_number("IdleTimeout")
    return Listener(
        id=found.required("ListenerId"),
        balancer_id=found.text("LoadBalancerId"),
        protocol=found.text("ListenerProtocol"),
        status=found.text("ListenerStatus"),
        settings=ListenerSettings(
            port=found.number("ListenerPort"),
            server_group_id=found.text("ServerGroupId"),
            certificate_id=certificates[0] if certificates else "",
            ca_certificate_id=cas[0] if cas else "",
            security_policy_id=found.text("SecurityPolicyId"),
            name=found.text("ListenerDescription"),
            mutual=found.flag("CaEnabled"),
            idle_timeout_s=900 if timeout is None else timeout,
        ),
        tags=found.tags(),
        proxy_protocol=found.flag("ProxyProtocolEnabled"),
    )


def _health(server: Server, abnormal: tuple[str, str] | None) -> ServerHealth:
    if abnormal is not None:
        return ServerHealth(server, *abnormal)
    if server.status and server.status.lower() != "available":
        return ServerHealth(server, server.status)
    # A member of weight 0 gets no traffic; older answers name it Unused, newer ones leave it out.
    return ServerHealth(server, "Normal" if server.weight else "Unused")


def _settings(settings: ListenerSettings) -> dict[str, Value]:
    """What create and update have in common."""
    asked: dict[str, Value] = {
        "ServerGroupId": settings.server_group_id,
        "CertificateIds": [settings.certificate_id],
        "CaEnabled": settings.mutual,
        "SecurityPolicyId": settings.security_policy_id,
        "IdleTimeout": settings.idle_timeout_s,
    }
    if settings.mutual:
        asked["CaCertificateIds"] = [settings.ca_certificate_id]
    if settings.name:
        asked["ListenerDescription"] = settings.name
    return asked


def _member(server: Server) -> dict[str, Value]:
    return {"ServerId": server.id, "ServerType": server.type, "Port": server.port}


def _tags(tags: Sequence[tuple[str, str]]) -> dict[str, Value]:
    return {"Tag": [{"Key": key, "Value": value} for key, value in tags]} if tags else {}


def _batches(servers: Sequence[Server]) -> Sequence[Sequence[Server]]:
    return [
        servers[start : start + _SERVERS_AT_ONCE]
        for start in range(0, len(servers), _SERVERS_AT_ONCE)
    ]


def _numbered(token: str, number: int) -> str:
    """A ClientToken stands for one set of parameters, so each batch needs its own."""
    return f"{token}-{number}" if number else token


_AEAD_AND_CBC = tuple(
    f"ECDHE-{kind}-{suite}"
    for kind in ("ECDSA", "RSA")
    for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA384")
)
_STATIC_RSA = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA256")
_SHA1 = tuple(
    f"ECDHE-{kind}-{suite}" for kind in ("ECDSA", "RSA") for suite in ("AES128-SHA", "AES256-SHA")
)
_OLD = ("AES128-SHA", "AES256-SHA", "DES-CBC3-SHA")
_TLS13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
_WIDE, _STRICT = _AEAD_AND_CBC + _STATIC_RSA + _SHA1 + _OLD, _AEAD_AND_CBC + _SHA1

DOCUMENTED_POLICIES = (
    SecurityPolicy("tls_cipher_policy_1_0", ("TLSv1.0", "TLSv1.1", "TLSv1.2"), _WIDE),
    SecurityPolicy("tls_cipher_policy_1_1", ("TLSv1.1", "TLSv1.2"), _WIDE),
    SecurityPolicy("tls_cipher_policy_1_2", ("TLSv1.2",), _WIDE),
    SecurityPolicy("tls_cipher_policy_1_2_strict", ("TLSv1.2",), _STRICT),
    SecurityPolicy(
        "tls_cipher_policy_1_2_strict_with_1_3", ("TLSv1.2", "TLSv1.3"), _STRICT + _TLS13
    ),
)
"""The system policies of NLB's documentation, weakest first."""
