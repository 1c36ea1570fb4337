"""The catalog: networks, instance types and protocols as data, engines as one small file each.

The data files lie beside this module. A wrong entry is an error that names the file, the line, the field
and the value, raised when the catalog is read: before anything is launched.
"""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, Field, ValidationError

from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import DIGITS, BuiltVariant, Contract, Name, Protocol, Sha256
from sparsebench.errors import BadInput


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class LayerGroup(Contract):
    """Layers that are pruned to the same sparsity. A layer belongs to the first group that matches it."""

    layers: Pattern = Field(description="regular expression, searched in the layer's name in timm")
    sparsity: float = Field(gt=0, lt=1)


class PackagedWeights(Contract):
    """A file that a Python package of the sparsify lock ships: one state dict of torch's, in the order of timm's."""

    package: str = Field(description="its name, as in the lock")
    file: str = Field(description="path within it")
    sha256: Sha256


class Network(Contract):
    name: Name
    label: str
    timm: str = Field(description="timm's name of the architecture")
    input_size: int = Field(ge=16, le=1024, description="pixels, square")
    classes: int = Field(ge=2)
    variants: tuple[BuiltVariant, ...] = Field(min_length=1)
    pruned: tuple[LayerGroup, ...] = Field(description="the layers' targets; layers of no group stay dense")
    study_sparsity: float | None = Field(default=None, gt=0, lt=1, description="that the study achieved")
    least_size: int = Field(
        default=32, ge=16, description="pixels below which it, or an engine, computes nothing of use"
    )
    package: PackagedWeights | None = Field(default=None, description="that ships trained weights of it")
    source: str = Field(description="where the targets come from")

    @property
    def on_digits(self) -> Network:
        """The same architecture for the built-in digits: ten classes, images as small as it takes.

        It has a name of its own, so that it is never taken for the network of ImageNet.
        """
        return self.model_copy(
            update={
                "name": f"{self.name}-{DIGITS.name}",
                "label": f"{self.label} ({DIGITS.name})",
                "input_size": self.least_size,
                "classes": 10,
                "study_sparsity": None,
            }
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return 3, self.input_size, self.input_size


class Price(Contract):
    region: str
    usd_per_hour: float = Field(ge=0)
    as_of: date


class InstanceType(Contract):
    name: Name
    vcpus: int | None = Field(ge=1, description="None: this machine's")
    cores: int | None = Field(default=None, ge=1, description="physical ones; None: this machine's")
    memory_gib: float | None = Field(gt=0, description="None: this machine's")
    prices: tuple[Price, ...]
    burstable: bool = Field(default=False, description="it runs on CPU credits")
    gpu: bool = Field(default=False, description="NVIDIA's: for training; no sweep measures on it")
    note: str = ""


_Entry = TypeVar("_Entry", bound=Contract)


def load(text: str, origin: str, model: type[_Entry]) -> dict[str, _Entry]:
    """The entries of a catalog file (a YAML list), by name.

    Raises:
        BadInput: names the file, the line, the field and the value.
    """
    try:
        root = yaml.compose(text)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{origin}: not YAML: {error}") from error
    if not isinstance(raw, list):
        raise BadInput(f"{origin}: expected a list of entries, found {type(raw).__name__}")
    entries: dict[str, _Entry] = {}
    for index, item in enumerate(raw):
        try:
            entry = model.model_validate(item)
        except ValidationError as error:
            first = error.errors()[0]
            line, value = _locate(root, raw, (index, *first["loc"]))
            where = ".".join(str(part) for part in first["loc"]) or "entry"
            raise BadInput(f"{origin}:{line}: {where} is {value!r}: {first['msg']}") from error
        name = entry.name  # type: ignore[attr-defined]
        if name in entries:
            line, _ = _locate(root, raw, (index, "name"))
            raise BadInput(f"{origin}:{line}: name is {name!r}: an earlier entry has this name")
        entries[name] = entry
    return entries


def _locate(node: Any, value: Any, path: tuple[Any, ...]) -> tuple[int, Any]:
    """Line (from 1) and value of the deepest part of the path that is in the file."""
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
            pair = next((pair for pair in node.value if pair[0].value == step), None)
            if pair is None:  # a field that is missing
                return line, None
            line, node, value = pair[0].start_mark.line + 1, pair[1], value[step]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node, value = node.value[step], value[step]
            line = node.start_mark.line + 1
    return line, value


def _file(name: str, model: type[_Entry]) -> dict[str, _Entry]:
    return load(files(__package__).joinpath(name).read_text("utf-8"), f"catalog/{name}", model)


@cache
def networks() -> dict[str, Network]:
    return _file("networks.yaml", Network)


@cache
def digits_networks() -> dict[str, Network]:
    """Those of ``networks`` for the built-in digits. A sweep measures them only where they are named."""
    return {network.on_digits.name: network.on_digits for network in networks().values()}


@cache
def instance_types() -> dict[str, InstanceType]:
    return _file("instance_types.yaml", InstanceType)


@cache
def cpu_instance_types() -> dict[str, InstanceType]:
    """Those that a sweep measures on. A GPU type needs an image of its own, and a night has one image for all."""
    return {name: entry for name, entry in instance_types().items() if not entry.gpu}


@cache
def protocols() -> dict[str, Protocol]:
    return _file("protocols.yaml", Protocol)


def engines() -> tuple[str, ...]:
    """Names of the engines, in the order of the study's graphs."""
    return tuple(ENGINES)


def check(field: str, values: list[str] | tuple[str, ...], known: Any) -> tuple[str, ...]:
    """The values, when the catalog has them all.

    Raises:
        BadInput: names the field, the value, what there is, and what is near.
    """
    for value in values:
        if value not in known:
            near = get_close_matches(value, list(known), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"{field}: {value!r} is not one of {', '.join(sorted(known))}{meant}")
    return tuple(dict.fromkeys(values))
