"""Commands about text, line by line."""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Iterator
from getopt import GetoptError, gnu_getopt
from itertools import islice

from services.lab.hosts.shell.machine import Process, Program, decoded, encoded
from services.lab.hosts.shell.pattern import regular_expression
from services.lab.hosts.shell.programs.inputs import Inputs
from services.lab.hosts.shell.programs.printf import printf, unescaped
from services.lab.hosts.shell.streams import everything, lines


def _counted(arguments: list[str]) -> tuple[str, list[str]]:
    """What `head` and `tail` may write as `-5` becomes `-n 5`."""
    modern = [re.sub(r"\A-(\d+)\Z", r"-n\1", argument) for argument in arguments]
    options, names = gnu_getopt(modern, "n:c:q", ["lines=", "bytes="])
    chosen = dict(options)
    count = chosen.get("-n", chosen.get("--lines"))
    size = chosen.get("-c", chosen.get("--bytes"))
    if size is not None:
        return f"c{size}", names
    return f"n{count or 10}", names


def head(process: Process, arguments: list[str]) -> int:
    """`head [-n LINES | -c BYTES] [FILE…]`."""
    amount, names = _counted(arguments)
    unit, count = amount[0], _integer(amount[1:])
    inputs = Inputs(process, names)
    for name, source in inputs:
        if len(names) > 1:
            process.out(f"==> {name} <==\n")
        if unit == "c":
            left = count
            while left > 0 and (piece := source.read(left)):
                process.stdout.write(piece)
                left -= len(piece)
        elif count >= 0:
            for line in islice(lines(source), count):
                process.stdout.write(line)
        else:
            for line in list(lines(source))[:count]:
                process.stdout.write(line)
    return inputs.status


def tail(process: Process, arguments: list[str]) -> int:
    """`tail [-n [+]LINES | -c BYTES] [FILE…]`."""
    amount, names = _counted(arguments)
    unit, count = amount[0], amount[1:]
    inputs = Inputs(process, names)
    for name, source in inputs:
        if len(names) > 1:
            process.out(f"==> {name} <==\n")
        if count.startswith("+"):
            for line in islice(lines(source), max(0, _integer(count) - 1), None):
                process.stdout.write(line)
        elif unit == "c":
            process.stdout.write(everything(source)[-abs(_integer(count)) :])
        else:
            for line in deque(lines(source), maxlen=abs(_integer(count))):
                process.stdout.write(line)
    return inputs.status


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise GetoptError(f"invalid number: '{text}'") from None


def wc(process: Process, arguments: list[str]) -> int:
    """`wc [-lwcm] [FILE…]`."""
    options, names = gnu_getopt(arguments, "lwcm")
    chosen = [option[1] for option, _ in options] or ["l", "w", "c"]
    inputs = Inputs(process, names)
    found: list[tuple[dict[str, int], str]] = []
    for name, source in inputs:
        content = everything(source)
        counts = {
            "l": content.count(b"\n"),
            "w": len(content.split()),
            "c": len(content),
            "m": len(decoded(content)),
        }
        found.append((counts, name))
    totals = {letter: sum(counts[letter] for counts, _ in found) for letter in "lwcm"}
    # GNU's columns: as wide as the size of all files; of a stream the size is not known before.
    width = len(str(totals["c"])) if names and "-" not in names else 7
    if len(chosen) == 1 and len(found) == 1:
        width = 0
    if len(names) > 1:
        found.append((totals, "total"))
    for counts, name in found:
        shown = " ".join(f"{counts[letter]:{width}}" for letter in "lwmc" if letter in chosen)
        process.out(f"{shown} {name}".rstrip() + "\n")
    return inputs.status


def _all_lines(inputs: Inputs) -> Iterator[str]:
    for _, source in inputs:
        for line in lines(source):
            yield decoded(line).removesuffix("\n")


def sort(process: Process, arguments: list[str]) -> int:
    """`sort [-rnu] [-k FIELD] [-t SIGN] [FILE…]`."""
    options, names = gnu_getopt(arguments, "rnufk:t:")
    chosen = dict(options)
    inputs = Inputs(process, names)
    field = int(re.match(r"\d*", chosen.get("-k", ""))[0] or 0)  # type: ignore[index]

    def key(line: str) -> tuple[float, str]:
        value = line
        if field:
            split = line.split(chosen.get("-t"))
            value = split[field - 1] if field <= len(split) else ""
        if "-n" not in chosen:
            return 0.0, value
        number = re.match(r"\s*(-?\d+(?:\.\d+)?)", value)
        return float(number[1]) if number else 0.0, value

    found = sorted(_all_lines(inputs), key=key, reverse="-r" in chosen)
    if "-u" in chosen:
        found = list(dict.fromkeys(found))
    process.out("".join(line + "\n" for line in found))
    return inputs.status


