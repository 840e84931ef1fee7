"""Domains and client names: what goes in, what comes out, and what is said of the rest."""

from __future__ import annotations

import string
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pki.names import (
    asked_for,
    check_client_name,
    check_domain,
    check_name,
    matches,
    printable,
)
from services.problem import Problem
from services.text import say
from tests.services.pki.judges import outcome

labels = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=63).filter(
    lambda label: label[0] != "-" != label[-1] and label[2:4] != "--"
)
domains = st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join([*parts, "example"]))


@given(domains, st.sampled_from(["", "*."]))
def test_a_domain_stays_what_it_is(domain: str, star: str) -> None:
    assert check_domain(star + domain) == star + domain
    assert check_domain(f" {star}{domain.upper()}. ") == star + domain


@given(st.text())
def test_any_text_is_a_domain_or_a_problem_in_words(text: str) -> None:
    found = outcome(lambda: check_domain(text))
    if isinstance(found, Problem):
        words = found.words()
        assert words.what.isprintable()
        assert check_domain(found.facts["suggestion"]) in words.remedy
    else:
        assert found.isascii()
        assert len(found) <= 253
        assert all(1 <= len(label) <= 63 for label in found.split("."))
        assert check_domain(found) == found


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("WWW.Example.COM", "www.example.com"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("*.例え.jp", "*.xn--r8jz45g.jp"),
        ("ｗｗｗ。ｅｘａｍｐｌｅ。ｃｏｍ", "www.example.com"),
        ("faß.de", "xn--fa-hia.de"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("r3---sn-abc.example.com", "r3---sn-abc.example.com"),
        ("localhost", "localhost"),
        ("nlb-7f2k.cn-hangzhou.nlb.aliyuncsslb.com", "nlb-7f2k.cn-hangzhou.nlb.aliyuncsslb.com"),
    ],
)
def test_domains_in_any_script_become_ascii(text: str, domain: str) -> None:
    assert check_domain(text) == domain


@pytest.mark.parametrize(
    ("text", "reason", "suggestion"),
    [
        ("", "empty", "www.example.com"),
        ("https://www.shop.example/cart", "scheme", "www.shop.example"),
        ("www.shop.example/cart", "path", "www.shop.example"),
        ("www.shop.example:443", "port", "www.shop.example"),
        ("root@www.shop.example", "user", "www.shop.example"),
        ("https://u:p@shop.example:8443/?q#f", "scheme", "shop.example"),
        ("a.example, b.example", "several", "a.example"),
        ("192.0.2.1", "address", "www.example.com"),
        ("[2001:db8::1]", "address", "www.example.com"),
        ("www.*.example", "wildcard", "www.example.com"),
        ("w*.example.com", "wildcard", "www.example.com"),
        ("*.*.example.com", "wildcard", "www.example.com"),
        ("*", "wildcard", "www.example.com"),
        ("*.com", "wide", "www.example.com"),
        ("*.localhost", "wide", "www.example.com"),
        ("intranet", "single", "www.example.com"),
        ("www.example.123", "number", "www.example.com"),
        ("256.1.1.1", "number", "www.example.com"),
        ("www..example.com", "dots", "www.example.com"),
        (".example.com", "dots", "www.example.com"),
        ("a" * 64 + ".example", "label", "www.example.com"),
        (".".join(["a" * 60] * 5), "long", "www.example.com"),
        ("x" * 100_000, "long", "www.example.com"),
        ("under_score.example", "sign", "www.example.com"),
        ("-www.example.com", "hyphen", "www.example.com"),
        ("xn--zzzzzz99999.example", "script", "www.example.com"),
        ("a\u200db.example", "script", "www.example.com"),
        ("\u0627a.example", "script", "www.example.com"),
    ],
)
def test_what_is_wrong_with_a_domain_is_named(text: str, reason: str, suggestion: str) -> None:
    with pytest.raises(Problem, match=r"pki\.bad-domain") as caught:
        check_domain(text)
    assert caught.value.facts["reason"] == reason
    assert say(f"pki.domain.{reason}").partition("{")[0] in caught.value.words().what
    assert caught.value.words().remedy.endswith(suggestion)


def test_a_server_may_also_be_reached_by_an_address() -> None:
    assert check_name("192.0.2.1") == ip_address("192.0.2.1")
    assert check_name("[2001:db8::1]") == ip_address("2001:db8::1")
    assert check_name("WWW.example.com") == "www.example.com"


@given(st.text())
def test_a_client_name_fits_the_certificate_or_is_a_problem(text: str) -> None:
    found = outcome(lambda: check_client_name(text))
    if isinstance(found, Problem):
        assert found.code == "pki.bad-client-name"
        assert found.words().what.isprintable()
    else:
        assert found.isprintable()
        assert 1 <= len(found.encode()) <= 64
        assert check_client_name(found) == found


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "李" * 22, "line\nbreak", "\x1b[31mred"])
def test_a_client_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(Problem, match=r"pki\.bad-client-name"):
        check_client_name(name)


@pytest.mark.parametrize(
    ("pattern", "domain", "covered"),
    [
        ("www.example.com", "www.example.com", True),
        ("WWW.example.com", "www.EXAMPLE.com.", True),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", ".example.com", False),
        ("w*.example.com", "www.example.com", False),
        ("*.com", "example.com", False),
        ("*", "localhost", False),
    ],
)
def test_a_wildcard_stands_for_one_label(pattern: str, domain: str, covered: bool) -> None:
    assert matches(pattern, domain) is covered


@given(domains, labels)
def test_a_wildcard_covers_every_name_one_below(domain: str, label: str) -> None:
    assert matches(f"*.{domain}", f"{label}.{domain}")
    assert not matches(f"*.{domain}", domain)
    assert not matches(domain, f"{label}.{domain}")


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_text_from_outside_cannot_steer_a_terminal(text: str, limit: int) -> None:
    assert printable(text, limit).isprintable()


@pytest.mark.parametrize("domain", ["www.example.com", "*.example.com", "example.com"])
def test_a_domain_covers_what_is_asked_for_under_it(domain: str) -> None:
    asked = asked_for(domain)
    assert "*" not in asked
    assert matches(domain, asked)
