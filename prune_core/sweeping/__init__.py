"""Sweeps: many experiments from one, as a grid, a list, at random or by search."""

from prune_core.sweeping.distributions import Choice, Distribution, IntUniform, Uniform
from prune_core.sweeping.search import HIGHER_IS_BETTER, Search
from prune_core.sweeping.space import Grid, Points, RandomSample, Space
from prune_core.sweeping.sweep import Halving, Member, Sweep
from prune_core.sweeping.trunk import Trunk, trunk_of
from prune_core.sweeping.values import changed, label, labels, plain, words

__all__ = [
    "HIGHER_IS_BETTER",
    "Choice",
    "Distribution",
    "Grid",
    "Halving",
    "IntUniform",
    "Member",
    "Points",
    "RandomSample",
    "Search",
    "Space",
    "Sweep",
    "Trunk",
    "Uniform",
    "changed",
    "label",
    "labels",
    "plain",
    "trunk_of",
    "words",
]
