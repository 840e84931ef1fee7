"""Scripts that make a backend answer with a page of its own, and put it back as it was.

The web server is nginx, as in the vendor's tutorial, on Alibaba Cloud Linux and its kin (dnf, yum)
or Debian and its kin (apt-get). Run as root. Every script may be run again at any time.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from services.hosts.facts import problem
from services.hosts.port import Host, Ran
from services.hosts.scripts.answer import Answer, flag, read, script, text
from services.problem import Exit

DOCUMENT_ROOT = "/usr/share/nginx/html"
"""Where nginx.org's packages and Red Hat's kin look for pages; Debian's packages do not."""

_DEBIAN_ROOT = "/var/www/html"

_BACKUP = "index.html.nlb-mtls-backup"
_UNFINISHED = ".index.html.nlb-mtls-unfinished"

_TRIES = 10
"""How often to look, a second apart, whether nginx answers with the page."""

_PATIENCE_S = 10
"""After how long not to look again, where each look takes long."""

_SHOWN_BYTES = 4096

_SHA256 = re.compile(r"[0-9a-f]{64}|")

# A web server may never answer, or never end: five seconds and 64 KiB are enough for a page.
_FETCH = """\
no_proxy=127.0.0.1; export no_proxy
fetch() {
  if command -v curl >/dev/null 2>&1; then curl -s --max-time 5 http://127.0.0.1/
  else timeout 5 wget -q -O - http://127.0.0.1/; fi 2>/dev/null | head -c 65536
}"""

_EXPLAIN = """\
explain() {
  if command -v curl >/dev/null 2>&1; then curl -s -S -i --max-time 2 http://127.0.0.1/
  else timeout 2 wget -S -O - http://127.0.0.1/; fi 2>&1 | head -c 400 >&2
}"""

_INSTALLED = "command -v nginx >/dev/null 2>&1"
_ACTIVE = "systemctl is-active nginx >/dev/null 2>&1"
_ENABLED = "systemctl is-enabled nginx >/dev/null 2>&1"

# Everything that others print goes to standard error: standard output is the answer's alone.
_INSTALL = """\
if command -v dnf >/dev/null 2>&1; then dnf install -y nginx >&2
elif command -v yum >/dev/null 2>&1; then yum install -y nginx >&2
elif command -v apt-get >/dev/null 2>&1; then
  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
  apt-get install -y nginx >&2 || { apt-get update >&2; apt-get install -y nginx >&2; }
else fail no-package-manager
fi"""

_UNINSTALL = """\
if command -v dnf >/dev/null 2>&1; then dnf remove -y nginx >&2
elif command -v yum >/dev/null 2>&1; then yum remove -y nginx >&2
elif command -v apt-get >/dev/null 2>&1; then
  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
  # Debian's nginx may be a name for others (nginx-core); all of them need nginx-common.
  apt-get remove -y nginx-common >&2 || apt-get remove -y nginx >&2
else fail no-package-manager
fi"""

_UNINSTALL_ALL = f"""\
if {_INSTALLED}; then
{_UNINSTALL}
  hash -r 2>/dev/null  # dash remembers where it found a program, even one that is gone
  ! {_INSTALLED} || fail uninstall
  tell did=uninstall
fi"""

_BACKED_UP = f'{{ [ -e "$root/{_BACKUP}" ] || [ -L "$root/{_BACKUP}" ]; }}'

_NOW = """\
now=absent
if [ -e "$root/index.html" ] || [ -L "$root/index.html" ]; then
  now=$(sha256 < "$root/index.html")
fi"""

_RESTORE_PAGE = f"""\
if {_BACKED_UP}; then
  mv -f "$root/{_BACKUP}" "$root/index.html" || fail write
  tell page=restored
elif [ "$now" != absent ]; then
  rm -f "$root/index.html" || fail write
  tell page=removed
else tell page=absent
fi"""

_REMOVE_PAGES = f"""\
rm -f "$root/index.html" "$root/{_BACKUP}" || fail write
if [ "$now" != absent ]; then tell page=removed; else tell page=absent; fi"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its SHA-256 (hex) and the first 4 KiB of its text, as far as it can be shown."""

    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class WebHost:
    """A backend's web server as it is."""

    installed: bool
    active: bool
    enabled: bool
    root: str
    index: Page | None
    """`index.html` in the document root."""
    backup: bool
    """Whether somebody's page was put aside there by `install_web_page`."""
    served: Page | None
    """What http://127.0.0.1/ answers on the host itself; None when nothing does."""

    def serves(self, page_text: str) -> bool:
        """Whether the page is in its place and answered, by a server that also starts at boot."""
        wanted = sha256_of(page_text)
        pages = (self.index, self.served)
        return self.enabled and all(page is not None and page.sha256 == wanted for page in pages)

    def state(self) -> WebHostState:
        had_page = self.index is not None or self.backup
        return WebHostState(self.installed, self.active, self.enabled, had_page)


