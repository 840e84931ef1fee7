"""Commands about files and folders."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from getopt import gnu_getopt
from hashlib import md5, sha1, sha256, sha512
from pathlib import PurePosixPath
from typing import Any

from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.shell.machine import Process, Program
from services.lab.hosts.shell.programs.inputs import Inputs
from services.lab.hosts.shell.streams import Descriptor, pieces


def _each(process: Process, names: list[str], action: Callable[[str], None]) -> int:
    """Do it to each; a failure is complained about and does not end the rest."""
    if not names:
        return process.fail("missing operand")
    status = 0
    for name in names:
        process.stop.check()
        try:
            action(name)
        except OSError as error:
            status = process.fail(f"cannot access '{error.filename}': {error.strerror}")
    return status


def cat(process: Process, arguments: list[str]) -> int:
    """`cat [-n] [FILE…]`."""
    options, names = gnu_getopt(arguments, "nu")
    numbered = any(option == "-n" for option, _ in options)
    inputs, number, at_start = Inputs(process, names), 0, True
    for _, source in inputs:
        for piece in pieces(source):
            process.stop.check()
            if not numbered:
                process.stdout.write(piece)
                continue
            for line in piece.splitlines(keepends=True):
                if at_start:
                    number += 1
                    process.out(f"{number:6}\t")
                process.stdout.write(line)
                at_start = line.endswith(b"\n")
    return inputs.status


def ls(process: Process, arguments: list[str]) -> int:
    """`ls [-1aAldhR] [PATH…]`; one name a line, as into a pipe."""
    options, names = gnu_getopt(arguments, "1aAldhtrRLnF", ["color=", "all"])
    chosen = {option for option, _ in options}
    status, folders, singles = 0, list[str](), list[str]()
    for name in names or ["."]:
        try:
            process.files.stat(name, process.cwd, follow="-l" not in chosen)
        except OSError as error:
            status = process.fail(f"cannot access '{name}': {error.strerror}", 2)
            continue
        is_folder = process.files.is_dir(name, process.cwd) and "-d" not in chosen
        (folders if is_folder else singles).append(name)
    for name in singles:
        process.out(_entry(process.files, process.cwd, name, name, long="-l" in chosen))
    for index, folder in enumerate(folders):
        if len(folders) + len(singles) > 1:
            process.out(("\n" if index or singles else "") + f"{folder}:\n")
        hidden = {"-a", "--all"} & chosen
        entries = ([".", ".."] if hidden else []) + process.files.names(folder, process.cwd)
        shown = [e for e in entries if hidden or "-A" in chosen or not e.startswith(".")]
        if "-l" in chosen:
            process.out("total 0\n")
        for entry in shown:
            path = str(PurePosixPath(folder) / entry)
            process.out(_entry(process.files, process.cwd, path, entry, long="-l" in chosen))
    return status


def _entry(files: HostFiles, cwd: str, path: str, name: str, *, long: bool) -> str:
    if not long:
        return name + "\n"
    found = files.stat(path, cwd, follow=False)
    when = time.strftime("%b %d %H:%M", time.localtime(found.st_mtime))
    arrow = f" -> {files.readlink(path, cwd)}" if stat.S_ISLNK(found.st_mode) else ""
    mode = stat.filemode(found.st_mode)
    return f"{mode} {found.st_nlink} root root {found.st_size:6} {when} {name}{arrow}\n"


def mkdir(process: Process, arguments: list[str]) -> int:
    """`mkdir [-p] [-m MODE] FOLDER…`."""
    options, names = gnu_getopt(arguments, "pvm:", ["parents", "mode="])
    chosen = dict(options)
    wanted = chosen.get("-m", chosen.get("--mode"))
    usual = 0o777 & ~process.umask
    mode = usual if wanted is None else _mode(wanted, usual, folder=True)
    if mode is None:
        return process.fail(f"invalid mode '{wanted}'")
    parents = bool({"-p", "--parents"} & set(chosen))
    if not names:
        return process.fail("missing operand")
    status = 0
    for name in names:
        try:
            if parents:
                if process.files.is_dir(name, process.cwd):
                    continue
                above = str(PurePosixPath(name).parent)
                process.files.make_dirs(above, usual, process.cwd)
            process.files.mkdir(name, mode, process.cwd)
        except OSError as error:
            status = process.fail(f"cannot create directory '{name}': {error.strerror}")
    return status


def rmdir(process: Process, arguments: list[str]) -> int:
    """`rmdir FOLDER…`."""
    status = 0
    for name in gnu_getopt(arguments, "")[1]:
        try:
            process.files.rmdir(name, process.cwd)
        except OSError as error:
            status = process.fail(f"failed to remove '{name}': {error.strerror}")
    return status


def rm(process: Process, arguments: list[str]) -> int:
    """`rm [-rf] PATH…`."""
    options, names = gnu_getopt(arguments, "rRfvi", ["recursive", "force"])
    chosen = {option for option, _ in options}
    force = bool({"-f", "--force"} & chosen)
    recursive = bool({"-r", "-R", "--recursive"} & chosen)
    if not names and not force:
        return process.fail("missing operand")
    status = 0
    for name in names:
        if process.files.canonical(name, process.cwd) == "/" and recursive:
            return process.fail("it is dangerous to operate recursively on '/'")
        try:
            _remove(process, str(PurePosixPath(process.cwd, name)), recursive=recursive)
        except FileNotFoundError as error:
            if not force:
                status = process.fail(f"cannot remove '{name}': {error.strerror}")
        except OSError as error:
            status = process.fail(f"cannot remove '{name}': {error.strerror}")
    return status


def _remove(process: Process, path: str, *, recursive: bool) -> None:
    process.stop.check()
    files = process.files
    folder = stat.S_ISDIR(files.stat(path, follow=False).st_mode)
    if not (folder and recursive):
        files.remove(path)
        return
    for entry in files.names(path):
        _remove(process, f"{path}/{entry}", recursive=True)
    files.rmdir(path)


def _target(process: Process, source: str, target: str, *, many: bool) -> str:
    """Where `source` goes when it is copied or moved to `target`: into it, if it is a folder."""
    if process.files.is_dir(target, process.cwd):
        return str(PurePosixPath(target) / PurePosixPath(source).name)
    if many or target.endswith("/"):
        raise NotADirectoryError(20, "Not a directory", target)
    return target


def _copy(process: Process, source: str, target: str, mode: int | None = None) -> None:
    files = process.files
    found = files.stat(source, process.cwd)
    reader = Descriptor(files.open(source, os.O_RDONLY, cwd=process.cwd))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        new = found.st_mode & 0o777 & ~process.umask if mode is None else mode
        writer = Descriptor(files.open(target, flags, new, process.cwd))
        try:
            for piece in pieces(reader):
                process.stop.check()
                writer.write(piece)
        finally:
            writer.close()
    finally:
        reader.close()


def _copy_tree(process: Process, source: str, target: str, *, preserve: bool) -> None:
    files = process.files
    found = files.stat(source, process.cwd)
    if stat.S_ISDIR(found.st_mode):
        if not files.is_dir(target, process.cwd):
            files.mkdir(target, found.st_mode & 0o777, process.cwd)
        for entry in files.names(source, process.cwd):
            _copy_tree(process, f"{source}/{entry}", f"{target}/{entry}", preserve=preserve)
    else:
        _copy(process, source, target)
    if preserve:
        files.chmod(target, found.st_mode & 0o777, process.cwd)
        files.set_times(target, (found.st_atime, found.st_mtime), process.cwd)


def cp(process: Process, arguments: list[str]) -> int:
    """`cp [-rpaf] SOURCE… TARGET`."""
    options, names = gnu_getopt(arguments, "rRpafvTn", ["archive", "recursive"])
    chosen = {option for option, _ in options}
    if len(names) < 2:
        return process.fail("missing file operand")
    *sources, target = names
    recursive = bool({"-r", "-R", "-a", "--archive", "--recursive"} & chosen)
    preserve = bool({"-p", "-a", "--archive"} & chosen)
    status = 0
    for source in sources:
        try:
            where = _target(process, source, target, many=len(sources) > 1)
            if process.files.is_dir(source, process.cwd) and not recursive:
                status = process.fail(f"-r not specified; omitting directory '{source}'")
                continue
            there = process.files.canonical(where, process.cwd)
            here = process.files.canonical(source, process.cwd)
            if there == here:
                status = process.fail(f"'{source}' and '{where}' are the same file")
                continue
            if there.startswith(here + "/"):
                status = process.fail(f"cannot copy a directory, '{source}', into itself")
                continue
            _copy_tree(process, source, where, preserve=preserve)
        except OSError as error:
            status = process.fail(f"cannot copy '{error.filename}': {error.strerror}")
    return status


def mv(process: Process, arguments: list[str]) -> int:
    """`mv [-f] SOURCE… TARGET`."""
    _, names = gnu_getopt(arguments, "fvTn")
    if len(names) < 2:
        return process.fail("missing file operand")
    *sources, target = names
    status = 0
    for source in sources:
        try:
            where = _target(process, source, target, many=len(sources) > 1)
            process.files.rename(source, where, process.cwd)
        except OSError as error:
            status = process.fail(f"cannot move '{source}' to '{target}': {error.strerror}")
    return status


def ln(process: Process, arguments: list[str]) -> int:
    """`ln -s [-fn] TARGET LINK`."""
    options, names = gnu_getopt(arguments, "sfnvT")
    chosen = {option for option, _ in options}
    if "-s" not in chosen:
        return process.fail("hard links are not available here")
    if len(names) != 2:
        return process.fail("missing file operand")
    target, link = names
    if process.files.is_dir(link, process.cwd) and "-n" not in chosen:
        link = str(PurePosixPath(link) / PurePosixPath(target).name)
    try:
        if "-f" in chosen and _is_there(process, link):
            process.files.remove(link, process.cwd)
        process.files.symlink(target, link, process.cwd)
    except OSError as error:
        return process.fail(f"failed to create symbolic link '{link}': {error.strerror}")
    return 0


def _is_there(process: Process, path: str) -> bool:
    """Whether there is a directory entry, even a link that leads nowhere."""
    try:
        process.files.stat(path, process.cwd, follow=False)
    except OSError:
        return False
    return True


_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")


def _mode(text: str, before: int, *, folder: bool) -> int | None:
    """The mode that `text` makes of `before`: octal or symbolic; None when it is neither."""
    if re.fullmatch("[0-7]{1,4}", text):
        return int(text, 8)
    mode = before & 0o7777
    for clause in text.split(","):
        if not (match := _CLAUSE.fullmatch(clause)):
            return None
        who, operator, letters = match.groups()
        bits = sum(value for letter, value in (("r", 4), ("w", 2), ("x", 1)) if letter in letters)
        if "X" in letters and (folder or mode & 0o111):
            bits |= 1
        who = "ugo" if not who or "a" in who else who
        for shift in ({"u": 6, "g": 3, "o": 0}[one] for one in set(who)):
            if operator == "=":
                mode &= ~(7 << shift)
            mode = mode & ~(bits << shift) if operator == "-" else mode | bits << shift
        if "t" in letters:
            mode = mode & ~0o1000 if operator == "-" else mode | 0o1000
    return mode


def chmod(process: Process, arguments: list[str]) -> int:
    """`chmod [-R] MODE PATH…`."""
    recursive = False
    # A mode such as -w looks like an option, so these are read by hand.
    while arguments and arguments[0] in ("-R", "-v", "-f", "--recursive", "--"):
        recursive = recursive or arguments[0] in ("-R", "--recursive")
        arguments = arguments[1:]
    if len(arguments) < 2:
        return process.fail("missing operand")
    wanted, *names = arguments

    def change(path: str) -> None:
        found = process.files.stat(path, process.cwd)
        folder = stat.S_ISDIR(found.st_mode)
        mode = _mode(wanted, found.st_mode, folder=folder)
        assert mode is not None
        process.files.chmod(path, mode, process.cwd)
        if recursive and folder:
            for entry in process.files.names(path, process.cwd):
                change(f"{path}/{entry}")

    if _mode(wanted, 0, folder=False) is None:
        return process.fail(f"invalid mode: '{wanted}'")
    return _each(process, names, change)


def chown(process: Process, arguments: list[str]) -> int:
    """`chown [-R] OWNER[:GROUP] PATH…`: everything here is root's, and stays so."""
    _, names = gnu_getopt(arguments, "RvfhL", ["recursive"])
    if len(names) < 2:
        return process.fail("missing operand")
    owner, *paths = names
    for part in re.split("[:.]", owner):
        if part not in ("", "root", "0"):
            return process.fail(f"invalid user: '{owner}'")

    def must_exist(path: str) -> None:
        process.files.stat(path, process.cwd)

    return _each(process, paths, must_exist)


