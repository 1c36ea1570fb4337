"""The pipelines' parameters as the UI's widgets. The API refuses a value that the catalog does not have; but of an
instance type it is ``plan`` that knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from airflow.sdk import Context, Param

from sparsebench import catalog
from sparsebench.contracts import Contract
from sparsebench.errors import BadInput
from sparsebench.fleet.instance_types import WORD
from sparsebench.settings import Settings

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Of a network; ``plan`` knows which there are."""

VARIANTS = {
    "base": "base: as it is",
    "pruned": "pruned: by the catalog's targets, or by a recipe",
    "pruned_int8": "pruned_int8: pruned, and quantised to INT8",
    "int8": "int8: a network of your own, as you quantised it",
    "fake85": "fake85: 85 % of the weights cut at once, for speed alone",
    "fake99": "fake99: 99 % of the weights cut at once, for speed alone",
}
"""What each means, beside its name."""


def networks() -> dict[str, str]:
    return {
        name: f"{name}: {network.label}" for name, network in (catalog.networks() | catalog.digits_networks()).items()
    }


def instance_types() -> dict[str, str]:
    """The instance types with what each has, and its price where AWS's configuration says the region."""
    return {name: f"{name}: {_machine(entry)}" for name, entry in catalog.instance_types().items()}


def _machine(entry: catalog.InstanceType) -> str:
    if entry.vcpus is None:
        return "an emulated instance on this machine, for nothing"
    region = os.environ.get("AWS_DEFAULT_REGION")
    prices = [f"{price.usd_per_hour:g} USD/h in {price.region}" for price in entry.prices if price.region == region]
    known = prices or [f"no price known in {region}" if region else "on demand"]
    gpu = ["with a GPU"] if entry.gpu else []
    return ", ".join([f"{entry.vcpus} vCPUs", f"{entry.memory_gib:g} GiB", *gpu, *known])


def protocols() -> dict[str, str]:
    """The protocols with the lanes of each, and how long it takes at most."""
    return {
        name: f"{name}: {' and '.join(protocol.precisions)}, {protocol.budget_s:g} s at most for a file"
        for name, protocol in catalog.protocols().items()
    }


def choice(
    default: Iterable[str] | None,
    known: Iterable[str],
    title: str,
    description: str,
    meanings: Mapping[str, str] | None = None,
) -> Any:
    """A multi-select over what is known. With None as default it may be left, or made, empty.

    meanings: what the form shows for a name. The UI sends null for a selection that was emptied, not an empty list.
    """
    known = list(known)
    return Param(
        None if default is None else list(default),
        type=["null", "array"] if default is None else "array",
        items={"type": "string", "enum": known},
        examples=known,
        values_display={name: (meanings or {}).get(name, name) for name in known},
        uniqueItems=True,
        minItems=0 if default is None else 1,
        title=title,
        description=description,
    )


def of_contract(contract: type[Contract], field: str, title: str, description: str = "", **widget: Any) -> Any:
    """A field of a contract: its type, bounds and default are the contract's. widget: how the form shows it."""
    schema = contract.model_json_schema()["properties"][field]
    kinds = schema.get("anyOf", [schema])
    types = sorted((kind["type"] for kind in kinds), key=lambda name: name != "null")
    annotations = ("anyOf", "default", "description", "title", "type")
    bounds = {name: bound for kind in kinds for name, bound in kind.items() if name not in annotations}
    default = {"default": schema["default"]} if "default" in schema else {}
    kind = types if len(types) > 1 else types[0]
    options: dict[str, Any] = {**default, "type": kind, "title": title, "description": description, **bounds, **widget}
    return Param(**options)


def known_instance_types(default: Iterable[str]) -> Any:
    """A multi-select over the catalog's. The API and a backfill may give any other, which ``plan`` checks."""
    known = list(catalog.cpu_instance_types())
    return Param(
        list(default),
        type=["null", "array"],
        items={"type": "string", "pattern": WORD},
        examples=known,
        values_display={name: instance_types()[name] for name in known},
        uniqueItems=True,
        title="Instance types",
        description="Each gets an instance of its own. Those of the catalog are offered; others can be named below.",
    )


def lines(title: str, description: str, pattern: str) -> Any:
    """A field with a value a line, or none. What the form sends of a blank line, such as one at the end, is an empty
    value: ``given`` leaves it out.

    pattern: of a value.
    """
    return Param(
        None,
        type=["null", "array"],
        items={"type": "string", "pattern": rf"^\s*$|{pattern}"},
        title=title,
        description=description,
    )


def other_instance_types(description: str) -> Any:
    """Any that EC2 offers, beside those that ``known_instance_types`` does."""
    return lines("Other instance types", description, WORD)


def networks_with_a_model() -> Any:
    """A multi-select over the catalog's. The API and a backfill may give any other that has a model: ``plan`` knows."""
    known = networks()
    return Param(
        None,
        type=["null", "array"],
        items={"type": "string", "pattern": NAME},
        examples=list(known),
        values_display=known,
        uniqueItems=True,
        title="Networks",
        description="Empty, as is the field below: all of the catalog that have a model, except those of digits. One "
        "that has none yet is refused, and is to be made by sparsify or import_model first.",
    )


def own_networks() -> Any:
    """Those that the catalog does not know, beside what ``networks_with_a_model`` offers."""
    return lines(
        "Your own networks", "One a line, by the names that you gave them when `recommend` measured them.", NAME
    )


def instance_type(default: str, known: Iterable[str]) -> Any:
    known = list(known)
    return Param(
        default,
        type="string",
        pattern=WORD,
        examples=known,
        values_display={name: instance_types()[name] for name in known},
        title="Instance type",
        description="Where the work is done: one of these, or any other that EC2 offers in the region.",
    )


def budget(settings: Settings) -> Any:
    return Param(
        settings.budget_usd,
        type=["null", "number"],
        minimum=0,
        title="Budget (USD)",
        description="What the run's instances may cost. It does not start if it is expected to cost more. "
        "Empty: without limit.",
    )


def given(context: Context) -> dict[str, Any]:
    """The run's parameters, defaults among them; blank values of a list are left out.

    Airflow's API and a backfill's conf take any key, and one that no parameter has would silently leave the parameter
    that was meant at its default: everything.

    Raises:
        BadInput: the run was given something that is no parameter of its DAG.
    """
    known = list(context["dag"].params)
    for name in context["dag_run"].conf or {}:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise BadInput(f"{name}: no such parameter; {meant}{context['dag'].dag_id} has {', '.join(known)}")
    return {name: _without_blanks(value) for name, value in dict(context["params"]).items()}


def _without_blanks(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [item for item in value if not isinstance(item, str) or item.strip()]
