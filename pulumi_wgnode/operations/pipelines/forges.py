"""GitHub's and GitLab's REST interfaces, as a job of theirs finds them in its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pulumi_wgnode.operations.pipelines.forge import Forge, ForgeError, Rest, Told


def of(environment: Mapping[str, str]) -> Forge:
    """That of the job that this runs in. Raises ForgeError outside of one."""
    if environment.get("GITHUB_REPOSITORY"):
        return GitHub(environment)
    if environment.get("CI_API_V4_URL"):
        return GitLab(environment)
    raise ForgeError("this runs in no job of GitHub or GitLab: neither GITHUB_REPOSITORY nor CI_API_V4_URL is set")


class GitHub:
    """Its own comments and issues are those of bots: of other people's, none is ever changed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        token = _needed(environment, "GITHUB_TOKEN")
        accept = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        base = environment.get("GITHUB_API_URL", "https://api.github.com")
        self._rest = Rest(
            f"{base}/repos/{environment['GITHUB_REPOSITORY']}", {"Authorization": f"Bearer {token}", **accept}
        )
        self._event = environment.get("GITHUB_EVENT_PATH", "")

    def comments(self) -> list[Told]:
        return [_github(one) for one in self._rest.all_of(f"/issues/{self._change()}/comments")]

    def comment(self, body: str, former: int | None) -> None:
        if former is None:
            self._rest.ask("POST", f"/issues/{self._change()}/comments", {"body": body})
        else:
            self._rest.ask("PATCH", f"/issues/comments/{former}", {"body": body})

    def issues(self, label: str) -> list[Told]:
        found = self._rest.all_of(f"/issues?state=open&labels={quote(label)}")
        return [_github(one, "number") for one in found if "pull_request" not in one]

    def issue(self, title: str, body: str, label: str, former: int | None) -> None:
        content = {"title": title, "body": body}
        if former is None:
            self._rest.ask("POST", "/issues", {**content, "labels": [label]})
        else:
            self._rest.ask("PATCH", f"/issues/{former}", content)

    def close(self, issue: int, body: str) -> None:
        self._rest.ask("PATCH", f"/issues/{issue}", {"body": body, "state": "closed"})

    def _change(self) -> int:
        try:
            return int(json.loads(Path(self._event).read_text())["pull_request"]["number"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ForgeError("this job runs for no pull request, so there is nothing to comment on") from None


class GitLab:
    def __init__(self, environment: Mapping[str, str]) -> None:
        token = _needed(environment, "WGNODE_FORGE_TOKEN")
        self._root = Rest(environment["CI_API_V4_URL"], {"PRIVATE-TOKEN": token})
        self._project = f"/projects/{_needed(environment, 'CI_PROJECT_ID')}"
        self._change = environment.get("CI_MERGE_REQUEST_IID", "")
        self._me: int | None = None

    def comments(self) -> list[Told]:
        return [self._told(one) for one in self._root.all_of(self._notes())]

    def comment(self, body: str, former: int | None) -> None:
        if former is None:
            self._root.ask("POST", self._notes(), {"body": body})
        else:
            self._root.ask("PUT", f"{self._notes()}/{former}", {"body": body})

    def issues(self, label: str) -> list[Told]:
        found = self._root.all_of(f"{self._project}/issues?state=opened&labels={quote(label)}")
        return [self._told(one, "iid", "description") for one in found]

    def issue(self, title: str, body: str, label: str, former: int | None) -> None:
        content = {"title": title, "description": body}
        if former is None:
            self._root.ask("POST", f"{self._project}/issues", {**content, "labels": label})
        else:
            self._root.ask("PUT", f"{self._project}/issues/{former}", content)

    def close(self, issue: int, body: str) -> None:
        self._root.ask("PUT", f"{self._project}/issues/{issue}", {"description": body, "state_event": "close"})

    def _notes(self) -> str:
        if not self._change:
            raise ForgeError("this job runs for no merge request, so there is nothing to comment on")
        return f"{self._project}/merge_requests/{self._change}/notes"

    def _told(self, one: Mapping[str, Any], id: str = "id", body: str = "body") -> Told:
        if self._me is None:
            self._me = int(self._root.ask("GET", "/user")["id"])
        return Told(int(one[id]), str(one[body] or ""), one["author"]["id"] == self._me)


def _github(one: Mapping[str, Any], id: str = "id") -> Told:
    return Told(int(one[id]), str(one["body"] or ""), one["user"]["type"] == "Bot")


def _needed(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name)):
        raise ForgeError(f"{name} is not set, so nothing can be told on the forge; give it to this job")
    return value
