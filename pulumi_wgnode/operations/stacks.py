"""The stacks of an environment, as the project's folder and the real `pulumi` have them.

Secrets come through `pulumi config --show-secrets` in the user's own environment, so backend and passphrase are
theirs; they stay in this process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.hosts.ssh.environment import KNOWN_HOSTS
from pulumi_wgnode.resources.inputs import described
from wgnode import sitesfile, yamlfile

PROJECT = "wgmesh"
"""The namespace of a site's and a mesh's configuration where a program has it as this package's first user does; of all
other programs, their stacks' states say which sites there are (sites.py)."""
PULUMI_TIMEOUT = 60.0  # seconds for one `pulumi config`, on a busy machine


class StackError(ExplainedError):
    """A stack, or the project, is not as it must be; the text names it and says what to do."""


class NoSite(StackError):
    """The stack's configuration says nothing of a site."""


@dataclass(frozen=True)
class SiteStack:
    """What a site's stack says of its host. `mesh` is the mesh's stack; `recipient_key` is the private half.

    Of a site that only the stack's state has, `mesh` is empty and `id` its own.
    """

    stack: str
    site: str
    mesh: str
    connection: Connection
    recipient_key: str | None = field(repr=False)
    id: str | None = None


Item = TypeVar("Item")
Found = TypeVar("Found")


def project_folder(start: Path) -> Path:
    """The folder of Pulumi.yaml, here or above. Raises StackError."""
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise StackError(
        f"no Pulumi.yaml in {start.absolute()} or above; change into the project's folder, or name it by -C"
    )


def site_stacks(folder: Path, environment: str | None = None) -> list[str]:
    """The stacks of role `site` that have a file in the project, of one environment or of all; where no stack has any
    role, as in programs of other people's, all of them. Raises StackError."""
    roles = {stack: _role(file_of(folder, stack)) for stack in stacks(folder, environment)}
    found = [stack for stack, role in roles.items() if role == "site"] if any(roles.values()) else list(roles)
    if not found:
        pattern = file_of(folder, f"{environment}-*" if environment else "*")
        raise StackError(
            f"no stack of a site among {pattern}; `wgnode site new` writes the first, --stack names others"
        )
    return found


def stacks(folder: Path, environment: str | None = None) -> list[str]:
    """All stacks that have a file in the project, sorted."""
    files = file_of(folder, "x").parent.glob(f"Pulumi.{environment + '-' if environment else ''}*.yaml")
    return sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files)


def file_of(folder: Path, stack: str) -> Path:
    """Raises StackError for a project that can't be read."""
    file = folder / "Pulumi.yaml"
    try:
        project = yamlfile.parse(yamlfile.read(file))
    except (OSError, yamlfile.YamlError) as error:
        raise StackError(f"{file} can't be read: {error}") from None
    given = project.get("stackConfigDir") if isinstance(project, dict) else None
    return folder / str(given or "") / f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"


def read_site(folder: Path, stack: str) -> SiteStack:
    """Raises StackError."""
    site = _configuration(folder, stack).get(f"{PROJECT}:site")
    if not isinstance(site, dict):
        raise NoSite(f"stack {stack!r} has no wgmesh:site, so it is no site's stack")
    host = site.get("host")
    missing = [name for name in ("name", "mesh") if not isinstance(site.get(name), str)]
    if missing or not isinstance(host, dict) or not _leads_somewhere(host):
        what = ", ".join(missing or ["host.address and host.hostKeys"])
        raise StackError(
            f"stack {stack!r}: wgmesh:site lacks {what}; `pulumi preview -s {stack}` tells all that it lacks"
        )
    return SiteStack(stack, site["name"], site["mesh"], described(host), site.get("recipientKey"))


def _leads_somewhere(host: Mapping[str, Any]) -> bool:
    pins = host.get("hostKeys") or host.get("hostAuthorities") or os.environ.get(KNOWN_HOSTS)
    return bool(host.get("sshHost") or (host.get("address") and pins))


def read_mesh(folder: Path, stack: str) -> dict[str, Any]:
    """wgmesh:mesh of a mesh's stack, {} where its file is lost. Raises StackError."""
    file = file_of(folder, stack)
    try:
        raw = _configuration(folder, stack).get(f"{PROJECT}:mesh")
        mesh = sitesfile.with_sites(raw, lambda name: yamlfile.read(file.with_name(name)))
    except (sitesfile.SitesFileError, OSError) as error:
        raise StackError(f"stack {stack!r}: wgmesh:mesh: {error}") from None
    return mesh if isinstance(mesh, dict) else {}


