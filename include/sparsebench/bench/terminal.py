"""What a person sees of a run: a line for each trial, a bar on a terminal, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from statistics import median, quantiles

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sparsebench.bench.runner import OnTrial
from sparsebench.contracts import Trial

COLOURS = {"measured": "green", "invalid": "red", "absent": "yellow", "failed": "red"}


@contextmanager
def live(console: Console) -> Iterator[OnTrial]:
    """Something that shows each trial as it is recorded; with a bar below where there is a terminal."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials, about"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")

        def show(trial: Trial, done: int, total: int) -> None:
            width = len(str(total))
            text = f"[{done:{width}}/{total}] {_name(trial)}  {result(trial)}"
            console.print(text, style=COLOURS[trial.status], markup=False, highlight=False, soft_wrap=True)
            bar.update(task, completed=done, total=total)

        yield show


def _name(trial: Trial) -> str:
    cell = trial.cell
    return f"{cell.network:<16} {cell.variant:<6}  {cell.engine:<20} {cell.precision:<6}"


def result(trial: Trial) -> str:
    """A trial's result in one line."""
    match trial:
        case Trial(status="measured", throughput_img_s=float(throughput)):
            return f"{throughput:8.1f} img/s"
        case Trial(parity=parity) if parity:
            difference = "output is not finite" if parity.relative is None else f"differs by {parity.relative:.1e}"
            return f"invalid: {difference}, tolerance {parity.tolerance:g}; same top-1: {parity.same_top1}"
        case Trial(absence=absence) if absence:
            return f"absent ({absence.reason}): {_last_line(absence.detail)}"
    return f"failed: {(trial.error or '').splitlines()[0]}: {_last_line(trial.error or '')}"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def table(trials: list[Trial], title: str) -> Table:
    """One row for each engine and precision, over all rounds."""
    rows = Table(title=escape(title), title_justify="left")
    rows.add_column("engine", no_wrap=True)
    rows.add_column("precision")
    for numbers in ("img/s", "min to max", "median ms", "p99 ms", "load s", "MiB", "difference"):
        rows.add_column(numbers, justify="right", no_wrap=True)
    rows.add_column("note")

    def lane(trial: Trial) -> tuple[str, str]:
        return trial.cell.engine, trial.cell.precision

    groups = [(key, list(group)) for key, group in groupby(sorted(trials, key=lane), key=lane)]
    for (engine, precision), group in sorted(groups, key=lambda item: -_throughput(item[1])):
        rows.add_row(engine, precision, *_numbers(group), escape(_note(group)))
    return rows


def _measured(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status == "measured"]


def _throughput(trials: list[Trial]) -> float:
    return median([trial.throughput_img_s or 0 for trial in _measured(trials)] or [0])


def _numbers(trials: list[Trial]) -> list[str]:
    measured = _measured(trials)
    if not measured:
        return [""] * 7
    rates = [trial.throughput_img_s or 0 for trial in measured]
    latencies = [ms for trial in measured for block in trial.blocks for ms in block.latencies_ms]
    return [
        f"{median(rates):.1f}",
        f"{min(rates):.1f} to {max(rates):.1f}",
        f"{median(latencies):.2f}",
        f"{quantiles(latencies, n=100, method='inclusive')[-1]:.2f}" if len(latencies) > 1 else "",
        f"{median(trial.load_s or 0 for trial in measured):.2f}",
        f"{max(trial.peak_memory_bytes or 0 for trial in measured) / 2**20:.0f}",
        f"{max(trial.parity.relative or 0 for trial in measured if trial.parity):.0e}",
    ]


def _note(trials: list[Trial]) -> str:
    notes = [result(trial) for trial in trials if trial.status != "measured"]
    for trial in _measured(trials)[:1]:
        if trial.engine_facts.get("effective_precision") != "f32":
            notes.append(f"computes in {trial.engine_facts.get('effective_precision')}")
        supported = trial.engine_facts.get("fraction_of_supported_ops", 1)
        if isinstance(supported, float) and supported < 1:
            notes.append(f"supports {supported:.1%} of the operators itself")
    return "; ".join(dict.fromkeys(notes))
