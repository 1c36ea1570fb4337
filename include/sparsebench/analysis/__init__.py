"""From trials to findings. Knows nothing of figures, pages or Airflow.

findings.py     Findings: everything that is said about a night, several or a CSV; what page and terminal render
pooling.py      what a store has of a night; several nights -> one Results
trials.py       trials -> Results: which of them enter, and why the others do not
csvfile.py      a CSV like the study's -> Results
history.py      ratios over nights, as series
changes.py      a series -> where it changed, and stayed so
events.py       changes of series -> what people are told, once, with what may have caused it
difference.py   what differs between two nights
results.py      Results: one row a valid trial, one row a cell, and what is missing and why
counts.py       how many cells were planned, have a number, have none and why
ratios.py       engine against engine, native against f32, a variant against its base: ratio, interval, verdict
speedups.py     whether a variant pays: file by file, and over all networks
compare.py      the headlines: one engine against another over all networks; the points of the line graph
latency.py      p50, p90, p95 and p99 of each cell, and their ratios
cost.py         USD per million inferences
worth.py        what a variant changes all in all: cost, latency, size and accuracy
sample.py       the sample behind the numbers of a lane
candidates.py   what one can choose between, and which of two is better
choice.py       which to take, within bounds: the best, what cannot be told from it, what loses
pareto.py       which choices are not beaten in both of two things
disturbance.py  what else went on while each block was timed
execution.py    how the engines compute: kernels, precisions, load time, memory, output error
models.py       sizes, sparsity and accuracy of the networks, from their model cards
training.py     learning curves and sensitivity
order.py        the order in which instance types, networks, variants and engines are shown
"""
