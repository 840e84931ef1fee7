"""Commands about the host's web server: systemctl, nginx, ss, pgrep."""

from __future__ import annotations

from getopt import gnu_getopt

from services.lab.hosts.shell.machine import Process, Program

VERSION = "1.20.1"
PID = 1023
"""What the web server's process id is said to be."""

_UNIT = "/usr/lib/systemd/system/nginx.service"


def systemctl(process: Process, arguments: list[str]) -> int:
    """`systemctl is-active|is-enabled|start|stop|restart|reload|enable|disable|status nginx`."""
    options, words = gnu_getopt(
        arguments, "qlfn:", ["quiet", "no-pager", "now", "full", "no-ask-password", "no-block"]
    )
    chosen = {option for option, _ in options}
    quiet = bool({"-q", "--quiet"} & chosen)
    if not words:
        return process.fail("list-units is not available here")
    verb, *units = words
    if verb in ("daemon-reload", "daemon-reexec"):
        return 0
    if not units:
        process.err("Too few arguments.\n")
        return 1
    statuses = [_unit(process, verb, unit, quiet=quiet, now="--now" in chosen) for unit in units]
    return next((status for status in statuses if status), 0)


def _unit(process: Process, verb: str, unit: str, *, quiet: bool, now: bool) -> int:
    name = unit.removesuffix(".service")
    if name == "sshd":
        return _always_on(process, verb, quiet=quiet)
    web = process.machine.web
    if name != "nginx" or not web.installed:
        return _unknown(process, verb, name, quiet=quiet)
    match verb:
        case "is-active":
            if not quiet:
                process.out("active\n" if web.running else "inactive\n")
            return 0 if web.running else 3
        case "is-enabled":
            if not quiet:
                process.out("enabled\n" if web.enabled else "disabled\n")
            return 0 if web.enabled else 1
        case "is-failed":
            process.out("active\n" if web.running else "inactive\n")
            return 1
        case "status":
            return _status(process)
        case "start":
            return _start(process)
        case "stop":
            web.stop()
            return 0
        case "restart" | "reload-or-restart" | "try-restart":
            if verb == "try-restart" and not web.running:
                return 0
            web.stop()
            return _start(process)
        case "reload":
            if not web.running:
                process.err("nginx.service is not active, cannot reload.\n")
                return 1
            return _reload(process)
        case "enable" | "disable":
            _enable(process, on=verb == "enable")
            if now and verb == "enable":
                return _start(process)
            if now:
                web.stop()
            return 0
    process.err(f"Unknown command verb {verb}.\n")
    return 1


def _always_on(process: Process, verb: str, *, quiet: bool) -> int:
    """The SSH server, by which one is here."""
    if verb in ("is-active", "is-enabled", "status"):
        if not quiet:
            process.out({"is-active": "active\n", "is-enabled": "enabled\n"}.get(verb, ""))
        return 0
    process.err(f"Failed to {verb} sshd.service: Access denied\n")
    return 1


def _unknown(process: Process, verb: str, name: str, *, quiet: bool) -> int:
    match verb:
        case "is-active":
            if not quiet:
                process.out("inactive\n")
            return 3
        case "is-enabled":
            if not quiet:
                process.err(
                    f"Failed to get unit file state for {name}.service: No such file or directory\n"
                )
            return 1
        case "status":
            process.err(f"Unit {name}.service could not be found.\n")
            return 4
        case "enable" | "disable":
            process.err(f"Failed to {verb} unit: Unit file {name}.service does not exist.\n")
            return 1
    process.err(f"Failed to {verb} {name}.service: Unit {name}.service not found.\n")
    return 5


def _start(process: Process) -> int:
    web = process.machine.web
    if web.running:
        return 0
    if not web.complaint() and web.start():
        return 0
    process.err(
        "Job for nginx.service failed because the control process exited with error code.\n"
        'See "systemctl status nginx.service" and "journalctl -xe" for details.\n'
    )
    return 1


def _reload(process: Process) -> int:
    if process.machine.web.complaint():
        process.err("Job for nginx.service failed.\n")
        return 1
    return 0


def _enable(process: Process, *, on: bool) -> None:
    web = process.machine.web
    if web.enabled == on:
        return
    web.enable(on)
    link = "/etc/systemd/system/multi-user.target.wants/nginx.service"
    if on:
        process.err(f"Created symlink {link} → {_UNIT}.\n")
    else:
        process.err(f"Removed {link}.\n")


def _status(process: Process) -> int:
    web = process.machine.web
    state = "active (running)" if web.running else "inactive (dead)"
    enabled = "enabled" if web.enabled else "disabled"
    process.out(
        "● nginx.service - The nginx HTTP and reverse proxy server\n"
        f"   Loaded: loaded ({_UNIT}; {enabled}; vendor preset: disabled)\n"
        f"   Active: {state}\n"
    )
    if web.running:
        process.out(f" Main PID: {PID} (nginx)\n")
    return 0 if web.running else 3


def nginx(process: Process, arguments: list[str]) -> int:
    """`nginx [-v | -V | -t | -s SIGNAL]`; without options it starts."""
    options, _ = gnu_getopt(arguments, "vVtTqs:c:g:")
    chosen = dict(options)
    web = process.machine.web
    if {"-v", "-V"} & set(chosen):
        process.err(f"nginx version: nginx/{VERSION}\n")
        return 0
    why = web.complaint()
    if "-t" in chosen or "-T" in chosen:
        if why:
            process.err(f"nginx: [emerg] {why}\n")
            process.err("nginx: configuration file /etc/nginx/nginx.conf test failed\n")
            return 1
        process.err("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n")
        process.err("nginx: configuration file /etc/nginx/nginx.conf test is successful\n")
        return 0
    if "-s" not in chosen:
        if web.running:
            process.err("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n")
            return 1
        return _start(process)
    if not web.running:
        process.err(
            'nginx: [error] open() "/run/nginx.pid" failed (2: No such file or directory)\n'
        )
        return 1
    match chosen["-s"]:
        case "stop" | "quit":
            web.stop()
        case "reload":
            if why:
                process.err(f"nginx: [emerg] {why}\n")
                return 1
        case "reopen":
            pass
        case other:
            process.err(f'nginx: invalid option: "-s {other}"\n')
            return 1
    return 0


def ss(process: Process, arguments: list[str]) -> int:
    """`ss -ltn` and `netstat -ltn`: what listens."""
    listening = ["0.0.0.0:22"] + (["0.0.0.0:80"] if process.machine.web.running else [])
    netstat = process.name.endswith("netstat")
    if netstat:
        process.out("Active Internet connections (only servers)\n")
        process.out("Proto Recv-Q Send-Q Local Address           Foreign Address         State\n")
    else:
        process.out("State   Recv-Q  Send-Q   Local Address:Port    Peer Address:Port\n")
    for local in listening:
        if netstat:
            process.out(f"tcp        0      0 {local:<23} {'0.0.0.0:*':<23} LISTEN\n")
        else:
            process.out(f"LISTEN  0       128      {local:>18}         0.0.0.0:*\n")
    return 0


def pgrep(process: Process, arguments: list[str]) -> int:
    """`pgrep [-x] nginx`."""
    _, words = gnu_getopt(arguments, "xflac")
    known = {"sshd": "977"} | ({"nginx": str(PID)} if process.machine.web.running else {})
    found = [known[word] for word in words if word in known]
    process.out("".join(f"{pid}\n" for pid in found))
    return int(not found)


PROGRAMS: dict[str, Program] = {
    "netstat": ss,
    "nginx": nginx,
    "pgrep": pgrep,
    "ss": ss,
    "systemctl": systemctl,
}
