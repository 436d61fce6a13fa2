"""Where an image comes from, and what is said of a source that is none."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pulumi_wgnode.errors import ExplainedError
from tests.unit.pulumi_wgnode.keys import UNSHOWN
from tests.unit.pulumi_wgnode.resources.image_case import (
    MEMBERS,
    created,
    host,
    image,
    kind,
    tar_of,
    uploaded,
)

__all__ = ["host", "image", "kind"]


def test_a_file_url_is_a_source(kind, host, image):
    created(kind, image, source=image[0].as_uri())
    assert uploaded(host) == list(MEMBERS)


class _Server(BaseHTTPRequestHandler):
    def __init__(self, content, *arguments):
        self.content = content
        super().__init__(*arguments)

    def do_GET(self):
        self.send_response(200 if self.path == "/appliance.tar" else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if self.path != "/appliance.tar":
            return
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def url(image, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, image[0].read_bytes())) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_image_is_fetched_by_http(kind, host, image, url):
    created(kind, image, source=f"{url}/appliance.tar")
    assert uploaded(host) == list(MEMBERS)


def test_an_address_without_an_image_is_explained(kind, host, image, url):
    with pytest.raises(
        ExplainedError, match=r"appliance image http.*/other\.tar: HTTP Error 404: .*wgnode image build"
    ):
        created(kind, image, source=f"{url}/other.tar")
    assert host.events == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/nowhere/appliance.tar", "No such file or directory"),
        ("/", "Is a directory"),
        ("file:///nowhere/appliance.tar", "No such file"),
        ("gopher://host/appliance.tar", "unknown url type"),
        ("://appliance.tar", "unknown url type"),
        ("http://host:port/appliance.tar", "port"),
        ("http://127.0.0.1:0/appliance.tar", "refused|assign"),
    ],
)
def test_a_source_that_cannot_be_read_is_explained(kind, host, image, source, reason):
    with pytest.raises(ExplainedError, match=f"appliance image {source}: .*({reason}).*wgnode image build"):
        created(kind, image, source=source)
    assert (host.events, host.files) == ([], {})


@pytest.mark.parametrize("missing", MEMBERS)
def test_an_archive_without_one_of_its_files_is_explained_and_nothing_is_uploaded(kind, host, tmp_path, missing):
    members = {name: b"content" for name in MEMBERS if name != missing}
    with pytest.raises(ExplainedError, match=rf"image .*x\.tar: .*{missing}.*wgnode image build"):
        created(kind, tar_of(tmp_path / "x.tar", members))
    assert (host.events, host.files) == ([], {})


def test_a_directory_in_place_of_a_file_is_explained(kind, tmp_path):
    with pytest.raises(ExplainedError, match=r"vmlinux is no file"):
        created(kind, tar_of(tmp_path / "x.tar", {**dict.fromkeys(MEMBERS, b""), "vmlinux": None}))


@pytest.mark.parametrize("cut", [-11000, 0])
def test_what_is_no_archive_or_a_cut_one_is_explained_even_under_its_own_digest(kind, host, image, tmp_path, cut):
    path = tmp_path / "broken.tar"
    path.write_bytes(image[0].read_bytes()[:cut] or b"no tar at all" * 100)
    with pytest.raises(ExplainedError, match=r"broken\.tar: no whole image"):
        created(kind, (path, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert host.events == []


def test_no_secret_is_in_the_text_of_an_error(kind, image):
    for changes in ({"sha256": "0" * 64}, {"source": "/nowhere"}):
        with pytest.raises(ExplainedError) as error:
            created(kind, image, **changes)
        assert UNSHOWN not in repr(error.value)
