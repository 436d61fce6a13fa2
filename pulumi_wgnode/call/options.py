"""The provider's own options: what to do about hosts that are away.

They come from the stack's configuration (`pulumi config set wgnode:skipUnreachable true`), which the engine passes as
strings, or from the arguments of an explicit provider, which may be booleans. The environment overrides them, for one
run. It is also the only way to `pulumi destroy` and `pulumi refresh`, and to what `pulumi up` reads before it runs the
program: for these the engine configures the provider as it was at the last `up`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pulumi_wgnode.call.kind import UNKNOWN, CheckError

DESCRIPTIONS = {
    "skipUnreachable": "Resources on a host that cannot be reached are left as they are, with a warning: reading keeps"
    " what is recorded, and an update is passed over until the host is back. To create one still fails.",
    "deleteUnreachable": "Resources on a host that cannot be reached are deleted from the state, with a warning;"
    " whatever is on the host stays there.",
}
ENVIRONMENT = {"skipUnreachable": "WGNODE_SKIP_UNREACHABLE", "deleteUnreachable": "WGNODE_DELETE_UNREACHABLE"}
# What the engine itself puts beside a provider's options.
_ENGINES = {"version", "pluginDownloadURL", "pluginChecksums", "parameterization"}
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Options:
    skip_unreachable: bool = False
    delete_unreachable: bool = False


_current = Options()


def current() -> Options:
    """Those of this process; the engine starts one for each provider that is configured."""
    return _current


def configure(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> None:
    """From now on. Raises CheckError as `parse` does."""
    global _current
    _current = parse(given, environment)


def parse(given: Mapping[str, Any], environment: Mapping[str, str]) -> Options:
    """An UNKNOWN counts as not given. Raises CheckError with every unknown option and value that is no boolean."""
    failures: list[tuple[str, str]] = []
    values = {}
    for name, variable in ENVIRONMENT.items():
        values[name] = False
        for said, value in ((f"wgnode:{name}", given.get(name)), (variable, environment.get(variable))):
            if value in (None, "") or value is UNKNOWN:
                continue
            if (flag := _BOOLEANS.get(str(value).strip().lower())) is None:
                failures.append((name, f"{said} must be true or false, not {value!r}"))
            else:
                values[name] = flag
    failures += [(name, _unknown(name)) for name in given if not _is_known(name)]
    if failures:
        raise CheckError(failures)
    return Options(*(values[_wire(field.name)] for field in fields(Options)))


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The options that differ; "true" and true don't."""
    return [name for name in ENVIRONMENT if str(old.get(name, "")).lower() != str(new.get(name, "")).lower()]


def _wire(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _is_known(name: str) -> bool:
    return name in ENVIRONMENT or name in _ENGINES or name.startswith("__")


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, ENVIRONMENT, n=1, cutoff=0.5)
    there_are = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(ENVIRONMENT)}"
    return f"wgnode:{name} is no option of the provider; {there_are}"
