"""What our jobs tell on a forge: one comment on a change, one issue of an environment; found again by a mark in it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pulumi_wgnode.errors import ExplainedError

TIMEOUT = 30.0
"""Seconds for one answer."""
PAGE = 100


class ForgeError(ExplainedError):
    """The forge did not do what was asked; the text has its words and the way out."""


@dataclass(frozen=True)
class Told:
    """A comment or an issue that is there: `ours` if this job's own user wrote it."""

    id: int
    body: str
    ours: bool


class Forge(Protocol):
    def comments(self) -> list[Told]:
        """On the change that this job runs for."""
        ...

    def comment(self, body: str, former: int | None) -> None: ...

    def issues(self, label: str) -> list[Told]:
        """That are open."""
        ...

    def issue(self, title: str, body: str, label: str, former: int | None) -> None: ...

    def close(self, issue: int, body: str) -> None: ...


class Rest:
    """A forge's interface over HTTP."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        self._base, self._headers = base.rstrip("/"), dict(headers)

    def ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Raises ForgeError."""
        body = None if content is None else json.dumps(content).encode()
        headers = {**self._headers, "Content-Type": "application/json", "User-Agent": "wgnode"}
        request = urllib.request.Request(f"{self._base}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ForgeError(
                f"{method} {self._base}{path}: {error.code} {error.reason}{_way_out(error.code)}"
            ) from None
        except (OSError, ValueError) as error:
            raise ForgeError(f"{method} {self._base}{path}: {error}") from None

    def all_of(self, path: str) -> list[Any]:
        """Every page of a list."""
        found: list[Any] = []
        mark = "&" if "?" in path else "?"
        while True:
            number = len(found) // PAGE + 1
            page = self.ask("GET", f"{path}{mark}per_page={PAGE}&page={number}")
            found += page
            if len(page) < PAGE:
                return found


def _way_out(code: int) -> str:
    if code in (401, 403, 404):
        return "; the job's token may not do that: see what the pipeline's file gives it (docs/how-to)"
    return ""
