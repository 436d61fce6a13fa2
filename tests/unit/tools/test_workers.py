"""What tests of the lab share is made once: each file of them is run by one worker, the rest by whoever is free."""

from __future__ import annotations

import re

import pytest

from tools import ROOT

pytest_plugins = ["pytester"]

CONFTEST = "from tests.conftest import pytest_xdist_make_scheduler"
FILE = "import pytest, time\n@pytest.mark.parametrize('n', range(6))\ndef test_x(n): time.sleep(0.05)\n"


def test_a_file_of_lab_tests_stays_in_one_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    for name in ("lab/test_a", "lab/scenarios/test_b", "unit/test_c"):
        path = pytester.path / "tests" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILE)
    done = pytester.runpytest_subprocess(
        *("-n", "2", "--dist", "loadscope", "--import-mode=importlib", "-p", "no:cacheprovider", "-v", "tests")
    )
    ran = re.findall(r"\[(gw\d)\] .*PASSED tests/(\S+)\.py", done.stdout.str())
    workers = {file: {worker for worker, one in ran if one == file} for _, file in ran}
    assert len(ran) == 18
    assert {file: len(found) for file, found in workers.items() if "lab" in file} == {
        "lab/test_a": 1,
        "lab/scenarios/test_b": 1,
    }
