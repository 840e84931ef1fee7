"""The rules: silent where all is well, never where it is not, and right about which is which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.announcement import Announcement
from services.probe.diagnosis import (
    RULES,
    Confidence,
    Diagnosis,
    diagnose,
)
from services.probe.identity import Identity
from services.probe.observations import Health, Observations
from services.probe.outcome import Outcome
from services.probe.refusals import STRANGERS, Refusal
from services.probe.report import Report
from services.probe.tally import Counting, Tally
from services.probe.target import Target
from services.text import knows, say

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OUR_CA, OTHER_CA = b"0\x12\x06\x03\x55\x04\x03\x0c\x06our-ca", b"\x06\x03\x55\x04\x03\x0c\x05other"
CLIENT = Identity("CN=client", "CN=our-ca", OUR_CA, NOW - timedelta(1), NOW + timedelta(30))
EXPIRED = replace(CLIENT, not_after=NOW - timedelta(hours=1))
EARLY = replace(CLIENT, not_before=NOW + timedelta(hours=1))
FOREIGN = replace(CLIENT, issuer="CN=other", issuer_der=OTHER_CA)
SERVER = replace(CLIENT, subject="CN=www.example.com", names=("www.example.com",))
ANNOUNCEMENT = Announcement((b"der",), certificate_asked=True, accepted_cas=(OUR_CA,))
REFUSED = tuple(Refusal(name, True, "closed, 0 B from a backend") for name in STRANGERS)
WELL = (Health("ECS01", "Normal"), Health("ECS02", "Normal"))
DOWN = (Health("ECS01", "Unhealthy", "CONNECT_FAILED"), Health("ECS02", "Unhealthy"))


def tally(
    backends: Mapping[str, int] | None = None,
    failed: Mapping[Outcome, int] | None = None,
    latency_s: float = 0.01,
) -> Tally:
    counting = Counting(1)
    for name, count in (backends or {}).items():
        for _ in range(count):
            counting.answered(name, latency_s, "TLSv1.3 TLS_AES_256_GCM_SHA384")
    for outcome, count in (failed or {}).items():
        for _ in range(count):
            counting.failed(outcome, f"evidence of {outcome}")
    return counting.tally(1)


BOTH = tally({"ECS01": 100, "ECS02": 100})
HEALTHY = Observations(
    endpoint="203.0.113.7:443",
    name="www.example.com",
    now=NOW,
    tally=BOTH,
    weights={"ECS01": 100, "ECS02": 100},
    refusals=REFUSED,
    health=WELL,
    client=CLIENT,
    announcement=ANNOUNCEMENT,
    server=SERVER,
)


def only(failed: Outcome, count: int = 200) -> Tally:
    return tally(failed=dict.fromkeys([failed], count))


def not_refused(*names: str) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(each.name, False, "HTTP 200 and 29 B") if each.name in names else each
        for each in REFUSED
    )


def codes(found: tuple[Diagnosis, ...]) -> list[str]:
    return [each.code for each in found]


SILENT = only(Outcome.CLOSED_WITHOUT_ANSWER)


@pytest.mark.parametrize(
    ("seen", "code", "confidence"),
    [
        (replace(HEALTHY, tally=only(Outcome.CONNECT_REFUSED)), "port-closed", "certain"),
        (replace(HEALTHY, tally=only(Outcome.CONNECT_TIMEOUT)), "port-filtered", "likely"),
        (
            replace(HEALTHY, tally=only(Outcome.NAME_NOT_RESOLVING, 1)),
            "name-not-resolving",
            "certain",
        ),
        (replace(HEALTHY, tally=only(Outcome.NOT_TLS)), "not-tls", "certain"),
        (replace(HEALTHY, tally=only(Outcome.TLS_VERSION)), "tls-version", "certain"),
        (replace(HEALTHY, tally=only(Outcome.HANDSHAKE_TIMEOUT)), "stalled", "certain"),
        (
            replace(HEALTHY, tally=only(Outcome.SERVER_CERTIFICATE_WRONG_NAME)),
            "server-certificate-wrong-name",
            "certain",
        ),
        (
            replace(
                HEALTHY,
                tally=only(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA),
                server=replace(SERVER, not_after=NOW - timedelta(hours=1)),
            ),
            "server-certificate-expired",
            "certain",
        ),
        (
            replace(
                HEALTHY,
                tally=only(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA),
                server=replace(SERVER, names=("www.example.net",)),
            ),
            "server-certificate-wrong-name",
            "certain",
        ),
        (
            replace(HEALTHY, tally=only(Outcome.SERVER_CERTIFICATE_UNKNOWN_CA)),
            "server-certificate-unknown-ca",
            "certain",
        ),
        (
            replace(HEALTHY, tally=only(Outcome.CLIENT_CERTIFICATE_EXPIRED), client=EXPIRED),
            "client-certificate-expired",
            "certain",
        ),
        (
            replace(HEALTHY, tally=only(Outcome.CLIENT_CERTIFICATE_EXPIRED)),
            "client-certificate-expired",
            "likely",
        ),
        (
            replace(HEALTHY, tally=SILENT, client=EXPIRED, health=()),
            "client-certificate-expired",
            "certain",
        ),
        (
            replace(HEALTHY, tally=SILENT, client=EARLY, health=()),
            "client-certificate-not-yet-valid",
            "certain",
        ),
        (
            replace(HEALTHY, tally=SILENT, client=FOREIGN, health=()),
            "client-certificate-unknown-ca",
            "likely",
        ),
        (
            replace(HEALTHY, tally=only(Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA), client=FOREIGN),
            "client-certificate-unknown-ca",
            "certain",
        ),
        (
            replace(HEALTHY, tally=SILENT, client=None, health=()),
            "client-certificate-missing",
            "likely",
        ),
        (replace(HEALTHY, tally=SILENT), "client-certificate-refused", "likely"),
        (replace(HEALTHY, tally=SILENT, health=()), "client-certificate-refused", "possible"),
        (replace(HEALTHY, tally=SILENT, health=DOWN), "all-backends-down", "certain"),
        (
            replace(
                HEALTHY,
                tally=SILENT,
                health=(),
                refusals=tuple(replace(each, alert="certificate_required") for each in REFUSED),
            ),
            "all-backends-down",
            "likely",
        ),
        (
            replace(HEALTHY, tally=SILENT, health=(), announcement=Announcement((b"der",))),
            "all-backends-down",
            "likely",
        ),
        (replace(HEALTHY, tally=tally({"ECS01": 200})), "backend-down", "likely"),
        (replace(HEALTHY, tally=tally({"ECS01": 3})), "backend-down", "possible"),
        (
            replace(HEALTHY, tally=tally({"ECS01": 200}), health=(WELL[0], DOWN[1])),
            "backend-down",
            "certain",
        ),
        (
            replace(HEALTHY, tally=BOTH + only(Outcome.CLOSED_WITHOUT_ANSWER, 20), health=()),
            "connections-dropped",
            "likely",
        ),
        (
            replace(HEALTHY, tally=BOTH + tally({"page 0badcafe": 50})),
            "another-page",
            "certain",
        ),
        (replace(HEALTHY, health=(WELL[0], DOWN[1])), "health-abnormal", "certain"),
        (
            replace(HEALTHY, refusals=not_refused("no_certificate", "unknown_ca")),
            "mutual-authentication-not-enforced",
            "certain",
        ),
        (replace(HEALTHY, refusals=not_refused("unknown_ca")), "any-ca-accepted", "certain"),
        (replace(HEALTHY, refusals=not_refused("plain_http")), "plain-http-served", "certain"),
        (
            replace(HEALTHY, refusals=(*REFUSED[:2], Refusal("plain_http", None, "not reached"))),
            "refusal-untried",
            "certain",
        ),
        (replace(HEALTHY, tally=only(Outcome.HTTP_5XX)), "backend-error", "certain"),
        (
            replace(HEALTHY, tally=only(Outcome.HTTP_5XX), health=DOWN),
            "all-backends-down",
            "certain",
        ),
        (replace(HEALTHY, tally=only(Outcome.REDIRECT)), "redirect", "certain"),
        (
            replace(HEALTHY, tally=tally({"ECS01": 100}, {Outcome.FIRST_BYTE_TIMEOUT: 100})),
            "backend-silent",
            "likely",
        ),
        (
            replace(HEALTHY, tally=tally({"ECS01": 100}, {Outcome.HTTP_5XX: 100})),
            "backend-error",
            "certain",
        ),
        (
            replace(HEALTHY, tally=tally({"ECS01": 10, "ECS02": 10}, latency_s=1)),
            "slow",
            "certain",
        ),
        (
            replace(
                HEALTHY,
                tally=tally({"ECS01": 100, "ECS02": 80}) + tally({"ECS02": 20}, latency_s=1),
            ),
            "slow",
            "certain",
        ),
        (replace(HEALTHY, tally=tally({"ECS01": 190, "ECS02": 10})), "uneven", "certain"),
        (
            replace(HEALTHY, announcement=replace(ANNOUNCEMENT, accepted_cas=())),
            "ca-names-not-announced",
            "certain",
        ),
    ],
)
def test_cause_comes_first(seen: Observations, code: str, confidence: Confidence) -> None:
    found = diagnose(seen)
    assert (found[0].code, found[0].confidence) == (code, confidence)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (replace(HEALTHY, refusals=not_refused(*STRANGERS[:2])), 1),
        (replace(HEALTHY, tally=tally({"ECS01": 200}), health=(WELL[0], DOWN[1])), 1),
        (replace(HEALTHY, tally=SILENT, health=DOWN), 1),
        (replace(HEALTHY, tally=SILENT, client=EXPIRED, health=()), 1),
    ],
)
def test_one_fault_is_told_once(seen: Observations, expected: int) -> None:
    assert len(diagnose(seen)) == expected


def test_server_certificate_tells_what_it_is() -> None:
    seen = replace(HEALTHY, tally=only(Outcome.SERVER_CERTIFICATE_WRONG_NAME), name="b.example")
    (found,) = diagnose(seen)
    assert "www.example.com" in found.cause()
    assert "b.example" in found.cause()
    unknown = diagnose(replace(seen, server=None))[0]
    assert unknown.cause()


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


def test_every_rule_has_its_words() -> None:
    for rule in RULES:
        assert knows(f"probe.diagnosis.{rule.code}.cause"), rule.code
        assert knows(f"probe.diagnosis.{rule.code}.remedy"), rule.code
    for outcome in Outcome:
        assert say(f"probe.outcome.{outcome}")
    for stranger in STRANGERS:
        assert say(f"probe.stranger.{stranger}")
    assert len({rule.code for rule in RULES}) == len(RULES)


# Observations in general

names = st.sampled_from(["ECS01", "ECS02", "ECS03"])
weights = st.dictionaries(names, st.integers(1, 4), max_size=3)
failures: list[Outcome] = [outcome for outcome in Outcome if outcome is not Outcome.OK]
# What may or may not be the client certificate's doing is where the rules have to be careful.
unclear = [each for each in failures if "client" in each or "without-answer" in each]
outcomes = st.one_of(st.sampled_from(unclear), st.sampled_from(failures))
clients = st.sampled_from([None, CLIENT, EXPIRED, EARLY, FOREIGN])
announcements = st.sampled_from(
    [None, ANNOUNCEMENT, Announcement((b"der",)), replace(ANNOUNCEMENT, accepted_cas=())]
)
healths = st.one_of(
    st.just(()),
    st.lists(
        st.builds(Health, names, st.sampled_from(["Normal", "Unhealthy", "Initial"])),
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


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    """Anything that may be observed after at least one request."""
    pages = st.one_of(names, st.just("page 1"))
    some = st.dictionaries(outcomes, st.integers(1, 5), min_size=1, max_size=3)
    answered = draw(st.one_of(st.just({}), st.dictionaries(pages, st.integers(1, 30))))
    failed: dict[Outcome, int] = draw(st.one_of(st.just({}), some) if answered else some)
    return Observations(
        endpoint="203.0.113.7:443",
        name="www.example.com",
        now=NOW,
        tally=tally(answered, failed),
        weights=draw(weights),
        refusals=draw(refusals),
        health=draw(healths),
        client=draw(clients),
        announcement=draw(announcements),
        server=draw(st.sampled_from([None, SERVER])),
    )


@st.composite
def healthy(draw: st.DrawFn) -> Observations:
    """All is well: shares by weight, as far as whole requests allow."""
    found = draw(weights)
    rounds = draw(st.integers(1, 40))
    answered = {name: weight * rounds for name, weight in found.items()} or {"page 1": rounds}
    known = draw(st.booleans())
    return replace(
        HEALTHY,
        tally=tally(answered),
        weights=found,
        health=tuple(Health(name, "Normal") for name in found) if known else (),
        client=draw(st.sampled_from([CLIENT, FOREIGN])),
        announcement=draw(st.sampled_from([None, ANNOUNCEMENT])),
        server=draw(st.sampled_from([None, SERVER])),
    )


def report(seen: Observations) -> Report:
    return Report(
        target=Target("203.0.113.7", 443, "www.example.com"),
        tally=seen.tally,
        refusals=seen.refusals,
        health=seen.health,
        diagnoses=diagnose(seen),
        expected=tuple(seen.weights),
    )


@given(healthy())
def test_nothing_is_found_where_all_is_well(seen: Observations) -> None:
    assert diagnose(seen) == ()
    assert report(seen).verdict == "pass"


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
        (each.severity == "warning", ["certain", "likely", "possible"].index(each.confidence))
        for each in found
    ]
    assert all(one <= other for one, other in pairwise(ranks))
    assert len(set(codes(found))) == len(found)
    for each in found:
        assert each.evidence
        for text in (each.cause(), each.remedy()):
            assert text
            assert "{" not in text
