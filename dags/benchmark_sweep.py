"""
### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **`ask` waits**: the run is expected to cost more than the threshold; answer under *Required Actions*.
3. **A step of `on_instance` failed**: its log says why, with the command's own last lines. Retries have been made:
   a step that still runs on the instance is waited for, not sent again, what was measured is not measured again,
   and where an instance was lost another one has gone on. Clear the failed task with those downstream of it to try
   further.
4. **`complete` failed**: everything ran, but cells are missing; its log lists them with the reason. What there
   is has been published and is in the night's report.
5. **An instance is left over**: `reap_instances` ends it within the hour.

To measure again what was measured, clear a *successful* `work` with those downstream of it: that launches an instance,
and adds trials to the night.

### What it does
Measures the models of a night on instance types, each on an instance of its own, and publishes the results.
A night is a partition. Its first run freezes the manifest (models, image, code, lock, protocol); every later run of
that night reads it, so that a backfill of a new instance type stands beside the other results on equal terms.
A run that is triggered by hand without a partition key joins today's night if its inputs are the same, and
opens another one (`2026-11-24.2`) if they are not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from fleet.approval import ApproveCostOperator
from fleet.assets import MODELS, RESULTS
from fleet.on_instance import RETRIED, on_instance
from fleet.outcome import failed_steps
from fleet.params import budget, choice
from fleet.terms import run_of
from sparsebench import catalog
from sparsebench.contracts import Collection, Job
from sparsebench.fleet import spending
from sparsebench.fleet.collect import collect as collect_results
from sparsebench.fleet.collect import unexpected
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import plan_sweep
from sparsebench.settings import Settings
from sparsebench.store import Store

settings = Settings()


@dag(
    schedule=CronPartitionTimetable(
        settings.nightly_schedule,
        timezone="UTC",
        key_format="%Y-%m-%d",
        run_immediately=timedelta(0),  # unpausing starts nothing by surprise; False would, a tenth of a day long
    ),
    catchup=False,
    max_active_runs=2,
    doc_md=__doc__,
    tags=["sparsebench"],
    params={
        "instance_types": choice(
            settings.nightly_instance_types,
            catalog.cpu_instance_types(),
            "Instance types",
            "Each gets an instance of its own.",
        ),
        "networks": choice(
            None,
            (*catalog.networks(), *catalog.digits_networks()),
            "Networks",
            "Empty: all that have a model, except those of digits.",
        ),
        "variants": choice(
            None,
            sorted({v for network in catalog.networks().values() for v in network.variants}),
            "Variants",
            "Empty: all that have a model.",
        ),
        "engines": choice(None, catalog.engines(), "Engines", "Empty: all."),
        "protocol": Param(
            None,
            type=["null", "string"],
            enum=[None, *catalog.protocols()],
            values_display={"null": "the night's own"},
            title="Protocol",
            description=f"Empty: the night's own; for a new night {settings.nightly_protocol}.",
        ),
        "budget_usd": budget(settings),
    },
)
def benchmark_sweep() -> None:
    @task(inlets=[MODELS], **RETRIED)
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params = context["params"]
        sweep = Sweep(
            instance_types=tuple(params["instance_types"]),
            networks=tuple(params["networks"] or ()),
            variants=tuple(params["variants"] or ()),
            engines=tuple(params["engines"] or ()),
            protocol=params["protocol"],
        )
        planned = plan_sweep(
            Store(settings.store),
            sweep,
            key=context["dag_run"].partition_key,
            run=run_of(context, sweep.instance_types),
            now=datetime.now(UTC),
            default_protocol=settings.nightly_protocol,
        )
        told = spending.table(planned.expected)
        print(told)
        context["ti"].xcom_push("expected", told)
        context["ti"].xcom_push("usd", sum(one.usd or 0 for one in planned.expected))
        return [job.model_dump(mode="json") for job in planned.jobs]

    @task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, outlets=[RESULTS], **RETRIED)
    def collect(planned: list[dict[str, Any]]) -> dict[str, Any]:
        """What is there, and what is missing and why. One task publishes: each index would start a report."""
        context = get_current_context()
        jobs = [Job.model_validate(job) for job in planned]
        collection = collect_results(Store(settings.store), jobs, failed_steps(context, jobs), datetime.now(UTC))
        context["outlet_events"][RESULTS].add_partitions(collection.night)
        return collection.model_dump(mode="json")

    @task(**RETRIED)
    def complete(collected: dict[str, Any]) -> None:
        """Fails when a cell is missing that should be there."""
        collection = Collection.model_validate(collected)
        missing = unexpected(collection)
        for cell in missing:
            print(f"missing: {cell.cell.instance_type} {cell.cell.key}: {cell.reason}: {cell.detail}")
        if missing:
            raise AirflowFailException(f"{len(missing)} of {collection.planned} cells are missing; see above")
        measured = f"{collection.measured} of {collection.planned} cells measured"
        print(f"night {collection.night}: {measured}, for {collection.cost_usd or 0:.2f} USD at most")

    jobs = plan()
    collected = collect(jobs)
    measured = on_instance.expand(job=jobs)
    jobs >> ApproveCostOperator(task_id="ask", plan="plan", **RETRIED) >> measured >> collected
    complete(collected)


benchmark_sweep()