@dataclass(frozen=True, slots=True)
class WebHostState:
    """What `remove_web_page` must know of the web server as it was before."""

    installed: bool
    active: bool
    enabled: bool
    had_page: bool
    """Whether there was a page where ours went, nginx's own or somebody's."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> WebHostState:
        """From the texts that `str` makes of the fields.

        What is missing counts as having been there: an undo then takes away less, never more.
        """
        return cls(*(facts.get(field.name) != "False" for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class Installed:
    """What `install_web_page` has done; the page is served now."""

    root: str
    sha256: str
    did: frozenset[str]
    """Of `install`, `enable`, `start`, `back-up`, `write`; empty if all was so already."""


class Undone(StrEnum):
    """What became of the page: of ours, or of the one that it had replaced."""

    RESTORED = "restored"
    REMOVED = "removed"
    ABSENT = "absent"
    FOREIGN = "foreign"
    """The page is somebody else's by now, so nothing at all was touched."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What `remove_web_page` has done."""

    page: Undone
    did: frozenset[str]
    """Of `stop`, `disable`, `uninstall`."""


def sha256_of(page_text: str) -> str:
    """The SHA-256 (hex) of a page as `install_web_page` writes it."""
    return hashlib.sha256(page_text.encode()).hexdigest()


def look_at_web_host(document_root: str | None = None) -> str:
    """Look at nginx, its page, and what the host answers. Changes nothing."""
    return script(f"""\
{_FETCH}
{_root(document_root)}
{flag("installed", _INSTALLED)}
{flag("active", _ACTIVE)}
{flag("enabled", _ENABLED)}
{flag("index", '[ -f "$root/index.html" ]')}
[ -f "$root/index.html" ] && tell "index.sha256=$(sha256 < "$root/index.html")"
{flag("backup", _BACKED_UP)}
served=$(fetch; echo .)  # the dot keeps the newlines at the end
served=${{served%.}}
if [ -n "$served" ]; then
  tell served=yes
  tell "served.sha256=$(printf %s "$served" | sha256)"
else tell served=no
fi
{text("index", f'[ -f "$root/index.html" ] && head -c {_SHOWN_BYTES} "$root/index.html"')}
{text("served", f'printf %s "$served" | head -c {_SHOWN_BYTES}')}""")


def web_host(host: Host, ran: Ran) -> WebHost:
    """What `look_at_web_host` has found. Raises Problem `hosts.bad-answer`."""
    answer = read(host, ran)
    return WebHost(
        installed=answer.yes("installed"),
        active=answer.yes("active"),
        enabled=answer.yes("enabled"),
        root=answer.one("root"),
        index=_page(answer, "index"),
        backup=answer.yes("backup"),
        served=_page(answer, "served"),
    )


def install_web_page(page_text: str, document_root: str | None = None) -> str:
    """Have nginx installed, enabled and started, and http://127.0.0.1/ answer with the page.

    Another page that is there is put aside as `index.html.nlb-mtls-backup`, a link as a link; if
    something has been put aside already, nothing is overwritten and the script fails. Looks for
    the answer for 10 seconds; what comes instead is the evidence.
    """
    wanted = sha256_of(page_text)
    return script(f"""\
{_FETCH}
{_EXPLAIN}
if ! {_INSTALLED}; then
{_INSTALL}
  {_INSTALLED} || fail install
  tell did=install
fi
{_root(document_root)}
[ -d "$root" ] || fail root
{_NOW}
if [ "$now" != {wanted} ]; then
  printf '%s' {shlex.quote(page_text)} > "$root/{_UNFINISHED}" || fail write
  chmod 644 "$root/{_UNFINISHED}" || fail write
  if [ "$now" != absent ]; then
    if {_BACKED_UP}; then
      rm -f "$root/{_UNFINISHED}"
      fail back-up
    fi
    mv "$root/index.html" "$root/{_BACKUP}" || fail write
    tell did=back-up
  fi
  mv -f "$root/{_UNFINISHED}" "$root/index.html" || fail write
  tell did=write
fi
if ! {_ENABLED}; then
  systemctl enable nginx >&2 || fail enable
  tell did=enable
fi
if ! {_ACTIVE}; then
  systemctl start nginx >&2 || {{ systemctl status nginx --no-pager -l >&2; fail start; }}
  tell did=start
fi
begun=$(date +%s)
for try in {" ".join(str(number) for number in range(1, _TRIES + 1))}; do
  [ "$(fetch | sha256)" = {wanted} ] && break
  if [ "$try" = {_TRIES} ] || [ $(($(date +%s) - begun)) -ge {_PATIENCE_S} ]; then
    explain
    fail answer
  fi
  sleep 1
done""")


