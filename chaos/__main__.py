"""What becomes of sweeps when things fail: whole sweeps of the real system, each with a fault or two.

    .venv/bin/python -m chaos --scenarios 100 --seed 1

Airflow runs as in docker-compose.yaml (Celery, Postgres, Redis; a supervisor starts again what dies), localcloud stands
for AWS, and a network that is tiny but real is measured. The first phase keeps the store in a bucket and launches spot
instances; the second keeps it in a folder, since an emulator that is restarted forgets its buckets.

What is counted as injected: what localcloud says that it has struck, and processes that were killed.
"""

from __future__ import annotations

import json as json_
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from benchmarks.common import CONSOLE, machine, show
from tests.support.services import services
from tests.support.tiny import register, tiny_network

from chaos.experiment import carry_out, measure_undisturbed
from chaos.lab import Lab
from chaos.scenarios import KINDS, Phase, Scenario, deal, quick
from chaos.sweep import Outcome
from chaos.system import BUCKET, DAGS, POLICY, SHORT, STOP, VARIANT, System
from sparsebench.local.daemon import raise_on_sigterm
from sparsebench.local.stack import COMPONENTS
from sparsebench.store import Store

# ------------------------------------------------------------------------------------------- all of them


@dataclass
class Told:
    """What was said of how far it has come."""

    total: int
    began: float = field(default_factory=time.monotonic)
    done: int = 0

    def tell(self, outcome: Outcome) -> None:
        self.done += 1
        left_min = (time.monotonic() - self.began) / self.done * (self.total - self.done) / 60
        CONSOLE.print(
            f"{self.done} of {self.total}, about {left_min:.0f} min left: {outcome.name} ended as {outcome.ended_as} "
            f"after {outcome.took_s:.0f} s",
            highlight=False,
            soft_wrap=True,
            style="red" if outcome.problems else "green",
        )
        for problem in outcome.problems:
            CONSOLE.print(f"    {problem}", highlight=False, soft_wrap=True, markup=False)


def _environment(phase: Phase, folder: Path, at_once: int) -> dict[str, str]:
    far = datetime.now(UTC) + timedelta(hours=12)  # no nightly run begins meanwhile
    return SHORT | {
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(at_once + 1),
        "SPARSEBENCH_MARKET": "spot" if phase == "bucket" else "on_demand",
        "SPARSEBENCH_NIGHTLY_SCHEDULE": f"{far.minute} {far.hour} * * *",
        "SPARSEBENCH_STORE": f"s3://{BUCKET}/store" if phase == "bucket" else (folder / "store").as_uri(),
    }


def run_phase(
    phase: Phase, scenarios: Sequence[Scenario], seed: int, at_once: int, folder: Path, network: bytes, told: Told
) -> tuple[list[Outcome], Counter[str], float]:
    """Outcomes, how often each kind has struck, and the seconds that an undisturbed sweep's instance lives."""
    folder.mkdir()
    policies = folder / "airflow" / "config"
    policies.mkdir(parents=True)
    (policies / "airflow_local_settings.py").write_text(POLICY)
    slots = min(at_once, os.cpu_count() or 1)
    CONSOLE.rule(f"store in a {phase}")
    with services(folder) as settings:
        environment = settings | _environment(phase, folder, at_once)
        components = (*COMPONENTS, "celery worker")
        with System(folder, components=components, environment=environment, say=CONSOLE.print, slots=slots) as system:
            os.environ |= {name: value for name, value in system.env.items() if name.startswith("AWS_")}
            if phase == "bucket":
                boto3.session.Session().client("s3").create_bucket(Bucket=BUCKET)
            lab = Lab(phase, system, Store(system.store))
            register(lab.store, network, VARIANT)
            lab.api.wait_for_dags(DAGS)
            for dag_id in DAGS:
                lab.api.unpause(dag_id)
            outcomes = _all(lab, scenarios, seed, at_once, told)
            struck: Counter[str] = Counter()
            for (_, kind), times in lab.faults.struck().items():
                struck[kind] += times
            for what in system.fallen:
                CONSOLE.print(what, highlight=False, soft_wrap=True, style="red")
            return outcomes, struck, lab.undisturbed_s


def _all(lab: Lab, scenarios: Sequence[Scenario], seed: int, at_once: int, told: Told) -> list[Outcome]:
    """The scenarios in threads, while this one starts again what dies."""
    pool = ThreadPoolExecutor(at_once)
    try:
        (first,) = _kept_up(lab, {pool.submit(measure_undisturbed, lab, seed)}, told)
        if first.problems:
            return [first]
        outcomes = [first, *_kept_up(lab, {pool.submit(carry_out, lab, scenario) for scenario in scenarios}, told)]
        outcomes += _kept_up(lab, {pool.submit(_nothing_left_over, lab)}, told)
        return outcomes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _kept_up(lab: Lab, waiting: set[Future[Outcome]], told: Told) -> list[Outcome]:
    outcomes = []
    while waiting:
        lab.system.keep_up()
        done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            outcomes.append(future.result())
            told.tell(outcomes[-1])
    return outcomes


def _nothing_left_over(lab: Lab) -> Outcome:
    """What the system itself says at the end."""
    lab.api.start("nothing_left_over", "at-the-end", {})
    state = lab.api.finished("nothing_left_over", "at-the-end")
    problems = [] if state == "success" else ["nothing_left_over has found something: see its log"]
    return Outcome(0, "nothing_left_over", lab.phase, "", state, "success", problems=problems)


