"""Whether a request can be carried out, as far as that is known without torch."""

from __future__ import annotations

from sparsebench import catalog
from sparsebench.catalog import Network
from sparsebench.contracts import DIGITS, SparsifyRequest
from sparsebench.errors import BadInput
from sparsebench.sparsify import gmp, source


def check(request: SparsifyRequest) -> Network:
    """The network of a request that can be carried out.

    Raises:
        BadInput: an unknown network, a variant that it does not have, weights or images from nowhere, a recipe that
            SparseML could not carry out, or what needs labelled images without any.
    """
    catalog.check("network", [request.network], catalog.networks())
    network = catalog.networks()[request.network]
    for variant in request.variants:
        if variant not in network.variants:
            raise BadInput(f"variants: {network.name} has no {variant!r}; it has {', '.join(network.variants)}")
    source.parse(request.weights, network)
    if request.recipe:
        gmp.check(request.recipe)
    _check_images(request)
    return network.on_digits if request.dataset == DIGITS else network


def _check_images(request: SparsifyRequest) -> None:
    if request.dataset is not None:
        source.check_dataset(request.dataset)
        if request.dataset == DIGITS and request.weights in ("hub", "package"):
            raise BadInput(
                f"weights is {request.weights!r}: those are of ImageNet's classes; expected random or a file for digits"
            )
    else:
        needs = {
            "dense_epochs": request.dense_epochs,
            "epochs": request.epochs,
            "learning_rate": request.learning_rate,
            "recipe": request.recipe,
            "sensitivity": request.sensitivity != "none",
            "budget_points": request.budget_points is not None,
        }
        for field, asked in needs.items():
            if asked:
                raise BadInput(f"{field}: it takes labelled images; expected a dataset beside it")
    if request.recipe and request.epochs:
        raise BadInput(f"epochs is {request.epochs}: the recipe says how long it trains; leave one of them empty")
    if request.learning_rate and not request.epochs and not request.dense_epochs:
        raise BadInput(f"learning_rate is {request.learning_rate}: nothing is trained; expected epochs or dense_epochs")
    if request.budget_points is not None and request.recipe:
        raise BadInput(f"budget_points is {request.budget_points}: the recipe has its targets; leave one of them empty")
    if request.budget_points is not None and not request.epochs:
        raise BadInput(f"budget_points is {request.budget_points}: expected epochs of gradual pruning beside it")
