"""A command's own words among what others print: fed in any pieces, exactly those bytes come out."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_wgnode.hosts.ssh.frame import Frame

FRAME = Frame("0011223344556677", "8899aabbccddeeff")
NUMBER = FRAME.number.encode()
anything = st.binary(max_size=200)


def fed(stream, data, cuts):
    last = 0
    for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
        if cut > last:
            stream.feed(data[last:cut])
        last = cut
    return stream


@given(anything, anything, anything, st.integers(0, 255), st.lists(st.integers(0, 800), max_size=8))
def test_any_pieces_give_the_own_bytes(before, own, after, code, cuts):
    data = before + NUMBER + b":out\n" + own + NUMBER + b":end:%d\n" % code + after
    out = fed(FRAME.outputs()[0], data, cuts)
    assert (out.began, out.ended, out.own, out.code, out.before) == (True, True, own, str(code), len(before))


@given(anything, anything, st.lists(st.integers(0, 500), max_size=8))
def test_without_an_end_it_has_not_ended(before, own, cuts):
    out = fed(FRAME.outputs()[0], before + NUMBER + b":out\n" + own + NUMBER + b":end:1", cuts)
    assert (out.began, out.ended) == (True, False)
    err = fed(FRAME.outputs()[1], before + own, cuts)
    assert (err.began, err.own, err.others) == (False, b"", before + own)


def test_start_up_files_that_print_without_end_fill_no_memory():
    out = FRAME.outputs()[0]
    out.feed(b"first")
    for _ in range(2000):
        out.feed(b"y\n" * 8192)
    assert len(out._data) <= 1 << 15
    assert out.others.startswith(b"firsty\n")
    assert len(out.others) <= 8200
    out.feed(NUMBER[:7])
    out.feed(NUMBER[7:] + b":out\n")
    assert out.began


HARD = [
    "a b",
    "$HOME",
    "it's",
    "",
    "\\",
    "\\\\n",
    "!",
    "!!",
    "a\nb",
    "\t",
    "ü",
    "%s%%",
    "`id`",
    '"',
    "*",
    "~",
    "^x^y",
    "\\'",
]


def test_what_is_sent_has_only_signs_that_mean_themselves_to_every_shell():
    line = FRAME.line(["printf", "%s|", *HARD], sudo=True, limit=60, fed=True)
    for piece in line.split("'")[1::2]:
        assert piece.isascii()
        assert piece.isprintable()
        assert "!" not in piece
    # Outside of quotes: a simple command, to rbash too (no slash in its name).
    assert shlex.split(line)[:7] == ["env", "LC_ALL=C", "sudo", "-n", "--", "/bin/sh", "-c"]
    assert NUMBER.decode() not in line, "neither a process list nor a trace looks like the beginning"


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_arguments_arrive_as_they_are(shell):
    line = FRAME.line(["printf", "%s|", *HARD], sudo=False, limit=60, fed=False)
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    out = fed(FRAME.outputs()[0], done.stdout, [])
    assert out.own.decode() == "".join(f"{each}|" for each in HARD)


@settings(deadline=None, max_examples=50)  # each starts a shell
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), max_size=4))
def test_any_text_arrives(texts):
    line = FRAME.line(["printf", "%s|", *texts], sudo=False, limit=60, fed=False)
    done = subprocess.run(["dash", "-c", line], capture_output=True, check=True)
    assert fed(FRAME.outputs()[0], done.stdout, []).own.decode() == "".join(f"{each}|" for each in texts or [""])
