"""How engines compute a file, read from them once for each kind of CPU, and kept in the store for later nights.

As a program (``python -m sparsebench.bench.profiles``, a task on stdin) it answers with an Execution: what a profiler
does to a process stays there, and so does a crash.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sparsebench.bench.child import Child, ChildFailed, die_with_parent, take_stdout
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.inputs import Inputs
from sparsebench.bench.worker import pin
from sparsebench.contracts import Contract, Execution, HostFacts, Name, Precision, Profile
from sparsebench.errors import StoreError
from sparsebench.store import Store


class ProfileTask(Contract):
    engine: Name
    precision: Precision
    model: Path
    inputs: Inputs
    threads: int
    cpus: tuple[int, ...]


class Answer(Contract):
    execution: Execution | None


def profile(
    store: Store, host: HostFacts, artifact: str, task: ProfileTask, timeout_s: float, before: Callable[[], None]
) -> Execution | None:
    """How the engine computes the artifact on this host: as the store has it, or by asking the engine.

    None where the engine does not tell. An engine that fails when it is asked is asked again on another night.

    Args:
        before: called before the engine is asked.
    """
    engine = ENGINES[task.engine]
    draft = Profile(
        artifact=artifact,
        engine=engine.profiled_as or engine.name,
        version=host.versions.get(engine.library, "unknown"),
        cpu_model=host.cpu_model,
        precision=task.precision,
        threads=task.threads,
        execution=Execution(source="", kernels=()),
    )
    with suppress(StoreError):  # one that cannot be read is taken again
        if kept := store.profile(draft.key):
            return kept.execution
    before()
    log = task.model.with_name(f"{task.engine}-profile.log")
    try:
        with Child("sparsebench.bench.profiles", task, log, timeout_s) as child:
            execution = Answer.model_validate_json(child.reply()).execution
    except ChildFailed as failure:
        return Execution(source=f"not told: {str(failure).partition(chr(10))[0]}", kernels=())
    if execution:
        store.put_profile(draft.model_copy(update={"execution": execution}))
    return execution


def main() -> None:
    die_with_parent()
    channel = take_stdout()
    task = ProfileTask.model_validate_json(sys.stdin.buffer.readline())
    pin(task.cpus)
    engine = ENGINES[task.engine]
    engine.import_library()
    answer = Answer(execution=engine.execution(task.model, task.inputs, task.threads, task.precision))
    channel.write(answer.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    main()
