"""Where certificates are kept: a few central sites, which are not the balancers' regions."""

from __future__ import annotations

CAS_SITES = ("cn-hangzhou", "ap-southeast-1", "eu-central-1")
"""Where Certificate Management Service is served from; the vendor's metadata lists no others."""


def usual_cas_site(region: str) -> str:
    """Where a balancer of this region takes its certificates from."""
    return "cn-hangzhou" if region.startswith("cn-") else "ap-southeast-1"
