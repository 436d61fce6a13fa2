"""The stack files of a project: as they lie in its folder, or as they were at a revision of its repository.

A revision is read by git's plumbing, so that nothing of the folder, its index or its branches is touched. A change that
is checked may be anybody's: what its files point at is read only inside of the project.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pulumi_wgnode.errors import ExplainedError
from wgnode import sitesfile, usersfolder, yamlfile

PROJECT_FILE = "Pulumi.yaml"
GIT_TIMEOUT = 60.0
"""Seconds for one question to git."""


class FilesError(ExplainedError):
    """The files can't be read; the text says which and why."""


@dataclass(frozen=True)
class Files:
    """`texts` by the path from the project's folder, as "stacks/Pulumi.dev-mesh.yaml"; `commit` is the revision's.

    Sites of a mesh and users of a site are in its text, wherever they stand; `lengths` has the characters of each stack
    file itself, `folders` what is wrong with a site's folder of users, which is then left out.
    """

    texts: Mapping[str, str]
    commit: str | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)


def of_folder(folder: Path, environment: str | None) -> Files:
    """Raises FilesError."""
    inside, stacks = folder.resolve(), folder / _stack_folder(_text(folder, folder / PROJECT_FILE))
    if not stacks.resolve().is_relative_to(inside):
        raise FilesError(f"{folder / PROJECT_FILE}: stackConfigDir leads out of the project; keep it inside")
    found = sorted(stacks.glob(pattern(environment))) if stacks.is_dir() else []
    texts = {str(PurePosixPath(file.relative_to(folder))): _text(inside, file) for file in found}

    def listed(path: str) -> list[str] | None:
        where = folder / path
        if not where.resolve().is_relative_to(inside):
            raise FilesError(f"{where} is a link that leads out of the project; put the folder itself there")
        return [f"{path}/{file.name}" for file in where.iterdir()] if where.is_dir() else None

    return _whole(texts, lambda path: _text(inside, folder / path), listed, None)


def of_revision(folder: Path, revision: str, environment: str | None) -> Files:
    """Raises FilesError."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    if not commit:
        raise FilesError(f"there is no revision {revision!r} in this repository; fetch it first (`git fetch origin`)")
    there = _blobs(folder, commit, [PROJECT_FILE])
    project = _contents(folder, there)
    if PROJECT_FILE not in project:
        return Files({}, commit)
    stacks = _stack_folder(project[PROJECT_FILE])
    listed = _blobs(folder, commit, [f"{stacks}/" if stacks != "." else "./"])
    wanted = {path: blob for path, blob in listed.items() if PurePosixPath(path).match(pattern(environment))}

    def read(path: str) -> str:
        if not (blob := listed.get(path)):
            raise FilesError(f"there is no file {path} in {revision}")
        return _contents(folder, {path: blob})[path]

    def below(path: str) -> list[str] | None:
        found = _blobs(folder, commit, [f"{path}/"])
        listed.update(found)
        return list(found) or None

    return _whole(_contents(folder, wanted), read, below, commit)


def pattern(environment: str | None) -> str:
    return f"Pulumi.{environment}-*.yaml" if environment else "Pulumi.*.yaml"


def stack_of(path: str) -> str:
    """ "dev-mesh" of "stacks/Pulumi.dev-mesh.yaml"."""
    return PurePosixPath(path).name.removeprefix("Pulumi.").removesuffix(".yaml")


def _whole(
    texts: Mapping[str, str],
    read: Callable[[str], str],
    listed: Callable[[str], list[str] | None],
    commit: str | None,
) -> Files:
    """With the sites of meshes and the users of sites that stand in other files: `read` gives one by its path, `listed`
    the paths of those in a folder, None where there is no such folder."""
    lengths = {path: len(text) for path, text in texts.items()}

    def folder(here: PurePosixPath, name: str) -> dict[str, str]:
        if (found := listed(str(here / name))) is None:
            raise usersfolder.missing(name)
        paths = {PurePosixPath(one).name: one for one in found}
        return {file: read(paths[file]) for file in usersfolder.of_users(name, paths)}

    def whole(path: str, text: str) -> str:
        here = PurePosixPath(path).parent
        try:
            text = sitesfile.included(text, lambda name: read(str(here / name)))
        except sitesfile.SitesFileError as error:
            raise FilesError(f"{path}: {error}") from None
        try:
            return usersfolder.included(text, lambda name: folder(here, name))
        except usersfolder.UsersFolderError as error:
            folders[path] = str(error)
            return usersfolder.without(text)

    folders: dict[str, str] = {}
    return Files({path: whole(path, text) for path, text in texts.items()}, commit, lengths, folders)


def _stack_folder(project: str) -> str:
    try:
        read = yamlfile.parse(project)
    except yamlfile.YamlError as error:
        raise FilesError(f"{PROJECT_FILE}: {error}") from None
    given = read.get("stackConfigDir") if isinstance(read, dict) else None
    return str(PurePosixPath(str(given or ".")))


def _text(inside: Path, file: Path) -> str:
    """A link that leads out of the project could show what the change's author may not read."""
    if not file.resolve().is_relative_to(inside.resolve()):
        raise FilesError(f"{file} is a link that leads out of the project; put the file itself there")
    try:
        return yamlfile.read(file)
    except (OSError, yamlfile.YamlError) as error:
        raise FilesError(f"{file} can't be read: {error}") from None


def _blobs(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """Object ids of the plain files there, by path from the folder; links are left out."""
    said = _git(folder, "ls-tree", "-z", commit, "--", *paths)
    found = {}
    for line in filter(None, said.split("\0")):
        about, _, path = line.partition("\t")
        mode, kind, blob = about.split()
        if kind == "blob" and mode != "120000":
            found[path] = blob
    return found


def _contents(folder: Path, blobs: Mapping[str, str]) -> dict[str, str]:
    said = _git_bytes(folder, "cat-file", "--batch", told="".join(f"{blob}\n" for blob in blobs.values()))
    texts, start = {}, 0
    for path in blobs:
        end = said.index(b"\n", start)
        length = int(said[start:end].split()[2])
        try:
            texts[path] = said[end + 1 : end + 1 + length].decode()
        except UnicodeDecodeError as error:
            raise FilesError(f"{path} of that revision is not UTF-8 at byte {error.start}") from None
        start = end + 1 + length + 1
    return texts


def _git(folder: Path, *arguments: str) -> str:
    return _git_bytes(folder, *arguments).decode(errors="surrogateescape")


def _git_bytes(folder: Path, *arguments: str, told: str = "") -> bytes:
    quiet = "--quiet" in arguments
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *arguments],
            input=told.encode(),
            capture_output=True,
            check=False,
            timeout=GIT_TIMEOUT,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise FilesError("there is no `git` on PATH, so no other revision can be read; install it") from None
    except subprocess.TimeoutExpired:
        raise FilesError(f"`git {arguments[0]}` did not answer within {GIT_TIMEOUT:.0f} s") from None
    if done.returncode and not (quiet and done.returncode == 1 and not done.stderr):
        raise FilesError(f"`git {arguments[0]}`: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout
