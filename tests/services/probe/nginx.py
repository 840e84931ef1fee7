"""A real nginx: its stream module as balancer that demands certificates, and two HTTP backends."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.probe.target import Target, Timeouts
from tests.programs import program
from tests.services.probe.certificates import Certificates

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
BACKENDS = ("ECS01", "ECS02")
QUICK = Timeouts(connect_s=2, handshake_s=2, first_byte_s=2, whole_s=4)


@dataclass(frozen=True)
class Nginx:
    """Where it listens, and what its backends have logged."""

    folder: Path
    certificates: Certificates
    mutual: int
    """The balancer (stream): demands a certificate of the CA, TLS 1.2 and 1.3."""
    tls12: int
    """The same, TLS 1.2 only."""
    tls13: int
    open: int
    """No certificate demanded."""
    lonely: int
    """As `mutual`, but no backend is alive."""
    http_mutual: int
    """nginx's HTTP module as server that demands a certificate: answers 400 instead."""
    backend: dict[str, int] = field(default_factory=dict)
    """The backends' own ports."""

    def target(
        self, port: int | None = None, *, path: str = "/", backends: Sequence[str] = BACKENDS
    ) -> Target:
        """The way in for the rightful client."""
        certificates = self.certificates
        return Target(
            host="127.0.0.1",
            port=port or self.mutual,
            name="www.example.com",
            certificate_file=certificates.client.certificate_file,
            key_file=certificates.client.key_file,
            ca_file=certificates.ca.certificate_file,
            path=path,
            timeouts=QUICK,
            backends=tuple(backends),
        )

    def logged(self, path: str) -> dict[str, int]:
        """How often each backend logged a request of `path`."""
        counts = {}
        for name in self.backend:
            lines = (self.folder / f"{name}.log").read_text().splitlines()
            counts[name] = sum(line == path for line in lines)
        return counts


def free_port(host: str = "127.0.0.1") -> int:
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports on which nobody listens, no two the same."""
    with ExitStack() as bound:
        probes = [bound.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def eventually(ready: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Wait for a state of something outside this process."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


@contextmanager
def running(folder: Path, certificates: Certificates) -> Iterator[Nginx]:
    if not STREAM_MODULE.exists():
        program("nginx stream module")
    names = ("mutual", "tls12", "tls13", "open", "lonely", "http_mutual")
    dead, *found = free_ports(1 + len(names) + len(BACKENDS))
    ports = dict(zip((*names, *BACKENDS), found, strict=True))
    backend = {name: ports[name] for name in BACKENDS}
    nginx = Nginx(folder, certificates, **{name: ports[name] for name in names}, backend=backend)
    config = folder / "nginx.conf"
    config.write_text(_config(nginx, dead))
    command = [program("nginx"), "-p", str(folder), "-c", str(config), "-e", "error.log"]
    subprocess.run([*command, "-t", "-q"], check=True, capture_output=True, text=True)
    with subprocess.Popen(command) as process:
        try:
            for port in ports.values():
                eventually(lambda port=port: accepts(port), "nginx listens")  # type: ignore[misc]
            yield nginx
        finally:
            process.terminate()


def _config(nginx: Nginx, dead: int) -> str:
    certificates = nginx.certificates
    pair = (
        f"ssl_certificate {certificates.server.certificate_file};"
        f"ssl_certificate_key {certificates.server.key_file};"
        "ssl_protocols TLSv1.2 TLSv1.3;"
    )
    demand = f"ssl_client_certificate {certificates.ca.certificate_file}; ssl_verify_client on;"
    servers = "".join(
        f"server {{ listen 127.0.0.1:{port}; access_log {name}.log uri;"
        f'location / {{ return 200 "Hello World ! This is {name}.\\n"; }}'
        "location = /moved { return 302 /elsewhere; }"
        "location = /broken { return 503 sorry; }"
        'location = /empty { return 200 ""; }'
        "}"
        for name, port in nginx.backend.items()
    )
    group = "".join(f"server 127.0.0.1:{port};" for port in nginx.backend.values())
    return f"""
load_module {STREAM_MODULE};
daemon off;
master_process off;
user root;
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 1024; }}
stream {{
  {pair}
  upstream group {{ {group} }}
  upstream nobody {{ server 127.0.0.1:{dead}; }}
  server {{ listen 127.0.0.1:{nginx.mutual} ssl; {demand} proxy_pass group; }}
  server {{ listen 127.0.0.1:{nginx.tls12} ssl; ssl_protocols TLSv1.2; {demand} proxy_pass group; }}
  server {{ listen 127.0.0.1:{nginx.tls13} ssl; ssl_protocols TLSv1.3; {demand} proxy_pass group; }}
  server {{ listen 127.0.0.1:{nginx.open} ssl; proxy_pass group; }}
  server {{ listen 127.0.0.1:{nginx.lonely} ssl; {demand} proxy_pass nobody; }}
}}
http {{
  log_format uri $request_uri;
  client_body_temp_path client_temp; proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp; uwsgi_temp_path uwsgi_temp; scgi_temp_path scgi_temp;
  default_type text/html;
  {servers}
  server {{ listen 127.0.0.1:{nginx.http_mutual} ssl; {pair} {demand} access_log off;
    location / {{ return 200 "Hello World ! This is ECS01.\\n"; }} }}
}}
"""