_STAT_FORMAT = re.compile(r"%(.)")


def stat_(process: Process, arguments: list[str]) -> int:
    """`stat [-L] [-c FORMAT] PATH…`."""
    options, names = gnu_getopt(arguments, "Lc:t", ["format=", "printf="])
    chosen = dict(options)
    template = chosen.get("-c", chosen.get("--format"))
    if template is None:
        template = "  File: %n\n  Size: %s\t%F\nAccess: (0%a/%A)  Uid: (%u/%U)  Gid: (%g/%G)"

    def show(path: str) -> None:
        found = process.files.stat(path, process.cwd, follow="-L" in chosen)
        values = {
            "a": f"{stat.S_IMODE(found.st_mode):o}",
            "A": stat.filemode(found.st_mode),
            "F": _kind(found),
            "g": "0",
            "G": "root",
            "h": str(found.st_nlink),
            "i": str(found.st_ino),
            "n": path,
            "s": str(found.st_size),
            "u": "0",
            "U": "root",
            "X": str(int(found.st_atime)),
            "y": time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(found.st_mtime)),
            "Y": str(int(found.st_mtime)),
            "%": "%",
        }
        process.out(_STAT_FORMAT.sub(lambda m: values.get(m[1], m[0]), template) + "\n")

    return _each(process, names, show)


