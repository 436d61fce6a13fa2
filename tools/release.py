"""The official Pulumi release, by the Automation API's own installer. Run as `python -m tools.release ROOT VERSION`.

A program of its own so that the caller can bound its time and kill it with the downloads it started.
"""

import socket
import subprocess
import sys

SECONDS_TO_CONNECT = 15


def main(root: str, version: str) -> str | None:
    """Install into ROOT/bin; returns one line on why it failed, for sys.exit."""
    from pulumi.automation import PulumiCommand  # imported late: it takes half a second
    from semver import VersionInfo

    socket.setdefaulttimeout(SECONDS_TO_CONNECT)
    try:
        PulumiCommand.install(root=root, version=VersionInfo.parse(version))
    except subprocess.CalledProcessError as error:  # the installer's script; its output says why
        return f"{error}: {error.output.decode(errors='replace').strip()}"
    except OSError as error:  # urllib's errors too: a name that does not resolve, a refused or slow connection
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
