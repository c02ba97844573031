"""Published experiments, one file a paper, as settings of the public API; benchmarks/reproductions.py runs them."""
