"""What an update would refuse is told by its preview: the same checks as the update's own, which only read.

Each is warned of and no error of the preview, since what comes first in the same `up` may mend it: a command of
`bootstrap`, another resource, another provider's host that is only made by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pulumi_wgnode.call.kind import Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log, warn
from pulumi_wgnode.hosts.host import Connection, Host, HostError, HostUnreachable, NoEntry
from pulumi_wgnode.resources.inputs import connection

Check = Callable[[], object]  # raises HostError for what would be refused
REFUSED = "`pulumi up` would be refused"
_UNTOLD = "; what `pulumi up` would find on it cannot be told beforehand"


def foresee(kind: Any, connect: Callable[[Connection], Host], inputs: Properties, state: Properties | None) -> None:
    """Run the checks of a kind that has any (`foresee(host, inputs, state)`), over the connection that is wanted.

    `state` is None for what is to be created; there may be unknowns in the inputs.
    """
    if not hasattr(kind, "foresee") or has_unknown(inputs.get("connection")):
        return
    try:
        judge(kind.foresee(connect(connection(inputs)), inputs, state))
    except HostUnreachable as error:
        warn(error, _UNTOLD)
    except NoEntry as error:
        warn(error, f"; {REFUSED}", Severity.WARNING)
    except HostError as error:
        log(f"{REFUSED}: {error}", Severity.WARNING)


def judge(checks: Iterable[Check]) -> None:
    """All of them, so that one `up` need not be tried for each. Raises HostError only where the host is lost."""
    for check in checks:
        try:
            check()
        except (HostUnreachable, NoEntry):
            raise
        except HostError as error:
            log(f"{REFUSED}: {error}", Severity.WARNING)
