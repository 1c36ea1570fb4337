"""Which machine to take for a file of one's own, asked from a terminal: the DAG ``recommend`` of the Airflow that runs
here is triggered, followed to its end, and its answer shown."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from rich.console import Console

from sparsebench.analysis.choice import Bounds
from sparsebench.bench.filetype import other_kind, read_model
from sparsebench.bench.inputs import AXIS_OPTION
from sparsebench.bench.network_file import axis_sizes
from sparsebench.bench.samples import read_samples
from sparsebench.contracts import ImportRequest, Job, Variant
from sparsebench.errors import BadInput, SparsebenchError
from sparsebench.importing.check import FOREIGN_VARIANTS, check
from sparsebench.local.api import FINISHED, AirflowApi
from sparsebench.local.daemon import running
from sparsebench.local.follow import Follower
from sparsebench.local.stack import USER, Stack
from sparsebench.statistics.pairs import BASE
from sparsebench.store import Store

DAG = "recommend"
PLANS = {"plan": "try", "sweep": "measure", "shortlist": "measure again"}
"""Tasks that return jobs, and what those do."""

LOOK_EVERY_S = 2


@dataclass(frozen=True)
class Question:
    """files, samples: the contents, by variant, and of an .npz file. The others are the DAG's parameters; what is None
    is left at its default.

    Raises:
        BadInput: names what is not right, before anything is copied or launched.
    """

    network: str
    files: Mapping[Variant, bytes]
    bounds: Bounds
    axes: tuple[str, ...] = ()
    samples: bytes | None = None
    instance_types: Sequence[str] = ()
    protocol: str | None = None
    budget_usd: float | None = None

    def __post_init__(self) -> None:
        if not self.instance_types:
            raise BadInput("--instance-types: none was chosen; expected names such as m5.xlarge,m7i.xlarge")
        if self.budget_usd is not None and not 0 <= self.budget_usd < inf:
            raise BadInput(f"--budget-usd is {self.budget_usd:g}; expected USD, 0 or more")
        axis_sizes(self.axes, AXIS_OPTION)
        if self.samples is not None:
            read_samples(self.samples, "--inputs")
        for variant in self.files:
            source = "store:own"  # where the file will be is not known yet
            check(ImportRequest.checked(job=DAG, network=self.network, variant=variant, source=source, axes=self.axes))


def onnx_file(file: Path) -> bytes:
    """Its bytes.

    Raises:
        BadInput: it cannot be read, is too large, or begins as a file of another kind does.
    """
    data = read_model(file, str(file))
    if kind := other_kind(data):
        raise BadInput(f"{file}: not an ONNX file: {kind}")
    return data


def recommend(home: Path, question: Question, console: Console, json_file: Path | None) -> bool:
    """Ask the Airflow that runs from ``home``; whether it has an answer.

    Raises:
        SparsebenchError: none runs there, or it refuses the question.
    """
    stack = running(home)
    if not stack:
        raise SparsebenchError(f"no Airflow runs from {home}; start it by `sparsebench up`")
    api, store = AirflowApi(stack["url"], USER, Stack(home=home).password), Store(stack["store"])
    state, note = ask(api, store, question, console)
    console.print(note, highlight=False, markup=False, soft_wrap=True)
    if json_file is not None:
        answer = {"network": question.network, "state": state, "answer": note.split("\n\n")}
        json_file.write_text(json.dumps(answer, indent=1) + "\n")
    return state == "success"


def ask(api: AirflowApi, store: Store, question: Question, console: Console) -> tuple[str, str]:
    """How the run ended, and what it says.

    Raises:
        SparsebenchError: Airflow refuses the run.
    """
    sources: dict[Variant, str] = {variant: f"store:{_stored(store, data)}" for variant, data in question.files.items()}
    bounds = question.bounds
    conf = {
        "network": question.network,
        "source": sources["base"],
        **{str(variant): sources.get(variant) for variant in FOREIGN_VARIANTS if variant != BASE},
        "axes": list(question.axes) or None,
        "samples": f"store:{_stored(store, question.samples, 'npz')}" if question.samples else None,
        "instance_types": list(question.instance_types),
        "target": bounds.target,
        "percentile": bounds.percentile,
        "latency_ms": bounds.latency_ms,
        "memory_bytes": bounds.memory_bytes,
        "size_bytes": bounds.size_bytes,
        "market": bounds.market,
        "production": bounds.production,
        "protocol": question.protocol,
    }
    if question.budget_usd is not None:
        conf["budget_usd"] = question.budget_usd
    api.wait_for_dags({DAG, "report"})
    for dag_id in (DAG, "report"):  # a paused one would leave the run, and its report, waiting
        api.unpause(dag_id)
    run = api.trigger(DAG, conf)
    page = f"{api.url}/dags/{DAG}/runs/{run}"
    console.print(f"{DAG} {question.network}: {page}", highlight=False, soft_wrap=True)
    state = _follow(api, store, run, console, page)
    note = api.run(DAG, run)["note"]
    return state, re.sub(r"\[Report\]\((.*?)\)", rf"Report: {api.url}\1", note) if note else _why(api, run, page)


def _stored(store: Store, data: bytes, kind: str = "onnx") -> str:
    """Where the file is in the store: by its digest, so that a second question finds it there."""
    path = f"own/{hashlib.sha256(data).hexdigest()}.{kind}"
    if not store.exists(path):
        store.write(path, data)
    return path


def _follow(api: AirflowApi, store: Store, run: str, console: Console, page: str) -> str:
    """Show what the run's jobs do until it ends; its state then."""
    planned: set[str] = set()
    asked = False
    with Follower(console) as follower:
        while (state := api.run_state(DAG, run)) not in FINISHED:
            tasks = {task["task_id"]: task["state"] for task in api.task_instances(DAG, run)}
            for task_id in PLANS.keys() - planned:
                if tasks.get(task_id) == "success":
                    planned.add(task_id)
                    for job in map(Job.model_validate, api.xcom(DAG, run, task_id) or ()):
                        follower.add(job.job, f"{PLANS[task_id]} {job.instance_type}")
            if not asked and tasks.get("ask") in ("deferred", "awaiting_input"):
                asked = True
                console.print(f"it waits for a person's approval of what it may cost: {page}", style="yellow")
            for job_name in follower.jobs:
                if progress := store.progress(job_name):
                    follower.show(progress)
            time.sleep(LOOK_EVERY_S)
    return state


def _why(api: AirflowApi, run: str, page: str) -> str:
    """Of a run that ended before it could say anything: the errors of the tasks that failed."""
    ended = [task for task in api.task_instances(DAG, run) if task["state"] == "failed"]
    failed = [task for task in ended if task["task_id"] != "answer"] or ended  # which fails whenever another one has
    reasons = [f"{task['task_id']} failed: {error}" for task in failed if (error := api.error(DAG, run, task))]
    return "\n\n".join([*reasons, f"see {page}"])
