"""The tables of a report: each a CSV with the exact values, and rows of text for the page and the terminal.

formatting.py   tables, and how values become the text of their cells
speedups.py     each variant against its base, as a map and as a table; USD per million inferences
worth.py        what each variant changes all in all: cost, latency, size, accuracy
choices.py      which machine, engine and variant to take
pareto.py       which choices are not beaten in both of two things
headline.py     engine against engine, over all networks
latency.py      percentiles of each cell
throughput.py   networks down, engines across
ratios.py       every pair of engines, with interval and verdict; native against f32
execution.py    how each engine computes; load time and memory
disturbance.py  what disturbed the measurement
missing.py      cells without a throughput
networks.py     sizes, sparsity, accuracy, weights, encodings of INT8, sensitivity of layers
inputs.py       hosts, and the night's frozen inputs
"""