def uniq(process: Process, arguments: list[str]) -> int:
    """`uniq [-c] [FILE]`."""
    options, names = gnu_getopt(arguments, "cd")
    inputs = Inputs(process, names)
    runs: list[tuple[str, int]] = []
    for line in _all_lines(inputs):
        if runs and runs[-1][0] == line:
            runs[-1] = (line, runs[-1][1] + 1)
        else:
            runs.append((line, 1))
    for line, count in runs:
        process.out(f"{count:7} {line}\n" if options else line + "\n")
    return inputs.status


def _ranges(text: str) -> list[tuple[int, int | None]]:
    found: list[tuple[int, int | None]] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _integer(first or "1")
        found.append((begin, (int(last) if last else None) if dash else begin))
    return found


def cut(process: Process, arguments: list[str]) -> int:
    """`cut -d SIGN -f FIELDS | -c SIGNS [FILE…]`."""
    options, names = gnu_getopt(arguments, "d:f:c:s")
    chosen = dict(options)
    inputs = Inputs(process, names)
    wanted = _ranges(chosen.get("-f", chosen.get("-c", "1")))
    sign = chosen.get("-d", "\t") if "-f" in chosen else ""

    def within(position: int) -> bool:
        return any(begin <= position and (end is None or position <= end) for begin, end in wanted)

    for line in _all_lines(inputs):
        if sign and sign not in line:
            if "-s" not in chosen:
                process.out(line + "\n")
            continue
        parts = line.split(sign) if sign else list(line)
        process.out(sign.join(p for at, p in enumerate(parts, 1) if within(at)) + "\n")
    return inputs.status


def tr(process: Process, arguments: list[str]) -> int:
    """`tr [-d | -s] SET [SET]`."""
    options, sets = gnu_getopt(arguments, "dscC")
    chosen = {option for option, _ in options}
    if not sets:
        return process.fail("missing operand")
    first = _set(sets[0])
    text = decoded(everything(process.stdin))
    if {"-c", "-C"} & chosen:
        first = "".join(sorted(set(text) - set(first)))
    if "-d" in chosen:
        text = text.translate(dict.fromkeys(map(ord, first)))
    elif len(sets) > 1:
        second = _set(sets[1])
        second += second[-1:] * (len(first) - len(second))
        text = text.translate(dict(zip(map(ord, first), second, strict=False)))
        first = second
    if "-s" in chosen:
        text = re.sub(f"([{re.escape(first)}])\\1+", r"\1", text) if first else text
    process.out(text)
    return 0


def _set(text: str) -> str:
    for name, signs in (
        ("upper", "A-Z"), ("lower", "a-z"), ("digit", "0-9"), ("alpha", "A-Za-z"),
        ("alnum", "A-Za-z0-9"), ("space", r" \t\n\r\f\v"),
    ):  # fmt: skip
        text = text.replace(f"[:{name}:]", signs)
    text = unescaped(text)[0]
    return re.sub(
        r"(.)-(.)",
        lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))),
        text,
        flags=re.DOTALL,
    )


