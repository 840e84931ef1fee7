"""The balancer's TLS security policies, as the vendor's NLB pages list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """TLS versions (`TLSv1.2`) and ciphers, in OpenSSL's spelling, which is the vendor's too."""

    id: str
    tls_versions: tuple[str, ...]
    ciphers: tuple[str, ...]


DEFAULT = "tls_cipher_policy_1_0"
"""What CreateListener takes when nobody says: the weakest."""

_FORWARD_SECRET = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
)
_PLAIN_RSA = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA256")
_FORWARD_SECRET_SHA1 = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
)
_PLAIN_RSA_SHA1 = ("AES128-SHA", "AES256-SHA", "DES-CBC3-SHA")
_TLS_1_3 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
_ALL_OLD = _FORWARD_SECRET + _PLAIN_RSA + _FORWARD_SECRET_SHA1 + _PLAIN_RSA_SHA1
_STRICT = _FORWARD_SECRET + _FORWARD_SECRET_SHA1

POLICIES: Mapping[str, SecurityPolicy] = MappingProxyType(
    {
        policy.id: policy
        for policy in (
            SecurityPolicy("tls_cipher_policy_1_0", ("TLSv1.0", "TLSv1.1", "TLSv1.2"), _ALL_OLD),
            SecurityPolicy("tls_cipher_policy_1_1", ("TLSv1.1", "TLSv1.2"), _ALL_OLD),
            SecurityPolicy("tls_cipher_policy_1_2", ("TLSv1.2",), _ALL_OLD),
            SecurityPolicy("tls_cipher_policy_1_2_strict", ("TLSv1.2",), _STRICT),
            SecurityPolicy(
                "tls_cipher_policy_1_2_strict_with_1_3", ("TLSv1.2", "TLSv1.3"), _STRICT + _TLS_1_3
            ),
        )
    }
)
"""The system's own policies, by id. (This service knows no custom ones.)"""
