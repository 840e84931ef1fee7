"""nginx, OpenSSL and curl as judges: they decide who is let in, and we must see it as they do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from services.probe.outcome import Outcome
from services.probe.runner import run
from services.probe.target import Target
from services.stop import Stop
from tests.programs import program
from tests.services.probe.certificates import Certificates, Pair
from tests.services.probe.nginx import QUICK, Nginx, accepts, eventually, free_port
from tests.services.probe.test_engine import requests

CLIENTS = ("rightful", "none", "expired", "foreign")


def dressed(at: Target, client: str, certificates: Certificates) -> Target:
    """The same target for another client."""
    pairs: dict[str, Pair | None] = {
        "rightful": certificates.client,
        "none": None,
        "expired": certificates.expired_client,
        "foreign": certificates.foreign_client,
    }
    pair = pairs[client]
    return replace(
        at,
        certificate_file=pair.certificate_file if pair else None,
        key_file=pair.key_file if pair else None,
    )


def curl(at: Target) -> str | None:
    """The page that curl gets; None when it gets none."""
    command = [
        *(program("curl"), "--silent", "--fail", "--max-time", "5", "--noproxy", "*"),
        *("--resolve", f"{at.name}:{at.port}:{at.host}", "--cacert", str(at.ca_file)),
    ]
    if at.certificate_file:
        command += ["--cert", str(at.certificate_file), "--key", str(at.key_file)]
    ran = subprocess.run(
        [*command, f"https://{at.name}:{at.port}/"], capture_output=True, text=True, check=False
    )
    return ran.stdout if ran.returncode == 0 and ran.stdout else None


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("door", ["mutual", "tls12", "tls13", "open", "lonely", "http_mutual"])
def test_curl_and_we_agree_who_is_let_in(
    door: str, client: str, balancer: Nginx, certs: Certificates
) -> None:
    at = dressed(balancer.target(getattr(balancer, door)), client, certs)
    page, found = curl(at), requests(at)[0]
    assert (page is not None) == (found.outcome is Outcome.OK)
    served = client == "rightful" or door == "open"
    assert (page is not None) == (served and door != "lonely")


@pytest.mark.parametrize("name", ["other.example.com", "www.example.com", "127.0.0.1"])
def test_curl_and_we_agree_on_names(name: str, balancer: Nginx) -> None:
    at = replace(balancer.target(), name=name)
    assert (curl(at) is not None) == (requests(at)[0].outcome is Outcome.OK)


def test_curl_and_we_agree_on_an_intermediate_as_anchor(
    certs: Certificates, balancer: Nginx
) -> None:
    at = replace(balancer.target(), ca_file=certs.server.certificate_file)
    assert curl(at) is not None
    assert requests(at)[0].outcome is Outcome.OK


@pytest.mark.parametrize("door", ["tls12", "tls13"])
def test_tally_is_what_the_backends_logged(door: str, balancer: Nginx) -> None:
    path = f"/counted-{door}"
    at = balancer.target(getattr(balancer, door), path=path)
    tally = run(at, requests=300, concurrency=16, stop=Stop())
    eventually(lambda: sum(balancer.logged(path).values()) >= 300, "the logs are written")
    assert tally.requests == tally.ok == 300
    assert tally.backends == balancer.logged(path)


def test_tally_is_what_the_backends_logged_when_stopped(balancer: Nginx) -> None:
    path, stop = "/stopped", Stop()
    tally = run(
        balancer.target(path=path),
        concurrency=16,
        stop=stop,
        on_snapshot=lambda tally: stop.set() if tally.ok else None,
    )
    assert tally.unfinished == 0
    assert tally.requests == tally.ok > 0
    eventually(lambda: sum(balancer.logged(path).values()) >= tally.ok, "the logs are written")
    assert tally.backends == balancer.logged(path)


@contextmanager
def s_server(certificates: Certificates, *options: str) -> Iterator[int]:
    """`openssl s_server` that demands a certificate and speaks its alerts; yields its port."""
    port = free_port()
    command = [
        *(program("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-www"),
        *("-cert", str(certificates.server.certificate_file)),
        *("-key", str(certificates.server.key_file)),
        *("-CAfile", str(certificates.ca.certificate_file)),
        *("-Verify", "2", "-verify_return_error", *options),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            eventually(lambda: accepts(port), "openssl listens")
            yield port
        finally:
            server.terminate()


def at_port(port: int, certificates: Certificates) -> Target:
    return Target(
        host="127.0.0.1",
        port=port,
        name="www.example.com",
        ca_file=certificates.ca.certificate_file,
        timeouts=QUICK,
    )


@pytest.mark.parametrize(
    ("version", "client", "outcome", "alert"),
    [
        ("-tls1_3", "rightful", Outcome.OK, None),
        ("-tls1_3", "none", Outcome.CLIENT_CERTIFICATE_MISSING, "certificate_required"),
        ("-tls1_3", "expired", Outcome.CLIENT_CERTIFICATE_EXPIRED, "certificate_expired"),
        ("-tls1_3", "foreign", Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA, "unknown_ca"),
        ("-tls1_2", "rightful", Outcome.OK, None),
        ("-tls1_2", "none", Outcome.CLIENT_CERTIFICATE_MISSING, "handshake_failure"),
        ("-tls1_2", "expired", Outcome.CLIENT_CERTIFICATE_EXPIRED, "certificate_expired"),
        ("-tls1_2", "foreign", Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA, "unknown_ca"),
    ],
)
def test_alerts_of_openssl_are_understood(
    version: str, client: str, outcome: Outcome, alert: str | None, certs: Certificates
) -> None:
    with s_server(certs, version) as port:
        found = requests(dressed(at_port(port, certs), client, certs))[0]
    assert (found.outcome, found.alert) == (outcome, alert)


def test_old_tls_is_told_from_other_failures(certs: Certificates) -> None:
    with s_server(certs, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") as port:
        found = requests(dressed(at_port(port, certs), "rightful", certs))[0]
    assert found.outcome is Outcome.TLS_VERSION


def test_no_common_cipher_is_told_from_other_failures(certs: Certificates) -> None:
    with s_server(certs, "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256", "-psk", "00") as port:
        found = requests(dressed(at_port(port, certs), "rightful", certs))[0]
    assert found.outcome is Outcome.TLS_CIPHER
