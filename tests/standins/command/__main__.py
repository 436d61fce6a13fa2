"""The stand-in's process: the same inputs and outputs as the real plugin's remote command, over a pinned host key."""

from __future__ import annotations

import io
import uuid
from importlib.metadata import version
from typing import Any

import paramiko

from pulumi_wgnode.call.kind import UNKNOWN, Diff, Properties, PropertyChange
from pulumi_wgnode.provider.serve import serve
from pulumi_wgnode.provider.servicer import Servicer
from pulumi_wgnode.provider.spare import while_child

SCHEMA = '{"name": "command", "version": "0.0.0"}'


class Command:
    """Like the real one: runs at creation, knows nothing of drift; a change runs `update`, else `create` again."""

    def check(self, news: Properties, olds: Properties) -> Properties:
        return news

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        old, new = _flat(old_inputs), _flat(news)
        return Diff(
            tuple(PropertyChange(name) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))
        )

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
        return uuid.uuid4().hex, _run(inputs, inputs["create"])

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        return state, inputs

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return {**inputs, "stdout": UNKNOWN} if preview else _run(inputs, inputs.get("update") or inputs["create"])

    def delete(self, id: str, state: Properties) -> None:
        if command := state.get("delete"):
            _run(state, command)


def _flat(inputs: Properties) -> Properties:
    """The connection's properties by path, since the real diff is as detailed."""
    connection = {f"connection.{name}": value for name, value in inputs.get("connection", {}).items()}
    return {name: value for name, value in inputs.items() if name != "connection"} | connection


def _run(inputs: Properties, command: str) -> Properties:
    client = _connected(inputs["connection"])
    try:
        _, stdout, stderr = client.exec_command(command, timeout=60)
        output, errors = stdout.read().decode(), stderr.read().decode()
        if code := stdout.channel.recv_exit_status():
            raise RuntimeError(f"Process exited with status {code}: {errors}")
    finally:
        client.close()
    return {**inputs, "stdout": output.rstrip("\n"), "stderr": errors.rstrip("\n")}


def _connected(connection: dict[str, Any]) -> paramiko.SSHClient:
    """The real plugin checks no host key where none is given; whoever forgets the pin is told here."""
    kind, blob = connection["hostKey"].split()[:2]
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    port, host = int(connection.get("port", 22)), connection["host"]
    entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{host if port == 22 else f'[{host}]:{port}'} {kind} {blob}")
    assert entry is not None
    client.get_host_keys().add(entry.hostnames[0], kind, entry.key)
    key = paramiko.Ed25519Key(file_obj=io.StringIO(connection["privateKey"]))
    client.connect(host, port, connection.get("user", "root"), pkey=key, allow_agent=False, look_for_keys=False)
    return client


if __name__ == "__main__":
    serve(
        Servicer(
            "command", version("pulumi-command"), {"command:remote:Command": Command()}.__getitem__, lambda: SCHEMA
        ),
        while_child(),
    )
