"""
### What it does
Draws the report of a night from its trials: once for each night that a sweep has touched.

### When it fails
1. **A trial or manifest is not what its digest or contract says**: the error names the object. Nothing was
   drawn; the report of before is still there. Put the object back, or measure the night's cells again.
2. **The store cannot be written**: the error names the reason. Clear the task when it is mended.
"""

from __future__ import annotations

from airflow.sdk import Param, PartitionedAssetTimetable, dag, get_current_context, task

from sparsebench.errors import BadInput
from sparsebench.report import publish
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.assets import REPORTS, RESULTS
from sparsebench_airflow.on_instance import RETRIED
from sparsebench_airflow.params import given

settings = Settings()


@dag(
    schedule=PartitionedAssetTimetable(assets=RESULTS),
    catchup=False,
    max_active_runs=1,
    description="Draw the report of a night that a sweep has touched",
    doc_md=__doc__,
    tags=["sparsebench", "3 report"],
    default_args={"owner": "sparsebench"},
    params={
        "night": Param(
            None,
            type=["null", "string"],
            title="Night",
            description="For a run by hand, for example 2026-11-24. Empty: the newest.",
        )
    },
)
def report() -> None:
    @task(outlets=[REPORTS], **RETRIED)
    def draw() -> str:
        context = get_current_context()
        store = Store(settings.store)
        nights = store.nights()
        wanted = given(context)["night"]
        night = context["dag_run"].partition_key or wanted or next(reversed(nights), None)
        if night not in nights:
            raise BadInput(f"night: {night!r} has no manifest in the store; known are {', '.join(nights) or 'none'}")
        page = publish(store, night)
        context["outlet_events"][REPORTS].add_partitions(night)
        return page

    draw()


report()
