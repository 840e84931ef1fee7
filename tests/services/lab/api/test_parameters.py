"""Parameters, against the SDK's own way to flatten them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab.api.errors import ApiError
from services.lab.api.parameters import LARGEST_COUNT, Parameters, flat, nested

NAMES = st.text("ABCDEFGHabcdefgh", min_size=1, max_size=6)
TEXTS = st.text(max_size=10)
VALUES = st.recursive(
    TEXTS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=12)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_the_sdk_flattens_comes_back(structure: dict[str, Any]) -> None:
    from alibabacloud_tea_openapi.utils import Utils

    query = urlencode(Utils.query(structure))
    assert nested(flat(query, "")) == structure
    assert nested(flat("", query)) == structure


@given(st.dictionaries(st.text(".12A", max_size=12), TEXTS, max_size=8))
def test_no_name_breaks_it(names: dict[str, str]) -> None:
    with suppress(ApiError):
        nested(names)


@pytest.mark.parametrize("names", [{"A": "1", "A.1": "2"}, {"A.1": "2", "A": "1"}])
def test_a_name_is_a_value_or_a_structure(names: dict[str, str]) -> None:
    with pytest.raises(ApiError, match="InvalidParameter"):
        nested(names)


def test_too_many_and_too_deep() -> None:
    with pytest.raises(ApiError):
        flat("&".join(f"a{number}=1" for number in range(LARGEST_COUNT + 1)), "")
    with pytest.raises(ApiError):
        nested({".".join("abcdefghijk"): "1"})


@pytest.mark.parametrize(("text", "value"), [("True", True), ("false", False), ("TRUE", True)])
def test_booleans_in_any_case(text: str, value: bool) -> None:
    assert Parameters({"On": text}).flag("On", not value) is value


@pytest.mark.parametrize("text", ["yes", "1", ["True"], {"A": "True"}])
def test_other_booleans_are_refused(text: Any) -> None:
    with pytest.raises(ApiError):
        Parameters({"On": text}).flag("On")


@pytest.mark.parametrize("text", ["1.5", "ten", " 1", "²", "1e3", "9" * 30, ["1"]])
def test_other_numbers_are_refused(text: Any) -> None:
    with pytest.raises(ApiError):
        Parameters({"N": text}).number("N", 0, 0, 10**30)


def test_lists_need_their_index() -> None:
    with pytest.raises(ApiError):
        Parameters({"Ids": "abc"}).texts("Ids", 20)
    assert Parameters(nested({"Ids.2": "b", "Ids.1": "a"})).texts("Ids", 20) == ("a", "b")


def test_errors_name_the_whole_path() -> None:
    servers = Parameters(nested({"Servers.1.Port": "x"})).structures("Servers", 5)
    with pytest.raises(ApiError) as refused:
        servers[0].number("Port", 0, 0, 1)
    assert "Servers.1.Port" in refused.value.message
    assert "x" not in refused.value.message.split()


@pytest.mark.parametrize("text", ["[", "{}", '"a"', "[" * 100_000])
def test_json_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        Parameters({"InstanceIds": text}).json("InstanceIds", [])
