"""What is known from trials, and how surely. The runner stops by it and the report compares by it, so it runs in both
their environments (numpy and scipy, no pandas).

pairs.py      trials -> log ratios of two engines, round by round and process by process
intervals.py  log ratios -> estimates with 95 % intervals
verdicts.py   estimates -> faster, slower, equivalent or undecided
design.py     how many rounds to time in each process
"""
