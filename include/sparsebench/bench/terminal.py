"""What a person sees of a run: a line for each trial and network, a bar on a terminal, and a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import exp, inf
from statistics import fmean, median, quantiles

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sparsebench.bench.child import in_short
from sparsebench.bench.labels import disturbance
from sparsebench.bench.network import NO_REFERENCE
from sparsebench.bench.runner import Audience
from sparsebench.bench.stopping import widest
from sparsebench.contracts import BenchRequest, Trial
from sparsebench.instance.tail import Tail
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import Treatment, by_treatment, log_ratios, logs, treatment
from sparsebench.statistics.verdicts import MIN_PROCESSES

COLOURS = {"measured": "green", "invalid": "red", "absent": "yellow", "failed": "red"}


@contextmanager
def live(console: Console, label: str | None = None) -> Iterator[Audience]:
    """Something that shows each trial as it is recorded; with a bar below where there is a terminal.

    Args:
        label: what is said in place of the variant, of a file that is none.
    """
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials at least, about"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Screen(console, bar, bar.add_task(""), label)


class _Screen:
    def __init__(self, console: Console, bar: Progress, task: TaskID, label: str | None):
        self.console, self.bar, self.task, self.label = console, bar, task, label
        self._tail = Tail()
        self._told: str | None = None

    @property
    def tail(self) -> tuple[str, ...]:
        return self._tail.lines

    def on_host(self, text: str) -> None:
        self._print(text, "yellow" if "not quiet" in text else "dim")

    def on_trial(self, trial: Trial, done: int, total: int) -> None:
        width = len(str(total))
        self.bar.update(self.task, completed=done, total=total)
        if trial.error and trial.error == self._told:
            return
        self._print(f"[{done:{width}}/{total}] {_name(trial, self.label)}  {result(trial)}", COLOURS[trial.status])
        if without_reference([trial]):  # which is so for every engine, and told once
            self._told = trial.error

    def on_network(self, trials: Sequence[Trial], request: BenchRequest) -> None:
        self._print(f"{trials[0].cell.network}: {convergence(trials, request, self.label)}", "bold")

    def _print(self, text: str, style: str) -> None:
        self._tail.add(text)
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def convergence(trials: Sequence[Trial], request: BenchRequest, label: str | None = None) -> str:
    """How well the ratios of a network are known now, in one line. label: as of ``live``."""
    worst = widest(trials)
    processes = len({trial.generation for trial in trials})
    if worst is None:
        return f"nothing to compare after {processes} processes of each engine"
    names, width = worst
    if label:  # the file's only variant is what the name begins with
        names = label + names.removeprefix(trials[0].cell.variant)
    if width == inf:
        return f"{names} unknown: too few undisturbed rounds in {processes} processes of each engine"
    target = request.protocol.target
    beyond = "" if target is None or width <= target else f", unconverged: the target is ± {target:.1%}"
    if 1 < request.protocol.min_processes > processes:
        beyond += f"; too few for a verdict: this host is too slow for {request.protocol.min_processes} in the budget"
    noisy = {trial.generation for trial in trials if any(block.tolerated for block in trial.blocks)}
    if noisy and processes - len(noisy) < MIN_PROCESSES:
        beyond += f"; only {processes - len(noisy)} of them undisturbed, too few for a verdict"
    return f"{names} within ± {width:.1%} after {processes} processes of each engine{beyond}"


def _name(trial: Trial, label: str | None) -> str:
    cell = trial.cell
    return f"{cell.network:<16} {label or cell.variant:<6}  {cell.engine:<20} {cell.precision:<6}"


def busy(trials: Sequence[Trial]) -> str | None:
    """A line that says that this machine was busy while it was measured, with what most of the disturbed blocks
    suffered from."""
    blocks = [block for trial in trials for block in trial.blocks]
    disturbances = [kinds[0] for block in blocks if (kinds := block.interference.disturbances)]
    if 2 * len(disturbances) < len(blocks) or not disturbances:
        return None
    (kind, _), *_ = Counter(each.kind for each in disturbances).most_common()
    value = median(each.value for each in disturbances if each.kind == kind)
    return (
        f"this machine was busy: {len(disturbances)} of {len(blocks)} blocks were disturbed (most often "
        f"{disturbance(kind, value)}); end what else runs here, and measure again"
    )


def without_reference(trials: Sequence[Trial]) -> str | None:
    """Why no engine's output could be checked, where that is what ended all that were tried."""
    errors = {trial.error for trial in trials if trial.status != "absent"}
    reason = errors.pop() if len(errors) == 1 else None
    return in_short(reason) if reason and reason.startswith(NO_REFERENCE) else None


