"""The files of a site's `usersFolder`, as `wgnode user` reads and changes them. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wgnode import plainyaml, usersfolder, yamlfile
from wgnode.cli.placed import put, take
from wgnode.usersfolder import UsersFolderError, users_of

_ENTRY = re.compile(r"^[^\s#-]", re.MULTILINE)


@dataclass(frozen=True)
class PeopleFiles:
    """`texts` by the names of the files in the folder; "" is one that is to go. `read` has what was read of a text
    already: of thousands of users that counts."""

    folder: Path
    name: str
    texts: Mapping[str, str]
    read: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def users(self) -> dict[str, Any]:
        """Raises UsersFolderError."""
        return usersfolder.merged(self.name, self.texts, self._users_of)

    def put(self, user: str, path: tuple[str, ...], value: Any) -> PeopleFiles:
        """What stands there of the user, who is written where the name is already, else into a file of that name.
        Raises ValueError."""
        file = self._file_of(user)
        if file is None:
            return self._begun(user, path, value)
        return self._with(file, lambda text: _beside(text, user, lambda part: put(part, (user, *path), value)))

    def take(self, user: str, path: tuple[str, ...]) -> PeopleFiles:
        """Without what stands there; a file goes with its last user. Raises ValueError."""
        file = self._file_of(user)
        if file is None:
            return self
        if not path and len(self._users_of(file, self.texts[file])) == 1:
            return self._with(file, lambda _: "")
        return self._with(file, lambda text: _beside(text, user, lambda part: take(part, (user, *path))))

    def _file_of(self, user: str) -> str | None:
        return next((file for file, text in self.texts.items() if user in self._users_of(file, text)), None)

    def _users_of(self, file: str, text: str) -> dict[str, Any]:
        if text not in self.read:
            self.read[text] = users_of(file, text)
        return self.read[text]

    def _begun(self, user: str, path: tuple[str, ...], value: Any) -> PeopleFiles:
        file, said = f"{user}.yaml", value
        for step in reversed(path):
            said = {step: said}
        before = self.texts.get(file, "")
        after = (f"{before.rstrip()}\n" if before.strip() else "") + yamlfile.block({user: said})
        if users_of(file, after) != {**users_of(file, before), user: said}:
            raise UsersFolderError(f"{self.name}/{file} is written so that no user can be added; add it by hand")
        return self._with(file, lambda _: after)

    def _with(self, file: str, edit: Callable[[str], str]) -> PeopleFiles:
        try:
            return replace(self, texts={**self.texts, file: edit(self.texts.get(file, ""))})
        except ValueError as error:
            raise UsersFolderError(f"{self.name}/{file}: {error}") from None


def _beside(text: str, user: str, edit: Callable[[str], str]) -> str:
    """Edited where the user stands, by that and one user beside it: all of a file of thousands takes a minute."""
    try:
        plainyaml.read(text)
    except plainyaml.Unread:  # anybody's lines may be anywhere
        return edit(text)
    starts = [found.start() for found in _ENTRY.finditer(text)]
    named = re.compile(rf"{re.escape(user)}:(?:\s|$)")
    at = next(number for number, start in enumerate(starts) if named.match(text, start))
    first, last = starts[max(0, at - 1)], [*starts, len(text), len(text)][at + 1 + (at == 0)]
    return text[:first] + edit(text[first:last]) + text[last:]


def read(stack_file: Path, site: Any) -> PeopleFiles | None:
    """Of the folder that the site names, if it names one. Raises UsersFolderError, OSError."""
    if (name := usersfolder.named(site)) is None:
        return None
    return PeopleFiles(stack_file.parent / name, name, usersfolder.beside(stack_file)(name))
