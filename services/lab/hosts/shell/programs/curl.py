"""`curl`, as far as the vendor's tutorial, the assistant and a curious person need it."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from dataclasses import dataclass, field
from getopt import GetoptError, gnu_getopt
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from services.lab.hosts.shell.machine import Process, Program
from services.lab.hosts.shell.programs.request import CurlError, Outcome, Request, perform
from services.lab.hosts.shell.streams import Descriptor, Sink

VERSION = "7.61.1"

_SHORT = "sSfkvIiLo:w:m:E:H:X:A:d:46V"
_LONG = [
    "silent",
    "show-error",
    "fail",
    "insecure",
    "verbose",
    "head",
    "include",
    "location",
    "output=",
    "write-out=",
    "max-time=",
    "connect-timeout=",
    "cert=",
    "key=",
    "cacert=",
    "resolve=",
    "connect-to=",
    "header=",
    "request=",
    "user-agent=",
    "data=",
    "tlsv1.2",
    "tlsv1.3",
    "tls-max=",
    "http1.1",
    "noproxy=",
    "cert-type=",
    "key-type=",
    "version",
    "no-keepalive",
]
_ALIASES = {
    "-s": "--silent", "-S": "--show-error", "-f": "--fail", "-k": "--insecure", "-v": "--verbose",
    "-I": "--head", "-i": "--include", "-L": "--location", "-o": "--output", "-w": "--write-out",
    "-m": "--max-time", "-E": "--cert", "-H": "--header", "-X": "--request", "-A": "--user-agent",
    "-d": "--data", "-V": "--version",
}  # fmt: skip
_VERSIONS = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"
_MOST_REDIRECTS = 10
_LEARN_MORE = (
    "More details here: https://curl.haxx.se/docs/sslcerts.html\n\n"
    "curl failed to verify the legitimacy of the server and therefore could not\n"
    "establish a secure connection to it. To learn more about this situation and\n"
    "how to fix it, please visit the web page mentioned above.\n"
)


@dataclass(slots=True)
class _Settings:
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        return name in self.flags


def curl(process: Process, arguments: list[str]) -> int:
    """`curl [OPTION…] URL…`, made for real: to this host's own server, or by name to others."""
    try:
        settings, urls = _settings(arguments)
    except GetoptError as error:
        return process.fail(f"{error}\ncurl: try 'curl --help' for more information", 2)
    if settings.on("--version"):
        process.out(f"curl {VERSION} (x86_64-alibaba-linux-gnu)\nProtocols: http https\n")
        return 0
    if not urls:
        return process.fail("try 'curl --help' for more information", 2)
    status = 0
    for url in urls:
        status = _fetch(process, settings, url)
    return status


def _settings(arguments: list[str]) -> tuple[_Settings, list[str]]:
    options, urls = gnu_getopt(arguments, _SHORT, _LONG)
    settings = _Settings()
    for option, value in options:
        name = _ALIASES.get(option, option)
        if name in ("--header", "--resolve", "--connect-to"):
            settings.lists.setdefault(name, []).append(value)
        elif value:
            settings.values[name] = value
        else:
            settings.flags.add(name)
    return settings, urls


def _fetch(process: Process, settings: _Settings, url: str) -> int:
    outcome, error, began = Outcome(), None, time.monotonic()
    opened: list[Descriptor] = []
    try:
        sink = _sink(process, settings, opened)
        for _ in range(_MOST_REDIRECTS):
            outcome = Outcome()
            _once(process, settings, url, outcome, sink)
            where = outcome.header("location")
            if not (settings.on("--location") and where and 300 <= outcome.status < 400):
                break
            url = urljoin(url, where)
        else:
            raise CurlError(47, f"Maximum ({_MOST_REDIRECTS}) redirects followed")
    except CurlError as caught:
        error = caught
    finally:
        for each in opened:
            each.close()
    if (template := settings.values.get("--write-out")) is not None:
        process.out(_written(template, outcome, url, time.monotonic() - began, error))
    if error is None:
        return 0
    if not settings.on("--silent") or settings.on("--show-error"):
        process.fail(f"({error.status}) {error.text}")
        if error.status == 60:
            process.err(_LEARN_MORE)
    return error.status


def _sink(process: Process, settings: _Settings, opened: list[Descriptor]) -> Sink:
    path = settings.values.get("--output", "-")
    if path == "-":
        return process.stdout
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        number = process.files.open(path, flags, 0o666 & ~process.umask, process.cwd)
    except OSError as error:
        raise CurlError(23, f"Failed to open the file {path}: {error.strerror}") from None
    opened.append(Descriptor(number))
    return opened[-1]


