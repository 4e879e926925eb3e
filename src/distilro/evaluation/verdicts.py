"""What a comparison of a recipe with its reference can end in; see `comparisons.decide_verdict`."""

HIGHER, LOWER, UNDECIDED = "higher", "lower", "not distinguishable"
VERDICTS = (HIGHER, LOWER, UNDECIDED)
