"""
### What it does
Brings a ready ONNX file into the store as a network's variant, where `benchmark_sweep` finds it: fetches it to an
instance, checks that it is what the catalog says of the network and that every engine really runs it, and counts the
zeros of its layers.

### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **`work` failed**: the file cannot be had, is not what was expected, or an engine does not run it; the end of the
   log says which. Nothing was registered.
3. **An instance is left over**: `reap_instances` ends it within the hour.
"""

from __future__ import annotations

from typing import Any, get_args

from airflow.sdk import Param, dag, get_current_context, task

from sparsebench import catalog
from sparsebench.contracts import BuiltVariant, ImportRequest
from sparsebench.fleet.plan import plan_import
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.assets import MODELS
from sparsebench_airflow.on_instance import RETRIED, publish_after
from sparsebench_airflow.params import VARIANTS, budget, given, instance_type, networks, of_contract
from sparsebench_airflow.run import chosen, run_of

settings = Settings()


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    description="Bring a ready ONNX file into the store as a network's variant",
    doc_md=__doc__,
    tags=["sparsebench", "1 prepare"],
    default_args={"owner": "sparsebench"},
    params={
        "network": Param(type="string", enum=list(catalog.networks()), values_display=networks(), title="Network"),
        "variant": Param(
            "pruned", type="string", enum=list(get_args(BuiltVariant)), values_display=VARIANTS, title="Variant"
        ),
        "source": of_contract(
            ImportRequest,
            "source",
            "ONNX file",
            "A path, file://, store:PATH, https:// or gdrive:ID; #sha256=DIGEST at its end is checked. "
            "Of an INT8 network, the file in QDQ.",
        ),
        "parent": Param(
            None,
            type=["null", "string"],
            title="Of an INT8 network: its fp32 parent",
            description="The ONNX file of the network that it was made from; empty for another variant.",
        ),
        "integer": Param(
            None,
            type=["null", "string"],
            title="Of an INT8 network: with integer operators",
            description="The ONNX file for DeepSparse; empty for another variant.",
        ),
        "instance_type": instance_type("localhost", catalog.cpu_instance_types()),
        "budget_usd": budget(settings),
    },
)
def import_model() -> None:
    @task(**RETRIED)
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params = given(context)
        jobs = plan_import(
            Store(settings.store),
            run=run_of(context, chosen([params["instance_type"]], "instance_type")),
            **{name: value for name, value in params.items() if name != "budget_usd"},
        )
        return [job.model_dump(mode="json") for job in jobs]

    @task(outlets=[MODELS], **RETRIED)
    def publish() -> None:
        """Say that there is a new model."""

    publish_after(plan(), publish())


import_model()
