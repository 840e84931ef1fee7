"""Reports to draw: one where all is well, and one of an endpoint that is out to break them."""

from __future__ import annotations

from msgspec.structs import replace

from services.handover.content import (
    Announced,
    Cause,
    Certificate,
    Content,
    Health,
    Remaining,
    Removal,
    Resource,
    Setting,
    Share,
    StepState,
    Stranger,
    Undo,
    Verification,
)

TRACKER = "http://tracker.invalid/pixel.png"

EVIL = (
    f"</style></td></table><script>document.title='owned'</script><img src={TRACKER} "
    f"onerror=alert(1)><style>@import '{TRACKER}';</style>"
    "\"'&amp;\x00\x1b[31m\u202eFBI\\\n{{x}}"
)
"""What a backend's page may say, and so what the backend may be called."""


def share(backend: str, count: int, expected: float | None = 0.5) -> Share:
    return Share(
        backend=backend,
        count=count,
        share=count / 200,
        low=0.364,
        high=0.636,
        expected=expected,
        within_chance=None if expected is None else abs(count / 200 - expected) < 0.2,
        mean_ms=12.5,
    )


PROVEN = Verification(
    time="2026-11-24T12:00:00.000Z",
    verdict="pass",
    endpoint="203.0.113.7:443",
    name="www.example.com",
    requests=200,
    ok=200,
    failed=0,
    requests_per_second=1071.8,
    tls_version="TLSv1.3",
    tls_cipher="TLS_AES_128_GCM_SHA256",
    latency_ms={"p50": 14.02, "p99": 18.78},
    phases_ms={"connect": {"p50": 1.5, "p99": None}, "tls_handshake": {"p50": 8.0, "p99": 9.25}},
    outcomes={"ok": 200},
    backends=(share("ECS01", 101), share("ECS02", 99)),
    addresses={"203.0.113.7:443": {"ok": 100}, "203.0.113.8:443": {"ok": 100}},
    strangers=(
        Stranger(name="no_certificate", title="a client without one", refused=True, evidence="116"),
        Stranger(name="expired", title="an old client", refused=None, untried="no CA key here"),
    ),
    health=(Health(server="ECS01", status="Normal"), Health(server="ECS02", status="Normal")),
    server_not_after="2027-12-26T11:00:00Z",
    concurrency=16,
    announced=Announced(versions=("TLSv1.2", "TLSv1.3"), group="x25519", accepted_cas=("CN=CA",)),
)

CONTENT = Content(
    program="1.2.3",
    generated="2026-11-24T12:05:00.000Z",
    session="20261124-c0ffee",
    place="cloud",
    created="2026-11-24T11:00:00.000Z",
    changed="2026-11-24T12:00:00.000Z",
    domain="www.example.com",
    verification=PROVEN,
    remaining=(Remaining(code="dns", text="Make a record.", command="dig +short www"),),
    steps=(
        StepState(
            name="listener",
            title="Listener",
            state="done",
            state_words="done",
            proved="2026-11-24T12:00:00.000Z",
        ),
        StepState(name="verify", title="Verify", state="pending", state_words="not begun"),
    ),
    settings=(Setting(name="listener.port", step="listener", label="Port", value="443"),),
    resources=(
        Resource(
            kind="listener",
            id="lsn-1@443",
            step="listener",
            title="listener on 443",
            origin="made",
            state="done",
        ),
        Resource(
            kind="server-group",
            id="sgp-1",
            step="listener",
            title="group of two",
            origin="adopted",
            state="done",
        ),
    ),
    certificates=(
        Certificate(
            role="server",
            file="server.crt",
            subject="CN=www.example.com",
            issuer="CN=CA",
            names=("www.example.com",),
            not_before="2026-11-24T11:00:00.000Z",
            not_after="2027-12-26T11:00:00.000Z",
            days_left=396,
            key="EC P-256",
            usage=("serverAuth",),
            sha256="9251",
        ),
        Certificate(role="client", not_after="2026-12-01T11:00:00Z", days_left=6, ending="soon"),
    ),
    undo=Undo(
        command="nlb-mtls cleanup 20261124-c0ffee",
        removes=(
            Removal(kind="listener", id="lsn-1@443", title="listener on 443", undo="delete it"),
        ),
        keeps=(
            Resource(
                kind="server-group",
                id="sgp-1",
                step="listener",
                title="group of two",
                origin="adopted",
                state="done",
            ),
        ),
    ),
)

HOSTILE = replace(
    CONTENT,
    domain=EVIL,
    verification=replace(
        PROVEN,
        verdict="fail",
        endpoint=EVIL,
        name=EVIL,
        ok=120,
        failed=80,
        tls_cipher=EVIL,
        outcomes={"ok": 120, "http-5xx": 70, EVIL: 10},
        samples={"http-5xx": EVIL, EVIL: EVIL},
        backends=(share(EVIL, 120, None), share("x" * 3000, 0)),
        addresses={EVIL: {EVIL: 3}},
        phases_ms={EVIL: {"p50": 1.0, EVIL: 2.0}},
        strangers=(Stranger(name=EVIL, title=EVIL, refused=False, evidence=EVIL),),
        health=(Health(server=EVIL, status=EVIL, reason=EVIL),),
        diagnosis=(
            Cause(
                code="uneven",
                severity="error",
                confidence="likely",
                cause=EVIL,
                remedy=EVIL,
                evidence=EVIL,
            ),
            Cause(code="slow", severity="warning", confidence="certain", cause="c", remedy="r"),
        ),
        announced=Announced(accepted_cas=(EVIL,), chain=(EVIL, "y" * 3000), alpn=EVIL),
    ),
    remaining=(Remaining(code="dns", text=EVIL, command=EVIL),),
    settings=(Setting(name=EVIL, step="listener", label=EVIL, value=EVIL),),
)
"""Every text that comes from the network, or from a person, is what nobody would wish for."""
