"""A CA, a server's and a client's certificate for a benchmark's own balancer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.pki import issue, keys

NAME = "www.example.com"
_DAYS = 30


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where they lie."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make(folder: Path, client_kind: keys.KeyKind = keys.KeyKind.EC_P256) -> Credentials:
    """New ones in `folder`: P-256 but for the client's key, which may be of another kind."""
    from cryptography.hazmat.primitives.serialization import Encoding

    now = datetime.now(UTC)
    ca_key, server_key, client_key = keys.new_key(), keys.new_key(), keys.new_key(client_kind)
    ca = issue.make_ca(issue.Subject("Example CA"), ca_key, _DAYS, now)
    server = issue.make_server([NAME], server_key, ca, ca_key, _DAYS, now)
    client = issue.make_client("client", client_key, ca, ca_key, _DAYS, now)
    contents = {
        "ca.crt": ca.public_bytes(Encoding.PEM),
        "server.crt": server.public_bytes(Encoding.PEM),
        "server.key": keys.key_pem(server_key),
        "client.crt": client.public_bytes(Encoding.PEM),
        "client.key": keys.key_pem(client_key),
    }
    folder.chmod(0o700)
    for name, content in contents.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)
    return Credentials(*(folder / name for name in contents))
