"""curl and openssl on the lab's hosts: real requests with the files that lie there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.programs import program
from tests.services.lab.plane.certificates import NAME
from tests.services.lab.plane.conftest import Plane

URL = f"https://{NAME}/"
GOOD = "--cert client.crt --key client.key --cacert ca.crt"


@pytest.fixture(scope="module", autouse=True)
def _installed(plane: Plane) -> None:
    plane.serve_pages()
    plane.apply(plane.listener())
    plane.until_normal()
    files, pki = plane.host("ECS03").files, plane.pki
    files.make_dirs("/root/ca", 0o700)
    for name, content in {
        "ca.crt": pki.ca.certificate,
        "client.crt": pki.client.certificate,
        "client.key": pki.client.key,
        "stranger.crt": pki.stranger.certificate,
        "stranger.key": pki.stranger.key,
        "server.crt": pki.server.certificate,
    }.items():
        files.write(f"/root/ca/{name}", content.encode(), 0o600)


def run(plane: Plane, script: str) -> tuple[int, str, str]:
    ran = plane.run("ECS03", "cd /root/ca\n" + script)
    return ran.status, ran.stdout.decode(), ran.stderr.decode()


def test_the_tutorials_proof_works(plane: Plane) -> None:
    status, out, err = run(plane, f"for i in 1 2; do curl {GOOD} {URL}; done")
    assert (status, err) == (0, "")
    assert sorted(out.splitlines()) == [
        "Hello World ! This is ECS01.", "Hello World ! This is ECS02.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (f"--cacert ca.crt {URL}", 56, "alert certificate required"),
        (f"--cert stranger.crt --key stranger.key --cacert ca.crt {URL}", 56, "alert unknown ca"),
        (f"--cert client.crt --key client.key {URL}", 60, "SSL certificate problem"),
        (f"--cert client.crt --key stranger.key --cacert ca.crt {URL}", 58, "private key"),
        (f"--cert no.crt --key client.key --cacert ca.crt {URL}", 58, "no.crt"),
        (f"--cacert no.crt {URL}", 77, "CAfile: no.crt"),
        (f"{GOOD} https://unknown.example.com/", 6, "Could not resolve host: unknown.example.com"),
        (f"{GOOD} https://{NAME}:8443/", 7, f"Failed to connect to {NAME} port 8443"),
        (f"{GOOD} --resolve other.example.com:443:{NAME} https://other.example.com/", 60,
         "target host name 'other.example.com'"),
        (f"-f {GOOD} {URL}no", 22, "error: 404"),
        (f"{NAME}", 7, f"Failed to connect to {NAME} port 80"),
        (f"{GOOD} https://localhost/", 7, "localhost port 443"),
        (f"--tls-max 1.2 --tlsv1.3 {GOOD} {URL}", 35, ""),
        ("ftp://x/", 1, "ftp"),
        ("https:///", 3, "URL"),
        ("--frobnicate x", 2, "frobnicate"),
        ("", 2, "curl --help"),
    ],
)  # fmt: skip
def test_failure_has_curls_own_number(plane: Plane, options: str, status: int, text: str) -> None:
    found, out, err = run(plane, f"curl -sS {options}")
    assert (found, out) == (status, "")
    assert text in err
    assert err.startswith("curl: ")
    if status not in (2, 22):
        assert run(plane, f"curl -s {options}")[2] == ""


def test_plain_request_to_the_tls_port_gets_nothing(plane: Plane) -> None:
    status, out, err = run(plane, f"curl -sS http://{NAME}:443/")
    assert (status, out, "Empty reply" in err) == (52, "", True)


def test_time_is_limited(plane: Plane) -> None:
    plane.faults.add("stalled-handshake")
    status, _, err = run(plane, f"curl -sS -m 0.3 {GOOD} {URL}")
    assert (status, "SSL connection timeout after 3" in err) == (28, True)
    plane.faults.clear()
    plane.faults.add("backend-hangs")
    codes = [run(plane, f"curl -sS -m 0.3 {GOOD} {URL}") for _ in range(2)]
    assert sorted(code for code, _, _ in codes) == [0, 28]
    assert "Operation timed out after 3" in max(codes)[2]


def test_options_of_output(plane: Plane) -> None:
    status, out, err = run(
        plane, f"curl -s -o page -w '%{{http_code}} %{{size_download}}\\n' {GOOD} {URL}"
    )
    assert (status, out, err) == (0, "200 29\n", "")
    assert run(plane, "cat page")[1].startswith("Hello World")
    assert run(plane, f"curl -sI {GOOD} {URL}")[1].startswith("HTTP/1.1 200 OK\r\nServer: nginx")
    assert "\r\n\r\nHello" in run(plane, f"curl -si {GOOD} {URL}")[1]
    _, _, err = run(plane, f"curl -sv {GOOD} {URL}")
    assert "* SSL connection using TLSv1.3 / TLS_" in err
    assert "< HTTP/1.1 200 OK\n" in err
    assert (
        run(plane, f"curl -s {GOOD} -k https://{NAME}/ -o /dev/null -w '%{{http_code}}'")[1]
        == "200"
    )
    assert run(plane, "curl -s -w '%{http_code} %{exitcode}' http://x.example/")[1] == "000 6"


def test_redirects_are_followed_on_request(plane: Plane) -> None:
    for name in ("ECS01", "ECS02"):
        plane.run(name, "cd /usr/share/nginx/html; mkdir -p sub; echo below > sub/index.html")
    assert "301" in run(plane, f"curl -s {GOOD} {URL}sub")[1]
    assert run(plane, f"curl -sL {GOOD} {URL}sub")[1] == "below\n"


def test_hosts_own_files_only_are_used(plane: Plane, tmp_path: Path) -> None:
    outside = plane.pki.client
    options = f"--cert {outside.certificate_file} --key {outside.key_file} --cacert ca.crt"
    status, _, err = run(plane, f"curl -sS {options} {URL}")
    assert (status, "no such file" in err) == (58, True)
    run(plane, f"curl -s -o {tmp_path}/out http://{NAME}/")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    ["-subject", "-issuer", "-dates", "-enddate", "-serial", "-fingerprint -sha256",
     "-ext subjectAltName", "-pubkey"],
)  # fmt: skip
def test_openssl_shows_certificates_as_the_real_one_does(plane: Plane, options: str) -> None:
    real = subprocess.run(
        [program("openssl"), "x509", "-noout", "-in", str(plane.pki.server.certificate_file),
         *options.split()],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    ours = run(plane, f"openssl x509 -noout -in server.crt {options}")[1]
    assert ours.replace("SHA256 ", "sha256 ") == real.replace("SHA256 ", "sha256 ")


def test_openssl_tells_pairs_and_issuers(plane: Plane) -> None:
    script = (
        "a=$(openssl x509 -noout -pubkey -in client.crt); b=$(openssl pkey -in {} -pubout); "
        '[ "$a" = "$b" ]'
    )
    assert run(plane, script.format("client.key"))[0] == 0
    assert run(plane, script.format("stranger.key"))[0] == 1
    assert run(plane, "openssl verify -CAfile ca.crt client.crt")[:2] == (0, "client.crt: OK\n")
    assert run(plane, "openssl verify -CAfile stranger.crt client.crt")[0] == 2
    assert run(plane, "openssl x509 -noout -checkend 60 -in client.crt")[0] == 0
    assert run(plane, "openssl version")[1].startswith("OpenSSL ")
    assert run(plane, "openssl x509 -noout -in client.key")[0] == 1
    assert run(plane, "openssl genrsa 2048")[0] == 1


def test_stop_ends_a_request_that_waits(plane: Plane) -> None:
    plane.faults.add("stalled-handshake")
    assert run(plane, f"timeout 0.3 curl -s {GOOD} {URL}; echo $?")[1] == "124\n"
