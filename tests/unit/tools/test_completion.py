"""Each shell completes `wgnode` by the script that wheels ship, as a person types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from tools import ROOT

SHARE = ROOT / "share"
PATH = {"PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), os.defpath])}
IN_BASH = """
source {script}
complete -p wgnode >/dev/null || exit 1
ask() {{
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _wgnode_completion wgnode
    echo "${{COMPREPLY[@]}}"
}}
ask wgnode sta
ask wgnode rollout re
ask wgnode key recipient --h
"""


def said(*argv: str) -> list[str]:
    done = subprocess.run(argv, env={**os.environ, **PATH}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bash_completes_commands_subcommands_and_options() -> None:
    script = SHARE / "bash-completion" / "completions" / "wgnode"
    assert said("bash", "--norc", "-c", IN_BASH.format(script=script)) == ["status", "resume", "--help"]


def test_fish_completes_them_and_says_what_they_do(tmp_path: Path) -> None:
    script = SHARE / "fish" / "vendor_completions.d" / "wgnode.fish"
    asked = "; ".join(
        f"complete -C '{line}'" for line in ("wgnode sta", "wgnode rollout re", "wgnode key recipient --h")
    )
    lines = said("env", f"HOME={tmp_path}", "fish", "--no-config", "-c", f"source {script}; {asked}")
    assert [line.split("\t")[0] for line in lines] == ["status", "resume", "--help"]
    assert "\tShow what each site's gateway runs" in lines[0]


def test_zsh_completes_in_its_line_editor(tmp_path: Path) -> None:
    terminal = Zsh(tmp_path)
    try:
        terminal.types(
            f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\n"
        )
        terminal.reads("ready")
        # Ctrl-A goes to the line's beginning: what zsh has made of the line is printed, not run.
        terminal.types("wgnode rollout resu\t")
        terminal.reads("resume")
        terminal.types("\x01echo made: \n")
        terminal.reads("made: wgnode rollout resume")
    finally:
        terminal.close()


class Zsh:
    """An interactive zsh without anybody's settings, at a terminal."""

    def __init__(self, home: Path) -> None:
        own = {**os.environ, **PATH, "HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb", "PS1": "% "}
        self.end, other = pty.openpty()
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=other, stdout=other, stderr=other, env=own, start_new_session=True
        )
        os.close(other)

    def types(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def reads(self, wanted: str, seconds: float = 60) -> None:
        """Waits until it has shown this. Fails with what it showed."""
        shown, until = "", time.monotonic() + seconds
        while wanted not in shown:
            ready, _, _ = select.select([self.end], [], [], max(0, until - time.monotonic()))
            assert ready, f"no {wanted!r} in {shown!r}"
            shown += os.read(self.end, 4096).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)
