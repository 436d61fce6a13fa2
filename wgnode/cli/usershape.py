"""Whether what a stack file says of people has the shape that `wgnode user` can read and change.

The program judges all of it by pydantic, which is on the operator's side; here only what else would be taken for
something else, or end in nothing that a person can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wgnode.topology import users
from wgnode.topology.validate import Problem

_CHECK = "`wgnode check` says more"
Judge = Callable[[str, Any], Iterator[Problem]]


def problems(site: Mapping[str, Any]) -> Iterator[Problem]:
    """Of `wgmesh:site`. What is not there is right."""
    for name in ("lan", "host", "firewall"):
        yield from _mapping(f".{name}", site.get(name))
    for name in ("pool", "egressPool"):
        yield from _fields(f".{name}", site.get(name), {"v4": _text, "v6": _text, "released": _released})
    yield from _mapping(".groups", site.get("groups"), lambda path, said: _fields(path, said, {"egress": _text}))
    yield from _mapping(".users", site.get("users"), _user)


def _user(path: str, said: Any) -> Iterator[Problem]:
    def devices(path: str, said: Any) -> Iterator[Problem]:
        return _mapping(path, said, _device)

    yield from _fields(path, said, {"groups": _texts, "expires": _moment, "devices": devices})


def _device(path: str, said: Any) -> Iterator[Problem]:
    if said is None:
        yield _problem(path, "is empty", "it has publicKey and addresses")
    else:
        yield from _fields(path, said, {"publicKey": _text, "addresses": _texts, "egressAddresses": _texts})
        for name in ("publicKey", "addresses"):
            if isinstance(said, Mapping) and said.get(name) is None:
                yield _problem(f"{path}.{name}", "is missing", "`wgnode user add` writes it")


def _released(path: str, said: Any) -> Iterator[Problem]:
    yield from _mapping(path, said, lambda path, day: _moment(path, "" if day is None else day))


def _fields(path: str, said: Any, fields: Mapping[str, Judge]) -> Iterator[Problem]:
    if isinstance(said, Mapping):
        for name, judge in fields.items():
            yield from judge(f"{path}.{name}", said.get(name))
    else:
        yield from _mapping(path, said)


def _mapping(path: str, said: Any, each: Judge | None = None) -> Iterator[Problem]:
    if said is not None and not isinstance(said, Mapping):
        yield _problem(path, f"is no mapping: {said!r:.40}", _CHECK)
        return
    for name, one in (said or {}).items():
        if not isinstance(name, str):
            yield _problem(f"{path}.{name}", f"the name {name!r:.40} is no text", "quote it")
        elif each is not None:
            yield from each(f"{path}.{name}", one)


def _texts(path: str, said: Any) -> Iterator[Problem]:
    if said is not None and not (isinstance(said, list) and all(isinstance(one, str) for one in said)):
        yield _problem(path, f"is no list of texts: {said!r:.40}", "write it like [one, other]")


def _text(path: str, said: Any) -> Iterator[Problem]:
    if said is not None and not isinstance(said, str):
        yield _problem(path, f"is no text: {said!r:.40}", _CHECK)


def _moment(path: str, said: Any) -> Iterator[Problem]:
    try:
        if said is not None:
            users.moment(said)
    except ValueError as error:
        yield Problem(path, str(error))


def _problem(path: str, what: str, way_out: str) -> Problem:
    return Problem(path, f"{what}; {way_out}")
