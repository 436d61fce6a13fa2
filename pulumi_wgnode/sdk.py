"""The resources of the `wgnode` provider as Python programs use them: made of their contracts.

Inputs are given by the contract's names in snake_case, as plain mappings in camelCase or as models of
`pulumi_wgnode.contracts`; outputs are attributes by their names in snake_case. Both are listed in docs/reference/.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import pulumi
from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.call.options import DESCRIPTIONS
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.contract import PACKAGE, Contract
from pulumi_wgnode.model import Model, snake, wire_name

VERSION = version("wgnode")


class Provider(pulumi.ProviderResource):
    """The provider with options of its own, for resources whose `opts` name it; the others have the stack's."""

    def __init__(self, resource_name: str, /, opts: ResourceOptions | None = None, **options: Input[bool]) -> None:
        given = _on_wire({snake(name): name for name in DESCRIPTIONS}, options, PACKAGE)
        super().__init__(PACKAGE, resource_name, given, ResourceOptions.merge(ResourceOptions(version=VERSION), opts))


class _Resource(pulumi.CustomResource):
    """A resource of ours. Raises TypeError for an input that its contract does not know."""

    contract: ClassVar[Contract]

    def __init__(self, resource_name: str, /, opts: ResourceOptions | None = None, **inputs: Input[Any]) -> None:
        contract = self.contract
        ours = ResourceOptions(version=VERSION, additional_secret_outputs=list(contract.secrets))
        known = {name: wire_name(name, field) for name, field in contract.inputs.model_fields.items()}
        given = _on_wire(known, inputs, contract.name)
        sealed = {name: Output.secret(value) for name, value in given.items() if name in contract.secrets}
        all_of_it = {**dict.fromkeys(contract.produced), **given, **sealed}
        super().__init__(contract.token, resource_name, all_of_it, ResourceOptions.merge(ours, opts))

    def output(self, wire: str) -> Output[Any]:
        """An input or output by its name on the wire."""
        found: Output[Any] = pulumi.get(self, wire)
        return found

    def __getattr__(self, name: str) -> Output[Any]:
        """An output by its name in Python."""
        for model in (type(self).contract.outputs, type(self).contract.inputs):
            if field := model.model_fields.get(name):
                return self.output(wire_name(name, field))
        raise AttributeError(f"{type(self).__name__} has no output {name!r}")


def _on_wire(names: Mapping[str, str], given: Mapping[str, Any], of: str) -> dict[str, Any]:
    """What is given, by the names of the wire. Raises TypeError for a name that there is not."""
    if unknown := given.keys() - names.keys():
        raise TypeError(f"{of} has no input {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    plain = ((name, value.to_dict() if isinstance(value, Model) else value) for name, value in given.items())
    return {names[name]: value for name, value in plain if value is not None}


class MeshTopology(_Resource):
    contract = ALL["wgnode:index:MeshTopology"]


class HypervisorHost(_Resource):
    contract = ALL["wgnode:index:HypervisorHost"]


class NatFirewall(_Resource):
    contract = ALL["wgnode:index:NatFirewall"]


class ApplianceImage(_Resource):
    contract = ALL["wgnode:index:ApplianceImage"]


class Gateway(_Resource):
    contract = ALL["wgnode:index:Gateway"]
