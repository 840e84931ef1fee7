"""The one adapter, for the vendor's cloud and the lab alike: they differ in address and keys."""

from __future__ import annotations

from collections.abc import Callable

from services.cloud.api import Api, Call
from services.cloud.cas import AlibabaCas
from services.cloud.credentials import AccessKey
from services.cloud.ecs import AlibabaEcs
from services.cloud.nlb import AlibabaNlb
from services.cloud.pace import CLOUD, LAB, Pace
from services.cloud.pca import AlibabaPca
from services.cloud.port import Cloud
from services.cloud.sdk import Endpoint, Sdk
from services.cloud.sites import usual_cas_site
from services.cloud.sts import AlibabaSts


def connect(
    region: str,
    cas_site: str = "",
    api: str | None = None,
    keys: AccessKey | None = None,
    on_call: Callable[[Call], None] | None = None,
    pace: Pace | None = None,
) -> Cloud:
    """An account in a region. Makes no connection and imports no SDK: the first call does.

    Parameters
    ----------
    cas_site:
        Empty for the region's usual one.
    api:
        `http://127.0.0.1:PORT` to ask that address instead of the vendor's.
    keys:
        None for the vendor's default chain of credentials, asked when a call is made.
    on_call:
        Told of every request, in the thread that made it.
    pace:
        None to ask an API on this computer often, and the vendor's seldom.

    Raises
    ------
    Problem
        `cloud.bad-api-address`.
    """
    endpoint = Endpoint.parse(api) if api else None
    if pace is None:
        pace = LAB if endpoint and endpoint.loopback else CLOUD
    site = cas_site or usual_cas_site(region)
    sdk = Sdk(
        regions={"nlb": region, "ecs": region, "sts": region, "cas": site, "pca": site},
        endpoint=endpoint,
        keys=keys,
        connect_s=pace.connect_s,
        read_s=pace.read_s,
    )
    calls = Api(sdk, pace, on_call)
    return Cloud(
        region=region,
        cas_site=site,
        sts=AlibabaSts(calls),
        nlb=AlibabaNlb(calls, region),
        cas=AlibabaCas(calls, site),
        pca=AlibabaPca(calls),
        ecs=AlibabaEcs(calls, region),
        clock_ahead_s=lambda: sdk.clock_ahead_s,
    )
