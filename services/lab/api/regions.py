"""The regions that exist. All but one are empty here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "cn-hangzhou": "China (Hangzhou)",
        "cn-shanghai": "China (Shanghai)",
        "cn-qingdao": "China (Qingdao)",
        "cn-beijing": "China (Beijing)",
        "cn-zhangjiakou": "China (Zhangjiakou)",
        "cn-wulanchabu": "China (Ulanqab)",
        "cn-shenzhen": "China (Shenzhen)",
        "cn-heyuan": "China (Heyuan)",
        "cn-guangzhou": "China (Guangzhou)",
        "cn-chengdu": "China (Chengdu)",
        "cn-hongkong": "China (Hong Kong)",
        "ap-northeast-1": "Japan (Tokyo)",
        "ap-northeast-2": "South Korea (Seoul)",
        "ap-southeast-1": "Singapore",
        "ap-southeast-3": "Malaysia (Kuala Lumpur)",
        "ap-southeast-5": "Indonesia (Jakarta)",
        "ap-southeast-6": "Philippines (Manila)",
        "ap-southeast-7": "Thailand (Bangkok)",
        "eu-central-1": "Germany (Frankfurt)",
        "eu-west-1": "UK (London)",
        "us-west-1": "US (Silicon Valley)",
        "us-east-1": "US (Virginia)",
        "na-south-1": "Mexico",
    }
)
"""Name by id, as the vendor's pages list NLB's regions."""
