"""Figures, the same in the app and in a notebook: one file a figure, a data function and a drawing function each.

>>> data = figures.loss_accuracy_data(result.history)
>>> figures.draw_loss_accuracy(data, theme="dark")          # a Plotly figure
>>> figures.draw_loss_accuracy.plain(data)                  # the same as a dictionary, fast: for live pages
"""

from __future__ import annotations

from prune_core.figures.accuracy_sparsity import accuracy_sparsity_data, alt_accuracy_sparsity, draw_accuracy_sparsity
from prune_core.figures.agreement import agreement_data, alt_agreement, draw_agreement
from prune_core.figures.allocation_accuracy import (
    allocation_accuracy_data,
    alt_allocation_accuracy,
    draw_allocation_accuracy,
)
from prune_core.figures.claim_curve import alt_claim_curve, claim_curve_data, draw_claim_curve
from prune_core.figures.claim_dots import alt_claim_dots, claim_dots_data, draw_claim_dots
from prune_core.figures.class_change import alt_class_change, class_change_data, draw_class_change
from prune_core.figures.cliff import alt_cliff, cliff_data, draw_cliff
from prune_core.figures.cliff_loss import alt_cliff_loss, cliff_loss_data, draw_cliff_loss
from prune_core.figures.cliff_surface import alt_cliff_surface, cliff_surface_data, draw_cliff_surface
from prune_core.figures.clip_arrows import alt_clip_arrows, clip_arrows_data, draw_clip_arrows
from prune_core.figures.clip_curves import alt_clip_curves, clip_curves_data, draw_clip_curves
from prune_core.figures.clip_histogram import alt_clip_histogram, clip_histogram_data, draw_clip_histogram
from prune_core.figures.clip_layers import alt_clip_layers, clip_layers_data, draw_clip_layers
from prune_core.figures.clipped_share import alt_clipped_share, clipped_share_data, draw_clipped_share
from prune_core.figures.confusion_change import alt_confusion_change, confusion_change_data, draw_confusion_change
from prune_core.figures.criteria_curves import alt_criteria_curves, criteria_curves_data, draw_criteria_curves
from prune_core.figures.curves import alt_curves, curves_data, draw_curves
from prune_core.figures.decision_boundary import alt_decision_boundary, decision_boundary_data, draw_decision_boundary
from prune_core.figures.filter_tiles import alt_filter_tiles, draw_filter_tiles, filter_tiles_data
from prune_core.figures.flipped_points import alt_flipped_points, draw_flipped_points, flipped_points_data
from prune_core.figures.gradient_histogram import (
    alt_gradient_histogram,
    draw_gradient_histogram,
    gradient_histogram_data,
)
from prune_core.figures.gradient_norm import alt_gradient_norm, draw_gradient_norm, gradient_norm_data
from prune_core.figures.lane_histograms import alt_lane_histograms, draw_lane_histograms, lane_histograms_data
from prune_core.figures.layer_bars import alt_layer_bars, draw_layer_bars, layer_bars_data
from prune_core.figures.layer_budget import alt_layer_budget, draw_layer_budget, layer_budget_data
from prune_core.figures.layer_sensitivity import (
    alt_layer_sensitivity,
    draw_layer_sensitivity,
    layer_sensitivity_data,
)
from prune_core.figures.loss_accuracy import alt_loss_accuracy, draw_loss_accuracy, loss_accuracy_data, wilson
from prune_core.figures.mask_picture import alt_mask_picture, draw_mask_picture, mask_picture_data, mask_picture_shares
from prune_core.figures.n_of_m_tiles import alt_n_of_m_tiles, draw_n_of_m_tiles, n_of_m_tiles_data
from prune_core.figures.noise_accuracy import alt_noise_accuracy, draw_noise_accuracy, noise_accuracy_data
from prune_core.figures.overlay import alt_overlay, draw_overlay, overlay_data
from prune_core.figures.palette import IDEAS, Idea, Palette, Theme, idea_of, palette
from prune_core.figures.parallel import alt_parallel, draw_parallel, parallel_data
from prune_core.figures.race_progress import alt_race_progress, draw_race_progress, race_progress_data
from prune_core.figures.sparsity import alt_sparsity, draw_sparsity, sparsity_data
from prune_core.figures.template import template
from prune_core.figures.threshold_sparsity import (
    alt_threshold_sparsity,
    draw_threshold_sparsity,
    threshold_sparsity_data,
)
from prune_core.figures.trade_off import alt_trade_off, draw_trade_off, trade_off_data
from prune_core.figures.weight_dots import alt_weight_dots, draw_weight_dots, weight_dots_data
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
    "agreement_data",
    "allocation_accuracy_data",
    "alt_accuracy_sparsity",
    "alt_agreement",
    "alt_allocation_accuracy",
    "alt_claim_curve",
    "alt_claim_dots",
    "alt_class_change",
    "alt_cliff",
    "alt_cliff_loss",
    "alt_cliff_surface",
    "alt_clip_arrows",
    "alt_clip_curves",
    "alt_clip_histogram",
    "alt_clip_layers",
    "alt_clipped_share",
    "alt_confusion_change",
    "alt_criteria_curves",
    "alt_curves",
    "alt_decision_boundary",
    "alt_filter_tiles",
    "alt_flipped_points",
    "alt_gradient_histogram",
    "alt_gradient_norm",
    "alt_lane_histograms",
    "alt_layer_bars",
    "alt_layer_budget",
    "alt_layer_sensitivity",
    "alt_loss_accuracy",
    "alt_mask_picture",
    "alt_n_of_m_tiles",
    "alt_noise_accuracy",
    "alt_overlay",
    "alt_parallel",
    "alt_race_progress",
    "alt_sparsity",
    "alt_threshold_sparsity",
    "alt_trade_off",
    "alt_weight_dots",
    "alt_weight_histogram",
    "claim_curve_data",
    "claim_dots_data",
    "class_change_data",
    "cliff_data",
    "cliff_loss_data",
    "cliff_surface_data",
    "clip_arrows_data",
    "clip_curves_data",
    "clip_histogram_data",
    "clip_layers_data",
    "clipped_share_data",
    "confusion_change_data",
    "criteria_curves_data",
    "curves_data",
    "decision_boundary_data",
    "draw_accuracy_sparsity",
    "draw_agreement",
    "draw_allocation_accuracy",
    "draw_claim_curve",
    "draw_claim_dots",
    "draw_class_change",
    "draw_cliff",
    "draw_cliff_loss",
    "draw_cliff_surface",
    "draw_clip_arrows",
    "draw_clip_curves",
    "draw_clip_histogram",
    "draw_clip_layers",
    "draw_clipped_share",
    "draw_confusion_change",
    "draw_criteria_curves",
    "draw_curves",
    "draw_decision_boundary",
    "draw_filter_tiles",
    "draw_flipped_points",
    "draw_gradient_histogram",
    "draw_gradient_norm",
    "draw_lane_histograms",
    "draw_layer_bars",
    "draw_layer_budget",
    "draw_layer_sensitivity",
    "draw_loss_accuracy",
    "draw_mask_picture",
    "draw_n_of_m_tiles",
    "draw_noise_accuracy",
    "draw_overlay",
    "draw_parallel",
    "draw_race_progress",
    "draw_sparsity",
    "draw_threshold_sparsity",
    "draw_trade_off",
    "draw_weight_dots",
    "draw_weight_histogram",
    "filter_tiles_data",
    "flipped_points_data",
    "gradient_histogram_data",
    "gradient_norm_data",
    "idea_of",
    "lane_histograms_data",
    "layer_bars_data",
    "layer_budget_data",
    "layer_sensitivity_data",
    "loss_accuracy_data",
    "mask_picture_data",
    "mask_picture_shares",
    "n_of_m_tiles_data",
    "noise_accuracy_data",
    "overlay_data",
    "palette",
    "parallel_data",
    "race_progress_data",
    "sparsity_data",
    "template",
    "threshold_sparsity_data",
    "trade_off_data",
    "weight_dots_data",
    "weight_histogram_counts",
    "weight_histogram_data",
    "weight_histogram_split",
    "wilson",
]
