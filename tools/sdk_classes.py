"""pulumi_wgnode/sdk/: the classes that programs in Python make resources by, typed, out of the kinds' contracts.

Inputs are keyword arguments; what has a structure is a model of pulumi_wgnode.contracts, or a mapping by the names of
the wire, which types.py describes. Outputs are properties.
"""

from __future__ import annotations

import inspect
import keyword
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.model import Model, snake, wire_name
from tools import ROOT

FOLDER = ROOT / "pulumi_wgnode" / "sdk"
WRITTEN = "Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."
_FIRST = 'lint.isort.known-first-party = ["pulumi_wgnode"]'
_PLAIN = {str: "str", int: "int", bool: "bool", float: "float", SecretStr: "str", Any: "Any"}


def files() -> dict[str, str]:
    """By file name, each file's text."""
    made = {f"{_module(contract)}.py": _class(contract) for contract in ALL.values()}
    made |= {"types.py": _types(), "__init__.py": _package()}
    return {name: _formatted(text) for name, text in made.items()}


def _module(contract: Contract) -> str:
    return snake(contract.name).removeprefix("_")


def _package() -> str:
    names = {contract.name: _module(contract) for contract in ALL.values()}
    imports = "\n".join(f"from pulumi_wgnode.sdk.{module} import {name}" for name, module in names.items())
    exported = sorted(["Provider", *names])
    about = f'"""The resources of the `wgnode` provider as Python programs use them.\n\n{WRITTEN}\n"""'
    return f"{about}\n\n{imports}\nfrom pulumi_wgnode.classes import Provider\n\n__all__ = {exported!r}\n"


def _class(contract: Contract) -> str:
    inputs, outputs = contract.inputs.model_fields, contract.outputs.model_fields
    models = sorted({model for field in inputs.values() for model in _models(field.annotation)}, key=_name)
    parameters = [_parameter(name, field) for name, field in sorted(inputs.items(), key=_optional)]
    given = ", ".join(f'"{name}": {name}' for name in inputs)
    repeated = {name: field for name, field in inputs.items() if wire_name(name, field) not in contract.unrepeated}
    properties = [_property(name, field) for name, field in {**repeated, **outputs}.items()]
    return "\n".join(
        [
            f'"""{contract.name}. {WRITTEN}"""\n',
            *_imports(models),
            "from pulumi_wgnode.contracts import ALL",
            f"\n\nclass {contract.name}(Resource):",
            textwrap.indent(f'"""{contract.about}\n"""\n\ncontract = ALL["{contract.token}"]\n', "    "),
            "    def __init__(self, resource_name: str, /, opts: ResourceOptions | None = None, *,",
            *(f"        {one}," for one in parameters),
            "    ) -> None:",
            f"        super().__init__(resource_name, opts, {{{given}}})\n",
            *properties,
        ]
    )


def _imports(models: list[type[Model]]) -> Iterator[str]:
    yield "from __future__ import annotations\n"
    yield "from collections.abc import Mapping, Sequence\nfrom typing import Any, Literal\n"
    yield "from pulumi import Input, Output, ResourceOptions\n"
    yield "from pulumi_wgnode.classes import Resource"
    yield from (f"from {model.__module__} import {_name(model)}" for model in models)
    yield f"from pulumi_wgnode.sdk.types import {', '.join(f'{_name(model)}Dict' for model in models)}"


def _optional(item: tuple[str, FieldInfo]) -> bool:
    return not item[1].is_required()


def _parameter(name: str, field: FieldInfo) -> str:
    kind = _type(field.annotation, is_input=True)
    return f"{name}: Input[{kind}]" if field.is_required() else f"{name}: Input[{kind} | None] = None"


def _property(name: str, field: FieldInfo) -> str:
    wire = wire_name(name, field)
    kind = _type(field.annotation, is_input=False) + ("" if field.is_required() or field.default else " | None")
    body = f"{_about(field.description or '')}\nreturn self.output({wire!r})"
    return f"    @property\n    def {name}(self) -> Output[{kind}]:\n{textwrap.indent(body, ' ' * 8)}\n"


