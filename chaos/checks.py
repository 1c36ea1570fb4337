"""Whether a sweep with faults ended as it should, from what the store and AWS say."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import exp, isclose, log
from statistics import fmean

from chaos.sweep import Outcome, Sweep
from chaos.system import SDK_S, CellKey, Sent, patiently
from sparsebench.contracts import Collection, Launch, sha256
from sparsebench.local.api import FINISHED
from sparsebench.report import build
from sparsebench.store import Store


def judge(sweep: Sweep, state: str, outcome: Outcome) -> None:
    """Compare what is there with what should be."""
    lab, say = sweep.lab, outcome.problems.append
    reap = f"reap-{sweep.scenario.number}"
    lab.api.start("reap_instances", reap, {})
    if (reaped := lab.api.finished("reap_instances", reap)) != "success":
        say(f"reap_instances: {reaped}")
    for left in (left_over := patiently(lambda: lab.alive(sweep.run_id))):
        say(f"{left} is left over after the reaper")
    outcome.left_over = len(left_over)

    launches = patiently(sweep.launches)
    for launch in launches:
        if not launch.ended_at:
            say(f"launches/ has no end of {launch.instance_id}")
    outcome.instances_s = sum(
        (end - launch.launched_at).total_seconds() for launch in launches if (end := launch.ended_at)
    )

    collection = patiently(lambda: _collection(sweep))
    outcome.ended_as, outcome.expected = _ending(sweep, state, collection, launches), sweep.expected
    if outcome.ended_as != outcome.expected:
        failed = {name: task["state"] for name, task in sweep.tasks().items() if task["state"] == "failed"}
        say(f"it ended as {outcome.ended_as}, not {outcome.expected}; failed tasks: {', '.join(failed) or 'none'}")
    if outcome.ended_as != "refused":
        known = collection.measured + len(collection.missing) if collection else 0
        outcome.untyped = len(sweep.scenario.engines) - known
        if outcome.untyped:
            say(f"{outcome.untyped} cells are neither measured nor missing for a reason")

    patiently(lambda: _judge_trials(sweep, collection, outcome))
    outcome.problems += [f"the job ran twice at the same time on {instance}" for instance in sorted(sweep.side_by_side)]
    outcome.problems += _judge_commands(patiently(lab.sent), sweep, {launch.instance_id: launch for launch in launches})
    if night := patiently(lambda: sweep.night):
        with lab.drawing:
            wrong, duplicates, problems = patiently(lambda: _judge_report(lab.store, night, sweep.instance_type))
        outcome.wrong += wrong
        outcome.duplicates += duplicates
        outcome.problems += problems


def _collection(sweep: Sweep) -> Collection | None:
    path = f"nights/{sweep.night}/collections/{sweep.job}.json"
    store = sweep.lab.store
    return Collection.from_json(store.read(path)) if sweep.night and store.exists(path) else None


def _ending(sweep: Sweep, state: str, collection: Collection | None, launches: list[Launch]) -> str:
    if state not in FINISHED:
        return state
    if collection is None:
        plan = sweep.tasks()["plan"]["state"]
        return "refused" if plan == "failed" and not launches else "nothing published"
    if not collection.missing:
        return "complete" if state == "success" else f"complete, but {state}"
    return ", ".join(sorted({cell.reason for cell in collection.missing}))


def _judge_trials(sweep: Sweep, collection: Collection | None, outcome: Outcome) -> None:
    """What was measured once is still there as it was, and counted once."""
    store = sweep.lab.store
    now = {path: sha256(store.read(path)) for path in sweep.trial_paths()}
    lost = [path for path, digest in sweep.seen.items() if now.get(path) != digest]
    trials = sweep.trials()
    times = Counter((trial.cell, trial.job, trial.generation) for trial in trials)
    measured = {trial.cell for trial in trials if trial.status == "measured"}
    outcome.trials, outcome.lost_trials, outcome.duplicates = len(trials), len(lost), len(trials) - len(times)
    outcome.problems += [f"lost: {path}" for path in lost]
    outcome.problems += [f"{number} times: {key}" for key, number in times.items() if number > 1]
    if collection and collection.measured != len(measured):
        outcome.wrong += 1
        outcome.problems.append(f"the collection has {collection.measured} cells, the store {len(measured)}")


def _judge_commands(sent: Sequence[Sent], sweep: Sweep, launches: dict[str, Launch]) -> list[str]:
    """A step is sent again only when the one before has ended without success, or its instance has ended; or by an SDK
    that had no answer."""
    problems = []
    by_step = defaultdict(list)
    for command in sent:
        if command.comment.startswith(f"{sweep.job}:"):
            by_step[command.comment].append(command)
    for comment, commands in by_step.items():
        for index, later in enumerate(commands):
            for earlier in commands[:index]:
                apart_s = (later.requested_at - earlier.requested_at).total_seconds()
                if sweep.lab.faults.repeats_sends and SDK_S <= apart_s < 1.5 * SDK_S:
                    continue
                launch = launches.get(earlier.instance_id)
                ends = [end for end in (earlier.ended_at, launch and launch.ended_at) if end]
                if not ends or min(ends) > later.requested_at:
                    problems.append(f"{comment} was sent again while it ran on {earlier.instance_id}")
                elif earlier.status == "Success" and earlier.instance_id == later.instance_id:
                    problems.append(f"{comment} was sent again to {earlier.instance_id}, where it had succeeded")
    return problems


def _judge_report(store: Store, night: str, instance_type: str) -> tuple[int, int, list[str]]:
    """The report can be drawn, and its throughputs of this instance type are those of the trials.

    Returns:
        How many cells are wrong, how many throughputs too many there are, and both in words.
    """
    known = {host.instance_id for host in store.hosts(night)}
    expected: dict[CellKey, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))  # by cell and host
    for trial in store.trials(night, instance_type):
        blocks = [block for block in trial.blocks if not block.disturbed]
        if trial.status == "measured" and blocks and trial.instance_id in known:
            cell = trial.cell
            throughput = sum(block.images for block in blocks) / sum(block.seconds for block in blocks)
            expected[cell.network, cell.variant, cell.engine, cell.precision][trial.instance_id].append(throughput)
    files = build(store, night)
    published = _column(files, "repeats.csv", instance_type, "throughput_img_s")
    means = _column(files, "throughput.csv", instance_type, "mean_img_s")
    without = _column(files, "missing.csv", instance_type, "valid_trials")
    wrong, duplicates, problems = 0, 0, []
    for key in expected.keys() | published.keys():
        hosts = list(expected.get(key, {}).values())
        shown, right = published.get(key, []), [throughput for of_host in hosts for throughput in of_host]
        if not shown and without.get(key) == [0]:
            continue  # disturbed as a whole, and said to be
        duplicates += max(0, len(shown) - len(right))
        # Each host weighs the same, however many processes it had before it broke.
        mean = [exp(fmean(fmean(map(log, of_host)) for of_host in hosts))] if hosts else []
        if not _same(shown, right) or not _same(means.get(key, []), mean):
            wrong += 1
            problems.append(f"the report has of {key} {shown}, mean {means.get(key)}; its trials {right}")
    return wrong, duplicates, problems


def _column(files: dict[str, bytes], name: str, instance_type: str, column: str) -> dict[CellKey, list[float]]:
    """A column's values by cell."""
    values: dict[CellKey, list[float]] = defaultdict(list)
    for row in csv.DictReader(files.get(name, b"").decode().splitlines()):
        if row["instance_type"] == instance_type:
            network = row.get("network") or row["model"]
            values[network, row["variant"], row["engine"], row["precision"]].append(float(row[column]))
    return dict(values)


def _same(left: Sequence[float], right: Sequence[float]) -> bool:
    return len(left) == len(right) and all(
        isclose(a, b, rel_tol=1e-9) for a, b in zip(sorted(left), sorted(right), strict=True)
    )