def _kind(found: os.stat_result) -> str:
    if stat.S_ISDIR(found.st_mode):
        return "directory"
    if stat.S_ISLNK(found.st_mode):
        return "symbolic link"
    return "regular file" if found.st_size else "regular empty file"


def touch(process: Process, arguments: list[str]) -> int:
    """`touch [-c] FILE…`."""
    options, names = gnu_getopt(arguments, "cam")

    def touched(path: str) -> None:
        if not process.files.exists(path, process.cwd):
            if any(option == "-c" for option, _ in options):
                return
            flags = os.O_WRONLY | os.O_CREAT
            os.close(process.files.open(path, flags, 0o666 & ~process.umask, process.cwd))
        process.files.set_times(path, None, process.cwd)

    return _each(process, names, touched)


def mktemp(process: Process, arguments: list[str]) -> int:
    """`mktemp [-d] [-p FOLDER] [TEMPLATE]`."""
    options, names = gnu_getopt(arguments, "dqtp:", ["tmpdir="])
    chosen = dict(options)
    template = names[0] if names else "tmp.XXXXXXXXXX"
    where = chosen.get("-p", chosen.get("--tmpdir", "/tmp" if not names else ""))
    signs = re.search("X{3,}$", template)
    if not signs:
        return process.fail(f"too few X's in template '{template}'")
    chance = secrets.token_urlsafe(len(signs[0])).replace("-", "a").replace("_", "b")
    path = str(PurePosixPath(where) / (template[: signs.start()] + chance[: len(signs[0])]))
    if "-d" in chosen:
        process.files.mkdir(path, 0o700, process.cwd)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        os.close(process.files.open(path, flags, 0o600, process.cwd))
    process.out(path + "\n")
    return 0