def installed_web_page(host: Host, page_text: str, ran: Ran) -> Installed:
    """What `install_web_page` has done.

    Raises
    ------
    Problem
        `hosts.web-no-package-manager`, `hosts.web-not-installed`, `hosts.web-no-root`,
        `hosts.web-not-written`, `hosts.web-page-in-the-way` (exit 4), `hosts.web-not-enabled`,
        `hosts.web-not-started`, `hosts.web-not-answering`, `hosts.bad-answer`.
    """
    answer = read(host, ran)
    if answer.failed:
        codes = {
            "no-package-manager": "web-no-package-manager",
            "install": "web-not-installed",
            "root": "web-no-root",
            "write": "web-not-written",
            "back-up": "web-page-in-the-way",
            "enable": "web-not-enabled",
            "start": "web-not-started",
            "answer": "web-not-answering",
        }
        if answer.failed not in codes:
            raise answer.bad(f"failed={answer.failed}")
        root = next(iter(answer.every("root")), DOCUMENT_ROOT)
        refused = answer.failed == "back-up"
        raise problem(
            codes[answer.failed],
            host,
            ran.stderr,
            exit=Exit.REFUSED if refused else Exit.NOT_FINE,
            root=root,
            backup=f"{root}/{_BACKUP}",
        )
    return Installed(answer.one("root"), sha256_of(page_text), frozenset(answer.every("did")))


def remove_web_page(page_text: str, before: WebHostState, document_root: str | None = None) -> str:
    """Put the web server back as it was before `install_web_page`: no more, and no less.

    If there is another page by now, somebody else uses this web server, and it is left alone.
    """
    steps = []
    if not before.active:
        steps.append(f"if {_ACTIVE}; then systemctl stop nginx >&2 || fail stop; tell did=stop; fi")
    if not before.enabled:
        steps.append(
            f"if {_ENABLED}; then systemctl disable nginx >&2 || fail disable; tell did=disable; fi"
        )
    # The page's owner is told from a stranger by the page itself, so somebody's own page comes
    # back last: until then this script can be run again. The package's own goes with the package.
    if before.installed:
        steps += [_RESTORE_PAGE]
    elif before.had_page:
        steps += [_UNINSTALL_ALL, _RESTORE_PAGE]
    else:
        steps += [_REMOVE_PAGES, _UNINSTALL_ALL]
    after = "\n".join(steps)
    return script(f"""\
{_root(document_root)}
{_NOW}
if [ "$now" != absent ] && [ "$now" != {sha256_of(page_text)} ]; then
  tell page=foreign
else
rm -f "$root/{_UNFINISHED}"
{after}
fi""")


def removed_web_page(host: Host, ran: Ran) -> Restored:
    """What `remove_web_page` has done.

    Raises Problem `hosts.web-not-undone` or `hosts.bad-answer`.
    """
    answer = read(host, ran)
    if answer.failed:
        raise problem("web-not-undone", host, f"{answer.failed}\n{ran.stderr}")
    said = answer.one("page")
    try:
        return Restored(Undone(said), frozenset(answer.every("did")))
    except ValueError:
        raise answer.bad(f"page={said}") from None


def _root(document_root: str | None) -> str:
    """Shell that sets `root`, and answers it, once nginx is there to tell the packages apart."""
    if document_root is not None:
        chosen = f"root={shlex.quote(document_root)}"
    else:
        chosen = (
            f"root={DOCUMENT_ROOT}\n"
            f"[ -f /etc/debian_version ] && [ -d {_DEBIAN_ROOT} ] && root={_DEBIAN_ROOT}"
        )
    return f'{chosen}\ntell "root=$root"'


def _page(answer: Answer, name: str) -> Page | None:
    if not answer.yes(name):
        return None
    sha256 = answer.one(f"{name}.sha256")
    if not _SHA256.fullmatch(sha256):
        raise answer.bad(f"{name}.sha256={sha256}")
    return Page(sha256, answer.texts.get(name, ""))
