"""From a network's name to its variants in the store: built, pruned, exported, measured for size.

``recipe`` and ``inspect_onnx`` run anywhere; the rest needs the sparsify environment.
"""

import os

# SparseML and SparseZoo report their use over the network as soon as they are imported, unless they are told not to.
os.environ["NM_DISABLE_ANALYTICS"] = "1"
os.environ["NM_VERSION_CHECK"] = "false"
