"""
### What it does
Measures the models of a night on instance types, each on an instance of its own, and publishes the results.
A night is a partition. Its first run freezes the manifest (models, image, code, lock, protocol); every later run of
that night reads it, so that a backfill of a new instance type stands beside the other results on equal terms.
A run that is triggered by hand without a partition key joins today's night if its inputs are the same, and
opens another one (`2026-11-24.2`) if they are not.

### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **`ask` waits**: the run is expected to cost more than the threshold; answer under *Required Actions*.
3. **A step of `on_instance` failed**: its log says why, with the command's own last lines. Retries have been made:
   a step that still runs on the instance is waited for, not sent again, what was measured is not measured again,
   and where an instance was lost another one has gone on. Clear the failed task with those downstream of it to try
   further.
4. **`complete` failed**: no cell has a number, or one is without a number that should have one. (Not a fault: an engine
   that cannot run there, and a host that was never quiet, as long as any cell has a number.) Its log and the run's note
   say how many were planned, have a number, and why the others have none. What there is has been published.
5. **An instance is left over**: `reap_instances` ends it within the hour.

To measure again what was measured, clear a *successful* `work` with those downstream of it: that launches an instance,
and adds trials to the night.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sparsebench import catalog
from sparsebench.contracts import Collection, Job, Variant
from sparsebench.fleet import spending
from sparsebench.fleet.collect import collect as collect_results
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import plan_sweep
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow import notes
from sparsebench_airflow.approval import ApproveCostOperator
from sparsebench_airflow.assets import MODELS, RESULTS
from sparsebench_airflow.links import report_href
from sparsebench_airflow.on_instance import RETRIED, on_instance
from sparsebench_airflow.outcome import fail_unless_all_succeeded, failed_steps
from sparsebench_airflow.params import (
    VARIANTS,
    budget,
    choice,
    given,
    known_instance_types,
    networks_with_a_model,
    other_instance_types,
    own_networks,
    protocols,
)
from sparsebench_airflow.run import chosen, run_of
from sparsebench_airflow.timetable import NightlyTimetable

settings = Settings()


@dag(
    schedule=NightlyTimetable(settings.nightly_schedule),
    catchup=False,
    max_active_runs=2,
    description="Measure the models of a night on instance types",
    doc_md=__doc__,
    tags=["sparsebench", "2 measure"],
    default_args={"owner": "sparsebench"},
    params={
        "instance_types": known_instance_types(settings.nightly_instance_types),
        "other_instance_types": other_instance_types(
            "One a line: any that EC2 offers in the region, or a pattern such as m7*.xlarge. What it means and costs "
            "is said before anything is launched."
        ),
        "networks": networks_with_a_model(),
        "own_networks": own_networks(),
        "variants": choice(
            None,
            get_args(Variant),
            "Variants",
            "Empty: all that have a model. The base is always measured beside them.",
            VARIANTS,
        ),
        "engines": choice(None, catalog.engines(), "Engines", "Empty: all."),
        "protocol": Param(
            None,
            type=["null", "string"],
            enum=[None, *catalog.protocols()],
            values_display={"null": "the night's own", **protocols()},
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
        params = given(context)
        on = chosen([*(params["instance_types"] or ()), *(params["other_instance_types"] or ())])
        sweep = Sweep(
            instance_types=tuple(on.types),
            networks=(*(params["networks"] or ()), *(params["own_networks"] or ())),
            variants=tuple(params["variants"] or ()),
            engines=tuple(params["engines"] or ()),
            protocol=params["protocol"],
        )
        planned = plan_sweep(
            Store(settings.store),
            sweep,
            key=context["dag_run"].partition_key,
            run=run_of(context, on),
            now=datetime.now(UTC),
            default_protocol=settings.nightly_protocol,
        )
        table = "\n".join([*on.lines, spending.table(planned.expected)])
        print(table)
        context["ti"].xcom_push("expected", table)
        context["ti"].xcom_push("usd", spending.total_usd(planned.expected))
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
    def complete() -> None:
        """Say what came of the run; fail when that is no success, or when it ended before anything was collected."""
        context = get_current_context()
        collected: Any = context["ti"].xcom_pull(task_ids="collect")
        if collected is None:
            fail_unless_all_succeeded(context)
        from sparsebench.report.outcome import outcome

        jobs = [Job.model_validate(job) for job in context["ti"].xcom_pull(task_ids="plan")]
        result = outcome(Store(settings.store), jobs, Collection.model_validate(collected))
        for cell in result.missing:
            print(f"missing: {cell.cell.instance_type} {cell.cell.key}: {cell.reason}: {cell.detail}")
        print(result.summary)
        notes.leave(context, f"{result.summary} [Report]({report_href(result.night)})")
        if result.problem:
            raise AirflowFailException(f"{result.problem}; {result.summary}")

    # As a setup and its teardown, so that `complete` also runs, and fails, where a person marks the run failed.
    begin = EmptyOperator(task_id="begin")
    jobs = plan()
    collected = collect(jobs)
    measured = on_instance.expand(job=jobs)
    begin >> jobs >> ApproveCostOperator(task_id="ask", plan="plan", **RETRIED) >> measured >> collected
    collected >> complete().as_teardown(setups=begin, on_failure_fail_dagrun=True)


benchmark_sweep()