def basename(process: Process, arguments: list[str]) -> int:
    """`basename PATH [SUFFIX]`."""
    if not arguments:
        return process.fail("missing operand")
    name = PurePosixPath(arguments[0]).name or "/"
    if len(arguments) > 1 and name != arguments[1]:
        name = name.removesuffix(arguments[1])
    process.out(name + "\n")
    return 0


def dirname(process: Process, arguments: list[str]) -> int:
    """`dirname PATH…`."""
    for path in arguments:
        process.out(f"{PurePosixPath(path).parent}\n")
    return 0 if arguments else process.fail("missing operand")


def readlink(process: Process, arguments: list[str]) -> int:
    """`readlink [-f] PATH…`; silent about what is no link, as GNU's is."""
    options, names = gnu_getopt(arguments, "femn")
    status = 0
    for name in names:
        try:
            if options:
                process.out(process.files.canonical(name, process.cwd) + "\n")
            else:
                process.out(process.files.readlink(name, process.cwd) + "\n")
        except OSError:
            status = 1
    return status


def realpath(process: Process, arguments: list[str]) -> int:
    """`realpath PATH…`."""
    names = gnu_getopt(arguments, "emqs")[1]
    return _each(
        process, names, lambda path: process.out(process.files.canonical(path, process.cwd) + "\n")
    )


