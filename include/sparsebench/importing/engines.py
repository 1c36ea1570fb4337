"""Every engine really loads the network and runs it, as it is loaded and run when it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsebench.bench.child import Child, ChildFailed, in_short
from sparsebench.bench.engines import ENGINES, INTEGER_ENGINES
from sparsebench.bench.host import host_facts
from sparsebench.bench.inputs import inputs_of
from sparsebench.bench.parity import agreement_of
from sparsebench.bench.reference import ReferenceTask, Referred, read_reference
from sparsebench.bench.worker import Loaded, WorkerTask
from sparsebench.catalog import Network, digits_networks
from sparsebench.contracts import HostFacts, Parity
from sparsebench.errors import BadInput
from sparsebench.importing.examine import Examined

TIMEOUT_S = 900
"""For one engine to load a network and run it on eight images."""

MEASURES_ITSELF = "deepsparse.benchmark"
"""The same engine as DeepSparse, under another clock."""


def run_everywhere(
    network: Network | None,
    file: Examined,
    tell: Callable[[str], None],
    parent: Examined | None = None,
    integer: Examined | None = None,
) -> dict[str, Parity]:
    """Run the network in each engine, and hold its outputs to ONNX Runtime's. What was seen goes to ``tell``.

    Args:
        network: None of one that the catalog does not know. Then it is enough that any engine runs it: what the others
            do with it, each night says of itself.
        parent: of an INT8 network, the fp32 one whose outputs it is held to.
        integer: of an INT8 network, the file for the engines that are fast with integer operators.

    Returns:
        How far off each engine was, without those that this host cannot run.

    Raises:
        BadInput: an engine refuses the network, fails, or computes something else; or it has other classes. Of one
            that the catalog does not know, every engine does.
        Interrupted: by ``tell``.
    """
    host, of_reference = host_facts(), parent or file
    tell("running it in onnxruntime for the outputs that the others are held to")
    reference = outputs_of(of_reference, host, digits=network is not None and network.name in digits_networks())
    ((output, *_), *_) = read_reference(reference).outputs
    if network and output.shape[1:] != (network.classes,):
        raise BadInput(
            f"{of_reference.origin}: its output is [batch, {', '.join(map(str, output.shape[1:]))}]; expected [batch, "
            f"{network.classes}], the classes of {network.name}"
        )
    parities, refusals = {}, list[str]()
    for name, engine in ENGINES.items():
        if name == MEASURES_ITSELF:
            continue
        its = integer if integer and name in INTEGER_ENGINES else file
        absence = engine.absence(frozenset(host.cpu_flags), its.header)
        if absence and absence.reason != "unsupported_network":
            tell(f"not tried in {name}: {absence.detail}")
            continue
        tell(f"running it in {name}")
        task_of_engine = WorkerTask(
            engines=(name,),
            precision="f32",
            scenario="latency",
            model=its.path,
            inputs=inputs_of(its.header, its.origin),
            reference=reference,
            agreement=agreement_of(its.header.quantised, parent is not None),
            threads=host.threads or host.physical_cores,
            cpus=host.cpus,
        )
        try:
            parities[name] = _agreeing(task_of_engine, its)
        except BadInput as error:
            if network:
                raise
            refusals.append(str(error))
            tell(refusals[-1])
    if not parities:
        raise BadInput("; ".join(refusals) or f"{file.origin}: this host can run no engine")
    return parities


def outputs_of(file: Examined, host: HostFacts, digits: bool = False) -> Path:
    """The file with what the network is fed and ONNX Runtime's outputs, to be read by ``read_reference``.

    Raises:
        BadInput: ONNX Runtime cannot run it.
    """
    output = file.path.with_suffix(".npz")
    task = ReferenceTask(
        model=file.path,
        rounding=False,
        inputs=inputs_of(file.header, file.origin),
        digits=digits,
        threads=host.threads or host.physical_cores,
        output=output,
    )
    try:
        with Child("sparsebench.bench.reference", task, output.with_suffix(".log"), TIMEOUT_S) as child:
            refusal = Referred.model_validate_json(child.reply()).refusal
    except ChildFailed as error:
        raise BadInput(f"{file.origin}: ONNX Runtime cannot run it: {in_short(str(error))}") from error
    if refusal:
        raise BadInput(f"{file.origin}: ONNX Runtime cannot run it: {refusal}")
    return output


def _agreeing(task: WorkerTask, file: Examined) -> Parity:
    """
    Raises:
        BadInput: the engine refuses the network, fails, or computes something else.
    """
    (name,), loaded = task.engines, _load(task, file)
    if loaded.absence:
        raise BadInput(f"{file.origin}: {name} refuses it: {loaded.absence.detail}")
    assert loaded.parity
    if not loaded.parity.agrees:
        raise BadInput(f"{file.origin}: {name} computes something else than {_expected(loaded.parity)}")
    return loaded.parity


def _expected(parity: Parity) -> str:
    if parity.tolerance is None:
        return (
            f"its fp32 parent: the top class of {parity.same_top1} of {parity.images} images is the same, expected "
            f"{parity.least_top1:.1%} of them at least"
        )
    return f"ONNX Runtime: {parity.relative} relative to the largest number, expected {parity.tolerance} at most"


def _load(task: WorkerTask, file: Examined) -> Loaded:
    log = file.path.with_name(f"{task.engines[0]}.log")
    try:
        with Child("sparsebench.bench.worker", task, log, TIMEOUT_S) as child:
            return Loaded.model_validate_json(child.reply())
    except ChildFailed as error:
        raise BadInput(f"{file.origin}: {task.engines[0]} cannot run it: {in_short(str(error))}") from error
