"""The runner: carries out a request, generation by generation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Protocol as Interface

from sparsebench.bench import neighbours
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.network import NetworkBench
from sparsebench.bench.priority import may_come_first
from sparsebench.bench.quiet import Quiet
from sparsebench.bench.stopping import Step, lacking, left_s, next_step, of_network, open_treatments
from sparsebench.catalog import check
from sparsebench.contracts import ArtifactRef, BenchRequest, HostFacts, Progress, Trial
from sparsebench.errors import BadInput
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.heartbeat import Heartbeat, no_heartbeat
from sparsebench.statistics.pairs import Treatment
from sparsebench.store import Store

PROGRESS_EVERY_S = 10
"""Between two writes of the progress, beside those when a generation begins."""

LOOK_BLOCKS = 12
"""So many blocks' time the host is looked at before anything is spent."""


class Audience(Interface):
    """Who is told of what happens."""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that were shown of it."""

    def on_host(self, text: str) -> None:
        """What was seen of the host before anything was measured."""

    def on_trial(self, trial: Trial, done: int, total: int) -> None:
        """A trial is in the store. total: that are to be expected as far as is known."""

    def on_network(self, trials: Sequence[Trial], request: BenchRequest) -> None:
        """Nothing more is measured of a network; its trials by this job."""


def run(
    store: Store, request: BenchRequest, host: HostFacts, audience: Audience, heartbeat: Heartbeat = no_heartbeat
) -> None:
    """Measure what the request asks for and the store does not have yet.

    Every generation's trials are written the moment it ends. Crashes, refusals and wrong outputs are trials too.

    Raises:
        Interrupted: by ``heartbeat``; what was timed until then is in the store.
        BadInput: an unknown engine, or a request that is for another instance type than this machine's.
        StoreError: the store cannot be written, or an artifact is missing or damaged.
    """
    check("engines", request.engines, ENGINES)
    if request.instance_type != host.instance_type:
        raise BadInput(
            f"instance_type: the request is for {request.instance_type!r}, this machine is {host.instance_type!r}"
        )
    store.check_writable()
    quiet = Quiet()
    with quiet.hold():
        seen = neighbours.look(LOOK_BLOCKS * request.protocol.block_s)
    audience.on_host(neighbours.told(seen, may_come_first()))
    if host not in [known.model_copy(update={"neighbours": None}) for known in store.hosts(request.night)]:
        store.put_host(request.night, host.model_copy(update={"neighbours": seen}))
    for _ in _Run(store, request, host, audience, heartbeat, quiet).generations():
        pass


def run_in_turns(
    store: Store, requests: Sequence[BenchRequest], hosts: Sequence[HostFacts], audience: Audience
) -> None:
    """Measure what several requests ask for, a generation of each in turns, so that a drift of the host is common to
    all. hosts: as each request is to find this machine, with as many threads for instance.

    Raises:
        BadInput, StoreError: as of ``run``.
    """
    quiet = Quiet()
    runs = [
        _Run(store, request, host, audience, no_heartbeat, quiet) for request, host in zip(requests, hosts, strict=True)
    ]
    for _ in zip_longest(*(each.generations() for each in runs)):
        pass


def silence_s(request: BenchRequest) -> float:
    """The longest that a run which does not hang goes without calling ``heartbeat``.

    A process may take ``trial_timeout_s`` to answer, and as long again to end. In a round every treatment times a
    block, and as many again for disturbed ones; blocks of a network that is slow for its protocol last longer than
    asked for, but in ``trial_timeout_s`` an engine loads and infers eight images, so that twice that is enough for
    them, too.
    """
    protocol = request.protocol
    variants = max(len(models) for models in _by_network(request).values())
    treatments = variants * len(request.engines) * len(protocol.precisions)
    return 2 * protocol.trial_timeout_s + 3 * treatments * (protocol.settle_s + protocol.block_s)


def _by_network(request: BenchRequest) -> dict[str, list[ArtifactRef]]:
    models: dict[str, list[ArtifactRef]] = {}
    for model in request.models:
        models.setdefault(model.network, []).append(model)
    return models


class _Run:
    def __init__(
        self,
        store: Store,
        request: BenchRequest,
        host: HostFacts,
        audience: Audience,
        heartbeat: Heartbeat,
        quiet: Quiet,
    ):
        self.store, self.request, self.host, self.quiet = store, request, host, quiet
        self.audience, self.heartbeat = audience, heartbeat
        self.models = _by_network(request)
        self.networks = {
            network: [
                Treatment(model.variant, *lane)
                for model, lane in product(models, list(product(request.engines, request.protocol.precisions)))
            ]
            for network, models in self.models.items()
        }
        self.trials = store.trials(request.night, request.instance_type, request.job)
        self.benches: dict[str, NetworkBench] = {}
        self.network = ""
        self.started_at = datetime.now(UTC)
        self.generation_began = self.reported = monotonic()

    def generations(self) -> Iterator[None]:
        """Carries the request out, and stops after each generation."""
        try:
            with ExitStack() as scratches:
                while step := next_step(self.trials, self.networks, self.request.protocol):
                    self._measure(step, scratches)
                    yield
        except Interrupted as notice:
            self._report(f"interrupted: {notice}")
            raise
        for network in self.networks:
            if trials := of_network(self.trials, network):
                self.audience.on_network(trials, self.request)
        self._report("finished", finished=True)

    def _measure(self, step: Step, scratches: ExitStack) -> None:
        self.generation_began, self.network = monotonic(), step.network
        if step.network not in self.benches:
            self._tell("reference", at_once=True)
            scratch = Path(scratches.enter_context(TemporaryDirectory(prefix="sparsebench-")))
            self.benches[step.network] = NetworkBench(
                self.store,
                self.models[step.network],
                self.request,
                self.host,
                scratch,
                self._tell,
                self.quiet,
            )
        before = of_network(self.trials, step.network)
        treatments = self.networks[step.network]
        self._tell(f"process {len({trial.generation for trial in before}) + 1} of each engine", at_once=True)
        bench = self.benches[step.network]
        trials = bench.generation(before, open_treatments(treatments, before), step.rounds)
        for trial in trials:
            self.store.put_trial(trial)
        self.trials += trials
        for number, trial in enumerate(trials, start=len(self.trials) - len(trials) + 1):
            self.audience.on_trial(trial, number, self._expected())

    def _tell(self, what: str, at_once: bool = False) -> None:
        if at_once or monotonic() - self.reported >= PROGRESS_EVERY_S:
            self._report(f"{self._networks_done()}; {self.network}: {what}")
        self.heartbeat()

    def _networks_done(self) -> str:
        """A network is done when all its treatments have what a verdict needs."""
        done = 0
        for network, treatments in self.networks.items():
            trials = of_network(self.trials, network)
            done += bool(trials) and not lacking(treatments, trials, self.request.protocol)
        return f"{done} of {len(self.networks)} networks"

    def _expected(self) -> int:
        """Trials that there will be, as far as is known: what there is, and what verdicts still need."""
        missing = 0
        for network, treatments in self.networks.items():
            trials = of_network(self.trials, network)
            lacks = lacking(treatments, trials, self.request.protocol)
            missing += lacks * len(open_treatments(treatments, trials))
        return len(self.trials) + missing

    def _report(self, what: str, finished: bool = False) -> None:
        done = len(self.trials)
        left = 0.0 if finished else left_s(self.trials, self.networks, self.request.protocol)
        self.reported = monotonic()
        self.store.put_progress(
            Progress(
                job=self.request.job,
                what=what,
                done=done,
                total=done if finished else self._expected(),
                started_at=self.started_at,
                updated_at=datetime.now(UTC),
                failed=sum(trial.status == "failed" for trial in self.trials),
                finished=finished,
                left_s=max(0.0, left - (self.reported - self.generation_began)),
                tail=self.audience.tail,
            )
        )
