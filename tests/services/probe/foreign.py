"""Endpoints by programs that this project did not write, each configured to be wrong in one way."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.probe.target import Target
from tests.programs import program
from tests.services.probe.certificates import DAY, Certificates, Pair, issue
from tests.services.probe.nginx import (
    BACKENDS,
    QUICK,
    STREAM_MODULE,
    accepts,
    eventually,
    free_port,
    free_ports,
)

NAME = "www.example.com"
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
HOST = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""An address of this process alone. Dozens of ports are chosen before anything listens on them, and
on 127.0.0.1 outgoing connections of other tests would take some of them meanwhile. That all of
127.0.0.0/8 is this computer holds on Linux; elsewhere there is no stream module at that place."""
_MOST_DOORS = 64
HELLO = 'return 200 "Hello World ! This is {}.\\n";'


@dataclass(frozen=True)
class Material:
    """Every certificate that can be wrong, on either side."""

    folder: Path
    certs: Certificates

    @cached_property
    def servers(self) -> dict[str, Pair]:
        """By what is wrong with them; each file is what the server shows."""
        ca, names = self.certs.ca, [NAME]
        intermediate = issue(self.folder, "intermediate", "Test CA 2", ca, ca=True)
        namesake = issue(self.folder, "namesake-ca", "Test CA", ca=True)
        stranger = issue(self.folder, "strange-ca", "CA", ca=True, organization="elsewhere")

        def of(label: str, issuer: Pair | None = ca, **changes: object) -> Pair:
            settings = {"names": names, "usage": SERVER, **changes}
            return issue(self.folder, label, NAME, issuer, **settings)  # type: ignore[arg-type]

        found = {
            "expired": of("s-expired", begins_days=-9, ends_days=-1),
            "not-yet-valid": of("s-not-yet-valid", begins_days=1),
            "ends-soon": of("s-ends-soon", begins_days=-87, ends_days=3),
            "self-signed": of("s-self-signed", None),
            "unknown-ca": of("s-unknown-ca", stranger),
            "namesake-ca": of("s-namesake-ca", namesake),
            "namesake-ca-by-key": of("s-namesake-ca-by-key", namesake, identifiers=True),
            "without-name": of("s-without-name", names=()),
            "wrong-name": of("s-wrong-name", names=["shop.example.com"]),
            "without-intermediate": of("s-without-intermediate", intermediate),
            "with-intermediate": of("s-with-intermediate", intermediate),
            "wrong-usage": of("s-wrong-usage", usage=CLIENT),
            "weak": of("s-weak", key=rsa.generate_private_key(65537, 1024)),
        }
        with found["with-intermediate"].certificate_file.open("ab") as file:
            file.write(intermediate.certificate_file.read_bytes())
        return found

    @cached_property
    def elsewhere(self) -> Path:
        """Another host's certificate and key in one file."""
        names = ["shop.example.com"]
        return _combined(issue(self.folder, "shop", names[0], self.certs.ca, names=names))

    @cached_property
    def clients(self) -> dict[str, Pair | None]:
        ca, certs = self.certs.ca, self.certs

        def of(label: str, issuer: Pair = ca, **changes: object) -> Pair:
            settings = {"usage": CLIENT, **changes}
            return issue(self.folder, label, "client", issuer, **settings)  # type: ignore[arg-type]

        return {
            "rightful": certs.client,
            "none": None,
            "expired": certs.expired_client,
            "not-yet-valid": of("c-not-yet-valid", begins_days=1),
            "foreign": certs.foreign_client,
            "namesake": of("c-namesake", issue(self.folder, "c-namesake-ca", "Test CA", ca=True)),
            "wrong-usage": of("c-wrong-usage", usage=SERVER),
            "revoked": of("c-revoked"),
        }

    @cached_property
    def revocations(self) -> Path:
        """A CRL that names the revoked client."""
        revoked = self.clients["revoked"]
        assert revoked is not None
        now = datetime.datetime.now(datetime.UTC)
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(revoked.certificate.serial_number)
            .revocation_date(now - DAY)
            .build()
        )
        ca = self.certs.ca
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(ca.certificate.subject)
            .last_update(now - DAY)
            .next_update(now + DAY)
            .add_revoked_certificate(entry)
            .sign(ca.key, hashes.SHA256())
        )
        file = self.folder / "ca.crl"
        file.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return file

    @cached_property
    def combined(self) -> Path:
        """The rightful server's certificate and key in one file, as HAProxy wants them."""
        return _combined(self.certs.server)

    def target(
        self,
        port: int,
        client: str = "rightful",
        backends: Sequence[str] = (),
        path: str = "/",
        host: str = HOST,
    ) -> Target:
        pair = self.clients[client]
        bare = Target(
            host=host,
            port=port,
            name=NAME,
            ca_file=self.certs.ca.certificate_file,
            path=path,
            timeouts=QUICK,
            backends=tuple(backends),
        )
        if pair is None:
            return bare
        return replace(bare, certificate_file=pair.certificate_file, key_file=pair.key_file)


