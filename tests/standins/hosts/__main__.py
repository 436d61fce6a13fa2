"""`python -m tests.standins.hosts plugin|command ...`: our plugin, or `wgnode`, whose hosts are files."""

from __future__ import annotations

import sys


def plugin() -> None:
    from pulumi_wgnode.provider.__main__ import main

    main(_install)


def command() -> None:
    from wgnode.cli import main

    _install()
    main()


def _install() -> None:
    from tests.standins.hosts import kept

    kept.install()


if __name__ == "__main__":
    {"plugin": plugin, "command": command}[sys.argv.pop(1)]()
