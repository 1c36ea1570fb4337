"""
### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **A step of `on_instance` failed**: its log ends with the command's own last lines. Clear the failed task:
   variants that are in the store already are not built again.
3. **An instance is left over**: `reap_instances` ends it within the hour.

### What it does
Builds networks with timm and prunes them with SparseML, each network on an instance of its own: `base`,
`pruned` (to the catalog's sparsities), `fake85` and `fake99`. It exports them to ONNX, measures their sparsity
and size, and registers them in the store, where `benchmark_sweep` finds them.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from fleet.assets import MODELS
from fleet.image import resolve_image
from fleet.on_instance import on_instance
from fleet.params import choice, instance_type
from sparsebench import catalog
from sparsebench.fleet.plan import Run, plan_sparsify
from sparsebench.settings import Settings
from sparsebench.sparsify.check import BUILDABLE
from sparsebench.store import Store

settings = Settings()


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sparsebench"],
    params={
        "networks": choice(catalog.networks(), catalog.networks(), "Networks", "What to build."),
        "variants": choice(("base", "pruned"), BUILDABLE, "Variants", "What to make of each."),
        "instance_type": instance_type("localhost"),
        "seed": Param(0, type="integer", minimum=0, title="Seed", description="Of random weights and calibration."),
    },
)
def sparsify() -> None:
    @task
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        jobs = plan_sparsify(
            Store(settings.store),
            networks=tuple(params["networks"]),
            variants=tuple(params["variants"]),
            instance_type=params["instance_type"],
            seed=params["seed"],
            run=Run(run.dag_id, run.run_id, resolve_image()),
        )
        return [job.model_dump(mode="json") for job in jobs]

    @task(outlets=[MODELS])
    def publish() -> list[str]:
        """The models that the store has now."""
        return [f"{card.network}/{card.variant} {card.sparsity:.1%}" for card in Store(settings.store).model_cards()]

    on_instance.expand(job=plan()) >> publish()


sparsify()
