"""What this program promises about speed, measured: a module a benchmark.

Seconds say more about the computer, and about who else uses it, than about the program. So
whatever is compared runs in turn within one run, and what counts is the ratio: the median of the
rounds' own ratios. Each module's docstring says what is compared, and why that is fair.
"""
