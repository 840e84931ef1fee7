"""A list is read to its end, whatever the size of its pages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.problem import Problem
from services.stop import Stop
from tests.services.cloud.conftest import Ask, cloud_at
from tests.services.cloud.responder import Reply, Request, answer, responding

cuts = st.lists(st.integers(0, 4), min_size=1, max_size=6)


def _pages(sizes: Sequence[int]) -> list[list[str]]:
    numbers = iter(range(sum(sizes)))
    return [[f"{next(numbers)}" for _ in range(size)] for size in sizes]


def test_lists_by_token_come_whole_and_in_order() -> None:
    pages: list[list[str]] = []
    last: list[object] = [""]

    def handler(request: Request) -> Reply:
        at = int(request.parameters.get("NextToken", "page-0").removeprefix("page-"))
        found = [{"LoadBalancerId": name} for name in pages[at]]
        token = f"page-{at + 1}" if at + 1 < len(pages) else last[0]
        return Reply(200, json.dumps({"LoadBalancers": found, "NextToken": token}).encode())

    with responding(handler) as responder:
        cloud = cloud_at(responder.url)

        @given(sizes=cuts, end=st.sampled_from(["", None]))
        @settings(max_examples=40)
        def holds(sizes: list[int], end: object) -> None:
            pages[:], last[0] = _pages(sizes), end
            found = [balancer.id for balancer in cloud.nlb.load_balancers(Stop())]
            assert found == [name for page in pages for name in page]

        holds()


def test_lists_by_number_come_whole_and_in_order() -> None:
    pages: list[list[str]] = []
    total: list[object] = [0]

    def handler(request: Request) -> Reply:
        at = int(request.parameters["CurrentPage"]) - 1
        found = [{"Identifier": name} for name in (pages[at] if at < len(pages) else [])]
        return Reply(200, json.dumps({"CertList": found, "TotalCount": total[0]}).encode())

    with responding(handler) as responder:
        cloud = cloud_at(responder.url)

        @given(sizes=st.lists(st.integers(1, 4), max_size=6), as_text=st.sampled_from([0, 1, 2]))
        @settings(max_examples=40)
        def holds(sizes: list[int], as_text: int) -> None:
            pages[:] = _pages(sizes)
            total[0] = [sum(sizes), str(sum(sizes)), None][as_text]
            found = [certificate.id for certificate in cloud.cas.ca_certificates(Stop())]
            assert found == [name for page in pages for name in page]

        holds()


def test_a_list_that_leads_back_to_itself_is_a_bad_answer(ask: Ask) -> None:
    cloud, responder, _ = ask(lambda request: answer(Listeners=[], NextToken="again"))
    with pytest.raises(Problem) as raised:
        cloud.nlb.listeners("nlb-1", Stop())
    assert raised.value.code == "cloud.bad-answer"
    assert len(responder.seen) == 2
