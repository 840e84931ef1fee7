"""What a module costs to import: the first screen and `--help` must not wait for the SDKs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "textual",
    "rich",
    "paramiko",
    "cryptography",
    "OpenSSL",
    "aiohttp",
    "requests",
    "Tea",
    "alibabacloud_nlb20220430",
    "alibabacloud_cas20200407",
    "alibabacloud_cas20200630",
    "alibabacloud_ecs20140526",
    "alibabacloud_credentials",
)
AT_START = (*HEAVY, "tomllib")
"""A room of the catalogue that every start reads is one that needs no TOML parser (7 ms)."""

# What only a lab that is running imports, inside functions of its own.
LAB_ONLY = (
    "services.lab.balancer.deviations",
    "services.lab.balancer.front",
    "services.lab.balancer.relay",
    "services.lab.balancer.wire",
    "services.lab.balancer.termination",
    "services.lab.hosts.sftp",
    "services.lab.hosts.ssh",
)


def loaded_after(code: str, heavy: tuple[str, ...] = HEAVY) -> list[str]:
    """Which of the heavy packages a fresh interpreter has after `code`."""
    code += f"\nimport sys, json\nprint(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_no_service_imports_anything_heavy_or_any_interface() -> None:
    code = f"""
import importlib, pkgutil, services
for module in pkgutil.walk_packages(services.__path__, "services."):
    if module.name not in {LAB_ONLY!r}:
        importlib.import_module(module.name)
"""
    assert loaded_after(code) == []


def test_help_and_version_import_nothing_heavy() -> None:
    for words in (["--version"], ["--help"], ["run", "--help"]):
        code = f"""
import sys
from app.cli import main
sys.argv[1:] = {words!r}
try:
    main()
except SystemExit:
    pass
"""
        assert loaded_after(code, AT_START) == []