def _about(text: str) -> str:
    """A docstring."""
    whole = text[:1].upper() + text[1:] + "." * (not text.endswith("."))
    wrapped = "\n".join(textwrap.fill(line, 105) for line in whole.split("\n"))
    return f'"""{wrapped}"""' if "\n" not in wrapped else f'"""{wrapped}\n"""'


def _types() -> str:
    """A mapping type for each model that an input has in it, what others are made of first."""
    found: dict[type[Model], None] = {}
    for contract in ALL.values():
        for field in contract.inputs.model_fields.values():
            _collect(field.annotation, found)
    made = [_dict(model) for model in found]
    about = f'"""What inputs with a structure are as plain mappings.\n\n{WRITTEN}\n"""\n'
    imports = "from collections.abc import Mapping, Sequence\nfrom typing import Any, Literal, NotRequired, TypedDict\n"
    return "\n".join([about, imports, "from pulumi import Input\n", *made])


def _collect(annotation: Any, found: dict[type[Model], None]) -> None:
    for model in _models(annotation):
        if model not in found:
            for field in model.model_fields.values():
                _collect(field.annotation, found)
            found[model] = None


def _dict(model: type[Model]) -> str:
    fields = {}
    for name, field in model.model_fields.items():
        kind = _type(field.annotation, is_input=True, models=False)
        kind = f"Input[{kind}]" if field.is_required() else f"NotRequired[Input[{kind} | None]]"
        fields[wire_name(name, field)] = kind
    name, about = f"{_name(model)}Dict", _about(inspect.getdoc(model) or "")
    if any(map(keyword.iskeyword, fields)):  # such as `from`
        keys = "".join(f"{wire!r}: {kind}," for wire, kind in fields.items())
        return f"{name} = TypedDict({name!r}, {{{keys}}})\n{about}\n"
    lines = [about + "\n", *(f"{wire}: {kind}" for wire, kind in fields.items())]
    return f"class {name}(TypedDict):\n" + textwrap.indent("\n".join(lines), "    ")


def _models(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for inner in get_args(annotation)[: 1 if get_origin(annotation) is Annotated else None]:
            yield from _models(inner)


def _name(model: type[Model]) -> str:
    return model.__name__


def _type(annotation: Any, *, is_input: bool, models: bool = True) -> str:
    """As Python writes it; of an input each part may be another resource's output."""

    def part(inner: Any) -> str:
        found = _type(inner, is_input=is_input, models=models)
        return f"Input[{found}]" if is_input else found

    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return _type(inner[0], is_input=is_input, models=models)
    if origin in (Union, UnionType):
        kinds = [_type(one, is_input=is_input, models=models) for one in inner if one is not NoneType]
        return " | ".join(dict.fromkeys(kinds))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin is list:
        return f"Sequence[{part(inner[0])}]"
    if origin is dict:
        return f"Mapping[str, {part(inner[1])}]"
    if isinstance(annotation, type) and issubclass(annotation, Model):
        if not is_input:
            return "Any"  # as it goes into another resource's input
        return f"{_name(annotation)} | {_name(annotation)}Dict" if models else f"{_name(annotation)}Dict"
    raise TypeError(f"no type is known for {annotation!r}")


def _formatted(text: str) -> str:
    """As all of our code; imports sorted, and those that a file does not need left out."""
    ruff, named = [sys.executable, "-m", "ruff"], ["--stdin-filename", str(FOLDER / "x.py"), "-"]
    for words in (["check", "--quiet", "--fix", "--select", "I,F401", "--config", _FIRST], ["format", "--quiet"]):
        done = subprocess.run(
            [*ruff, *words, *named], input=text, capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr + done.stdout
        text = done.stdout
    return text
