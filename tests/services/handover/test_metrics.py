"""The Prometheus file, judged by the parser of Prometheus's own Python client."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.handover.exposition import Family, Sample, exposition
from services.handover.metrics import prometheus
from tests.services.handover.sample import CONTENT, EVIL, HOSTILE


def parsed(data: bytes) -> dict[str, Metric]:
    """The families by their names; the format's rules that the parser leaves to others hold too."""
    text = data.decode()
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    names = re.findall(r"(?m)^# TYPE (\S+)", text)
    assert len(names) == len(set(names)) == len(families)
    for family in families:
        lines = [(each.name, tuple(sorted(each.labels.items()))) for each in family.samples]
        assert len(lines) == len(set(lines))
        assert family.documentation
    return {family.name: family for family in families}


def values(family: Metric, label: str) -> dict[str, float]:
    return {each.labels[label]: each.value for each in family.samples if label in each.labels}


def test_what_was_proven_is_there_with_types_and_units() -> None:
    found = parsed(prometheus(CONTENT))
    assert {name: family.type for name, family in found.items()} == {
        "nlb_mtls_verification_pass": "gauge",
        "nlb_mtls_verified_timestamp_seconds": "gauge",
        "nlb_mtls_requests": "counter",
        "nlb_mtls_backend_responses": "counter",
        "nlb_mtls_backend_expected_ratio": "gauge",
        "nlb_mtls_latency_seconds": "summary",
        "nlb_mtls_phase_latency_seconds": "summary",
        "nlb_mtls_stranger_refused": "gauge",
        "nlb_mtls_health_normal": "gauge",
        "nlb_mtls_certificate_not_after_timestamp_seconds": "gauge",
        "nlb_mtls_certificate_days_left": "gauge",
        "nlb_mtls_exported_timestamp_seconds": "gauge",
    }
    assert found["nlb_mtls_verification_pass"].samples[0].value == 1
    assert values(found["nlb_mtls_requests"], "outcome") == {"ok": 200}
    assert found["nlb_mtls_requests"].samples[0].name == "nlb_mtls_requests_total"
    assert values(found["nlb_mtls_backend_responses"], "backend") == {"ECS01": 101, "ECS02": 99}
    assert values(found["nlb_mtls_latency_seconds"], "quantile") == {
        "0.5": 0.01402,
        "0.99": 0.01878,
    }
    # One that was not tried proves nothing either way.
    assert values(found["nlb_mtls_stranger_refused"], "stranger") == {"no_certificate": 1}
    assert values(found["nlb_mtls_health_normal"], "server") == {"ECS01": 1, "ECS02": 1}
    days = values(found["nlb_mtls_certificate_days_left"], "role")
    assert days == {"server": 396, "client": 6}
    every = [each.labels for family in found.values() for each in family.samples]
    assert {each["session"] for each in every} == {CONTENT.session}
    assert {each["domain"] for each in every} == {"www.example.com"}


def test_what_is_not_known_is_left_out() -> None:
    found = parsed(prometheus(replace(CONTENT, verification=None, certificates=())))
    assert set(found) == {"nlb_mtls_exported_timestamp_seconds"}


def test_hostile_names_stay_in_their_labels() -> None:
    found = parsed(prometheus(HOSTILE))
    assert EVIL in values(found["nlb_mtls_backend_responses"], "backend")
    assert EVIL in values(found["nlb_mtls_requests"], "outcome")
    assert found["nlb_mtls_verification_pass"].samples[0].value == 0


@given(
    st.lists(st.text(st.characters(codec="utf-8")), min_size=1, unique=True),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1),
)
def test_every_label_and_number_comes_back(labels: list[str], value: float, words: str) -> None:
    samples = tuple(Sample(value, {"label": each}) for each in labels)
    data = exposition([Family("metric", "gauge", f"About {words}.", samples)], comment=words)
    [family] = text_string_to_metric_families(data.decode())
    assert [each.labels["label"] for each in family.samples] == labels
    assert {each.value for each in family.samples} == {value}


@pytest.mark.parametrize(
    ("name", "label"),
    [("1st", "l"), ("a-b", "l"), ("a", "l-m"), ("a", "__name")],
    ids=["metric-digit", "metric-dash", "label-dash", "label-reserved"],
)
def test_a_name_that_the_format_forbids_is_a_defect(name: str, label: str) -> None:
    with pytest.raises(ValueError, match=label if name == "a" else name):
        exposition([Family(name, "gauge", "About.", (Sample(1, {label: "value"}),))])
