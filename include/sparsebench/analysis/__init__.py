"""From trials to tables and comparisons. Knows nothing of figures, pages or Airflow.

results.py      Results: one row a valid trial, one row a cell, and what is missing and why
trials.py       trials of a night -> Results
pooling.py      several nights -> one Results
csvfile.py      a CSV like the study's -> Results
ratios.py       every pair of engines on every network: ratio, interval, verdict
compare.py      the headlines: one engine against another over all networks; the points of the line graph
disturbance.py  what else went on while each block was timed
execution.py    how the engines compute: kernels, precisions, load time, memory, output error
models.py       sizes, sparsity and accuracy of the networks, from their model cards
order.py        the order in which instance types, networks, variants and engines are shown
"""
