"""Carry out a request: fetch its files, examine them, run them in every engine, and only then register them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sparsebench.bench.engines import INTEGER_ENGINES
from sparsebench.bench.graphs import Encoding
from sparsebench.bench.network_file import Samples
from sparsebench.bench.samples import npz_file, without_samples
from sparsebench.catalog import Network
from sparsebench.contracts import ImportRequest, ModelCard, Weights, sha256
from sparsebench.download import FileSource, fetch
from sparsebench.importing import examine
from sparsebench.importing.beside_base import beside_base
from sparsebench.importing.check import check
from sparsebench.importing.engines import run_everywhere
from sparsebench.importing.examine import Examined
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.heartbeat import Heartbeat, no_heartbeat
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify.inspect_onnx import gzip_bytes, overall_sparsity
from sparsebench.store import Store

STAGE_S = 2400
"""The longest that one step may take: an engine's time-out twice, and gzip -9 of the largest network is below it."""


def run(store: Store, request: ImportRequest, heartbeat: Heartbeat = no_heartbeat) -> ModelCard:
    """Register the file as the network's variant; a card that is there already is replaced. Nothing is on failure.

    Raises:
        BadInput: a request or a file that cannot be imported.
        StoreError, DownloadFailed, IntegrityError: a file does not come, or is another one.
        Interrupted: by ``heartbeat``, between two steps.
    """
    network, sources = check(request)
    store.check_writable()
    report = ProgressReport(store, request.job, f"{request.network} {request.variant}", 1, heartbeat)
    try:
        with TemporaryDirectory(prefix="sparsebench-") as scratch:
            samples = None
            if sources.samples:
                report.step(f"fetching {sources.samples.origin}")
                arrays = Path(scratch) / "samples.npz"
                fetch(sources.samples, arrays, store)
                samples = Samples(npz_file(arrays, "samples"), f"samples is {sources.samples.text!r}")

            def fetched(source: FileSource, encoding: Encoding) -> Examined:
                report.step(f"fetching {source.origin}")
                path = Path(scratch) / f"{source.field}.onnx"
                digest, origin = fetch(source, path, store), f"{source.field} is {source.text!r}"
                if network is None:
                    int8 = request.variant == "int8" and source is sources.file
                    return examine.examine_foreign(path, digest, origin, request.axes or (), samples, int8)
                return examine.examine(path, digest, origin, network, encoding)

            file = fetched(sources.file, "QDQ" if sources.parent else "fp32")
            parent = fetched(sources.parent, "fp32") if sources.parent else None
            integer = fetched(sources.integer, "integer operators") if sources.integer else None
            contents = _contents(network, file, parent)
            run_everywhere(network, file, report.step, parent if network else None, integer)
            outputs = beside_base(file, parent, report.step) if parent and not network else None
            report.step(f"compressing {len(file.data) / 1e6:.1f} MB")
            made_by = file.model.producer_name
            card = ModelCard(
                network=request.network,
                variant=request.variant,
                artifact=sha256(file.data),
                encodings=dict.fromkeys(INTEGER_ENGINES, integer.digest) if integer else {},
                artifact_bytes=len(file.data),
                gzip_bytes=gzip_bytes(without_samples(file.data)),
                recipe="",  # the file does not tell
                weights=Weights(kind="pretrained", origin=sources.file.origin, digest=file.digest),
                parent=parent.digest if parent and network else None,
                versions={made_by: file.model.producer_version} if made_by else {},
                beside_base=outputs,
                **contents,
            )
            for imported in filter(None, (file, parent if network else None, integer)):
                store.put_artifact(imported.data)
            store.put_model_card(card)
    except Interrupted as notice:
        report.interrupted(notice)
        raise
    except Exception as error:
        report.failed(error)
        raise
    report.part_done(f"imported: sparsity {card.sparsity:.3f} in {len(card.layers)} layers, sha256 {file.digest}")
    report.finished()
    return card


def _contents(network: Network | None, file: Examined, parent: Examined | None) -> dict[str, Any]:
    """What the card says of the numbers in the file, and of what it takes."""
    if network is None:
        return examine.contents_of_foreign(file)
    layers = examine.layers(file)
    return {
        "input_shape": network.input_shape,
        "parameters": examine.parameters(parent or file),
        "sparsity": overall_sparsity(layers),
        "layers": layers,
    }
