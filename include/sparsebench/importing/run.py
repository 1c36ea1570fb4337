"""Carry out a request: fetch the file, examine it, run it in every engine, and only then register it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sparsebench.contracts import ImportRequest, ModelCard, Weights
from sparsebench.download import fetch
from sparsebench.importing import examine
from sparsebench.importing.check import check
from sparsebench.importing.engines import run_everywhere
from sparsebench.instance.attend import Attend, nothing
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify.inspect_onnx import gzip_bytes, overall_sparsity
from sparsebench.store import Store

STAGE_S = 2400
"""The longest that one step may take: an engine's time-out twice, and gzip -9 of the largest network is below it."""


def run(store: Store, request: ImportRequest, attend: Attend = nothing) -> ModelCard:
    """Register the file as the network's variant; a card that is there already is replaced. Nothing is on failure.

    Raises:
        BadInput: a request or a file that cannot be imported.
        StoreError, DownloadFailed, IntegrityError: the file does not come, or is another one.
        Interrupted: by ``attend``, between two steps.
    """
    network, source = check(request)
    store.check_writable()
    report = ProgressReport(store, request.job, f"{network.name} {request.variant}", 1, attend)
    origin = f"source is {source.text!r}"
    try:
        with TemporaryDirectory(prefix="sparsebench-") as scratch:
            file = Path(scratch) / "model.onnx"
            report.step(f"fetching {source.origin}")
            digest = fetch(source, file, store)
            data = file.read_bytes()
            model, header = examine.examine(data, network, origin)
            layers = examine.layers(model, origin)
            run_everywhere(file, header, network, origin, report.step)
            report.step(f"compressing {len(data) / 1e6:.1f} MB")
            card = ModelCard(
                network=network.name,
                variant=request.variant,
                artifact=digest,
                artifact_bytes=len(data),
                gzip_bytes=gzip_bytes(data),
                input_shape=network.input_shape,
                parameters=examine.parameters(model),
                sparsity=overall_sparsity(layers),
                layers=layers,
                recipe="",  # the file does not tell
                weights=Weights(kind="pretrained", origin=source.origin, digest=digest),
                versions={model.producer_name: model.producer_version} if model.producer_name else {},
            )
            store.put_artifact(data)
            store.put_model_card(card)
    except Interrupted as notice:
        report.interrupted(notice)
        raise
    except Exception as error:
        report.failed(error)
        raise
    report.part_done(f"imported: sparsity {card.sparsity:.3f} in {len(layers)} layers, sha256 {digest}")
    report.finished()
    return card
