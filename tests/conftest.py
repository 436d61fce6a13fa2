"""What all tests share: agreed skips, lab tests last and only as root, and the programs that set-up installed."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests import budgets, sample, skips, workers
from tools import ROOT, engine, go_tools

VECTORS = ROOT.parent / "shared" / "vectors"


def heed_interrupts() -> None:
    """A shell without job control starts what it runs in the background with SIGINT ignored, and so all its children.

    `make test &` would then find no program that can be interrupted, and blame the programs.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    heed_interrupts()
    config.pluginmanager.register(skips.SkipsAreAgreedOn(skips.read_list(skips.LIST)), "agreed-skips")
    config.pluginmanager.register(sample.Sampled(), "sampled-tests")
    if not hasattr(config, "workerinput") and (plugin := budgets.plugin()):
        config.pluginmanager.register(plugin, "time-budgets")


LONGEST = (
    *("test_faults_engine", "test_howto", "test_changes", "test_identity", "test_interop"),
    *("test_chain", "test_recover", "test_host_resources", "test_host_logins", "test_host_undo", "test_host_packets"),
    *("test_faults_gateway", "test_faults_hosts", "test_lab_lifecycle"),
)
"""Files of lab tests that take minutes, longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lab tests last when run serially. In workers, the longest of their files begin.

    What takes long and comes late would keep one worker busy while the other has nothing left to do.
    """
    items.sort(key=_place if hasattr(config, "workerinput") else _is_lab)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> workers.FilesTogether:
    return workers.FilesTogether(config, log)


def _place(item: pytest.Item) -> int:
    """Among what workers are given; those of one place stay in their order."""
    if not _is_lab(item):
        return len(LONGEST) + 1
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _is_lab(item) and os.geteuid() != 0:
        pytest.fail(
            "lab tests build networks and hosts and need root: sudo make test, or make test-unit", pytrace=False
        )


def _is_lab(item: pytest.Item) -> bool:
    return item.get_closest_marker("lab") is not None


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The directory of published test vectors."""
    if not VECTORS.is_dir():
        pytest.skip(f"no published vectors at {VECTORS}")
    return VECTORS


@pytest.fixture(scope="session")
def engine_bin() -> Path:
    """The directory of the real Pulumi engine and its Python language host."""
    directory = engine.find()
    if directory is None:
        pytest.fail("no Pulumi engine is installed: run make setup", pytrace=False)
    return directory


@pytest.fixture(scope="session")
def wireguard_go() -> Path:
    """The program wireguard-go."""
    program = go_tools.installed("wireguard-go")
    if not program.exists():
        pytest.fail("wireguard-go is not built: run tools/setup tests", pytrace=False)
    return program


@pytest.fixture
def pulumi_environment(engine_bin: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Makes the environment of a Pulumi of one's own, under this test's directory: state, plugins, settings.

    `pulumi_environment(NAME=value)` adds variables. The Python on PATH is the clone's, and nothing of the developer's
    own Pulumi (login, tokens, plugins) is seen.
    """

    return partial(environment_of_pulumi, engine_bin, tmp_path)


def environment_of_pulumi(engine_bin: Path, folder: Path, **extra: str) -> dict[str, str]:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    path = [str(ROOT / ".venv" / "bin"), str(engine_bin), own.get("PATH", os.defpath)]
    return {
        **own,
        "PATH": os.pathsep.join(path),
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "for this test only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        **extra,
    }