def _combined(pair: Pair) -> Path:
    file = pair.certificate_file.with_suffix(".pem")
    file.write_bytes(pair.certificate_file.read_bytes() + pair.key_file.read_bytes())
    file.chmod(0o600)
    return file


@contextmanager
def started(command: Sequence[str], ports: Sequence[int]) -> Iterator[None]:
    """Run `command` once it listens on `ports`, and end it."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            for port in ports:
                eventually(lambda port=port: accepts(port, HOST), f"{command[0]} listens")  # type: ignore[misc]
            yield
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path, material: Material) -> Iterator[dict[str, int]]:
    """One nginx; its doors by name. The names of wrong server certificates are doors, too."""
    if not STREAM_MODULE.exists():
        program("nginx stream module")
    certs = material.certs
    ca = f"ssl_client_certificate {certs.ca.certificate_file};"
    demand = f"{ca} ssl_verify_client on;"
    rightful = _nginx_pair(certs.server)
    dead, *ports = free_ports(_MOST_DOORS, HOST)
    stream = {
        "mutual": f"{rightful} {demand} proxy_pass group;",
        "revoking": f"{rightful} {demand} ssl_crl {material.revocations}; proxy_pass group;",
        "open": f"{rightful} proxy_pass group;",
        "optional": f"{rightful} {ca} ssl_verify_client optional; proxy_pass group;",
        "any-ca": f"{rightful} {ca} ssl_verify_client optional_no_ca; proxy_pass group;",
        "lonely": f"{rightful} {demand} proxy_pass nobody;",
        "half": f"{rightful} {demand} proxy_pass half;",
        "first": f"{rightful} {demand} proxy_pass first;",
        "proxy-header": f"{rightful} {demand} proxy_protocol on; proxy_pass group;",
        "old": f"{rightful} {demand} ssl_protocols TLSv1.1;"
        " ssl_ciphers DEFAULT:@SECLEVEL=0; proxy_pass group;",
        "also-old": f"{rightful} {demand} ssl_protocols TLSv1 TLSv1.1 TLSv1.2;"
        " ssl_ciphers DEFAULT:@SECLEVEL=0; proxy_pass group;",
        "cipher": f"{rightful} {demand} ssl_protocols TLSv1.2;"
        " ssl_ciphers ECDHE-ECDSA-AES128-CCM; proxy_pass group;",
        **{
            label: f"{_nginx_pair(pair)} {demand} ssl_ciphers DEFAULT:@SECLEVEL=0;"
            " proxy_pass group;"
            for label, pair in material.servers.items()
        },
    }
    to = "location / { proxy_pass http://{}; }".replace
    http = {
        "http-mutual": f"{rightful} {demand} location / {{ {HELLO.format('ECS01')} }}",
        "http-revoking": f"{rightful} {demand} ssl_crl {material.revocations};"
        f" location / {{ {HELLO.format('ECS01')} }}",
        "http-forbids": f"{rightful} {ca} ssl_verify_client optional;"
        f" if ($ssl_client_verify != SUCCESS) {{ return 403; }}"
        f" location / {{ {HELLO.format('ECS01')} }}",
        "http-lonely": f"{rightful} {demand} {to('{}', f'{HOST}:{dead}')}",
    }
    doors = dict(zip((*stream, *http, *BACKENDS), ports, strict=False))
    backends = "".join(
        f"server {{ listen {HOST}:{doors[name]};"
        f" location / {{ {HELLO.format(name)} }}"
        " location = /moved { return 301 /elsewhere; }"
        " location = /broken { return 500 sorry; }"
        ' location = /empty { return 200 ""; }'
        " location = /closed { return 444; }"
        " location = /other { return 200 welcome; }"
        "}\n"
        for name in BACKENDS
    )
    first, second = (doors[name] for name in BACKENDS)
    config = folder / "foreign.conf"
    config.write_text(f"""
