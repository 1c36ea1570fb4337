"""A network of a person's own, which the catalog does not know: what is checked before a machine is chosen for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from sparsebench import catalog
from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import ImportRequest, InstanceFacts, Job, Variant
from sparsebench.errors import BadInput
from sparsebench.fleet.plan import Run, plan_import
from sparsebench.importing import check as importing
from sparsebench.store import Store


def plan_examination(
    store: Store, run: Run, network: str, files: Mapping[Variant, str], axes: Sequence[str], types: Sequence[str],
    samples: str | None = None,
) -> list[Job]:  # fmt: skip
    """Check all that is known before a file is fetched, and return the jobs that try each file in every engine.

    Args:
        files: where they are, by variant; a base is among them. samples: where the .npz file is of what they are fed.
        types: on which the network is to be measured; the cheapest of them tries the files.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    if not types:
        raise BadInput("instance_types: none was chosen; choose at least one")
    facts = [run.facts(name, "instance_types") for name in types]
    cheapest = min(facts, key=_price)
    common = {"network": network, "axes": tuple(axes), "samples": samples}
    requests = {
        f"import-{variant}": {
            **common,
            "variant": variant,
            "source": source,
            "parent": files["base"] if samples and variant != "base" else None,
        }
        for variant, source in files.items()
    }
    for part, request in requests.items():
        importing.check(ImportRequest.checked(job=run.job_name(part), **request))
    return [
        job
        for part, request in requests.items()
        for job in plan_import(store, run, cheapest.name, part=part, **request)
    ]


def _price(facts: InstanceFacts) -> float:
    return inf if facts.at_most_usd_per_hour is None else facts.at_most_usd_per_hour


def engines_to_choose_from() -> tuple[str, ...]:
    """All but the engines' own benchmark tools, with which nobody serves."""
    return tuple(name for name in catalog.engines() if not ENGINES[name].times)
