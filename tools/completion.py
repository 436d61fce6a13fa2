"""share/: what bash, zsh and fish complete `wgnode` by, as click makes it; they ask the program at each key.

Wheels put them where the shells look under a prefix such as /usr/local (docs/how-to/complete-in-a-shell.md).
"""

from __future__ import annotations

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from tools.commands import PROGRAM
from wgnode.cli import main

VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"
PLACES: dict[str, type[ShellComplete]] = {
    f"bash-completion/completions/{PROGRAM}": BashComplete,
    f"zsh/site-functions/_{PROGRAM}": ZshComplete,
    f"fish/vendor_completions.d/{PROGRAM}.fish": FishComplete,
}


def scripts() -> dict[str, str]:
    """By file name under share/, each shell's script."""
    return {place: _script(shell(main, {}, PROGRAM, VARIABLE)) for place, shell in PLACES.items()}


def _script(shell: ShellComplete) -> str:
    """Not by `BashComplete.source`, which asks the bash of this machine for its version."""
    return ShellComplete.source(shell).strip() + "\n"
