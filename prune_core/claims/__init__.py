"""Claims heard about clipping and pruning, each put to a measured test by a rule that was fixed before looking."""

from prune_core.claims.base import WORDS, Arm, Claim, Picture, Verdict
from prune_core.claims.clipping_converges import ClippingConverges
from prune_core.claims.clipping_prunes import ClippingPrunes
from prune_core.claims.clipping_shrinks import ClippingShrinks
from prune_core.claims.keeping import Keeping
from prune_core.claims.largest_absolute import LargestAbsolute
from prune_core.claims.largest_relative import LargestRelative
from prune_core.claims.many_trainings import ManyTrainings
from prune_core.claims.pruned_faster import PrunedFaster
from prune_core.claims.pruning_costs import PruningCosts
from prune_core.claims.runs import COLUMNS, UNITS, Run, arms_of, of_row, places_of, row, values
from prune_core.claims.trial import Trial, check_finished, named, trial
from prune_core.registry import Entry

HEARD = (
    "clipping_shrinks", "clipping_prunes", "pruning_costs", "largest_absolute", "largest_relative", "many_trainings",
    "pruned_faster", "clipping_converges",
)  # fmt: skip
"""The lab's own claims, in the order in which people meet them."""


def claims() -> list[Entry[Claim]]:
    """Every registered claim: the lab's own first, then others as they were registered."""
    place = {name: at for at, name in enumerate(HEARD)}
    return sorted(Claim.registry, key=lambda entry: place.get(entry.name, len(place)))


__all__ = [
    "COLUMNS",
    "HEARD",
    "UNITS",
    "WORDS",
    "Arm",
    "Claim",
    "ClippingConverges",
    "ClippingPrunes",
    "ClippingShrinks",
    "Keeping",
    "LargestAbsolute",
    "LargestRelative",
    "ManyTrainings",
    "Picture",
    "PrunedFaster",
    "PruningCosts",
    "Run",
    "Trial",
    "Verdict",
    "arms_of",
    "check_finished",
    "claims",
    "named",
    "of_row",
    "places_of",
    "row",
    "trial",
    "values",
]