def grep(process: Process, arguments: list[str]) -> int:
    """`grep [-EFivcnlqowxhHs] [-m COUNT] [-e] PATTERN [FILE…]`."""
    options, names = gnu_getopt(arguments, "EFGivcnlqowxhHse:m:r", ["color=", "quiet"])
    chosen = {option for option, _ in options}
    wanted = [value for option, value in options if option == "-e"]
    if not wanted:
        if not names:
            return process.fail("usage: grep [OPTION]... PATTERNS [FILE]...", 2)
        wanted.append(names.pop(0))
    try:
        expression = _expression(wanted, chosen, extended=process.name == "egrep")
    except re.error as error:
        return process.fail(f"invalid regular expression: {error}", 2)
    most = int(next((value for option, value in options if option == "-m"), "0"))
    inputs, found_any = Inputs(process, names), False
    named = ("-H" in chosen or len(names) > 1) and "-h" not in chosen
    for name, source in inputs:
        prefix = f"{name or '(standard input)'}:" if named else ""
        count = 0
        for number, raw in enumerate(lines(source), 1):
            process.stop.check()
            line = decoded(raw).removesuffix("\n")
            match = expression.search(line)
            if (match is None) == ("-v" not in chosen):
                continue
            count += 1
            found_any = True
            if {"-q", "--quiet"} & chosen:
                return 0
            if not {"-c", "-l"} & chosen:
                where = prefix + (f"{number}:" if "-n" in chosen else "")
                if "-o" in chosen:
                    for each in expression.finditer(line):
                        if each[0]:
                            process.out(f"{where}{each[0]}\n")
                else:
                    process.out(f"{where}{line}\n")
            if "-l" in chosen or count == most:
                break
        if "-c" in chosen:
            process.out(f"{prefix}{count}\n")
        elif "-l" in chosen and count:
            process.out(f"{name or '(standard input)'}\n")
    return 2 if inputs.status else int(not found_any)


def _expression(wanted: list[str], chosen: set[str], *, extended: bool) -> re.Pattern[str]:
    alternatives = "\n".join(wanted).split("\n")
    if "-F" not in chosen:
        extended = extended or "-E" in chosen
        alternatives = [regular_expression(each, extended=extended) for each in alternatives]
    else:
        alternatives = [re.escape(each) for each in alternatives]
    joined = "|".join(f"(?:{each})" for each in alternatives)
    if "-w" in chosen:
        joined = rf"(?<!\w)(?:{joined})(?!\w)"
    if "-x" in chosen:
        joined = rf"\A(?:{joined})\Z"
    return re.compile(joined, re.IGNORECASE if "-i" in chosen else 0)


def base64_(process: Process, arguments: list[str]) -> int:
    """`base64 [-d] [-w COLUMNS] [FILE]`."""
    options, names = gnu_getopt(arguments, "diw:", ["decode", "wrap="])
    chosen = dict(options)
    inputs = Inputs(process, names[:1])
    content = b"".join(everything(source) for _, source in inputs)
    if {"-d", "--decode"} & set(chosen):
        try:
            process.stdout.write(base64.b64decode(b"".join(content.split()), validate=True))
        except ValueError:
            return process.fail("invalid input")
        return inputs.status
    width = int(chosen.get("-w", chosen.get("--wrap", "76")))
    text = base64.b64encode(content).decode()
    if not width:
        process.out(text)
    else:
        for at in range(0, len(text), width):
            process.out(text[at : at + width] + "\n")
    return inputs.status


def seq(process: Process, arguments: list[str]) -> int:
    """`seq [FIRST [STEP]] LAST`."""
    try:
        numbers = [int(argument) for argument in arguments]
    except ValueError:
        return process.fail("invalid argument")
    if not 1 <= len(numbers) <= 3 or (len(numbers) == 3 and not numbers[1]):
        return process.fail("missing operand")
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    last = numbers[-1]
    for number in range(first, last + (1 if step > 0 else -1), step):
        process.stop.check()
        process.out(f"{number}\n")
    return 0


def xargs(process: Process, arguments: list[str]) -> int:
    """`xargs [-r] [COMMAND…]`: the words of the input as arguments of one command."""
    while arguments and arguments[0] in ("-r", "-0", "--no-run-if-empty"):
        arguments = arguments[1:]
    words = re.split(r"[\s\0]+", decoded(everything(process.stdin)).strip())
    words = [word for word in words if word]
    command = arguments or ["echo"]
    return process.parent.launch([*command, *words], process.environment, process.stop)


def echo(process: Process, arguments: list[str]) -> int:
    """`/usr/bin/echo`, for `xargs` and `env`; the shell's own knows more."""
    newline = arguments[:1] != ["-n"]
    process.stdout.write(encoded(" ".join(arguments if newline else arguments[1:])))
    if newline:
        process.out("\n")
    return 0


PROGRAMS: dict[str, Program] = {
    "base64": base64_,
    "cut": cut,
    "echo": echo,
    "egrep": grep,
    "grep": grep,
    "head": head,
    "printf": printf,
    "seq": seq,
    "sort": sort,
    "tail": tail,
    "tr": tr,
    "uniq": uniq,
    "wc": wc,
    "xargs": xargs,
}
