"""The TLS that a listener speaks to its clients.

pyOpenSSL, not the standard library's `ssl`: only it can announce the names of the CAs that a
listener trusts, as NLB does and browsers need to offer the right certificate, and it takes private
keys from memory, so that they never touch the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from services.lab.balancer.listener import Listener
from services.problem import Problem

if TYPE_CHECKING:
    from OpenSSL import SSL, crypto

_VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def server_context(listener: Listener) -> SSL.Context:
    """A context with the listener's certificate and policy, for any number of connections.

    Raises `Problem` when certificate, key, CA or policy cannot be used.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from OpenSSL import SSL, crypto

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(
        SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    # A memory BIO a connection costs 34 KiB less when idle buffers are given back.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    try:
        _set_policy(context, listener)
        leaf, *intermediates = x509.load_pem_x509_certificates(listener.certificate_pem.encode())
        context.use_certificate(leaf)
        for certificate in intermediates:
            context.add_extra_chain_cert(certificate)
        key = load_pem_private_key(listener.key_pem.encode(), None)
        context.use_privatekey(key)  # type: ignore[arg-type]  # checked right below
        context.check_privatekey()
        if listener.mutual != "off" and listener.ca_pem is not None:
            _ask_for_certificates(context, listener, listener.ca_pem)
    except (ValueError, TypeError, SSL.Error, crypto.Error) as error:
        # The libraries' texts name a defect, never key material.
        raise Problem("lab.listener-unusable", str(error), port=listener.port) from None
    return context


def _set_policy(context: SSL.Context, listener: Listener) -> None:
    from OpenSSL import SSL

    numbers = dict(
        zip(
            _VERSIONS,
            (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION, SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION),
            strict=True,
        )
    )
    offered = [numbers[name] for name in _VERSIONS if name in listener.tls_versions]
    if not offered:
        raise ValueError(f"no TLS version known among {listener.tls_versions!r}")
    context.set_min_proto_version(offered[0])
    context.set_max_proto_version(offered[-1])
    older = [name for name in listener.ciphers if not name.startswith("TLS_")]
    newer = [name for name in listener.ciphers if name.startswith("TLS_")]
    # Level 0: the policy alone says what is allowed, and a weak certificate is served as it is,
    # for the client to judge, since that is what the real balancer does.
    context.set_cipher_list(":".join([*(older or ["DEFAULT"]), "@SECLEVEL=0"]).encode())
    if newer:
        context.set_tls13_ciphersuites(":".join(newer).encode())


def _ask_for_certificates(context: SSL.Context, listener: Listener, ca_pem: str) -> None:
    from cryptography import x509
    from OpenSSL import SSL, crypto

    how = listener.verification
    store = context.get_cert_store()
    if store is None:
        raise ValueError("the context has no certificate store")
    # The listener may be given a subordinate CA alone: it is trusted as it stands (no root).
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for authority in x509.load_pem_x509_certificates(ca_pem.encode()):
        store.add_cert(crypto.X509.from_cryptography(authority))
        if how.names_announced:
            context.add_client_ca(authority)
    if how.at is not None:
        store.set_time(how.at)
    for crl in how.crls_der:
        store.add_crl(x509.load_der_x509_crl(crl))
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
    demand = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if listener.mutual == "required" else 0
    context.set_verify(SSL.VERIFY_PEER | demand, _forgiving(how.forgiven) if how.forgiven else None)


def _forgiving(
    forgiven: frozenset[int],
) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """What OpenSSL asks about every certificate of a chain, and every error that it finds there."""

    def judge(_: SSL.Connection, __: crypto.X509, error: int, depth: int, good: int) -> bool:
        return bool(good) or error in forgiven

    return judge
