"""A forge's interface over HTTP, as far as our jobs use it: comments of a change and issues, kept in memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = {"id": 7, "type": "Bot"}
PERSON = {"id": 8, "type": "User"}


class Forge:
    """`comments` and `issues` are as GitHub or GitLab give them; `tokens` are those that were shown."""

    def __init__(self, kind: str) -> None:
        self.kind, self.url = kind, ""
        self.comments: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self.refuses = 0
        """A status that all is answered with."""

    def say(self, body: str, author: dict[str, Any]) -> None:
        """A comment of somebody's."""
        self.comments.append(self._made(len(self.comments), {"body": body}, author))

    def _made(self, number: int, content: dict[str, Any], author: dict[str, Any]) -> dict[str, Any]:
        who = {"user": author} if self.kind == "github" else {"author": author}
        return {"id": 100 + number, "number": 1 + number, "iid": 1 + number, "state": "open", **content, **who}

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: dict[str, Any]) -> Any:
        if path.endswith("/user"):
            return BOT
        about = self.issues if re.search(r"/issues(/\d+)?$", path) else self.comments
        if method == "POST":
            about.append(self._made(len(about), content, BOT))
            return about[-1]
        if method == "GET":
            page, size = (int(query[name][0]) for name in ("page", "per_page"))
            shown = [one for one in about if one["state"] == "open" and "state_event" not in one]
            return shown[(page - 1) * size : page * size]
        wanted = int(path.rsplit("/", 1)[1])
        key = "id" if about is self.comments else "number"
        one = next(one for one in about if one[key] == wanted)
        one.update(content)
        return one


@contextmanager
def forge(kind: str) -> Iterator[Forge]:
    made = Forge(kind)

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            content = json.loads(self.rfile.read(length) or b"{}")
            made.tokens.add(self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "")
            made.asked.append(f"{self.command} {url.path}")
            said = {} if made.refuses else made.answer(self.command, url.path, parse_qs(url.query), content)
            text = json.dumps(said).encode()
            self.send_response(made.refuses or 200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_PUT = do

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield made
        finally:
            server.shutdown()
