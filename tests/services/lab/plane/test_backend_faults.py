"""What ECS02's web server answers with each fault, judged by curl: directly, and on the host."""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.lab.faults import Faults
from services.lab.hosts.plane import HostPlane, HostSpec
from tests.programs import program
from tests.services.lab.plane.certificates import NAME
from tests.services.lab.plane.conftest import Plane, until

OWN = "Hello World ! This is ECS02.\n"


@dataclass(frozen=True)
class Case:
    """How curl ends with a fault, the status that it has seen, and what there is to read."""

    fault: str
    exit_code: int
    status: str
    text: str = ""
    size: range = range(1 << 30)
    logged: int = 1
    """Lines in the access log a request."""


CASES = (
    Case("backend-another-page", 0, "200", "Welcome to nginx!"),
    Case("backend-cut", 18, "200", OWN),
    Case("backend-drips", 28, "200", size=range(1, 5)),
    Case("backend-empty", 0, "200", size=range(1)),
    Case("backend-error", 0, "500", "500 Internal Server Error"),
    Case("backend-floods", 28, "200", "Hello", size=range(1 << 17, 1 << 30)),
    Case("backend-garbage", 1, "000", size=range(1), logged=0),
    Case("backend-hangs", 28, "000", size=range(1)),
    Case("backend-redirects", 0, "301", "301 Moved Permanently"),
    Case("backend-slow", 0, "200", OWN),
)
of_each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
WRITTEN = "\\n%{http_code} %{size_download}"


@pytest.fixture(scope="module", autouse=True)
def _serving(plane: Plane) -> None:
    plane.serve_pages()
    plane.apply(plane.listener())
    plane.until_normal()


def judge(case: Case, exit_code: int, said: str) -> None:
    text, _, numbers = said.rpartition("\n")
    status, size = numbers.split()
    assert (exit_code, status) == (case.exit_code, case.status)
    assert case.text in text
    assert int(size) in case.size


def patience(case: Case) -> str:
    return "0.4" if case.exit_code == 28 else "5"


def log(plane: Plane, agent: str) -> list[str]:
    """ECS02's lines about one client; others may come late."""
    lines = plane.host("ECS02").files.read("/var/log/nginx/access.log").decode().splitlines()
    return [line for line in lines if line.endswith(f'"{agent}"')]


@of_each
def test_direct_request(plane: Plane, case: Case) -> None:
    plane.faults.add(case.fault)
    address, port = plane.host("ECS02").web_address
    ran = subprocess.run(
        [
            program("curl"), "-s", "-m", patience(case), "-w", WRITTEN, "-A", case.fault,
            f"http://{address}:{port}/",
        ],
        capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    judge(case, ran.returncode, ran.stdout.decode("latin-1"))
    until(lambda: len(log(plane, case.fault)) == case.logged)


@of_each
def test_request_on_the_host_itself(plane: Plane, case: Case) -> None:
    plane.faults.add(case.fault)
    ran = plane.run("ECS02", f"curl -s -m {patience(case)} -w '{WRITTEN}' http://127.0.0.1/")
    judge(case, ran.status, ran.stdout.decode("latin-1"))


@of_each
def test_only_one_backend_is_struck(plane: Plane, case: Case) -> None:
    plane.faults.add(case.fault)
    ran = plane.run("ECS01", "curl -s -m 5 http://127.0.0.1/")
    assert ran.stdout == b"Hello World ! This is ECS01.\n"


@of_each
def test_client_of_the_balancer_sees_it_in_every_second_answer(plane: Plane, case: Case) -> None:
    plane.faults.add(case.fault)
    client = plane.pki.client
    codes = [
        subprocess.run(
            [
                program("curl"), "-s", "-m", patience(case), "-o", "/dev/null",
                "--connect-to", f"{NAME}:443:127.0.0.1:{plane.port}",
                "--cacert", str(plane.pki.ca.certificate_file),
                "--cert", str(client.certificate_file), "--key", str(client.key_file),
                f"https://{NAME}/",
            ],
            capture_output=True, check=False, timeout=20,
        ).returncode
        for _ in range(2)
    ]  # fmt: skip
    assert sorted(codes) == sorted([0, case.exit_code])
    assert not plane.balancer.health(443)


@pytest.mark.parametrize(("backends", "faulty"), [(1, "i-1"), (2, "i-2"), (3, "i-2")])
def test_the_only_backend_is_struck_where_there_is_no_second(
    tmp_path: Path, backends: int, faulty: str
) -> None:
    specs = [HostSpec(f"ECS0{n}", f"i-{n}", backend=n <= backends) for n in (1, 2, 3, 4)]
    hosts = HostPlane(tmp_path, specs, faults=Faults(), resolve=lambda name, port: None)
    assert [spec.instance_id for spec in specs if hosts.is_faulty(spec.instance_id)] == [faulty]
    asyncio.run(hosts.close())


def test_redirect_leads_to_https_on_the_same_host(plane: Plane) -> None:
    plane.faults.add("backend-redirects")
    connection = http.client.HTTPConnection(*plane.host("ECS02").web_address, timeout=5)
    connection.request("GET", "/shop?x=1", headers={"Host": "www.example.com:80"})
    answer = connection.getresponse()
    assert answer.getheader("Location") == "https://www.example.com/shop?x=1"
    connection.close()


def test_default_page_knows_no_other_paths(plane: Plane) -> None:
    plane.faults.add("backend-another-page")
    ran = plane.run("ECS02", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/index.htm")
    assert ran.stdout == b"404"


def test_flood_ends_with_its_reader_and_says_in_the_log_how_much_went_out(plane: Plane) -> None:
    plane.faults.add("backend-floods")
    connection = http.client.HTTPConnection(*plane.host("ECS02").web_address, timeout=5)
    connection.request("GET", "/", headers={"User-Agent": "reader"})
    with connection.getresponse() as answer:
        read = len(answer.read(100_000))
    connection.close()
    until(lambda: len(log(plane, "reader")) == 1)
    request, sent = log(plane, "reader")[0].split('"')[1:3]
    assert (request, sent.split()[0]) == ("GET / HTTP/1.1", "200")
    assert int(sent.split()[1]) >= read


def test_clock_is_an_hour_ahead_on_every_host(plane: Plane) -> None:
    def skews() -> list[float]:
        found = []
        for name in ("ECS01", "ECS02"):
            connection = http.client.HTTPConnection(*plane.host(name).web_address, timeout=5)
            connection.request("GET", "/")
            date = connection.getresponse().getheader("Date") or ""
            found.append(email.utils.parsedate_to_datetime(date).timestamp() - time.time())
            connection.close()
        ran = plane.run("ECS03", "date +%s")
        return [*found, int(ran.stdout) - time.time()]

    assert all(abs(skew) < 5 for skew in skews())
    plane.faults.add("clock-skew")
    assert all(abs(skew - 3600) < 5 for skew in skews())
    plane.faults.discard("clock-skew")
    assert all(abs(skew) < 5 for skew in skews())
