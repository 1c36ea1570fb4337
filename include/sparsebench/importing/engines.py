"""Every engine really loads the network and runs it, as it is loaded and run when it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.host import host_facts
from sparsebench.bench.onnx_header import OnnxHeader
from sparsebench.bench.parity import ReferenceTask, read_reference
from sparsebench.bench.worker import Loaded, WorkerTask
from sparsebench.catalog import Network, digits_networks
from sparsebench.contracts import Parity
from sparsebench.errors import BadInput

TIMEOUT_S = 900
"""For one engine to load a network and run it on eight images."""

MEASURES_ITSELF = "deepsparse.benchmark"
"""The same engine as DeepSparse, under another clock."""


def run_everywhere(
    file: Path, header: OnnxHeader, network: Network, origin: str, tell: Callable[[str], None]
) -> dict[str, Parity]:
    """Run the network in each engine, and hold its outputs to ONNX Runtime's. What was seen goes to ``tell``.

    Returns:
        How far off each engine was, without those that this host cannot run.

    Raises:
        BadInput: an engine refuses the network, fails, or computes something else; or it has other classes.
        Interrupted: by ``tell``.
    """
    host, scratch = host_facts(), file.parent
    reference = scratch / "reference.npz"
    tell("running it in onnxruntime for the outputs that the others are held to")
    task = ReferenceTask(
        model=file,
        rounding=False,
        input_shape=network.input_shape,
        digits=network.name in digits_networks(),
        threads=host.physical_cores,
        output=reference,
    )
    try:
        with Child("sparsebench.bench.parity", task, scratch / "reference.log", TIMEOUT_S) as child:
            child.wait()
    except ChildFailed as error:
        raise BadInput(f"{origin}: ONNX Runtime cannot run it: {error}") from error
    outputs = read_reference(reference).outputs
    if outputs.shape[1:] != (network.classes,):
        raise BadInput(
            f"{origin}: its output is [batch, {', '.join(map(str, outputs.shape[1:]))}]; expected [batch, "
            f"{network.classes}], the classes of {network.name}"
        )
    found = {}
    for name, engine in ENGINES.items():
        if name == MEASURES_ITSELF:
            continue
        absence = engine.absence(frozenset(host.cpu_flags), header)
        if absence and absence.reason != "unsupported_network":
            tell(f"not tried in {name}: {absence.detail}")
            continue
        tell(f"running it in {name}")
        loaded = _load(
            WorkerTask(
                engine=name,
                precision="f32",
                scenario="latency",
                model=file,
                input_shape=network.input_shape,
                reference=reference,
                int8=False,
                threads=host.physical_cores,
                inspect=False,
            ),
            scratch,
            origin,
        )
        if loaded.absence:
            raise BadInput(f"{origin}: {name} refuses it: {loaded.absence.detail}")
        assert loaded.parity
        if loaded.status != "measured":
            raise BadInput(
                f"{origin}: {name} computes something else than ONNX Runtime: {loaded.parity.relative} relative to the "
                f"largest logit, expected {loaded.parity.tolerance} at most"
            )
        found[name] = loaded.parity
    return found


def _load(task: WorkerTask, scratch: Path, origin: str) -> Loaded:
    try:
        with Child("sparsebench.bench.worker", task, scratch / f"{task.engine}.log", TIMEOUT_S) as child:
            return Loaded.model_validate_json(child.reply())
    except ChildFailed as error:
        raise BadInput(f"{origin}: {task.engine} cannot run it: {error}") from error
