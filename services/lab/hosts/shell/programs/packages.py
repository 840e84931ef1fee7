"""Package managers; the one package that a lab host can get is nginx."""

from __future__ import annotations

from getopt import GetoptError, gnu_getopt

from services.lab.hosts.shell.machine import Process, Program
from services.lab.hosts.shell.programs.web import VERSION

_RELEASE = f"{VERSION}-9.0.1.al8"


def yum(process: Process, arguments: list[str]) -> int:
    """`yum [-y] [-q] install|remove|list|update|makecache|… [nginx…]`; dnf is the same."""
    try:
        options, words = gnu_getopt(
            arguments, "yqvd:e:", ["assumeyes", "quiet", "nogpgcheck", "setopt=", "best"]
        )
    except GetoptError as error:
        return process.fail(f"error: {error}")
    chosen = {option for option, _ in options}
    quiet = bool({"-q", "--quiet"} & chosen)
    if not words:
        return process.fail("error: argument command: required")
    verb, *names = words
    web = process.machine.web

    def say(text: str) -> None:
        if not quiet:
            process.out(text)

    if (
        verb in ("makecache", "update", "upgrade", "check-update", "clean", "repolist")
        and not names
    ):
        say("Metadata cache created.\n" if verb == "makecache" else "Nothing to do.\n")
        return 0
    if verb in ("list", "info"):
        return _listed(process, [name for name in names if name not in ("installed", "available")])
    if verb not in ("install", "reinstall", "remove", "erase", "update", "upgrade"):
        return process.fail(f"error: No such command: {verb}.")
    if not names:
        return process.fail("error: Need to pass a list of pkgs to " + verb)
    removing = verb in ("remove", "erase")
    for name in names:
        if not _is_nginx(name):
            if removing:
                say(f"No match for argument: {name}\n")
                continue
            process.out(f"No match for argument: {name}\n")
            process.err(f"Error: Unable to find a match: {name}\n")
            return 1
    if not any(map(_is_nginx, names)) or web.installed != removing:
        if not removing and web.installed:
            say(f"Package nginx-1:{_RELEASE}.x86_64 is already installed.\n")
        say("Dependencies resolved.\nNothing to do.\nComplete!\n")
        return 0
    if not {"-y", "--assumeyes"} & chosen:
        process.out("Is this ok [y/N]: Operation aborted.\n")
        return 1
    say("Dependencies resolved.\n")
    say(f"{'Removing' if removing else 'Installing'}:\n nginx  x86_64  1:{_RELEASE}\n")
    process.stop.check()
    if removing:
        web.stop()
        web.remove()
    else:
        say("Running transaction\n")
        web.install()
    say(f"\n{'Removed' if removing else 'Installed'}:\n  nginx-1:{_RELEASE}.x86_64\n\nComplete!\n")
    return 0


def _is_nginx(name: str) -> bool:
    return name == "nginx" or name.startswith(f"nginx-{VERSION}") or name == "nginx.x86_64"


def _listed(process: Process, names: list[str]) -> int:
    installed = process.machine.web.installed
    if names and not any(map(_is_nginx, names)):
        process.err("Error: No matching Packages to list\n")
        return 1
    if installed:
        process.out(f"Installed Packages\nnginx.x86_64    1:{_RELEASE}    @alinux3-updates\n")
    elif names:
        process.out(f"Available Packages\nnginx.x86_64    1:{_RELEASE}    alinux3-updates\n")
    return 0


def apt(process: Process, arguments: list[str]) -> int:
    """`apt-get [-y] [-q] update|install|remove|purge|list [nginx…]`."""
    try:
        options, words = gnu_getopt(
            arguments, "yqo:", ["yes", "assume-yes", "quiet", "no-install-recommends"]
        )
    except GetoptError as error:
        process.err(f"E: {error}\n")
        return 100
    quiet = any(option in ("-q", "--quiet") for option, _ in options)
    verb, *names = words or [""]
    web = process.machine.web

    def say(text: str) -> None:
        if not quiet:
            process.out(text)

    if verb in ("update", "upgrade", "autoremove", "clean"):
        say("Reading package lists...\n")
        return 0
    if verb == "list":
        process.out(f"nginx/stable {VERSION} amd64 [installed]\n" if web.installed else "")
        return 0
    if verb not in ("install", "remove", "purge"):
        process.err(f"E: Invalid operation {verb}\n")
        return 100
    for name in names:
        if name != "nginx" and not name.startswith("nginx-"):
            process.err(f"E: Unable to locate package {name}\n")
            return 100
    say("Reading package lists...\nBuilding dependency tree...\n")
    if verb == "install" and names and not web.installed:
        say(f"Setting up nginx ({VERSION}) ...\n")
        web.install()
        # Debian's packages start their services; Red Hat's do not.
        web.enable(True)
        web.start()
    elif verb != "install" and names and web.installed:
        say(f"Removing nginx ({VERSION}) ...\n")
        web.stop()
        web.remove()
    else:
        say("0 upgraded, 0 newly installed, 0 to remove.\n")
    return 0


def rpm(process: Process, arguments: list[str]) -> int:
    """`rpm -q NAME…`, `rpm -qa`."""
    options, names = gnu_getopt(arguments, "qai", ["quiet", "query"])
    chosen = {option for option, _ in options}
    if not {"-q", "--query"} & chosen:
        return process.fail("only queries (-q) are available here")
    installed = process.machine.web.installed
    if "-a" in chosen:
        process.out(f"nginx-{_RELEASE}.x86_64\n" if installed else "")
        return 0
    missing = 0
    for name in names:
        if name == "nginx" and installed:
            process.out(f"nginx-{_RELEASE}.x86_64\n")
        else:
            missing += 1
            process.out(f"package {name} is not installed\n")
    return missing


def dpkg(process: Process, arguments: list[str]) -> int:
    """`dpkg -s NAME`, `dpkg -l [NAME]`."""
    options, names = gnu_getopt(arguments, "sl", ["status", "list"])
    if not options or not (names or options[0][0] in ("-l", "--list")):
        return process.fail("need an action option", 2)
    if process.machine.web.installed and names in ([], ["nginx"]):
        process.out(f"Package: nginx\nStatus: install ok installed\nVersion: {VERSION}\n")
        return 0
    process.err(f"dpkg-query: package '{' '.join(names)}' is not installed\n")
    return 1


YUM: dict[str, Program] = {"dnf": yum, "rpm": rpm, "yum": yum}
APT: dict[str, Program] = {"apt": apt, "apt-get": apt, "dpkg": dpkg}
