"""
### What it does
Each network on an instance of its own: finds its weights, trains it where that is asked for, analyses how sensitive
its layers are, prunes it with SparseML by a recipe (gradually, or in one shot), quantises it, exports it to ONNX,
evaluates what is exported, and registers it in the store, where `benchmark_sweep` finds it.

What the store has already, by a digest of all that it depends on, is not done again: an instance that is lost costs
one epoch at most.

Variants: `base`, `pruned`, `pruned_int8` (ResNet-50), and `fake85` and `fake99`, which are pruned in one shot always.

### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **A step of `on_instance` failed**: its log ends with the command's own last lines. Clear the failed task:
   variants that are in the store already are not built again.
3. **An instance is left over**: `reap_instances` ends it within the hour.
"""

from __future__ import annotations

from typing import Any, get_args

from airflow.sdk import Param, dag, get_current_context, task

from sparsebench import catalog
from sparsebench.contracts import BuiltVariant, DatasetRef, SparsifyRequest
from sparsebench.fleet.plan import plan_sparsify
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.assets import MODELS
from sparsebench_airflow.on_instance import RETRIED, publish_after
from sparsebench_airflow.params import VARIANTS, budget, choice, given, instance_type, networks, of_contract
from sparsebench_airflow.run import chosen, run_of

settings = Settings()


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    description="Prune networks, and register them in the store",
    doc_md=__doc__,
    tags=["sparsebench", "1 prepare"],
    default_args={"owner": "sparsebench"},
    params={
        "networks": choice(catalog.networks(), catalog.networks(), "Networks", "What to build.", networks()),
        "variants": choice(
            ("base", "pruned"),
            get_args(BuiltVariant),
            "Variants",
            "What to make of each, as far as it has them.",
            VARIANTS,
        ),
        "instance_type": instance_type("localhost", catalog.instance_types()),
        "weights": of_contract(
            SparsifyRequest,
            "weights",
            "Weights",
            "hub; package; random; or a file: a path, file://, store:PATH, https:// or gdrive:ID; "
            "#sha256=DIGEST at its end is checked.",
        ),
        "dataset": Param(
            None,
            type=["null", "string"],
            title="Labelled images",
            description="Empty: nothing is trained or evaluated. builtin:digits, with random weights: small networks "
            "for a small real task. Or a folder like ImageNet's: a path, file://, s3:// or store:PREFIX.",
        ),
        "dense_epochs": of_contract(
            SparsifyRequest,
            "dense_epochs",
            "Epochs of dense training",
            "Before anything is pruned; 0 for weights that are trained.",
        ),
        "epochs": of_contract(
            SparsifyRequest,
            "epochs",
            "Epochs of gradual pruning",
            "Stabilise, prune, fine-tune; the study's were 50. Empty: pruned in one shot.",
        ),
        "batch": of_contract(SparsifyRequest, "batch", "Images a step of training"),
        "learning_rate": of_contract(
            SparsifyRequest,
            "learning_rate",
            "Learning rate",
            "That training begins with. Empty: 0.05 for the dense one, 0.01 for gradual pruning.",
        ),
        "sensitivity": of_contract(
            SparsifyRequest,
            "sensitivity",
            "Analyse sensitivity",
            "How much accuracy a layer costs when it alone is pruned: of the ten largest, or of all.",
        ),
        "budget_points": of_contract(
            SparsifyRequest,
            "budget_points",
            "Accuracy that a layer may cost (points)",
            "The targets are then those of the sensitivity analysis. Empty: the catalog's.",
        ),
        "recipe": of_contract(
            SparsifyRequest,
            "recipe",
            "Recipe",
            "SparseML's YAML, for one network, instead of targets and epochs.",
            format="multiline",
        ),
        "seed": of_contract(SparsifyRequest, "seed", "Seed", "Of weights, masks and images' order."),
        "hours": Param(
            4,
            type="integer",
            minimum=1,
            maximum=48,
            title="Hours",
            description="After which an instance ends itself. A training goes on from there when triggered again.",
        ),
        "budget_usd": budget(settings),
    },
)
def sparsify() -> None:
    @task(**RETRIED)
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params = given(context)
        uri = params.pop("dataset")
        jobs = plan_sparsify(
            Store(settings.store),
            run=run_of(context, chosen([params["instance_type"]], "instance_type", training=True)),
            dataset=DatasetRef.at(uri) if uri else None,
            **{name: value for name, value in params.items() if name != "budget_usd"},
        )
        return [job.model_dump(mode="json") for job in jobs]

    @task(outlets=[MODELS], **RETRIED)
    def publish() -> list[str]:
        """The models that the store has now."""
        return [f"{card.network}/{card.variant} {card.sparsity:.1%}" for card in Store(settings.store).model_cards()]

    publish_after(plan(), publish())


sparsify()