def install(process: Process, arguments: list[str]) -> int:
    """`install [-d] [-D] [-m MODE] [-o root] [-g root] SOURCE… TARGET`."""
    options, names = gnu_getopt(arguments, "dDm:o:g:pv", ["mode=", "owner=", "group="])
    chosen = dict(options)
    wanted = chosen.get("-m", chosen.get("--mode", "755"))
    mode = _mode(wanted, 0, folder=False)
    if mode is None:
        return process.fail(f"invalid mode '{wanted}'")
    if "-d" in chosen:

        def made(path: str) -> None:
            process.files.make_dirs(path, 0o755, process.cwd)
            process.files.chmod(path, mode, process.cwd)

        return _each(process, names, made)
    if len(names) < 2:
        return process.fail("missing file operand")
    *sources, target = names
    if "-D" in chosen:
        process.files.make_dirs(str(PurePosixPath(target).parent), 0o755, process.cwd)

    def installed(source: str) -> None:
        where = _target(process, source, target, many=len(sources) > 1)
        if _is_there(process, where):
            process.files.remove(where, process.cwd)
        _copy(process, source, where, mode)

    return _each(process, sources, installed)


def tee(process: Process, arguments: list[str]) -> int:
    """`tee [-a] FILE…`."""
    options, names = gnu_getopt(arguments, "ai")
    append = any(option == "-a" for option, _ in options)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    status, copies = 0, list[Descriptor]()
    try:
        for name in names:
            try:
                number = process.files.open(name, flags, 0o666 & ~process.umask, process.cwd)
                copies.append(Descriptor(number))
            except OSError as error:
                status = process.fail_on(error)
        for piece in pieces(process.stdin):
            for copy in copies:
                copy.write(piece)
            process.stdout.write(piece)
    finally:
        for copy in copies:
            copy.close()
    return status


def digest(algorithm: Callable[[], Any]) -> Program:
    """`sha256sum [-c] [FILE…]` and its like."""

    def run(process: Process, arguments: list[str]) -> int:
        options, names = gnu_getopt(arguments, "bctw", ["check", "status", "quiet"])
        if {"-c", "--check"} & {option for option, _ in options}:
            return _checked(process, names)
        inputs = Inputs(process, names)
        for name, source in inputs:
            sum_ = algorithm()
            for piece in pieces(source):
                process.stop.check()
                sum_.update(piece)
            process.out(f"{sum_.hexdigest()}  {name or '-'}\n")
        return inputs.status

    def _checked(process: Process, names: list[str]) -> int:
        inputs, bad = Inputs(process, names), 0
        for _, source in inputs:
            for line in b"".join(pieces(source)).decode("utf-8", "replace").splitlines():
                wanted, _, name = line.partition("  ")
                try:
                    content = process.files.read(name.strip(), process.cwd)
                except OSError as error:
                    process.fail_on(error)
                    fine = False
                else:
                    sum_ = algorithm()
                    sum_.update(content)
                    fine = sum_.hexdigest() == wanted
                bad += not fine
                process.out(f"{name}: {'OK' if fine else 'FAILED'}\n")
        if bad:
            process.err(f"{process.name}: WARNING: {bad} computed checksum did NOT match\n")
        return int(bool(bad)) or inputs.status

    return run


def cmp(process: Process, arguments: list[str]) -> int:
    """`cmp [-s] FILE FILE`."""
    options, names = gnu_getopt(arguments, "s")
    if len(names) != 2:
        return process.fail("missing operand", 2)
    one, other = (process.files.read(name, process.cwd) for name in names)
    if one == other:
        return 0
    if not options:
        process.out(f"{names[0]} {names[1]} differ\n")
    return 1


PROGRAMS: dict[str, Program] = {
    "basename": basename,
    "cat": cat,
    "chmod": chmod,
    "chown": chown,
    "cmp": cmp,
    "cp": cp,
    "dirname": dirname,
    "install": install,
    "ln": ln,
    "ls": ls,
    "md5sum": digest(lambda: md5(usedforsecurity=False)),
    "mkdir": mkdir,
    "mktemp": mktemp,
    "mv": mv,
    "readlink": readlink,
    "realpath": realpath,
    "rm": rm,
    "rmdir": rmdir,
    "sha1sum": digest(lambda: sha1(usedforsecurity=False)),
    "sha256sum": digest(sha256),
    "sha512sum": digest(sha512),
    "stat": stat_,
    "tee": tee,
    "touch": touch,
}