def _once(process: Process, settings: _Settings, url: str, outcome: Outcome, sink: Sink) -> None:
    request = _request(process, settings, url)
    host, port = _routed(settings, request.host, request.port)
    address = process.machine.resolve(host, port)
    if address is None:
        raise CurlError(6, f"Could not resolve host: {host}")
    limits = [
        float(settings.values[name])
        for name in ("--max-time", "--connect-timeout")
        if re.fullmatch(r"\d+(\.\d+)?", settings.values.get(name, ""))
    ]
    verbose = settings.on("--verbose")

    def connected(outcome: Outcome) -> None:
        if not verbose:
            return
        process.err(f"* Connected to {request.host} ({host}) port {request.port} (#0)\n")
        if outcome.cipher:
            process.err(f"* SSL connection using {outcome.cipher}\n")
        process.err(f"> {request.method} {request.target} HTTP/1.1\n> Host: {request.host}\n>\n")

    def begun(outcome: Outcome) -> None:
        head = f"HTTP/{outcome.version} {outcome.status} {outcome.reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in outcome.headers) + "\r\n"
        if verbose:
            process.err("".join(f"< {line}\n" for line in head.splitlines()))
        if settings.on("--fail") and outcome.status >= 400:
            raise CurlError(22, f"The requested URL returned error: {outcome.status}")
        if settings.on("--include") or settings.on("--head"):
            sink.write(head.encode("latin-1", "replace"))

    # A redirect that is followed shows no body.
    follows = settings.on("--location")

    class Body:
        def write(self, data: bytes, /) -> None:
            if not (follows and 300 <= outcome.status < 400 and outcome.header("location")):
                sink.write(data)

    deadline = time.monotonic() + min(limits) if limits else None
    perform(request, address, deadline, process.stop, outcome, connected, begun, Body())


def _request(process: Process, settings: _Settings, url: str) -> Request:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "http", url
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        raise CurlError(1, f'Protocol "{scheme}" not supported or disabled in libcurl')
    try:
        split = urlsplit(f"{scheme}://{rest}")
        host, port = split.hostname, split.port
    except ValueError:
        host, port = None, None
    if not host:
        raise CurlError(3, "URL using bad/illegal format or missing URL")
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    headers = {
        "User-Agent": settings.values.get("--user-agent", f"curl/{VERSION}"),
        "Accept": "*/*",
    }
    for line in settings.lists.get("--header", []):
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    body = settings.values.get("--data", "").encode("utf-8", "surrogateescape")
    if body:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    method = "HEAD" if settings.on("--head") else "POST" if body else "GET"
    tls = scheme == "https"
    return Request(
        tls=tls,
        host=host,
        port=port or (443 if tls else 80),
        target=target,
        method=settings.values.get("--request", method),
        headers=headers,
        body=body,
        insecure=settings.on("--insecure"),
        authorities=_authorities(process, settings) if tls else None,
        certificate=_file(process, settings.values.get("--cert"), 58) if tls else None,
        key=_file(process, settings.values.get("--key"), 58) if tls else None,
        versions=_versions(settings),
    )


def _versions(settings: _Settings) -> tuple[ssl.TLSVersion | None, ssl.TLSVersion | None]:
    least = next((v for name, v in _VERSIONS.items() if settings.on(f"--tlsv{name}")), None)
    return least, _VERSIONS.get(settings.values.get("--tls-max", ""))


def _authorities(process: Process, settings: _Settings) -> Path | None:
    named = settings.values.get("--cacert")
    if named is None:
        return process.files.real(_BUNDLE) if process.files.exists(_BUNDLE) else None
    return _file(process, named, 77)


def _file(process: Process, path: str | None, status: int) -> Path | None:
    """The real place of a file that the host has. Raises `CurlError` when it has none."""
    if path is None:
        return None
    try:
        process.files.stat(path, process.cwd)
        return process.files.real(path, process.cwd)
    except OSError:
        pass
    if status == 77:
        text = f"error setting certificate verify locations:  CAfile: {path} CApath: none"
        raise CurlError(77, text)
    raise CurlError(58, f"could not load PEM client certificate or key, no such file: {path}")


def _routed(settings: _Settings, host: str, port: int) -> tuple[str, int]:
    """Where to connect instead, by `--connect-to` and `--resolve`."""
    for rule in settings.lists.get("--connect-to", []):
        parts = _addressed(rule, 4)
        if parts and parts[0] in ("", host) and parts[1] in ("", str(port)):
            host = parts[2] or host
            port = int(parts[3]) if parts[3].isdigit() else port
            break
    for rule in settings.lists.get("--resolve", []):
        parts = _addressed(rule, 3)
        if parts and parts[0] in (host, "*") and parts[1] == str(port):
            return parts[2].split(",")[0], port
    return host, port


def _addressed(rule: str, count: int) -> list[str] | None:
    """A rule's parts, of which an IPv6 address in brackets is one."""
    parts = re.findall(r"(\[[^]]*\]|[^:]*)(?::|\Z)", rule)[:count]
    return [part.strip("[]") for part in parts] if len(parts) == count else None


def _written(
    template: str, outcome: Outcome, url: str, seconds: float, error: CurlError | None
) -> str:
    values: dict[str, Any] = {
        "http_code": f"{outcome.status:03}",
        "response_code": f"{outcome.status:03}",
        "http_version": outcome.version,
        "time_total": f"{seconds:.6f}",
        "size_download": outcome.size,
        "content_type": outcome.header("content-type"),
        "remote_ip": outcome.remote[0],
        "remote_port": outcome.remote[1],
        "ssl_verify_result": 0,
        "url_effective": url,
        "scheme": url.partition("://")[0].upper() if "://" in url else "HTTP",
        "exitcode": error.status if error else 0,
        "errormsg": error.text if error else "",
        "num_connects": int(outcome.remote[1] != 0),
    }
    values["json"] = json.dumps(values)
    shown = re.sub(r"%\{(\w+)\}", lambda match: str(values.get(match[1], "")), template)
    return shown.replace("\\n", "\n").replace("\\t", "\t").replace("%%", "%")


PROGRAMS: dict[str, Program] = {"curl": curl}
