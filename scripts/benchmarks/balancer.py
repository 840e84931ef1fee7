"""nginx as the balancer that everything is measured against, and as its two backends.

Its stream module terminates mutual TLS and passes on to two HTTP servers of the same process, as
an NLB's TCPSSL listener would. A program that we did not write, of known speed, which logs every
request: what the engine counts can be compared with it.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.child import need
from scripts.benchmarks.credentials import NAME, Credentials
from scripts.benchmarks.finding import Skipped
from services.probe.target import Target

BACKENDS = ("ECS01", "ECS02")
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
LOOPBACK = "127.0.0.1"

_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Balancer:
    """Where it listens, and what its backends have logged."""

    folder: Path
    address: str
    port: int
    credentials: Credentials
    pid: int

    def target(self, path: str = "/") -> Target:
        """The way in for the rightful client."""
        return Target(
            host=self.address,
            port=self.port,
            name=NAME,
            certificate_file=self.credentials.client,
            key_file=self.credentials.client_key,
            ca_file=self.credentials.ca,
            path=path,
            backends=BACKENDS,
        )

    def logged(self, path: str) -> int:
        """How many requests of `path` the backends logged, both together."""
        logs = ((self.folder / f"{name}.log").read_text() for name in BACKENDS)
        return sum(line == path for log in logs for line in log.splitlines())


@contextmanager
def running(
    folder: Path,
    credentials: Credentials,
    *,
    address: str = LOOPBACK,
    enter: Sequence[str] = (),
) -> Iterator[Balancer]:
    """Start it in `folder`; `enter` are the words that lead a command elsewhere (`delayed_link`).

    Raises Skipped without nginx or its stream module.
    """
    nginx = need("nginx")
    if not STREAM_MODULE.exists():
        raise Skipped("nginx has no stream module here")
    ports = [free_port() for _ in ("balancer", *BACKENDS)]
    (folder / "nginx.conf").write_text(_config(address, ports, credentials))
    command = [*enter, nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(folder / "nginx.pid", process)
            pid = int((folder / "nginx.pid").read_text())
            yield Balancer(folder, address, ports[0], credentials, pid)
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait_for(pid_file: Path, process: subprocess.Popen[bytes]) -> None:
    """nginx writes its number when it listens already."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(FileNotFoundError):
            if pid_file.read_text().strip():
                return
        if process.poll() is not None or time.monotonic() > deadline:
            said = (pid_file.parent / "error.log").read_text().strip().splitlines()
            raise RuntimeError(f"nginx does not start: {said[-1:]}")
        time.sleep(0.01)


def _config(address: str, ports: Sequence[int], credentials: Credentials) -> str:
    balancer, *backends = ports
    servers = "".join(
        f"server {{ listen {LOOPBACK}:{port}; access_log {name}.log uri;"
        f'  location / {{ return 200 "Hello World ! This is {name}.\\n"; }} }}\n'
        for name, port in zip(BACKENDS, backends, strict=True)
    )
    group = "".join(f"server {LOOPBACK}:{port};" for port in backends)
    return f"""
load_module {STREAM_MODULE};
daemon off;
master_process off;
user root;
pid nginx.pid;
error_log error.log error;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
stream {{
  upstream group {{ {group} }}
  server {{
    listen {address}:{balancer} ssl backlog=1024;
    ssl_certificate {credentials.server};
    ssl_certificate_key {credentials.server_key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate {credentials.ca};
    ssl_verify_client on;
    proxy_pass group;
  }}
}}
http {{
  log_format uri $request_uri;
  client_body_temp_path client_temp; proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp; uwsgi_temp_path uwsgi_temp; scgi_temp_path scgi_temp;
  default_type text/html;
  {servers}
}}
"""
