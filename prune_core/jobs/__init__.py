"""Jobs: runs in worker processes of a detached engine, and previews of pruned models."""

from prune_core.jobs.answers import Answers
from prune_core.jobs.cells import ScanRequest
from prune_core.jobs.estimate import Estimate
from prune_core.jobs.gradients import GradientReply, GradientRequest
from prune_core.jobs.handle import RunHandle
from prune_core.jobs.lab import Lab
from prune_core.jobs.preview import Curve, SupersededError
from prune_core.jobs.probes import (
    AgreementProbe,
    AgreementReply,
    AnswersProbe,
    AnswersReply,
    ExamplesProbe,
    ExamplesReply,
    NoiseProbe,
    NoiseReply,
)
from prune_core.jobs.question import Cost, LayerPicture, LayerView, PreviewReply, PreviewRequest, ScanningError
from prune_core.jobs.race import RaceHandle
from prune_core.jobs.scan import SensitivityScan
from prune_core.jobs.sweeps import Progress, SweepCost, SweepHandle, progress_of
from prune_core.jobs.trials import TrialHandle, table_of

__all__ = [
    "AgreementProbe",
    "AgreementReply",
    "Answers",
    "AnswersProbe",
    "AnswersReply",
    "Cost",
    "Curve",
    "Estimate",
    "ExamplesProbe",
    "ExamplesReply",
    "GradientReply",
    "GradientRequest",
    "Lab",
    "LayerPicture",
    "LayerView",
    "NoiseProbe",
    "NoiseReply",
    "PreviewReply",
    "PreviewRequest",
    "Progress",
    "RaceHandle",
    "RunHandle",
    "ScanRequest",
    "ScanningError",
    "SensitivityScan",
    "SupersededError",
    "SweepCost",
    "SweepHandle",
    "TrialHandle",
    "progress_of",
    "table_of",
]