def result(trial: Trial) -> str:
    """A trial's result in one line."""
    match trial:
        case Trial(status="measured", blocks=blocks):
            disturbed = sum(bool(block.interference.disturbances) for block in blocks)
            beside = f", {disturbed} of {len(blocks)} blocks disturbed" if disturbed else ""
            entering = [block for block in blocks if not block.disturbed] or blocks
            return f"{sum(b.images for b in entering) / sum(b.seconds for b in entering):8.1f} img/s{beside}"
        case Trial(parity=parity) if parity:
            difference = "output is not finite" if parity.relative is None else f"differs by {parity.relative:.1e}"
            tolerance = "" if parity.tolerance is None else f", tolerance {parity.tolerance:g}"
            top1 = f"; same top-1: {parity.same_top1} of {parity.images}" if parity.least_top1 else ""
            return f"invalid: {difference}{tolerance}{top1}"
        case Trial(absence=absence) if absence:
            return f"absent ({absence.reason}): {in_short(absence.detail)}"
    return f"failed: {in_short(trial.error or '')}"


LEGEND = (
    "img/s: geometric mean of the blocks that enter; of fastest: the ratio to the first row, paired round by round, "
    "with its 95 % interval; ms: median latency; load: and compile; differs: from ONNX Runtime's output, relative"
)


def table(trials: list[Trial], title: str) -> Group:
    """One row for each engine and precision, the fastest first, and notes below; it fits into 80 columns."""
    rows = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    rows.add_column("engine", no_wrap=True)
    rows.add_column("lane", no_wrap=True)
    for column in ("img/s", "of fastest", "ms", "p99 ms", "load s", "differs"):
        rows.add_column(column, justify="right", no_wrap=True)
    notes = [LEGEND]
    groups: dict[Treatment, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(treatment(trial), []).append(trial)
    blocks = by_treatment(trials)
    rate = {key: exp(estimate(list(logs(blocks[key]).values())).mean) for key in blocks}
    order = sorted(groups, key=lambda key: -rate.get(key, 0.0))
    for key in order:
        shared = log_ratios(blocks[key], blocks[order[0]]) if key in blocks else {}
        numbers = _numbers(groups[key], rate.get(key), list(shared.values()), key == order[0])
        rows.add_row(key.engine, key.precision, *numbers)
        notes += [f"{key.engine} {key.precision}: {note}" for note in _notes(groups[key])]
    return Group(Text(title, style="italic"), rows, *(Text(note) for note in notes))


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
    ratio = estimate(shared)
    return f"{exp(ratio.mean):.2f} ± {half_width(ratio):.1%}" if len(shared) > 1 else f"{exp(ratio.mean):.2f}"


def _notes(trials: list[Trial]) -> list[str]:
    notes = [result(trial) for trial in trials if trial.status != "measured"]
    measured = [trial for trial in trials if trial.status == "measured"]
    blocks = [block for trial in measured for block in trial.blocks]
    disturbed = [block for block in blocks if block.disturbed]
    if disturbed:
        first = disturbed[0].interference.disturbances[0]
        why = disturbance(first.kind, first.value)
        notes.append(f"{len(disturbed)} of {len(blocks)} blocks are left out as disturbed; the first: {why}")
    if tolerated := sum(block.tolerated for block in blocks):
        notes.append(
            f"{tolerated} of {len(blocks)} blocks enter although disturbed: the host was never quiet beside them"
        )
    for trial in measured:
        if trial.execution and trial.execution.reduced:
            shares = ", ".join(f"{share:.0%} {name}" for name, share in trial.execution.precisions.items())
            notes.append(f"computes in {shares} (of its time; {trial.execution.source})")
        supported = trial.engine_facts.get("fraction_of_supported_ops", 1)
        if isinstance(supported, float) and supported < 1:
            notes.append(f"supports {supported:.1%} of the operators itself")
    return list(dict.fromkeys(notes))
