from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.probe import certificates, nginx
from tests.services.probe.certificates import Certificates
from tests.services.probe.nginx import Nginx


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def balancer(tmp_path_factory: pytest.TempPathFactory, certs: Certificates) -> Iterator[Nginx]:
    with nginx.running(tmp_path_factory.mktemp("nginx"), certs) as running:
        yield running
