"""What a person sees of a run: a line for each trial and network, a bar on a terminal, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import exp, inf
from statistics import fmean, median, quantiles

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sparsebench.bench.runner import Audience
from sparsebench.bench.stopping import widest
from sparsebench.contracts import BenchRequest, Trial
from sparsebench.instance.tail import Tail
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import Lane, by_lane, lane, log_ratios, logs

COLOURS = {"measured": "green", "invalid": "red", "absent": "yellow", "failed": "red"}


@contextmanager
def live(console: Console) -> Iterator[Audience]:
    """Something that shows each trial as it is recorded; with a bar below where there is a terminal."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials at least, about"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Screen(console, bar, bar.add_task(""))


class _Screen:
    def __init__(self, console: Console, bar: Progress, task: TaskID):
        self.console, self.bar, self.task = console, bar, task
        self._tail = Tail()

    @property
    def tail(self) -> tuple[str, ...]:
        return self._tail.lines

    def on_trial(self, trial: Trial, done: int, total: int) -> None:
        width = len(str(total))
        self._print(f"[{done:{width}}/{total}] {_name(trial)}  {result(trial)}", COLOURS[trial.status])
        self.bar.update(self.task, completed=done, total=total)

    def on_network(self, trials: Sequence[Trial], request: BenchRequest) -> None:
        cell = trials[0].cell
        self._print(f"{cell.network} {cell.variant}: {convergence(trials, request)}", "bold")

    def _print(self, text: str, style: str) -> None:
        self._tail.add(text)
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def convergence(trials: Sequence[Trial], request: BenchRequest) -> str:
    """How well the ratios of a network's variant are known now, in one line."""
    found = widest(trials)
    processes = len({trial.generation for trial in trials})
    if found is None:
        return f"nothing to compare after {processes} processes of each engine"
    names, width = found
    if width == inf:
        return f"{names} unknown: too few undisturbed rounds in {processes} processes of each engine"
    target = request.protocol.target
    said = "" if target is None or width <= target else f", unconverged: the target is ± {target:.1%}"
    return f"{names} within ± {width:.1%} after {processes} processes of each engine{said}"


def _name(trial: Trial) -> str:
    cell = trial.cell
    return f"{cell.network:<16} {cell.variant:<6}  {cell.engine:<20} {cell.precision:<6}"


def result(trial: Trial) -> str:
    """A trial's result in one line."""
    match trial:
        case Trial(status="measured", blocks=blocks):
            disturbed = sum(block.disturbed for block in blocks)
            said = f", {disturbed} of {len(blocks)} blocks disturbed" if disturbed else ""
            return f"{sum(b.images for b in blocks) / sum(b.seconds for b in blocks):8.1f} img/s{said}"
        case Trial(parity=parity) if parity:
            difference = "output is not finite" if parity.relative is None else f"differs by {parity.relative:.1e}"
            tolerance = "" if parity.tolerance is None else f", tolerance {parity.tolerance:g}"
            return f"invalid: {difference}{tolerance}; same top-1: {parity.same_top1} of {parity.images}"
        case Trial(absence=absence) if absence:
            return f"absent ({absence.reason}): {_in_short(absence.detail)}"
    return f"failed: {_in_short(trial.error or '')}"


def _in_short(text: str) -> str:
    """First and last line: what happened, and the last that was said about it."""
    lines = text.strip().splitlines() or [""]
    return ": ".join(dict.fromkeys((lines[0], lines[-1])))


LEGEND = (
    "img/s: geometric mean of the undisturbed blocks; of fastest: the ratio to the first row, paired round by round, "
    "with its 95 % interval; ms: median latency; load: and compile; differs: from ONNX Runtime's output, relative"
)


def table(trials: list[Trial], title: str) -> Group:
    """One row for each engine and precision, the fastest first, and notes below; it fits into 80 columns."""
    rows = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title=escape(title), title_justify="left")
    rows.add_column("engine", no_wrap=True)
    rows.add_column("lane", no_wrap=True)
    for numbers in ("img/s", "of fastest", "ms", "p99 ms", "load s", "differs"):
        rows.add_column(numbers, justify="right", no_wrap=True)
    notes = [LEGEND]
    groups: dict[Lane, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(lane(trial), []).append(trial)
    blocks = by_lane(trials)
    rate = {one: exp(estimate(list(logs(blocks[one]).values())).mean) for one in blocks}
    order = sorted(groups, key=lambda one: -rate.get(one, 0.0))
    for one in order:
        shared = log_ratios(blocks[one], blocks[order[0]]) if one in blocks else {}
        rows.add_row(*one, *_numbers(groups[one], rate.get(one), list(shared.values()), one == order[0]))
        notes += [f"{one.engine} {one.precision}: {note}" for note in _notes(groups[one])]
    return Group(rows, *(Text(note) for note in notes))


def _numbers(trials: list[Trial], rate: float | None, shared: list[list[float]], first: bool) -> list[str]:
    measured = [trial for trial in trials if trial.status == "measured"]
    if rate is None:
        return [""] * 6
    blocks = [block for trial in measured for block in trial.blocks if not block.disturbed]
    latencies = [ms for block in blocks for ms in block.latencies_ms]
    loads = [trial.load_s for trial in measured if trial.load_s is not None]
    return [
        f"{rate:.1f}" if rate < 1000 else f"{rate:.0f}",
        "1" if first else _ratio(shared),
        f"{median(latencies):.2f}",
        f"{quantiles(latencies, n=100, method='inclusive')[-1]:.2f}" if len(latencies) > 1 else "",
        f"{fmean(loads):.2f}" if loads else "",
        f"{max(trial.parity.relative or 0 for trial in measured if trial.parity):.0e}",
    ]


def _ratio(shared: list[list[float]]) -> str:
    if not shared:
        return ""
    found = estimate(shared)
    return f"{exp(found.mean):.2f} ± {half_width(found):.1%}" if len(shared) > 1 else f"{exp(found.mean):.2f}"


def _notes(trials: list[Trial]) -> list[str]:
    notes = [result(trial) for trial in trials if trial.status != "measured"]
    measured = [trial for trial in trials if trial.status == "measured"]
    disturbed = [reason for t in measured for block in t.blocks for reason in block.interference.reasons[:1]]
    if disturbed:
        blocks = sum(len(trial.blocks) for trial in measured)
        notes.append(f"{len(disturbed)} of {blocks} blocks were disturbed and are left out; the first: {disturbed[0]}")
    for trial in measured:
        if trial.execution and trial.execution.reduced:
            shares = ", ".join(f"{share:.0%} {name}" for name, share in trial.execution.precisions.items())
            notes.append(f"computes in {shares} (of its time; {trial.execution.source})")
        supported = trial.engine_facts.get("fraction_of_supported_ops", 1)
        if isinstance(supported, float) and supported < 1:
            notes.append(f"supports {supported:.1%} of the operators itself")
    return list(dict.fromkeys(notes))
