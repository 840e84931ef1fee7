"""Lists to their end, in both of the vendor's ways of paging."""

from __future__ import annotations

from collections.abc import Iterator

from services.cloud.answer import Answer
from services.cloud.api import Api
from services.cloud.equivalent import Parameters, Product
from services.cloud.errors import bad_answer
from services.stop import Stop

_PAGES_AT_MOST = 1000
"""A list that is longer than this repeats itself."""


def by_token(
    api: Api, product: Product, action: str, parameters: Parameters, stop: Stop
) -> Iterator[Answer]:
    """The pages of a list that names the next one (`NextToken`, as in NLB and ECS)."""
    token = ""
    for _ in range(_PAGES_AT_MOST):
        asked = {**parameters, "NextToken": token} if token else parameters
        page = api.call(product, action, asked, stop)
        yield page
        came = page.text("NextToken")
        if not came:
            return
        if came == token:
            raise bad_answer(page.where, "NextToken leads to the same page again")
        token = came
    raise bad_answer(page.where, "the list never ends")


def by_number(
    api: Api, product: Product, action: str, parameters: Parameters, name: str, stop: Stop
) -> Iterator[Answer]:
    """The items of a list that counts its pages (`CurrentPage`, as in CAS and Private CA).

    Ends with an empty page, or as soon as `TotalCount` items have come: the vendor may give fewer
    a page than it was asked for, so a short page says nothing.

    Parameters
    ----------
    name:
        The answer's field that holds the items.
    """
    seen = 0
    for number in range(1, _PAGES_AT_MOST + 1):
        asked = {**parameters, "CurrentPage": number, "ShowSize": 50}
        page = api.call(product, action, asked, stop)
        found = page.items(name)
        yield from found
        seen += len(found)
        total = page.optional_number("TotalCount")
        if not found or (total is not None and seen >= total):
            return
    raise bad_answer(page.where, "the list never ends")
