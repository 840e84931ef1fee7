"""The rules: silent where all is well, never where it is not, and right about which is which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.announcement import Announcement
from services.probe.diagnosis import RULES, Diagnosis, diagnose
from services.probe.identity import Identity
from services.probe.observations import Direct, Health, ListenerView, Member, Observations, Term
from services.probe.outcome import Outcome
from services.probe.refusals import STRANGERS, Refusal, Stranger
from services.probe.report import Report
from services.probe.rules.finding import Confidence
from services.probe.tally import expected_shares
from services.probe.target import Target
from services.text import knows, say
from tests.services.probe.seen import (
    ANNOUNCEMENT,
    ASKS_NONE,
    CLIENT,
    DNS,
    DOWN,
    EARLY,
    EXPIRED,
    FILES,
    FOR_SERVERS,
    FOREIGN,
    HEALTHY,
    HOUR,
    LISTENER,
    MEMBERS,
    NOW,
    ONLY_12,
    OTHER_CA,
    OUR_CA,
    REFUSED,
    REFUSES,
    SERVER,
    SERVES,
    WELL,
    let_in,
    only,
    tally,
    verdict,
)

Change = Callable[[Observations], Observations]


def ends(outcome: Outcome, evidence: str = "") -> Change:
    """Every request ends so; who was not served proves nothing about strangers."""

    def change(seen: Observations) -> Observations:
        untold = tuple(replace(each, refused=None) for each in seen.refusals)
        count = max(seen.tally.requests, 1)
        return replace(seen, tally=only(outcome, count, evidence), refusals=untold)

    return change


def some_end(outcome: Outcome) -> Change:
    """Some requests end so."""

    def change(seen: Observations) -> Observations:
        return replace(seen, tally=seen.tally + only(outcome, 3))

    return change


def both(*changes: Change) -> Change:
    def change(seen: Observations) -> Observations:
        for each in changes:
            seen = each(seen)
        return seen

    return change


def untrusted(outcome: Outcome, *codes: str) -> Change:
    """The server is not trusted; the chain, judged, has these faults."""

    def change(seen: Observations) -> Observations:
        files = replace(FILES, server=tuple(verdict(each) for each in codes))
        return replace(ends(outcome)(seen), files=files, server=SERVER, announcement=ANNOUNCEMENT)

    return change


def client(outcome: Outcome, identity: Identity | None = CLIENT, *codes: str) -> Change:
    """The client is turned away; its certificate, judged, has these faults."""

    def change(seen: Observations) -> Observations:
        files = replace(FILES, client=tuple(verdict(each) for each in codes))
        changed = replace(seen, client=identity, files=files, announcement=ANNOUNCEMENT)
        return ends(outcome)(changed)

    return change


def sees(**parts: object) -> Change:
    return lambda seen: replace(seen, **parts)  # type: ignore[arg-type]


def strangers(*names: Stranger, **parts: object) -> Change:
    return sees(refusals=let_in(*names), **{"announcement": ANNOUNCEMENT, **parts})


def two(answers: dict[str, int], **parts: object) -> Change:
    """Two backends of the same weight, and what came from them."""
    known = {"weights": HEALTHY.weights, "health": WELL, "direct": {}, "listener": LISTENER}
    return sees(**{"tally": tally(answers), **known, **parts})


def listener(**parts: object) -> ListenerView:
    return replace(LISTENER, **parts)  # type: ignore[arg-type]


CLOSED = tuple(
    replace(each, closed_to=("192.168.1.251",), security_groups=("sg-1",)) for each in MEMBERS
)
SILENT = Outcome.CLOSED_WITHOUT_ANSWER
UNKNOWN_CA = Outcome.SERVER_CERTIFICATE_UNKNOWN_CA
LONELY = sees(
    health=(),
    announcement=None,
    direct={},
    files=replace(FILES, client_ca_known=False),
    client=CLIENT,
)
NO_VOICE = tuple(replace(each, alert=None) for each in REFUSED)

CAUSES: tuple[tuple[str, Confidence, Change], ...] = (
    ("clock-skew", "likely", sees(clock={"backends": 3601.0, "cloud": 3600.0})),
    (
        "clock-skew",
        "likely",
        both(
            untrusted(Outcome.SERVER_CERTIFICATE_NOT_YET_VALID, "not-yet-valid"),
            sees(clock={"cloud": 7200.0}, server=replace(SERVER, not_before=NOW + HOUR)),
        ),
    ),
    ("name-not-resolving", "certain", ends(Outcome.NAME_NOT_RESOLVING)),
    ("name-not-resolving", "certain", sees(dns=replace(DNS, addresses=()))),
    ("name-points-elsewhere", "certain", sees(dns=replace(DNS, addresses=("198.51.100.1",)))),
    (
        "listener-absent",
        "certain",
        both(ends(Outcome.CONNECT_REFUSED), sees(listener=listener(exists=False))),
    ),
    (
        "listener-stopped",
        "certain",
        both(ends(Outcome.CONNECT_REFUSED), sees(listener=listener(status="Stopped"))),
    ),
    ("port-closed", "certain", ends(Outcome.CONNECT_REFUSED)),
    ("port-closed", "certain", some_end(Outcome.CONNECT_REFUSED)),
    ("port-filtered", "likely", ends(Outcome.CONNECT_TIMEOUT)),
    ("unreachable", "certain", ends(Outcome.UNREACHABLE)),
    ("no-socket", "certain", some_end(Outcome.NO_SOCKET)),
    ("another-protocol", "certain", ends(Outcome.NOT_TLS, "it says SSH-2.0-OpenSSH_9.2")),
    ("another-protocol", "certain", ends(Outcome.NOT_TLS, "it says 220 mail.example ESMTP")),
    ("not-tls", "certain", ends(Outcome.NOT_TLS, "it says HTTP/1.1 400 Bad Request")),
    ("tls-version", "certain", ends(Outcome.TLS_VERSION)),
    (
        "tls-version",
        "certain",
        both(
            ends(Outcome.TLS_CIPHER),
            sees(announcement=replace(ANNOUNCEMENT, versions=("TLSv1.1",))),
        ),
    ),
    ("tls-cipher", "certain", ends(Outcome.TLS_CIPHER)),
    ("stalled", "certain", ends(Outcome.HANDSHAKE_TIMEOUT)),
    ("handshake-cut", "likely", both(sees(announcement=None), ends(Outcome.HANDSHAKE_CLOSED))),
    ("handshake-cut", "likely", some_end(Outcome.HANDSHAKE_CLOSED)),
    ("handshake-reset", "likely", some_end(Outcome.HANDSHAKE_RESET)),
    ("handshake-failed", "likely", ends(Outcome.HANDSHAKE_FAILED)),
    (
        "server-certificate-expired",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_EXPIRED, "expired"),
    ),
    ("server-certificate-expired", "certain", untrusted(UNKNOWN_CA, "unknown-ca", "expired")),
    (
        "server-certificate-not-yet-valid",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_NOT_YET_VALID, "not-yet-valid"),
    ),
    ("server-certificate-without-name", "certain", untrusted(UNKNOWN_CA, "unknown-ca", "no-san")),
    (
        "server-certificate-without-name",
        "certain",
        sees(files=replace(FILES, server=(verdict("no-san"),))),
    ),
    (
        "server-certificate-wrong-name",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_WRONG_NAME, "name-mismatch"),
    ),
    (
        "server-certificate-wrong-name",
        "certain",
        untrusted(UNKNOWN_CA, "unknown-ca", "name-mismatch"),
    ),
    (
        "server-certificate-wrong-usage",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_WRONG_USAGE, "wrong-usage"),
    ),
    ("server-certificate-weak", "certain", untrusted(Outcome.SERVER_CERTIFICATE_WEAK, "weak-key")),
    (
        "server-certificate-self-signed",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_SELF_SIGNED, "self-signed"),
    ),
    (
        "server-certificate-namesake-ca",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_NAMESAKE_CA, "same-name-ca"),
    ),
    ("server-certificate-namesake-ca", "certain", untrusted(UNKNOWN_CA, "same-name-ca")),
    (
        "server-certificate-without-intermediate",
        "certain",
        untrusted(UNKNOWN_CA, "missing-intermediate"),
    ),
    (
        "server-certificate-without-intermediate",
        "likely",
        both(
            untrusted(UNKNOWN_CA, "unknown-ca"),
            sees(
                announcement=replace(ANNOUNCEMENT, chain=(b"der",)),
                server=replace(SERVER, issuer="CN=Some Issuing CA"),
            ),
        ),
    ),
    ("server-certificate-unknown-ca", "certain", untrusted(UNKNOWN_CA, "unknown-ca")),
    ("server-certificate-unknown-ca", "certain", untrusted(UNKNOWN_CA)),
    (
        "server-certificate-invalid",
        "certain",
        untrusted(Outcome.SERVER_CERTIFICATE_INVALID, "path-too-long"),
    ),
    (
        "client-key-mismatch",
        "certain",
        sees(tally=tally(), refusals=(), announcement=None, files=replace(FILES, key_fits=False)),
    ),
    (
        "client-certificate-expired",
        "certain",
        client(Outcome.CLIENT_CERTIFICATE_EXPIRED, EXPIRED, "expired"),
    ),
    ("client-certificate-expired", "certain", client(SILENT, EXPIRED, "expired")),
    ("client-certificate-expired", "likely", client(Outcome.CLIENT_CERTIFICATE_EXPIRED)),
    (
        "client-certificate-expired",
        "certain",
        client(Outcome.CLIENT_CERTIFICATE_EXPIRED, CLIENT, "expired"),
    ),
    ("client-certificate-not-yet-valid", "certain", client(SILENT, EARLY, "not-yet-valid")),
    ("client-certificate-wrong-usage", "certain", client(SILENT, FOR_SERVERS, "wrong-usage")),
    ("client-certificate-wrong-usage", "likely", client(Outcome.CLIENT_CERTIFICATE_WRONG_USAGE)),
    (
        "client-certificate-weak",
        "certain",
        sees(tally=tally(), refusals=(), files=replace(FILES, client=(verdict("weak-key"),))),
    ),
    (
        "client-certificate-namesake-ca",
        "certain",
        client(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA, CLIENT, "same-name-ca"),
    ),
    ("client-certificate-namesake-ca", "likely", client(Outcome.CLIENT_SIGNATURE_REFUSED)),
    ("client-certificate-namesake-ca", "likely", client(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA)),
    (
        "client-certificate-unknown-ca",
        "certain",
        client(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA, FOREIGN),
    ),
    ("client-certificate-unknown-ca", "likely", client(SILENT, FOREIGN)),
    ("client-certificate-revoked", "certain", client(Outcome.CLIENT_CERTIFICATE_REVOKED)),
    (
        "client-certificate-missing",
        "certain",
        both(
            client(Outcome.CLIENT_CERTIFICATE_MISSING, None),
            sees(files=replace(FILES, key_fits=None, client=None)),
        ),
    ),
    (
        "client-certificate-missing",
        "likely",
        both(
            client(Outcome.HANDSHAKE_CLOSED, None),
            sees(files=replace(FILES, key_fits=None, client=None), announcement=ONLY_12, health=()),
        ),
    ),
    ("client-certificate-refused", "certain", client(Outcome.CLIENT_CERTIFICATE_REFUSED)),
    ("client-certificate-refused", "likely", both(client(SILENT), sees(health=WELL))),
    (
        "client-certificate-refused",
        "likely",
        both(client(SILENT), sees(health=(), direct={"ECS01": SERVES})),
    ),
    (
        "mutual-authentication-not-enforced",
        "certain",
        strangers("no_certificate", "unknown_ca", "expired", announcement=ASKS_NONE),
    ),
    (
        "mutual-authentication-not-enforced",
        "likely",
        strangers("no_certificate", "unknown_ca", announcement=None, listener=None),
    ),
    ("mutual-authentication-optional", "certain", strangers("no_certificate")),
    ("any-ca-accepted", "certain", strangers("unknown_ca", "impostor_ca", "expired")),
    ("any-ca-accepted", "certain", strangers("impostor_ca")),
    ("expired-certificate-accepted", "certain", strangers("expired")),
    ("wrong-usage-accepted", "certain", strangers("wrong_usage", "server_certificate")),
    ("wrong-usage-accepted", "certain", sees(client=FOR_SERVERS)),
    ("server-certificate-accepted", "certain", strangers("server_certificate")),
    ("old-tls-accepted", "certain", strangers("tls_1_1")),
    ("plain-http-served", "certain", strangers("plain_http")),
    (
        "refusal-untried",
        "certain",
        sees(refusals=(*REFUSED[:2], Refusal("plain_http", None, "not reached"), *REFUSED[3:])),
    ),
    (
        "security-group-closed",
        "certain",
        both(
            ends(Outcome.FIRST_BYTE_TIMEOUT),
            two({}, tally=only(SILENT), health=DOWN, listener=listener(members=CLOSED)),
        ),
    ),
    (
        "security-group-closed",
        "certain",
        two(
            {"ECS01": 200},
            health=(WELL[0], DOWN[1]),
            listener=listener(members=(MEMBERS[0], CLOSED[1])),
            direct={"ECS02": SERVES},
        ),
    ),
    ("no-backends", "certain", both(ends(SILENT), sees(health=(), listener=listener(members=())))),
    (
        "proxy-header",
        "certain",
        both(
            ends(Outcome.HTTP_4XX, "HTTP 400: Bad Request"),
            sees(listener=listener(proxy_protocol=True)),
        ),
    ),
    ("all-backends-down", "certain", two({}, tally=only(SILENT), health=DOWN)),
    ("all-backends-down", "certain", two({}, tally=only(Outcome.HTTP_5XX), health=DOWN)),
    (
        "all-backends-down",
        "certain",
        two({}, tally=only(SILENT), health=(), direct={"ECS01": REFUSES, "ECS02": REFUSES}),
    ),
    ("all-backends-down", "likely", both(client(SILENT), LONELY, sees(announcement=ASKS_NONE))),
    (
        "all-backends-down",
        "likely",
        both(
            client(SILENT),
            LONELY,
            sees(refusals=(replace(REFUSED[0], alert="certificate_required"),)),
        ),
    ),
    (
        "all-backends-down",
        "likely",
        both(client(SILENT), LONELY, sees(announcement=ANNOUNCEMENT, refusals=NO_VOICE)),
    ),
    ("backend-down", "likely", two({"ECS01": 200}, health=())),
    ("backend-down", "likely", two({"ECS01": 200}, health=(WELL[0], DOWN[1]))),
    (
        "backend-down",
        "certain",
        two({"ECS01": 200}, health=(WELL[0], DOWN[1]), direct={"ECS02": REFUSES}),
    ),
    ("backend-down", "certain", two({"ECS01": 3}, health=(), direct={"ECS02": REFUSES})),
    ("one-backend", "certain", two({"ECS01": 200})),
    ("health-abnormal", "certain", two({"ECS01": 100, "ECS02": 100}, health=(WELL[0], DOWN[1]))),
    (
        "health-abnormal",
        "certain",
        two({"ECS01": 200}, health=(WELL[0], DOWN[1]), direct={"ECS02": SERVES}),
    ),
    ("connections-dropped", "likely", some_end(SILENT)),
    ("backend-silent", "likely", some_end(Outcome.FIRST_BYTE_TIMEOUT)),
    (
        "backend-silent",
        "certain",
        both(
            two({"ECS01": 100}, direct={"ECS02": Direct(0, "curl: (28) timed out")}),
            some_end(Outcome.FIRST_BYTE_TIMEOUT),
        ),
    ),
    ("answer-stalled", "certain", some_end(Outcome.WHOLE_TIMEOUT)),
    ("backend-error", "certain", some_end(Outcome.HTTP_5XX)),
    ("redirect", "certain", some_end(Outcome.REDIRECT)),
    ("answer-empty", "certain", some_end(Outcome.ANSWER_EMPTY)),
    ("answer-cut", "certain", some_end(Outcome.ANSWER_CUT)),
    ("answer-too-large", "certain", some_end(Outcome.ANSWER_TOO_LARGE)),
    ("not-http", "certain", some_end(Outcome.NOT_HTTP)),
    ("another-page", "certain", two({"ECS01": 50, "ECS02": 50, "page 0badcafe": 50})),
    ("too-few-requests", "certain", two({"ECS01": 3})),
    ("too-few-requests", "certain", two({"ECS01": 3}, health=())),
    ("cannot-tell", "possible", both(client(SILENT), LONELY, sees(refusals=NO_VOICE[:0]))),
    ("cannot-tell", "possible", sees(tally=tally(), refusals=())),
    ("slow", "certain", two({}, tally=tally({"ECS01": 10, "ECS02": 10}, latency_s=1))),
    # The one backend in a second, the other in half of one, as on a computer that is busy.
    (
        "slow",
        "certain",
        two({}, tally=tally({"ECS01": 20}, latency_s=0.5) + tally({"ECS02": 20}, latency_s=1)),
    ),
    (
        "slow",
        "certain",
        two({}, tally=tally({"ECS01": 99, "ECS02": 80}) + tally({"ECS02": 20}, latency_s=1)),
    ),
    ("uneven", "certain", two({"ECS01": 190, "ECS02": 10})),
    (
        "certificate-ends-soon",
        "certain",
        sees(
            files=replace(
                FILES,
                terms=(Term("ca", "CN=our-ca", NOW - timedelta(300), NOW + timedelta(9)),),
            )
        ),
    ),
    (
        "ca-names-not-announced",
        "certain",
        sees(announcement=replace(ANNOUNCEMENT, accepted_cas=())),
    ),
)


def codes(found: tuple[Diagnosis, ...]) -> list[str]:
    return [each.code for each in found]


@pytest.mark.parametrize(("code", "confidence", "change"), CAUSES)
def test_cause_comes_first(code: str, confidence: Confidence, change: Change) -> None:
    found = diagnose(change(HEALTHY))
    assert (found[0].code, found[0].confidence) == (code, confidence), codes(found)


def test_every_rule_is_tested() -> None:
    assert {code for code, _, _ in CAUSES} == {rule.code for rule in RULES}


@pytest.mark.parametrize(
    "change",
    [
        strangers("no_certificate", "unknown_ca", announcement=ASKS_NONE),
        two({"ECS01": 200}, health=(WELL[0], DOWN[1])),
        two({}, tally=only(SILENT), health=DOWN),
        two({}, tally=only(SILENT), health=DOWN, listener=listener(members=CLOSED)),
        both(client(SILENT, EXPIRED, "expired"), sees(health=())),
        both(ends(Outcome.CONNECT_REFUSED), sees(listener=listener(status="Stopped"))),
        untrusted(UNKNOWN_CA, "same-name-ca"),
        strangers("wrong_usage", "server_certificate"),
    ],
)
def test_one_fault_is_told_once(change: Change) -> None:
    assert len(diagnose(change(HEALTHY))) == 1


def test_closed_group_of_one_backend_does_not_hide_what_ails_another() -> None:
    change = two(
        {"ECS03": 200},
        weights={"ECS01": 100, "ECS02": 100, "ECS03": 100},
        health=(*DOWN, Health("ECS03", "Normal")),
        listener=listener(members=(CLOSED[0], MEMBERS[1], Member("ECS03", 80, 100))),
        direct={"ECS01": SERVES, "ECS02": REFUSES},
    )
    assert codes(diagnose(change(HEALTHY)))[:2] == ["security-group-closed", "backend-down"]


def test_closed_group_without_a_symptom_is_none() -> None:
    assert diagnose(replace(HEALTHY, listener=listener(members=CLOSED))) == ()


def test_name_that_nobody_went_by_is_a_warning() -> None:
    for addresses, code in (
        ((), "name-not-resolving"),
        (("198.51.100.1",), "name-points-elsewhere"),
    ):
        seen = replace(HEALTHY, dns=replace(DNS, addresses=addresses))
        (aside,) = diagnose(seen)
        relied = replace(DNS, addresses=addresses, relied_on=True)
        (severe,) = diagnose(replace(seen, dns=relied))
        assert (aside.code, aside.severity, severe.severity) == (code, "warning", "error")


def test_one_clock_that_differs_is_a_warning() -> None:
    (found,) = diagnose(replace(HEALTHY, clock={"backends": -3600.0}))
    assert (found.code, found.severity, found.confidence) == ("clock-skew", "warning", "possible")
    assert diagnose(replace(HEALTHY, clock={"backends": 3.0, "cloud": -40.0})) == ()


def test_address_that_fails_alone_is_named() -> None:
    refused = tally(failed={Outcome.CONNECT_REFUSED: 100}, at="203.0.113.8:443")
    (found,) = diagnose(replace(HEALTHY, tally=HEALTHY.tally + refused))
    assert found.code == "port-closed"
    assert "1 of 2 addresses" in found.evidence
    assert "1 of 2 addresses only: 203.0.113.8:443" in found.cause()
    assert "100 of 300" in found.cause()


def test_backend_that_fails_alone_is_named() -> None:
    broken = tally(failed={Outcome.HTTP_5XX: 100}, whose="ECS02")
    (found,) = diagnose(replace(HEALTHY, tally=tally({"ECS01": 100}) + broken))
    assert "ECS02 100" in found.evidence
    assert "ECS02" in found.cause()


def test_refusal_in_a_tls_12_handshake_is_not_called_a_cut() -> None:
    seen = replace(ends(Outcome.HANDSHAKE_CLOSED)(HEALTHY), announcement=ONLY_12, client=FOREIGN)
    assert codes(diagnose(seen))[0] == "client-certificate-unknown-ca"


def test_intermediate_above_the_client_counts_among_the_accepted() -> None:
    announced = replace(ANNOUNCEMENT, accepted_cas=(OUR_CA,))
    files = replace(FILES, client_issuers=(OTHER_CA, OUR_CA))
    seen = client(SILENT, FOREIGN)(HEALTHY)
    seen = replace(seen, announcement=announced, files=files, health=WELL)
    assert codes(diagnose(seen))[0] == "client-certificate-refused"


def test_server_certificate_tells_what_it_is() -> None:
    change = untrusted(Outcome.SERVER_CERTIFICATE_WRONG_NAME, "name-mismatch")
    seen = replace(change(HEALTHY), name="b.example")
    (found,) = diagnose(seen)
    assert "www.example.com" in found.cause()
    assert "b.example" in found.cause()
    unknown = diagnose(replace(seen, server=None))[0]
    assert unknown.cause()


def test_throw_away_ca_does_not_hide_what_is_wrong_with_the_certificate() -> None:
    seen = untrusted(UNKNOWN_CA, "unknown-ca", "expired")(HEALTHY)
    assert codes(diagnose(seen)) == ["server-certificate-expired", "server-certificate-unknown-ca"]


@pytest.mark.parametrize(
    ("held", "name", "expected"),
    [
        ("www.example.com", "WWW.example.com.", True),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.com", "example.com", False),
        ("203.0.113.7", "203.0.113.7", True),
        ("example.com", "www.example.com", False),
    ],
)
def test_certificate_is_for_a_name(held: str, name: str, expected: bool) -> None:
    assert replace(SERVER, names=("other.example", held)).is_for(name) == expected


def test_network_to_another_continent_is_not_slow() -> None:
    assert diagnose(replace(HEALTHY, tally=tally({"ECS01": 9, "ECS02": 9}, latency_s=0.7))) == ()


def test_bad_answer_tells_whose_it_may_be() -> None:
    seen = replace(HEALTHY, tally=tally({"ECS01": 100}, {Outcome.HTTP_5XX: 100}))
    assert "from ECS02" in diagnose(seen)[0].evidence


def test_seven_of_ten_is_no_fault() -> None:
    assert diagnose(replace(HEALTHY, tally=tally({"ECS01": 7, "ECS02": 3}))) == ()


def test_member_of_weight_0_need_not_be_used() -> None:
    seen = replace(
        HEALTHY,
        weights={**HEALTHY.weights, "ECS03": 0},
        health=(*WELL, Health("ECS03", "Unused")),
    )
    assert diagnose(seen) == ()
    assert report(seen).verdict == "pass"


def test_every_rule_has_its_words() -> None:
    for rule in RULES:
        assert knows(f"probe.diagnosis.{rule.code}.cause"), rule.code
        assert knows(f"probe.diagnosis.{rule.code}.remedy"), rule.code
        assert rule.looks_at
    for outcome in Outcome:
        assert say(f"probe.outcome.{outcome}")
    for stranger in STRANGERS:
        assert say(f"probe.stranger.{stranger}")
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert {code for rule in RULES for code in rule.explains} <= {rule.code for rule in RULES}


# Observations in general

names = st.sampled_from(["ECS01", "ECS02", "ECS03"])
weights = st.dictionaries(names, st.integers(1, 4), max_size=3)
failures: list[Outcome] = [outcome for outcome in Outcome if outcome is not Outcome.OK]
# What may or may not be the client certificate's doing is where the rules have to be careful.
unclear = [each for each in failures if "client" in each or "without-answer" in each]
outcomes = st.one_of(st.sampled_from(unclear), st.sampled_from(failures))
clients = st.sampled_from([None, CLIENT, EXPIRED, EARLY, FOREIGN, FOR_SERVERS])
announcements = st.sampled_from(
    [
        None,
        ANNOUNCEMENT,
        ASKS_NONE,
        ONLY_12,
        Announcement((b"der",)),
        replace(ANNOUNCEMENT, accepted_cas=()),
    ]
)
healths = st.one_of(
    st.just(()),
    st.lists(
        st.builds(Health, names, st.sampled_from(["Normal", "Unhealthy", "Initial", "Unused"])),
        max_size=3,
        unique_by=lambda health: health.server,
    ).map(tuple),
)
refusals = st.tuples(
    *(
        st.builds(
            Refusal,
            st.just(name),
            st.sampled_from([True, True, True, False, None]),
            st.just("evidence"),
            st.sampled_from([None, "unknown_ca"]),
        )
        for name in STRANGERS
    )
)
verdicts = st.one_of(
    st.none(),
    st.lists(
        st.sampled_from(
            [
                "expired",
                "unknown-ca",
                "same-name-ca",
                "wrong-usage",
                "weak-key",
                "no-san",
                "damaged",
            ]
        ).map(verdict),
        max_size=2,
    ).map(tuple),
)
files = st.builds(
    lambda key_fits, client, server: replace(
        FILES, key_fits=key_fits, client=client, server=server
    ),
    st.sampled_from([None, True, False]),
    verdicts,
    verdicts,
)
directs = st.dictionaries(names, st.sampled_from([SERVES, REFUSES]), max_size=3)
listeners = st.sampled_from(
    [
        None,
        LISTENER,
        listener(exists=False),
        listener(status="Stopped"),
        listener(members=CLOSED),
        listener(members=()),
        listener(members=None),
        listener(proxy_protocol=True),
        listener(mutual=False),
        listener(ca_id="ca-2"),
    ]
)
skews = st.floats(-1e6, 1e6)


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    """Anything at all that may be observed."""
    pages = st.one_of(names, st.just("page 1"))
    some = st.dictionaries(outcomes, st.integers(1, 5), max_size=3)
    answered = draw(st.one_of(st.just({}), st.dictionaries(pages, st.integers(1, 30))))
    counted = tally(answered, draw(some), draw(st.sampled_from([0.01, 2.0])))
    return Observations(
        endpoint="203.0.113.7:443",
        name="www.example.com",
        now=NOW,
        tally=replace(counted, unfinished=draw(st.sampled_from([0, 0, 0, 1]))),
        weights=draw(weights),
        refusals=draw(refusals)[: draw(st.integers(0, len(STRANGERS)))],
        health=draw(healths),
        client=draw(clients),
        announcement=draw(announcements),
        server=draw(st.sampled_from([None, SERVER])),
        files=draw(files),
        dns=draw(st.sampled_from([None, DNS, replace(DNS, addresses=())])),
        listener=draw(listeners),
        direct=draw(directs),
        clock=draw(st.dictionaries(st.sampled_from(["backends", "cloud"]), skews)),
    )


many = st.dictionaries(
    st.integers(1, 40).map(lambda number: f"ECS{number:02}"), st.integers(0, 4), max_size=12
)


@st.composite
def healthy(draw: st.DrawFn, *, seen_in_full: bool = False) -> Observations:
    """All is well, and more or less of it is known; the backends take turns, by weight."""
    found = draw(many)
    turns = [name for name, weight in found.items() for _ in range(weight)] or ["page 1"]
    least = len(turns) if seen_in_full else 1
    count = draw(st.one_of(st.integers(least, least + 20), st.integers(least, 400)))
    answered: dict[str, int] = {}
    for name in islice(cycle(turns), count):
        answered[name] = answered.get(name, 0) + 1
    expected = found if any(found.values()) else {}
    inside = draw(st.booleans())
    ahead = st.floats(-200, 200)
    return replace(
        HEALTHY,
        tally=tally(answered, latency_s=draw(st.floats(0.0001, 0.7))),
        weights=expected,
        health=draw(
            st.sampled_from(
                [
                    (),
                    tuple(
                        Health(name, "Normal" if weight else "Unused")
                        for name, weight in expected.items()
                    ),
                ]
            )
        ),
        client=draw(st.sampled_from([CLIENT, FOREIGN])),
        announcement=draw(st.sampled_from([None, ANNOUNCEMENT, ONLY_12])),
        server=draw(st.sampled_from([None, SERVER])),
        files=draw(st.sampled_from([FILES, replace(FILES, client_ca_known=False, server=None)])),
        refusals=REFUSED[: draw(st.integers(3, len(STRANGERS)))],
        dns=draw(st.sampled_from([None, DNS])),
        listener=LISTENER if inside else None,
        direct=dict.fromkeys(expected, SERVES) if inside else {},
        clock=draw(st.dictionaries(st.sampled_from(["backends", "cloud"]), ahead)),
    )


def report(seen: Observations) -> Report:
    return Report(
        target=Target("203.0.113.7", 443, "www.example.com"),
        tally=seen.tally,
        refusals=seen.refusals,
        health=seen.health,
        diagnoses=diagnose(seen),
        expected=expected_shares(seen.weights),
    )


@given(healthy())
def test_nothing_is_found_where_all_is_well(seen: Observations) -> None:
    too_few = ["too-few-requests"] if seen.missing() else []
    assert codes(diagnose(seen)) == too_few
    assert report(seen).verdict == ("fail" if too_few else "pass")


@given(healthy(seen_in_full=True), st.sampled_from(CAUSES))
def test_injected_cause_comes_first_whatever_else_is_known(
    seen: Observations, cause: tuple[str, Confidence, Change]
) -> None:
    code, _, change = cause
    found = diagnose(change(seen))
    assert found[0].code == code, codes(found)


@given(observations())
def test_every_failure_has_a_cause(seen: Observations) -> None:
    errors = [each for each in diagnose(seen) if each.severity == "error"]
    if seen.tally.failed:
        assert errors
    assert (report(seen).verdict == "fail") == bool(errors)


@given(observations())
def test_causes_come_in_order_and_in_words(seen: Observations) -> None:
    found = diagnose(seen)
    ranks = [
        (
            each.severity == "warning",
            not seen.tally.ok and each.facts["count"] == "0",
            ["certain", "likely", "possible"].index(each.confidence),
        )
        for each in found
    ]
    assert all(one <= other for one, other in pairwise(ranks))
    assert len(set(codes(found))) == len(found)
    for each in found:
        assert each.evidence
        for text in (each.cause(), each.remedy()):
            assert text
            assert "{" not in text
