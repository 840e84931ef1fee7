"""`--print-completion`: a shell's completion script, made from the grammar itself."""

from __future__ import annotations

from pathlib import Path

from app import options as grammar
from app.console import Console
from app.options import Options
from services.problem import Exit


def run(options: Options, console: Console, home: Path) -> Exit:
    """Print the script for the shell that was named."""
    import shtab

    shell = options.print_completion or "bash"
    parser = grammar.build(session_ids=shtab.cmd(_listing(shell, home / "sessions")))
    print(shtab.complete(parser, shell))
    return Exit.FINE


def _listing(shell: str, folder: Path) -> str:
    """The session ids in the shell's own way: starting Python for each Tab would be slow."""
    if shell == "powershell":
        quoted = str(folder).replace("'", "''")
        return f"Get-ChildItem -Name -Directory '{quoted}'"
    quoted = str(folder).replace("'", "'\\''")
    return f"ls -1 '{quoted}' 2>/dev/null"
