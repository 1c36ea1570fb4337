"""
### What it does
Says which machine to take for a network of your own, with which engine, and what it costs: any ONNX file whose inputs
and outputs are tensors. It tries the file in every engine first, on one instance. Then it measures it on all the
instance types that were chosen, and once more, on other instances, on those that do not clearly lose. The answer is
the run's note: what to take, by how much the next is behind, and what was not tried. The night's report has the
numbers; `sparsebench advise --night NIGHT --network NAME` answers for other bounds, without measuring again.

### When it fails
1. **`plan` failed**: nothing was launched. Its error names the field, the value and what would be right.
2. **`try.work` failed**: the file cannot be had, is no ONNX file, or no engine runs it; the run's note says which.
   Nothing was launched beside the instance that tried it.
3. **`sweep` failed**: nothing was measured yet. Its error names the field: mostly the budget.
4. **`ask` waits**: the run is expected to cost more than the threshold; answer under *Required Actions*.
5. **A step of `measure` or `measure_again` failed**: as of `benchmark_sweep`.
6. **`answer` failed**: no cell has a number, or one is without a number that should have one; the note says why, and
   what can be said all the same. (An engine whose outputs are others than ONNX Runtime's is named, and no failure.)
7. **An instance is left over**: `reap_instances` ends it within the hour.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Context, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sparsebench import catalog
from sparsebench.analysis.candidates import TARGETS
from sparsebench.analysis.choice import Bounds
from sparsebench.contracts import Collection, ImportRequest, Job, Market
from sparsebench.fleet import spending
from sparsebench.fleet.collect import collect as collect_results
from sparsebench.fleet.foreign import engines_to_choose_from, plan_examination
from sparsebench.fleet.instance_types import Chosen
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import plan_sweep
from sparsebench.settings import Settings
from sparsebench.statistics.percentiles import PERCENTILES
from sparsebench.store import Store
from sparsebench_airflow import notes
from sparsebench_airflow.approval import ApproveCostOperator
from sparsebench_airflow.assets import MODELS, RESULTS
from sparsebench_airflow.links import report_href
from sparsebench_airflow.on_instance import RETRIED, on_instance
from sparsebench_airflow.outcome import fail_unless_all_succeeded, failed_steps
from sparsebench_airflow.params import (
    budget,
    given,
    known_instance_types,
    lines,
    of_contract,
    other_instance_types,
    protocols,
)
from sparsebench_airflow.run import chosen, run_of

settings = Settings()


def types_of(params: dict[str, Any]) -> Chosen:
    return chosen([*(params["instance_types"] or ()), *(params["other_instance_types"] or ())])


def files_of(params: dict[str, Any]) -> dict[Any, str]:
    """Where the files are, by variant."""
    files = {"base": params["source"], "pruned": params["pruned"], "int8": params["int8"]}
    return {variant: source for variant, source in files.items() if source}


def sweep_of(params: dict[str, Any], on: Chosen) -> Sweep:
    return Sweep(
        instance_types=tuple(on.types),
        networks=(params["network"],),
        variants=tuple(files_of(params)),
        engines=engines_to_choose_from(),
        protocol=params["protocol"],
    )


def bounds_of(params: dict[str, Any]) -> Bounds:
    names = ("target", "percentile", "latency_ms", "memory_bytes", "size_bytes", "market", "production")
    return Bounds(**{name: params[name] for name in names})


def at_most(title: str, kind: str, what: str) -> Any:
    """A bound above 0, or none."""
    return Param(None, type=["null", kind], exclusiveMinimum=0, title=title, description=f"At most {what}. Empty: any.")


def jobs_of(context: Context, task_id: str) -> list[Job]:
    return [Job.model_validate(job) for job in context["ti"].xcom_pull(task_ids=task_id) or ()]


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=2,
    description="Say which machine to take for a network of your own",
    doc_md=__doc__,
    tags=["sparsebench", "2 measure"],
    default_args={"owner": "sparsebench"},
    params={
        "network": of_contract(
            ImportRequest, "network", "Name", "Of your network, as reports will call it; not one of the catalog's."
        ),
        "source": of_contract(
            ImportRequest,
            "source",
            "ONNX file",
            "A path, file://, store:PATH, https:// or gdrive:ID; #sha256=DIGEST at its end is checked.",
        ),
        "pruned": Param(
            None,
            type=["null", "string"],
            title="Its pruned sibling",
            description="The ONNX file of the same network, pruned. Empty: there is none.",
        ),
        "int8": Param(
            None,
            type=["null", "string"],
            title="Its INT8 sibling",
            description="The ONNX file of the same network, quantised. Empty: there is none.",
        ),
        "axes": lines(
            "Sizes of free axes",
            "One a line, NAME=SIZE, as after `sparsebench bench --axis`. A free batch needs none: it is 1.",
            "",
        ),
        "samples": of_contract(
            ImportRequest,
            "samples",
            "Sample inputs",
            "An .npz file with an array for each input, by its name, from where an ONNX file can be. Empty: noise.",
        ),
        "instance_types": known_instance_types(settings.nightly_instance_types),
        "other_instance_types": other_instance_types(
            "One a line: any that EC2 offers in the region, or a pattern such as m7*.xlarge."
        ),
        "target": Param(
            "cost",
            type="string",
            enum=list(TARGETS),
            title="Best is",
            description="What costs least for each inference, what answers soonest, or what does the most a second.",
        ),
        "latency_ms": at_most("Latency (ms)", "number", "so long, at the percentile"),
        "percentile": Param(95, type="integer", enum=list(PERCENTILES), title="Percentile of the latency"),
        "memory_bytes": at_most("Memory (bytes)", "integer", "so many resident in a process"),
        "size_bytes": at_most("Size (bytes)", "integer", "so many of the file after gzip -9"),
        "production": Param(
            False,
            type="boolean",
            title="For production",
            description="Leave out engines whose licence does not cover that.",
        ),
        "market": Param("on_demand", type="string", enum=list(get_args(Market)), title="Prices that costs are of"),
        "protocol": Param(
            None,
            type=["null", "string"],
            enum=[None, *catalog.protocols()],
            values_display={"null": settings.nightly_protocol, **protocols()},
            title="Protocol",
        ),
        "budget_usd": budget(settings),
    },
)
def recommend() -> None:
    @task(**RETRIED)
    def plan() -> list[dict[str, Any]]:
        context = get_current_context()
        params = given(context)
        bounds_of(params)
        on = types_of(params)
        sweep_of(params, on)
        jobs = plan_examination(
            Store(settings.store),
            run_of(context, on),
            params["network"],
            files_of(params),
            params["axes"] or (),
            tuple(on.types),
            params["samples"],
        )
        return [job.model_dump(mode="json") for job in jobs]

    @task(inlets=[MODELS], **RETRIED)
    def sweep() -> list[dict[str, Any]]:
        context = get_current_context()
        params = given(context)
        on = types_of(params)
        planned = plan_sweep(
            Store(settings.store),
            sweep_of(params, on),
            key=None,
            run=run_of(context, on),
            now=datetime.now(UTC),
            default_protocol=settings.nightly_protocol,
        )
        usd = spending.total_usd(planned.expected)
        twice = "what does not clearly lose is measured twice, so that all together may cost twice as much"
        table = "\n".join([*on.lines, spending.table(planned.expected), twice])
        print(table)
        context["ti"].xcom_push("expected", table)
        context["ti"].xcom_push("usd", None if usd is None else 2 * usd)
        return [job.model_dump(mode="json") for job in planned.jobs]

    @task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, **RETRIED)
    def shortlist(planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The jobs that measure again what does not clearly lose."""
        from sparsebench.report.recommendation import further

        jobs = [Job.model_validate(job) for job in planned]
        again = further(Store(settings.store), jobs, bounds_of(given(get_current_context())))
        print(f"measured again: {', '.join(job.instance_type for job in again) or 'nothing'}")
        return [job.model_dump(mode="json") for job in again]

    @task(outlets=[RESULTS], **RETRIED)
    def collect(planned: list[dict[str, Any]]) -> dict[str, Any]:
        """What is there, and what is missing and why."""
        context = get_current_context()
        jobs = [Job.model_validate(job) for job in planned]
        failed = failed_steps(context, jobs, "measure")
        collection = collect_results(Store(settings.store), jobs, failed, datetime.now(UTC))
        context["outlet_events"][RESULTS].add_partitions(collection.night)
        return collection.model_dump(mode="json")

    @task(**RETRIED)
    def answer() -> list[str] | None:
        """Say what to take; fail when nothing has a number, or when the run ended before anything was collected."""
        context = get_current_context()
        store, collected = Store(settings.store), context["ti"].xcom_pull(task_ids="collect")
        if collected is None:
            failures = [failure for job in jobs_of(context, "plan") if (failure := store.failure(job.job))]
            if failures:
                notes.leave(context, "Nothing was measured: " + "; ".join(failure.detail for failure in failures))
            fail_unless_all_succeeded(context)
        from sparsebench.report.outcome import outcome
        from sparsebench.report.recommendation import answer as answered

        jobs, collection = jobs_of(context, "sweep"), Collection.model_validate(collected)
        sentences = answered(store, jobs, collection, bounds_of(given(context)))
        result = outcome(store, jobs, collection)
        print("\n".join([*sentences, result.summary]))
        notes.leave(context, "\n\n".join([*sentences, f"{result.summary} [Report]({report_href(result.night)})"]))
        if result.problem_of_a_choice:
            raise AirflowFailException(f"{result.problem_of_a_choice}; {result.summary}")
        return sentences

    # As a setup and its teardown, so that `answer` also runs, and fails, where a person marks the run failed.
    begin = EmptyOperator(task_id="begin")
    files, jobs = plan(), sweep()
    tried = on_instance.override(group_id="try").expand(job=files)
    measured = on_instance.override(group_id="measure").expand(job=jobs)
    again = shortlist(jobs)
    measured_again = on_instance.override(group_id="measure_again").expand(job=again)
    # Whatever came of the instances, and where none had to measure again, which skips those tasks.
    all_measured = EmptyOperator(task_id="all_measured", trigger_rule=TriggerRule.ALL_DONE)
    collected = collect(jobs)
    begin >> files >> tried >> jobs >> ApproveCostOperator(task_id="ask", plan="sweep", **RETRIED) >> measured
    measured >> again >> measured_again >> all_measured >> collected
    collected >> answer().as_teardown(setups=begin, on_failure_fail_dagrun=True)


recommend()
