"""What is known from trials, and how surely. The runner stops by it and the report compares by it, so it runs in both
their environments (numpy and scipy, no pandas).

pairs.py      trials -> log ratios of two engines, round by round and process by process
intervals.py  log ratios -> estimates with 95 % intervals
hosts.py      the units of several hosts -> one estimate, and of which hosts it speaks
percentiles.py latencies -> p50, p90, p95, p99 and their ratios, with 95 % intervals
verdicts.py   estimates -> faster, slower, equivalent, undecided or too few
design.py     how many rounds to time in each process
"""
