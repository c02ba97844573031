"""Figures, the same in the app and in a notebook: one file a figure, a data function and a drawing function each.

>>> data = figures.loss_accuracy_data(result.history)
>>> figures.draw_loss_accuracy(data, theme="dark")          # a Plotly figure
>>> figures.draw_loss_accuracy.plain(data)                  # the same as a dictionary, fast: for live pages
"""

from __future__ import annotations

from prune_core.figures.accuracy_sparsity import accuracy_sparsity_data, alt_accuracy_sparsity, draw_accuracy_sparsity
from prune_core.figures.clipped_share import alt_clipped_share, clipped_share_data, draw_clipped_share
from prune_core.figures.curves import alt_curves, curves_data, draw_curves
from prune_core.figures.decision_boundary import alt_decision_boundary, decision_boundary_data, draw_decision_boundary
from prune_core.figures.gradient_histogram import (
    alt_gradient_histogram,
    draw_gradient_histogram,
    gradient_histogram_data,
)
from prune_core.figures.gradient_norm import alt_gradient_norm, draw_gradient_norm, gradient_norm_data
from prune_core.figures.layer_bars import alt_layer_bars, draw_layer_bars, layer_bars_data
from prune_core.figures.layer_sensitivity import (
    alt_layer_sensitivity,
    draw_layer_sensitivity,
    layer_sensitivity_data,
)
from prune_core.figures.loss_accuracy import alt_loss_accuracy, draw_loss_accuracy, loss_accuracy_data, wilson
from prune_core.figures.mask_picture import alt_mask_picture, draw_mask_picture, mask_picture_data, mask_picture_shares
from prune_core.figures.overlay import alt_overlay, draw_overlay, overlay_data
from prune_core.figures.palette import IDEAS, Idea, Palette, Theme, idea_of, palette
from prune_core.figures.parallel import alt_parallel, draw_parallel, parallel_data
from prune_core.figures.sparsity import alt_sparsity, draw_sparsity, sparsity_data
from prune_core.figures.template import template
from prune_core.figures.threshold_sparsity import (
    alt_threshold_sparsity,
    draw_threshold_sparsity,
    threshold_sparsity_data,
)
from prune_core.figures.trade_off import alt_trade_off, draw_trade_off, trade_off_data
from prune_core.figures.weight_histogram import (
    alt_weight_histogram,
    draw_weight_histogram,
    weight_histogram_counts,
    weight_histogram_data,
    weight_histogram_split,
)

__all__ = [
    "IDEAS",
    "Idea",
    "Palette",
    "Theme",
    "accuracy_sparsity_data",
    "alt_accuracy_sparsity",
    "alt_clipped_share",
    "alt_curves",
    "alt_decision_boundary",
    "alt_gradient_histogram",
    "alt_gradient_norm",
    "alt_layer_bars",
    "alt_layer_sensitivity",
    "alt_loss_accuracy",
    "alt_mask_picture",
    "alt_overlay",
    "alt_parallel",
    "alt_sparsity",
    "alt_threshold_sparsity",
    "alt_trade_off",
    "alt_weight_histogram",
    "clipped_share_data",
    "curves_data",
    "decision_boundary_data",
    "draw_accuracy_sparsity",
    "draw_clipped_share",
    "draw_curves",
    "draw_decision_boundary",
    "draw_gradient_histogram",
    "draw_gradient_norm",
    "draw_layer_bars",
    "draw_layer_sensitivity",
    "draw_loss_accuracy",
    "draw_mask_picture",
    "draw_overlay",
    "draw_parallel",
    "draw_sparsity",
    "draw_threshold_sparsity",
    "draw_trade_off",
    "draw_weight_histogram",
    "gradient_histogram_data",
    "gradient_norm_data",
    "idea_of",
    "layer_bars_data",
    "layer_sensitivity_data",
    "loss_accuracy_data",
    "mask_picture_data",
    "mask_picture_shares",
    "overlay_data",
    "palette",
    "parallel_data",
    "sparsity_data",
    "template",
    "threshold_sparsity_data",
    "trade_off_data",
    "weight_histogram_counts",
    "weight_histogram_data",
    "weight_histogram_split",
    "wilson",
]
