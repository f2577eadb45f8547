"""Side-by-side ratios: every figure is ours over theirs, in one run, on one machine."""