load_module {STREAM_MODULE};
daemon off;
master_process off;
user root;
pid foreign.pid;
error_log error.log info;
events {{ worker_connections 1024; }}
stream {{
  ssl_protocols TLSv1.2 TLSv1.3;
  upstream group {{ server {HOST}:{first}; server {HOST}:{second}; }}
  upstream first {{ server {HOST}:{first}; }}
  upstream half {{ server {HOST}:{first}; server {HOST}:{dead}; }}
  upstream nobody {{ server {HOST}:{dead}; }}
  {_nginx_servers(stream, doors, "ssl")}
}}
http {{
  ssl_protocols TLSv1.2 TLSv1.3;
  access_log off;
  client_body_temp_path client_temp; proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp; uwsgi_temp_path uwsgi_temp; scgi_temp_path scgi_temp;
  {_nginx_servers(http, doors, "ssl")}
  {backends}
}}
""")
    command = [program("nginx"), "-p", str(folder), "-c", str(config), "-e", "error.log"]
    subprocess.run([*command, "-t", "-q"], check=True, capture_output=True, text=True)
    with started(command, [*doors.values()]):
        yield doors


def _nginx_pair(pair: Pair) -> str:
    return f"ssl_certificate {pair.certificate_file}; ssl_certificate_key {pair.key_file};"


def _nginx_servers(settings: dict[str, str], doors: dict[str, int], *options: str) -> str:
    return "\n  ".join(
        f"server {{ listen {HOST}:{doors[name]} {' '.join(options)}; {lines} }}"
        for name, lines in settings.items()
    )


@contextmanager
def haproxy(folder: Path, material: Material, backend: dict[str, int]) -> Iterator[dict[str, int]]:
    """One HAProxy before the backends of `nginx`; its doors by name."""
    certs = material.certs
    pair = f"ssl crt {material.combined}"
    ca = f"ca-file {certs.ca.certificate_file}"
    mutual = f"{pair} {ca} verify required"
    ignoring = "ca-ignore-err all crt-ignore-err all"
    dead, *ports = free_ports(_MOST_DOORS, HOST)
    fronts = {
        # door: options of bind, mode, backend
        "mutual": (mutual, "tcp", "group"),
        "http-mutual": (mutual, "http", "group"),
        "revoking": (f"{mutual} crl-file {material.revocations}", "tcp", "group"),
        "open": (pair, "tcp", "group"),
        "optional": (f"{pair} {ca} verify optional", "tcp", "group"),
        "any-ca": (f"{mutual} {ignoring}", "tcp", "group"),
        "expired-accepted": (f"{mutual} crt-ignore-err 10", "tcp", "group"),
        "no-names": (
            f"{pair} ca-verify-file {certs.ca.certificate_file} verify required",
            "tcp",
            "group",
        ),
        "lonely": (mutual, "tcp", "nobody"),
        "http-lonely": (mutual, "http", "nobody"),
        "proxy-header": (mutual, "tcp", "proxied"),
        "tls13": (f"{mutual} ssl-min-ver TLSv1.3", "tcp", "group"),
        "old": (f"{mutual} ssl-max-ver TLSv1.1 ciphers DEFAULT:@SECLEVEL=0", "tcp", "group"),
        "also-old": (f"{mutual} ssl-min-ver TLSv1.0 ciphers DEFAULT:@SECLEVEL=0", "tcp", "group"),
        "cipher": (f"{mutual} ssl-max-ver TLSv1.2 ciphers ECDHE-ECDSA-AES128-CCM", "tcp", "group"),
        "strict-sni": (
            f"ssl crt {material.elsewhere} strict-sni {ca} verify required",
            "tcp",
            "group",
        ),
        "http": ("", "http", "group"),
    }
    doors = dict(zip((*fronts, "both"), ports, strict=False))
    lines = [
        "global\n  tune.ssl.default-dh-param 2048",
        "defaults\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s",
    ]
    for name, (options, mode, group) in fronts.items():
        lines.append(
            f"frontend {name}\n  mode {mode}\n  bind {HOST}:{doors[name]} {options}\n"
            f"  default_backend {group}-{mode}"
        )
    # Looks at the first bytes, and serves TLS and plain HTTP at the same port.
    lines.append(
        f"frontend both\n  mode tcp\n  bind {HOST}:{doors['both']}\n"
        "  tcp-request inspect-delay 2s\n"
        "  tcp-request content accept if { req.ssl_hello_type 1 }\n"
        "  tcp-request content accept if HTTP\n"
        "  use_backend secure-tcp if { req.ssl_hello_type 1 }\n"
        "  default_backend group-tcp"
    )
    servers = [f"server {name} {HOST}:{backend[name]}" for name in BACKENDS]
    groups = {
        "group": "\n  ".join(servers),
        "proxied": "\n  ".join(f"{server} send-proxy" for server in servers),
        "nobody": f"server a {HOST}:{dead} check inter 10ms fall 1",
        "secure": f"server a {HOST}:{doors['mutual']}",
    }
    for mode in ("tcp", "http"):
        lines += [
            f"backend {name}-{mode}\n  mode {mode}\n  balance roundrobin\n  {servers}"
            for name, servers in groups.items()
        ]
    config = folder / "haproxy.cfg"
    config.write_text("\n".join(lines) + "\n")
    command = [program("haproxy"), "-f", str(config)]
    checked = subprocess.run([*command, "-c"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    with started(command, [*doors.values()]):
        yield doors


@contextmanager
def s_server(material: Material, *options: str, client_ca: Path | None = None) -> Iterator[int]:
    """`openssl s_server`, which serves a page about itself; yields its port."""
    certs, port = material.certs, free_port(HOST)
    command = [
        *(program("openssl"), "s_server", "-accept", f"{HOST}:{port}", "-quiet", "-www"),
        *("-cert", str(certs.server.certificate_file), "-key", str(certs.server.key_file)),
        *("-CAfile", str(client_ca or certs.ca.certificate_file), *options),
    ]
    with started(command, [port]):
        yield port


@contextmanager
def gnutls_serv(material: Material, *options: str) -> Iterator[int]:
    """`gnutls-serv`, which serves a page about itself; yields its port."""
    certs, port = material.certs, free_port(HOST)
    command = [
        *(program("gnutls-serv"), "--http", "--quiet", "--port", str(port)),
        *("--x509certfile", str(certs.server.certificate_file)),
        *("--x509keyfile", str(certs.server.key_file)),
        *("--x509cafile", str(certs.ca.certificate_file), *options),
    ]
    with started(command, [port]):
        yield port
