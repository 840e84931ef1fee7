"""A report as one HTML file: no network, no script; readable on paper, by day and by night."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from services.handover.content import MARK, Certificate, Content, Removal, Resource, Verification
from services.handover.html import proof
from services.handover.html.blocks import (
    Mood,
    code,
    column,
    command,
    facts,
    mark,
    moment,
    number,
    paragraph,
    section,
    subsection,
    table,
)
from services.handover.html.markup import Inner, Markup, element
from services.text import knows, say

_STYLE = Path(__file__).with_name("style.css")

_ENDINGS: dict[str, Mood] = {"": "good", "soon": "warning", "over": "bad"}
_STATES: dict[str, Mood] = {
    "done": "good",
    "attention": "warning",
    "outdated": "warning",
    "begun": "warning",
    "failed": "bad",
    "pending": "unknown",
}


def document(content: Content, language: str, picture: bytes | None = None) -> bytes:
    """`report.html`. `language` is the one in which the content's words are (BCP 47)."""
    style = Markup(_STYLE.read_text(encoding="utf-8"))
    title = say("handover.title", domain=content.domain or content.session)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"{MARK} {content.program}"),
        # Without one a browser asks the web server, where there is one, for /favicon.ico.
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", style),
    )
    found = content.verification
    main = element(
        "main",
        proof.diagnosis(found.diagnosis) if found else None,
        _remaining(content),
        proof.proof(found, picture) if found else None,
        _set_up(content),
        _certificates(content),
        _undo(content),
    )
    body = element("body", _header(content, title), main, _footer(content))
    return f"<!doctype html>\n{element('html', head, body, lang=language)}\n".encode()


def _policy(style: Markup) -> str:
    """Nothing but this very style and images that are in the file (CSP Level 3)."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _header(content: Content, title: str) -> Markup:
    found = content.verification
    if found is None:
        return element(
            "header",
            element("h1", title),
            paragraph(mark("unknown", say("handover.verdict.none")), class_="verdict unknown"),
            paragraph(say("handover.unproven")),
        )
    mood: Mood = "good" if found.verdict == "pass" else "bad"
    return element(
        "header",
        element("h1", title),
        paragraph(mark(mood, say(f"handover.verdict.{found.verdict}")), class_=f"verdict {mood}"),
        paragraph([_summary(found), " ", moment(found.time), "."]),
        paragraph(say("handover.lab"), class_="aside") if content.place == "lab" else None,
    )


def _summary(found: Verification) -> str:
    refused = sum(each.refused is True for each in found.strangers)
    tried = sum(each.refused is not None for each in found.strangers)
    return say(
        "handover.summary",
        name=found.name,
        ok=number(found.ok),
        requests=number(found.requests),
        refused=refused,
        tried=tried,
    )


def _remaining(content: Content) -> Markup:
    if not content.remaining:
        return section("remaining", paragraph(say("handover.nothing-remains")))
    items = [
        element("li", paragraph(each.text), command(each.command) if each.command else None)
        for each in content.remaining
    ]
    return section("remaining", element("ol", items))


def _set_up(content: Content) -> Markup:
    return section(
        "set-up",
        facts(
            [
                (say("handover.fact.session"), code(content.session)),
                (say("handover.fact.place"), say(f"handover.place.{content.place}")),
                (say("handover.fact.created"), moment(content.created)),
                (say("handover.fact.changed"), moment(content.changed)),
            ]
        ),
        subsection("resources", _resources(content)) if content.resources else None,
        subsection("steps", _steps(content)),
        subsection("settings", _settings(content)) if content.settings else None,
    )


def _resources(content: Content) -> Markup:
    return table(
        say("handover.caption.resources"),
        (column("kind"), column("id"), column("origin"), column("what"), column("when")),
        [
            (
                each.kind,
                code(each.id or "–"),
                _origin(each),
                each.title,
                moment(each.time) if each.time else "–",
            )
            for each in content.resources
        ],
    )


def _origin(resource: Resource) -> str:
    return say(f"handover.origin.{'begun' if resource.state == 'begun' else resource.origin}")


def _steps(content: Content) -> Markup:
    return table(
        say("handover.caption.steps"),
        (column("step"), column("state"), column("proved")),
        [
            (
                step.title,
                mark(_STATES.get(step.state, "unknown"), step.state_words),
                moment(step.proved) if step.proved else "–",
            )
            for step in content.steps
        ],
    )


def _settings(content: Content) -> Markup:
    titles = {step.name: step.title for step in content.steps}
    return table(
        say("handover.caption.settings"),
        (column("setting"), column("value"), column("answer")),
        [
            (f"{titles[each.step]}: {each.label}", each.value, code(each.name))
            for each in content.settings
        ],
    )


def _certificates(content: Content) -> Markup | None:
    if not content.certificates:
        return None
    cards = [_certificate(each) for each in content.certificates]
    return section("certificates", element("div", cards, class_="cards"))


def _certificate(each: Certificate) -> Markup:
    title = f"handover.role.{each.role}"
    left = say(f"handover.ending.{each.ending or 'good'}", count=abs(each.days_left))
    until: Inner = [moment(each.not_after), " ", mark(_ENDINGS[each.ending], left)]
    return element(
        "article",
        element("h3", say(title) if knows(title) else each.role),
        facts(
            [
                (say("handover.certificate.subject"), each.subject),
                (say("handover.certificate.issuer"), each.issuer),
                (say("handover.certificate.names"), ", ".join(each.names)),
                (say("handover.certificate.usage"), ", ".join(each.usage)),
                (say("handover.certificate.key"), each.key),
                (say("handover.certificate.from"), each.not_before and moment(each.not_before)),
                (say("handover.certificate.until"), until),
                (say("handover.certificate.serial"), each.serial and code(each.serial)),
                (say("handover.certificate.sha256"), each.sha256 and code(each.sha256)),
                (say("handover.certificate.file"), each.file and code(each.file)),
            ]
        ),
    )


def _undo(content: Content) -> Markup:
    undo = content.undo
    if not undo.removes:
        return section("undo", paragraph(say("handover.nothing-to-undo")))
    return section(
        "undo",
        paragraph(say("handover.undo")),
        command(undo.command),
        element("ol", [_removal(each) for each in undo.removes], class_="removals"),
        subsection("keeps", element("ul", [_kept(each) for each in undo.keeps]))
        if undo.keeps
        else None,
    )


def _removal(each: Removal) -> Markup:
    words: list[Inner] = [element("strong", each.title), " ", code(each.id or "–")]
    return element("li", paragraph(words), paragraph(each.undo, class_="aside"))


def _kept(each: Resource) -> Markup:
    return element("li", each.title, " ", code(each.id or "–"))


def _footer(content: Content) -> Markup:
    return element(
        "footer",
        paragraph(
            [
                say("handover.made", program=content.program, session=content.session),
                " ",
                moment(content.generated),
                ". ",
                say("handover.no-secret"),
            ]
        ),
    )
