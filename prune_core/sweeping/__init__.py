"""Sweeps: many experiments from one, as a grid, a list, at random or by search."""

from prune_core.sweeping.distributions import Choice, Distribution, IntUniform, Uniform
from prune_core.sweeping.search import HIGHER_IS_BETTER, Search
from prune_core.sweeping.searching import Halver, suggest
from prune_core.sweeping.space import Changes, Grid, Points, RandomSample, Space, as_space
from prune_core.sweeping.sweep import Halving, Member, Sweep
from prune_core.sweeping.trunk import Trunk, trunk_of
from prune_core.sweeping.values import changed, label, labels, plain, short, words

__all__ = [
    "HIGHER_IS_BETTER",
    "Changes",
    "Choice",
    "Distribution",
    "Grid",
    "Halver",
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
    "as_space",
    "changed",
    "label",
    "labels",
    "plain",
    "short",
    "suggest",
    "trunk_of",
    "words",
]
