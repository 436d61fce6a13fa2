"""What each start of a process imports is most of what an `up` without changes takes: nothing comes back unseen."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLUGIN = """
from pulumi_wgnode.provider import light
light.import_less()
from pulumi_wgnode.provider import registry, serve, servicer
registry.warm()
"""
PROGRAM = "import infra.config, infra.stack, pulumi_wgnode.components.mesh_stack, pulumi_wgnode.components.site"
STARTER = "import pulumi_wgnode.provider.__main__"


@pytest.mark.parametrize(
    ("code", "not_needed"),
    [
        (PLUGIN, {"pulumi.runtime.settings", "pulumi.automation", "opentelemetry", "dill", "invoke.context"}),
        (PROGRAM, {"paramiko", "nacl"}),
        (STARTER, {"grpc", "pydantic", "paramiko", "pulumi", "importlib.metadata", "asyncio"}),
    ],
    ids=["plugin", "program", "later start of the plugin"],
)
def test_a_process_imports_nothing_that_takes_long_and_that_it_does_not_need(code: str, not_needed: set[str]) -> None:
    shown = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert not_needed & set(done.stdout.split()) == set()


def test_where_a_component_is_made_the_sdk_is_there_after_all_with_the_same_messages() -> None:
    code = (
        f"{PLUGIN}\nlight.import_the_rest()\nlight.import_the_rest()\nimport pulumi, pulumi.provider.server\n"
        "from pulumi_wgnode.provider import construct\n"
        "assert construct.provider_pb2 is servicer.provider_pb2 is pulumi.runtime.proto.provider_pb2\n"
        "assert pulumi.Output is construct.Site.__init__.__globals__['Output']\n"
        "assert 'MeshTopology' in registry.schema()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_messages_that_the_plugin_has_are_those_of_the_sdk() -> None:
    code = f"{PLUGIN}\nfrom pulumi.runtime.proto import provider_pb2\nassert servicer.provider_pb2 is provider_pb2"
    subprocess.run([sys.executable, "-c", code], check=True)
