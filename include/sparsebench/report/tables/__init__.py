"""The tables of a report: each a CSV with the exact values, and rows of text for the page and the terminal.

form.py         what a table is, and how values become text
headline.py     engine against engine, over all networks
throughput.py   networks down, engines across
ratios.py       every pair of engines, with interval and verdict; native against f32
execution.py    how each engine computes; load time and memory
disturbance.py  what disturbed the measurement
missing.py      cells without a throughput
networks.py     sizes, sparsity, accuracy, weights, encodings of INT8, sensitivity of layers
inputs.py       hosts, and the night's frozen inputs
"""
