"""sparsebench: on which machine, with which engine, does a pruned network pay?"""
