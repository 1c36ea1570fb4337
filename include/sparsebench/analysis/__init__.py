"""From trials to tables and comparisons. Knows nothing of figures, pages or Airflow.

results.py   trials of a night -> Results: one row a valid trial, and what is missing and why
csvfile.py   a CSV like the study's -> the same Results
order.py     the order in which instance types, networks, variants and engines are shown
compare.py   one engine against another, and the points of the line graph
models.py    sizes, sparsity and accuracy of the networks, from their model cards
"""
