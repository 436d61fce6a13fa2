"""The installed engine is a real one: it runs a Python program and keeps its state."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

PROJECT = "name: smoke\nruntime: python\n"
PROGRAM = "import pulumi\npulumi.export('answer', pulumi.Config().require_int('half') * 2)\n"


def test_engine_runs_a_python_program_and_keeps_its_outputs(
    tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(PROJECT)
    (project / "__main__.py").write_text(PROGRAM)

    def pulumi(*words: str) -> str:
        argv = ["pulumi", "--non-interactive", *words]
        done = subprocess.run(argv, cwd=project, env=pulumi_environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pulumi("stack", "init", "dev")
    pulumi("config", "set", "half", "21")
    pulumi("up", "--yes", "--skip-preview")
    assert json.loads(pulumi("stack", "output", "--json")) == {"answer": 42}