def _by_kind(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome], struck: Counter[str]) -> list[dict[str, Any]]:
    ended = {outcome.number for outcome in outcomes if outcome.ended_as and outcome.ended_as == outcome.expected}
    rows = []
    for kind in KINDS:
        struck_by_it = [scenario for scenario in scenarios if kind.name in scenario.kinds]
        if struck_by_it:
            rows.append(
                {
                    "fault": kind.name,
                    "sweeps": len(struck_by_it),
                    "injected": struck[kind.name],
                    "ended as they should": sum(scenario.number in ended for scenario in struck_by_it),
                }
            )
    return rows


def _totals(outcomes: Sequence[Outcome], undisturbed_s: dict[Phase, float]) -> dict[str, float]:
    """Over all scenarios, those beside which a fault struck among them."""
    beyond_s = sum(
        outcome.instances_s - undisturbed_s[outcome.phase] for outcome in outcomes if outcome.ended_as == "complete"
    )
    return {
        "sweeps that ended as they should": sum(outcome.ended_as == outcome.expected for outcome in outcomes),
        "of which complete": sum(outcome.ended_as == outcome.expected == "complete" for outcome in outcomes),
        "instances left over after the reaper": sum(outcome.left_over for outcome in outcomes),
        "finished trials": sum(outcome.trials for outcome in outcomes),
        "finished trials lost": sum(outcome.lost_trials for outcome in outcomes),
        "trials duplicated": sum(outcome.duplicates for outcome in outcomes),
        "wrong results published": sum(outcome.wrong for outcome in outcomes),
        "missing cells without a type": sum(outcome.untyped for outcome in outcomes),
        "sweeps with a problem": sum(bool(outcome.problems) for outcome in outcomes),
        "machine minutes beyond those of undisturbed sweeps": beyond_s / 60,
    }


def main(
    scenarios: Annotated[int, typer.Option(help="sweeps, each with a fault or two")] = 100,
    seed: int = 0,
    at_once: Annotated[int, typer.Option(min=1, max=6, help="sweeps at a time")] = 3,
    only: Annotated[str, typer.Option(help="of these, the one of this number, or a part such as 26-50")] = "",
    quick_: Annotated[bool, typer.Option("--quick", help="one scenario of each of five kinds")] = False,
    json: Annotated[Path | None, typer.Option(help="write the tables here too")] = None,
) -> None:
    """Count what becomes of sweeps when things fail. Exits with 1 when a check fails."""
    raise_on_sigterm()
    try:
        _main(scenarios, seed, at_once, only, quick_, json)
    finally:
        STOP.set()


def _part(only: str) -> tuple[int, int]:
    """The first and the last scenario that are wanted."""
    first, dash, last = only.partition("-")
    if not (first.isdigit() and (last.isdigit() or not dash)):
        raise typer.BadParameter(f"--only {only!r}: expected a number, or two with a dash between them")
    return int(first), int(last or first)


def _main(scenarios: int, seed: int, at_once: int, only: str, quick_: bool, json: Path | None) -> None:
    first, last = _part(only) if only else (1, scenarios)
    chosen = quick(seed) if quick_ else deal(last, seed)
    chosen = [scenario for scenario in chosen if first <= scenario.number <= last]
    folder = Path(tempfile.mkdtemp(prefix="sparsebench-faults-"))
    CONSOLE.print(
        f"{len(chosen)} scenarios of seed {seed}; everything is written to {folder}", highlight=False, soft_wrap=True
    )
    network = tiny_network(folder)
    outcomes: list[Outcome] = []
    struck: Counter[str] = Counter()
    undisturbed_s: dict[Phase, float] = {}
    phases: tuple[Phase, ...] = ("bucket", "folder")
    in_phases = {phase: [scenario for scenario in chosen if scenario.phase == phase] for phase in phases}
    told = Told(len(chosen) + sum(2 for dealt in in_phases.values() if dealt))
    for phase, dealt in in_phases.items():
        if dealt:
            ended, times, undisturbed_s[phase] = run_phase(phase, dealt, seed, at_once, folder / phase, network, told)
            outcomes += ended
            struck += times
    failed = [outcome for outcome in outcomes if outcome.problems]
    swept = [outcome for outcome in outcomes if outcome.number]
    rows, totals = _by_kind(chosen, swept, struck), _totals(swept, undisturbed_s)
    injected = sum(row["injected"] for row in rows)
    title = f"{len(swept)} sweeps, {injected} faults, seed {seed}: {len(failed)} with problems"
    show(title, rows, None)
    for what, number in totals.items():
        CONSOLE.print(f"{what}: {number:.4g}", highlight=False, soft_wrap=True)
    if json:
        content = {
            "title": title,
            "machine": machine(),
            "undisturbed_s": undisturbed_s,
            "rows": rows,
            "totals": totals,
            "scenarios": [asdict(outcome) for outcome in outcomes],
        }
        json.write_text(json_.dumps(content, indent=1) + "\n")
    if failed:
        for outcome in (outcome for outcome in failed if outcome.number):
            command = f"python -m chaos --seed {seed} --only {outcome.number}" + (" --quick" if quick_ else "")
            CONSOLE.print(f"{outcome.name}: {command}", highlight=False, soft_wrap=True, style="red")
        CONSOLE.print(f"logs and stores: {folder}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