def mesh_outputs(folder: Path, stack: str) -> dict[str, Any]:
    """What a mesh's stack says of it: `topology`, and what is `resting`, which older ones lack. Raises StackError."""
    said = json.loads(pulumi(["stack", "output", "--json", "--stack", stack], folder, f"stack {stack!r}"))
    return said if isinstance(said, dict) else {}


def each(items: Iterable[Item], ask: Callable[[Item], Found], at_once: int = 0) -> list[Found | ExplainedError]:
    """What `ask` gives for each, in order, or the error that it raised; `at_once` of them run beside each other."""

    def attempt(item: Item) -> Found | ExplainedError:
        try:
            return ask(item)
        except ExplainedError as error:
            return error

    with ThreadPoolExecutor(at_once or os.cpu_count() or 1) as pool:
        return list(pool.map(attempt, items))


def site_name(folder: Path, stack: str) -> str | None:
    """The site's name as the stack's file has it, which needs neither backend nor passphrase. Raises StackError."""
    site = _plain(file_of(folder, stack)).get(f"{PROJECT}:site")
    return site.get("name") if isinstance(site, dict) else None


def _role(file: Path) -> str | None:
    role = _plain(file).get(f"{PROJECT}:role")
    return role if isinstance(role, str) else None


def _plain(file: Path) -> dict[str, Any]:
    """A stack file's values as they stand in it, {} where there is none."""
    try:
        read = yamlfile.parse(yamlfile.read(file)) if file.is_file() else None
    except yamlfile.YamlError as error:
        raise StackError(f"{file}: {error}") from None
    config = read.get("config") if isinstance(read, dict) else None
    return config if isinstance(config, dict) else {}


def _configuration(folder: Path, stack: str) -> dict[str, Any]:
    """The stack's values by key, secrets opened."""
    said = pulumi(["config", "--json", "--show-secrets", "--stack", stack], folder, f"stack {stack!r}")
    return {key: value.get("objectValue", value.get("value")) for key, value in json.loads(said).items()}


def pulumi(arguments: Sequence[str], folder: Path, what: str, timeout: float = PULUMI_TIMEOUT) -> str:
    """What `pulumi` answers, within `timeout` seconds. Raises StackError with its own words."""
    if shutil.which("pulumi") is None:
        raise StackError("no `pulumi` on PATH; `. tools/activate` in the project's clone puts it there")
    argv = ["pulumi", *arguments, "--non-interactive", "--cwd", str(folder)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise StackError(f"{what}: `pulumi {arguments[0]}` did not answer within {timeout:.0f} s") from None
    if done.returncode != 0:
        raise StackError(f"{what}: {_explained(done.stderr.strip() or _diagnosed(done.stdout))}")
    return done.stdout


def _diagnosed(said: str) -> str:
    """The errors in what a command with `--json` prints, which has them there alone."""
    try:
        told = json.loads(said).get("diagnostics") or ()
        errors = [str(one["message"]).strip() for one in told if one.get("severity") == "error"]
    except (ValueError, AttributeError, KeyError, TypeError):
        errors = []
    causes = [one for one in errors if not one.startswith(_FOLLOWS)] or errors
    return " | ".join(dict.fromkeys(one.removeprefix("error: ") for one in causes)) or "it failed without a word"


def _explained(said: str) -> str:
    """The engine's own words and, where they leave one alone, the way out."""
    said = re.sub(r"^SDK \S+ \S+ WARN .*\n?", "", said, flags=re.MULTILINE)  # AWS's, on every call of many an S3
    words = " ".join(said.strip().removeprefix("error: ").split())
    for part, way_out in _WAYS_OUT.items():
        if part in words:
            return f"{words}; {way_out}"
    return words


_FOLLOWS = ("error: an unhandled error occurred: program exited", "error: preview failed")
"""How the engine's errors begin that it has because of another."""
_WAYS_OUT = {
    "no stack named": "is this the right backend (`pulumi whoami -v`)? If the stack is lost, `pulumi stack init` makes"
    " it anew and keeps its file",
    "incorrect passphrase": "is it another stack's? A lost one: docs/how-to/recover.md",
    "passphrase must be set": "that is where it looks for the stack's passphrase",
    "tags not supported": "engines from 3.211 on keep them with every backend",
    "PULUMI_ACCESS_TOKEN": "log in to your backend first: `pulumi login`",
}
