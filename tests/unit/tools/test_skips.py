"""A skip that nobody agreed on fails the run, however it comes about."""

from pathlib import Path

import pytest

from tests.skips import AllowedSkip, SkipsAreAgreedOn, read_list
from tools import ROOT

pytest_plugins = ["pytester"]

AGREED = [AllowedSkip("agreed_test.py::*", "no tide tables*", "the tables are not everybody's")]

UNAGREED = {
    "skip in a test": "def test_x(): pytest.skip('no tide tables here')",
    "skip mark": "@pytest.mark.skip(reason='later')\ndef test_x(): pass",
    "skip in a fixture": "@pytest.fixture\ndef f(): pytest.skip('later')\ndef test_x(f): pass",
    "importorskip of a whole module": "pytest.importorskip('no_such_module')\ndef test_x(): pass",
    "expected failure": "@pytest.mark.xfail(reason='later')\ndef test_x(): assert False",
    "expected failure that passes": "@pytest.mark.xfail(reason='later')\ndef test_x(): pass",
}


def run(pytester: pytest.Pytester, name: str, source: str) -> pytest.RunResult:
    """A pytest run of its own over one test file, with AGREED as the agreed skips."""
    pytester.makepyfile(**{name: "import pytest\n" + source})
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", f"{name}.py", plugins=[SkipsAreAgreedOn(AGREED)])


@pytest.mark.parametrize("source", UNAGREED.values(), ids=UNAGREED.keys())
def test_unagreed_skip_fails_the_run(pytester: pytest.Pytester, source: str) -> None:
    result = run(pytester, "other_test", source)
    assert result.ret != 0
    result.stdout.fnmatch_lines("*not agreed on in tests/allowed_skips.toml*")


def test_unagreed_skip_fails_the_run_in_a_parallel_worker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(
        "from tests import skips\n"
        "def pytest_configure(config): config.pluginmanager.register(skips.SkipsAreAgreedOn([]))"
    )
    pytester.makepyfile(other_test="import pytest\n" + UNAGREED["importorskip of a whole module"])
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-n", "1", "other_test.py")
    assert result.ret != 0
    result.stdout.fnmatch_lines("*not agreed on*")


def test_agreed_skip_passes_when_test_and_message_match(pytester: pytest.Pytester) -> None:
    result = run(pytester, "agreed_test", "def test_x(): pytest.skip('no tide tables here')")
    assert result.ret == 0
    result.assert_outcomes(skipped=1)


def test_agreed_test_may_not_skip_for_another_reason(pytester: pytest.Pytester) -> None:
    assert run(pytester, "agreed_test", "def test_x(): pytest.skip('I did not feel like it')").ret != 0


def test_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text('[[skip]]\ntest = "x"\nmessage = "y"\nreason = " "\n')
    with pytest.raises(ValueError, match="gives no reason"):
        read_list(path)
