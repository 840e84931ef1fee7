"""The command line: parse, hand over, and turn what comes back into an exit code.

`--version` is answered before anything is imported, and `--help` before anything but the grammar.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: "Sequence[str] | None" = None) -> int:
    """Carry out one command line and return its exit code (`services.problem.Exit`)."""
    words = sys.argv[1:] if words is None else words
    if list(words[:1]) == ["--version"]:
        return _version()
    from app import options

    try:
        given = options.parse(words)
    except options.Usage as usage:
        from app.dispatch import refuse

        return refuse(usage, words)
    if given.version:
        return _version()
    from app.dispatch import carry_out

    return carry_out(given)


def _version() -> int:
    from app.version import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    print(f"nlb-mtls {__version__} (Python {python}, {sys.platform})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
