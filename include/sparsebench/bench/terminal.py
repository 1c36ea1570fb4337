"""What a person sees of a run: a line for each trial, a bar on a terminal, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

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
            return f"absent ({absence.reason}): {_in_short(absence.detail)}"
    return f"failed: {_in_short(trial.error or '')}"


def _in_short(text: str) -> str:
    """First and last line: what happened, and the last that was said about it."""
    lines = text.strip().splitlines() or [""]
    return ": ".join(dict.fromkeys((lines[0], lines[-1])))


LEGEND = (
    "img/s: median over the rounds, ± half their range; ms: median latency; load: and compile; "
    "differs: from ONNX Runtime's output, relative"
)


def table(trials: list[Trial], title: str) -> Group:
    """One row for each engine and precision, over all rounds, and notes below; it fits into 80 columns."""
    rows = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title=escape(title), title_justify="left")
    rows.add_column("engine", no_wrap=True)
    rows.add_column("precision", no_wrap=True)
    for numbers in ("img/s", "±", "ms", "p99 ms", "load s", "differs"):
        rows.add_column(numbers, justify="right", no_wrap=True)
    notes = [LEGEND]
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.cell.engine, trial.cell.precision), []).append(trial)
    for (engine, precision), group in sorted(groups.items(), key=lambda item: -_throughput(item[1])):
        rows.add_row(engine, precision, *_numbers(group))
        notes += [f"{engine} {precision}: {note}" for note in _notes(group)]
    return Group(rows, *(Text(note) for note in notes))


def _measured(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status == "measured"]


def _throughput(trials: list[Trial]) -> float:
    return median([trial.throughput_img_s or 0 for trial in _measured(trials)] or [0])


def _numbers(trials: list[Trial]) -> list[str]:
    measured = _measured(trials)
    if not measured:
        return [""] * 6
    rates = [trial.throughput_img_s or 0 for trial in measured]
    latencies = [ms for trial in measured for block in trial.blocks for ms in block.latencies_ms]
    return [
        f"{median(rates):.1f}" if median(rates) < 1000 else f"{median(rates):.0f}",
        f"{(max(rates) - min(rates)) / 2 / median(rates):.1%}",
        f"{median(latencies):.2f}",
        f"{quantiles(latencies, n=100, method='inclusive')[-1]:.2f}" if len(latencies) > 1 else "",
        f"{median(trial.load_s or 0 for trial in measured):.2f}",
        f"{max(trial.parity.relative or 0 for trial in measured if trial.parity):.0e}",
    ]


def _notes(trials: list[Trial]) -> list[str]:
    notes = [result(trial) for trial in trials if trial.status != "measured"]
    for trial in _measured(trials)[:1]:
        if trial.engine_facts.get("effective_precision") != "f32":
            notes.append(f"computes in {trial.engine_facts.get('effective_precision')}")
        supported = trial.engine_facts.get("fraction_of_supported_ops", 1)
        if isinstance(supported, float) and supported < 1:
            notes.append(f"supports {supported:.1%} of the operators itself")
    return list(dict.fromkeys(notes))
