"""The lab as a whole: its cloud, balancer, hosts and names, joined, while faults are switched."""

from __future__ import annotations

import email.utils
import http.client
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.lab import lab as whole
from services.lab import scenario
from services.lab.balancer import health, relay
from services.lab.faults import Faults
from services.lab.names import names
from services.lab.state import x509
from tests.programs import program
from tests.services.lab.plane.conftest import LoopThread, until

REGION = "cn-hangzhou"
WEB = "TCP 80/80 Accept"


class Running:
    """A lab in a loop of its own; asked as others ask it: by HTTP, by the SDK, by curl."""

    def __init__(self, folder: Path, thread: LoopThread, *faults: str) -> None:
        self.folder = folder
        self._thread = thread
        self.lab: whole.Lab
        self._context: AbstractAsyncContextManager[None]
        thread.call(self._open(faults))
        self.ready = self.ask("GET", "/_lab")

    async def _open(self, faults: tuple[str, ...]) -> None:
        self.lab = whole.open_lab(self.folder, 2, faults)
        self._context = self.lab.running(0)
        await self._context.__aenter__()

    def close(self) -> None:
        self._thread.call(self._context.__aexit__(None, None, None))

    def ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection(self.lab.describe()["api"][7:], timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            assert answer.status == 200
            return json.loads(answer.read())
        finally:
            connection.close()

    def switch(self, fault: str, *, on: bool = True) -> None:
        self.ask("PUT" if on else "DELETE", f"/_lab/faults/{fault}")

    def client(self, module: str, **changes: Any) -> Any:
        from importlib import import_module

        from alibabacloud_tea_openapi.utils_models import Config

        settings = {
            "access_key_id": self.ready["access_key_id"],
            "access_key_secret": self.ready["access_key_secret"],
            "region_id": REGION,
            "protocol": "http",
            "endpoint": self.ready["api"].removeprefix("http://"),
        }
        client: Any = import_module(f"{module}.client")
        return client.Client(Config(**(settings | changes)))

    def curl(self, *options: str) -> subprocess.CompletedProcess[str]:
        domain = "www.example.com"
        return subprocess.run(
            [
                program("curl"), "-sS", "-m", "5", "--cacert", str(self.folder / "public-ca.crt"),
                "--connect-to", f"{domain}:443:{self.ready['connect']['443']}", *options,
                f"https://{domain}/",
            ],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip

    def run(self, name: str, script: str) -> str:
        return self.lab.hosts.hosts[name].run_script(script).stdout.decode()

    def abnormal(self) -> dict[str, tuple[str, str]]:
        """Status and reason by host, as the API tells them."""
        from alibabacloud_nlb20220430 import models as m

        (listener,) = self.lab.state.listeners()
        reply = self.client("alibabacloud_nlb20220430").get_listener_health_status(
            m.GetListenerHealthStatusRequest(listener_id=listener.id, region_id=REGION)
        )
        names = {host.instance_id: host.name for host in self.lab.hosts.hosts.values()}
        return {
            names[server.server_id]: (
                server.status,
                server.reason.reason_code if server.reason else "",
            )
            for status in reply.body.listener_health_status
            for group in status.server_group_infos
            for server in group.non_normal_servers
        }

    def security_group(self) -> list[str]:
        from alibabacloud_ecs20140526 import models as m

        (group_id,) = self.lab.state.account.security_groups
        request = m.DescribeSecurityGroupAttributeRequest(
            region_id=REGION, security_group_id=group_id, direction="ingress"
        )
        found = self.client("alibabacloud_ecs20140526").describe_security_group_attribute(request)
        return sorted(
            f"{one.ip_protocol} {one.port_range} {one.policy}"
            for one in found.body.permissions.permission
        )

    def change_rule(self, method: str, **changes: str) -> None:
        from alibabacloud_ecs20140526 import models as m

        (group_id,) = self.lab.state.account.security_groups
        model = "".join(part.capitalize() for part in method.split("_")) + "Request"
        rule = getattr(m, f"{model}Permissions")(
            **(
                {"ip_protocol": "TCP", "port_range": "80/80", "source_cidr_ip": "0.0.0.0/0"}
                | changes
            )
        )
        request = getattr(m, model)(
            region_id=REGION, security_group_id=group_id, permissions=[rule]
        )
        getattr(self.client("alibabacloud_ecs20140526"), method)(request)


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, thread: LoopThread) -> Iterator[Running]:
    """A lab whose backends serve, behind a listener with the purchased certificate."""
    from alibabacloud_nlb20220430 import models as m

    running = Running(tmp_path_factory.mktemp("lab"), thread)
    try:
        for name in ("ECS01", "ECS02"):
            page = f"echo 'Hello World ! This is {name}.' > /usr/share/nginx/html/index.html"
            running.run(name, f"yum install -y nginx && systemctl start nginx && {page}")
        certificate = next(iter(running.lab.state.account.certificates))
        running.client("alibabacloud_nlb20220430").create_listener(
            m.CreateListenerRequest(
                region_id=REGION,
                load_balancer_id=running.ready["load_balancer"]["id"],
                listener_protocol="TCPSSL",
                listener_port=443,
                server_group_id=running.ready["server_group"]["id"],
                certificate_ids=[f"{certificate}-cn-hangzhou"],
            )
        )
        yield running
    finally:
        running.close()


@pytest.fixture
def lab(shared: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The lab with all well, before and after."""
    monkeypatch.setattr(health, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(relay, "CONNECT_TIMEOUT_S", 0.3)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    until(lambda: not shared.abnormal())
    yield shared
    for fault in shared.lab.describe()["faults"]:
        shared.switch(fault, on=False)


def answers(lab: Running, count: int = 4) -> Counter[str]:
    return Counter(lab.curl().stdout[-7:-2] for _ in range(count))


def test_security_group_that_is_closed(lab: Running) -> None:
    assert WEB in lab.security_group()
    lab.switch("security-group-closed")
    assert lab.security_group() == ["TCP 22/22 Accept"]
    # Dropped, not refused: the client waits for as long as the balancer tries.
    began = time.monotonic()
    assert lab.curl().returncode == 56
    assert time.monotonic() - began >= 0.3
    timeout = ("Unhealthy", "CONNECT_TIMEOUT")
    until(lambda: lab.abnormal() == {"ECS01": timeout, "ECS02": timeout})
    assert "This is ECS01." in lab.run("ECS01", "curl -s http://127.0.0.1/")
    lab.switch("security-group-closed", on=False)
    assert WEB in lab.security_group()
    until(lambda: not lab.abnormal())
    assert answers(lab) == {"ECS01": 2, "ECS02": 2}


def test_a_new_rule_is_the_remedy_for_a_closed_security_group(lab: Running) -> None:
    before = lab.security_group()
    lab.switch("security-group-closed")
    until(lambda: len(lab.abnormal()) == 2)
    lab.change_rule("authorize_security_group")
    until(lambda: not lab.abnormal())
    lab.switch("clock-skew")
    assert lab.security_group() == ["TCP 22/22 Accept", WEB]
    lab.switch("security-group-closed", on=False)
    lab.change_rule("revoke_security_group")
    assert lab.security_group() == before


def test_a_rule_that_drops_keeps_the_balancer_out(lab: Running) -> None:
    local = lab.lab.state.account.load_balancers[lab.ready["load_balancer"]["id"]].zones[0]
    drop = {"source_cidr_ip": local.local_addresses[0], "policy": "drop", "priority": "1"}
    lab.change_rule("authorize_security_group", **drop)
    until(lambda: {reason for _, reason in lab.abnormal().values()} == {"CONNECT_TIMEOUT"})
    lab.change_rule("revoke_security_group", **drop)
    until(lambda: not lab.abnormal())


def test_closed_security_group_is_closed_from_the_start_and_open_again_without(
    tmp_path: Path, thread: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    for faults in (("security-group-closed",), ("security-group-closed",), ()):
        running = Running(tmp_path, thread, *faults)
        try:
            assert (WEB in running.security_group()) is not bool(faults)
        finally:
            running.close()


def test_health_check_that_fails_for_a_backend_that_serves(lab: Running) -> None:
    lab.switch("health-check-fails")
    until(lambda: lab.abnormal() == {"ECS02": ("Unhealthy", "CONNECT_FAILED")})
    assert answers(lab) == {"ECS01": 4}
    assert "This is ECS02." in lab.run("ECS02", "curl -s http://127.0.0.1/")
    lab.switch("health-check-fails", on=False)
    until(lambda: not lab.abnormal())
    assert answers(lab) == {"ECS01": 2, "ECS02": 2}


def test_health_is_checked_on_the_port_that_the_group_names(lab: Running) -> None:
    from alibabacloud_nlb20220430 import models as m

    def check_on(port: int) -> None:
        lab.client("alibabacloud_nlb20220430").update_server_group_attribute(
            m.UpdateServerGroupAttributeRequest(
                region_id=REGION,
                server_group_id=lab.ready["server_group"]["id"],
                health_check_config=m.UpdateServerGroupAttributeRequestHealthCheckConfig(
                    health_check_enabled=True, health_check_connect_port=port
                ),
            )
        )

    check_on(8080)
    until(lambda: set(lab.abnormal().values()) == {("Unhealthy", "CONNECT_FAILED")})
    check_on(0)
    until(lambda: not lab.abnormal())


def test_names(lab: Running) -> None:
    def seen() -> tuple[Any, str]:
        ran = lab.run("ECS03", "curl -s -m 5 -o /dev/null https://www.example.com/; echo $?")
        return lab.ask("GET", "/_lab")["names"].get("www.example.com"), ran.strip()

    balancer = lab.ready["names"][lab.ready["load_balancer"]["dns_name"]]
    zones = lab.lab.state.account.load_balancers[lab.ready["load_balancer"]["id"]].zones
    assert balancer == [zone.public_address for zone in zones]
    # 60: the purchased certificate's CA is unknown there; so it is the balancer that answers.
    assert seen() == (balancer, "60")
    lab.switch("name-not-resolving")
    assert seen() == (None, "6")
    lab.switch("name-not-resolving", on=False)
    lab.switch("name-points-elsewhere")
    assert seen() == (["203.0.113.99"], "7")
    assert lab.curl().returncode == 0


def test_domain_of_a_listeners_certificate_resolves(lab: Running) -> None:
    own = scenario.default().dns_name
    certificate, key = made_for("*.shop.example.org", "Shop.Example.Org", own)
    cloud = lab.lab.state.listeners()
    view = replace(cloud[0], certificate_pem=certificate, key_pem=key)
    faults = Faults()
    found = names(scenario.default(), [view], faults)
    domains = ["shop.example.org", "www.example.com", "www.shop.example.org"]
    assert sorted(found) == [own, *domains]
    assert len({tuple(addresses) for addresses in found.values()}) == 1
    faults.add("name-points-elsewhere")
    elsewhere = {name: ["203.0.113.99"] for name in domains}
    assert names(scenario.default(), [view], faults) == {own: found[own], **elsewhere}
    faults.add("name-not-resolving")
    assert names(scenario.default(), [view], faults) == {own: found[own]}


def made_for(*domains: str) -> tuple[str, str]:
    start = x509.moment(time.time())
    key = x509.new_key("ECC_256")
    ca = x509.issue_ca(x509.Subject("CA"), key, None, start, x509.years_after(start, 1), None)
    leaf = x509.issue_leaf(
        x509.Subject(domains[0]),
        x509.public_key_of(key),
        x509.Issuer(ca, key),
        start,
        x509.years_after(start, 1),
        "SERVER",
        [(2, domain) for domain in domains],
    )
    return leaf, key


def test_clock_of_the_api_is_an_hour_ahead_and_signatures_are_taken(lab: Running) -> None:
    def skew() -> float:
        connection = http.client.HTTPConnection(lab.ready["api"].removeprefix("http://"))
        connection.request("POST", "/?Action=DescribeRegions&Version=2014-05-26")
        date = connection.getresponse().getheader("Date") or ""
        connection.close()
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()

    assert abs(skew()) < 5
    lab.switch("clock-skew")
    assert abs(skew() - 3600) < 5
    assert lab.security_group()


def test_switching_is_answered_when_all_has_followed(lab: Running) -> None:
    for _ in range(3):
        lab.switch("backend-down")
        assert lab.run("ECS02", "curl -s http://127.0.0.1/; echo $?") == "7\n"
        lab.switch("backend-down", on=False)
        assert "This is ECS02." in lab.run("ECS02", "curl -s http://127.0.0.1/")
