"""A site's users in files of their own: `usersFolder: users/berlin` in place of `users:`, beside its stack file.

Each `*.yaml` there has users by name, as `users:` has them. The engine hands a program a stack's configuration in one
variable of 128 KiB, some 800 devices; these files the program reads itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wgnode import yamlfile

KEY = "usersFolder"
SUFFIX, NO_SUFFIX = ".yaml", (".yml", ".json")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LINE = re.compile(rf"^(?P<indent> +){KEY}:[^\n]*$", re.MULTILINE)

Read = Callable[[str], Mapping[str, str]]
"""Gives the texts of the files in the folder of that name beside the stack file, by their names. Raises
UsersFolderError where there is no such folder."""
_Judge = Callable[[str, str], tuple[dict[str, Any], list[tuple[str, str]]]]


class UsersFolderError(ValueError):
    """The text says what is wrong with `usersFolder` or its files, and the way out."""


def named(site: Any) -> str | None:
    """The folder's name, of `wgmesh:site`. Raises UsersFolderError."""
    if not isinstance(site, Mapping) or KEY not in site:
        return None
    name = site[KEY]
    if "users" in site:
        raise UsersFolderError(
            f"both `users` and `{KEY}`; put those of `users` into a file of that folder, as they are"
        )
    if not isinstance(name, str) or not FOLDER.fullmatch(name):
        raise UsersFolderError(f"`{KEY}` is the name of a folder beside the stack file, such as users/berlin: {name!r}")
    return name


def missing(name: str) -> UsersFolderError:
    """For whoever reads the folder."""
    return UsersFolderError(
        f"`{KEY}: {name}`: there is no such folder beside the stack file; make it, or mend the name"
    )


def of_users(folder: str, names: Iterable[str]) -> list[str]:
    """Those that are read of the files there. Raises UsersFolderError for one that somebody may think is."""
    there = sorted(names)
    if wrong := [name for name in there if name.lower().endswith(NO_SUFFIX)]:
        raise UsersFolderError(f"{folder}/{wrong[0]} is not read: files of users are called NAME{SUFFIX}; rename it")
    return [name for name in there if name.endswith(SUFFIX)]


def beside(stack_file: Path) -> Read:
    """Of that stack file. What it gives raises OSError too."""

    def read(name: str) -> dict[str, str]:
        folder = stack_file.parent / name
        if not folder.is_dir():
            raise missing(name)
        try:
            names = of_users(name, (file.name for file in folder.iterdir()))
            return {file: yamlfile.read(folder / file) for file in names}
        except yamlfile.YamlError as error:
            raise UsersFolderError(f"{name}: {error}") from None

    return read


def with_users(site: Any, read: Read) -> Any:
    """`wgmesh:site` with its users in it, wherever they stand. Raises UsersFolderError."""
    return judged(site, read)[0]


def judged(site: Any, read: Read) -> tuple[Any, list[tuple[str, str]]]:
    """`with_users`, and what of those files not all read alike (yamlfile.judged), by its path in the site. Raises
    UsersFolderError."""
    if (name := named(site)) is None:
        return site, []
    users, ambiguous = _merged(name, read(name), _judged)
    whole = {**{key: value for key, value in site.items() if key != KEY}, "users": users}
    return whole, [(f".users{path}", what) for path, what in ambiguous]


def merged(folder: str, files: Mapping[str, str], of: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """The users of all files; `of` is users_of, or what knows its answers. Raises UsersFolderError."""
    return _merged(folder, files, lambda file, text: (of(file, text), []))[0]


def _merged(folder: str, files: Mapping[str, str], judge: _Judge) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    found: dict[str, Any] = {}
    where: dict[str, str] = {}
    ambiguous: list[tuple[str, str]] = []
    for file, text in sorted(files.items()):
        users, more = judge(f"{folder}/{file}", text)
        ambiguous += more
        for user, said in users.items():
            if user in found:
                raise UsersFolderError(
                    f"user {user!r} stands in {where[user]} and in {folder}/{file}; keep one of them"
                )
            found[user], where[user] = said, f"{folder}/{file}"
    return found, ambiguous


def users_of(file: str, text: str) -> dict[str, Any]:
    """Of one file. Raises UsersFolderError."""
    return _judged(file, text)[0]


def _judged(file: str, text: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    try:
        users, ambiguous = yamlfile.judged(text) if text.strip() else ({}, [])
    except yamlfile.YamlError as error:
        raise UsersFolderError(f"{file}: {error}") from None
    users = {} if users is None else users  # comments only
    if not isinstance(users, dict) or not all(isinstance(name, str) for name in users):
        raise UsersFolderError(f"{file} is no mapping of users by name")
    return users, ambiguous


def included(text: str, read: Read) -> str:
    """A site's stack file with the users in it, each of their values as it is written. Raises UsersFolderError."""
    if KEY not in text or (name := named(_site(text))) is None:
        return text
    line = _LINE.search(text)
    if line is None:
        raise UsersFolderError(f"`{KEY}:` stands within braces; write it on a line of its own")
    files = read(name)
    users = merged(name, files, users_of)
    indent = line["indent"] + "  "
    listed = "".join(yamlfile.within(f"{files[file].rstrip()}\n", indent) for file in sorted(files))
    block = f"users:\n{listed.rstrip()}" if users else "users: {}"
    whole = text[: line.start()] + line["indent"] + block + text[line.end() :]
    if (_site(whole) or {}).get("users") != users:
        raise UsersFolderError(f"{name}: its files are not plain lines of `NAME: ...`; write them so")
    return whole


def without(text: str) -> str:
    """A site's stack file in which nothing is said of the folder."""
    return _LINE.sub("", text)


def _site(text: str) -> Any:
    try:
        read = yamlfile.parse(text)
    except yamlfile.YamlError:
        return None  # who judges the file says what it is
    config = read.get("config") if isinstance(read, dict) else None
    return config.get("wgmesh:site") if isinstance(config, dict) else None
