"""What is read of a host: a command and what its answer means, so that many go together in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pulumi_wgnode.hosts.host import Host, HostError, Result

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Query(Generic[T]):
    """`check`: a command that exits non-zero is an error; otherwise its code is for `parse` to judge."""

    argv: Sequence[str]
    parse: Callable[[Result], T]
    check: bool = False


def ask(host: Host, queries: Mapping[str, Query[Any]]) -> dict[str, Any]:
    """The answers by name, in one round trip. Raises HostError."""
    results = host.run_all([query.argv for query in queries.values()])
    answers = {}
    for (name, query), result in zip(queries.items(), results, strict=True):
        if query.check and result.code != 0:
            raise HostError(f"host {host.name}: `{query.argv[0]}` exited with {result.code}: {result.stderr.strip()}")
        answers[name] = query.parse(result)
    return answers


def answer(host: Host, query: Query[T]) -> T:
    """One answer by itself."""
    result = host.run(query.argv, check=query.check)
    return query.parse(result)
