"""Sensitivity scans over the workers: the same cells as in one process, cancelled, interrupted, killed."""

from __future__ import annotations

import re
import time

import psutil
import pytest
from lab_test_tools import until

import prune_core as pc
from prune_core.jobs import PreviewRequest
from prune_core.jobs.bench import preview
from prune_core.seeding import generator

DATA, MODEL = pc.Digits(), pc.SmallCNN()


@pytest.mark.parametrize(("granularity", "cells"), [(pc.Weights(), 8), (pc.Filters(), 4)], ids=["weights", "filters"])
def test_the_workers_find_what_one_process_finds(lab, granularity, cells):
    scan = lab.sensitivity(MODEL, data=DATA, sparsities=(0.9, 0.5), examples=100, granularity=granularity)
    seen = [(c.layer, c.sparsity) for c in scan]
    found = scan.result()
    assert scan.done and not scan.cancelled and len(seen) == scan.total == len(set(seen)) == cells
    here = pc.sensitivity_scan(
        MODEL.build(DATA.info.shape, DATA.info.classes, 0).eval(), DATA, (0.5, 0.9), examples=100,
        granularity=granularity,
    )  # fmt: skip
    assert found == here, "cells in the order of the layers, however they came"
    # what is known is not measured again
    again = lab.sensitivity(scan.request, known=found.cells)
    assert again.result() == found and again._fresh == 0


def test_cancel_takes_effect_within_a_second_and_keeps_what_is_measured(lab):
    scan = lab.sensitivity(pc.ResNet20(), data=DATA)  # 20 layers at 8 sparsities
    next(iter(scan))
    left = scan.seconds_left
    began = time.monotonic()
    scan.cancel()
    found = scan.result()
    assert time.monotonic() - began < 1
    assert scan.done and scan.cancelled and 1 <= len(found.cells) < scan.total == 160
    assert left is not None and left > 0
    until(lambda: not (lab.workers()["state"] == "busy").any(), "the workers are free again", 10)
    assert len(scan.cells) == len(found.cells), "nothing comes after"


def test_a_killed_worker_loses_only_its_cell_and_a_run_takes_a_worker_back(lab, experiment):
    run = lab.launch(experiment())  # one of the two workers trains: the other one scans
    until(lambda: run.record.step > 0, "it trains")
    scan = lab.sensitivity(pc.ResNet20(), data=DATA, sparsities=(0.5, 0.9), examples=100)
    next(iter(scan))
    workers = lab.workers()
    free = workers[(workers["role"] == "train") & (workers["run"] == "")]
    assert len(free) == 1 and not (workers["state"][workers["role"] == "preview"] == "busy").any()
    psutil.Process(int(free["pid"].item())).kill()
    other = lab.launch(experiment())  # takes the worker that comes back: the preview worker goes on
    found = scan.result()
    assert len(found.cells) == scan.total == 40
    assert run.status == other.status == "running"
    here = pc.ResNet20().build(DATA.info.shape, DATA.info.classes, 0).eval()
    name = found.cells[-1].layer
    assert found.cells[-2:] == pc.sensitivity_scan(here, DATA, (0.5, 0.9), layers=[name], examples=100).cells


def test_a_worker_that_dies_twice_over_a_cell_ends_the_scan_with_a_sentence(lab, monkeypatch):
    scan = lab.sensitivity(pc.ResNet20(), data=DATA)
    next(iter(scan))
    with pytest.raises(pc.EngineError, match=r"died twice over layer conv1 at 0\.5"):
        ask = type(scan._todo[0])("conv1", 0.5)
        scan._again(ask, died=True)
        scan._again(ask, died=True)
    scan.cancel()


@pytest.mark.parametrize(
    ("of", "settings", "sentence"),
    [
        ("nothing", {}, "nothing"),
        (MODEL, {}, "data must be given"),
        (MODEL, {"data": DATA, "sparsities": (0.5, 1.0)}, "less than 1, got 1.0"),
        (MODEL, {"data": DATA, "examples": 0}, "examples must be"),
    ],
)
def test_a_wrong_request_is_a_sentence_at_once(lab, of, settings, sentence):
    with pytest.raises(pc.LabError, match=sentence):
        lab.sensitivity(of, **settings)


def test_what_the_workers_find_wrong_is_a_sentence_too(lab):
    with pytest.raises(pc.ConfigError, match="removes in rounds"):
        lab.sensitivity(MODEL, data=DATA, criterion=pc.SynFlow()).result()


# --- the scope in previews -------------------------------------------------------------------------------------------
def test_a_preview_scans_once_in_slices_and_is_what_prune_does(lab):
    request = PreviewRequest(model=MODEL, data=DATA, scope="sensitivity", sparsity=0.7, budget_s=30.0)
    scanning = preview("", request, 0.0)
    assert isinstance(scanning, pc.EngineError) and re.search("[12] of 33 points are measured", str(scanning))
    here = preview("", request)
    there = lab.preview(request)
    assert (there.layers, there.accuracy) == (here.layers, here.accuracy)
    model = MODEL.build(DATA.info.shape, DATA.info.classes, 0)
    batch = next(DATA.load().drawn(512, generator(0, "scoring", 0), 512))
    masks = pc.prune_(model, 0.7, scope="sensitivity", batch=batch)
    assert {v.name: v.kept for v in here.layers} == pytest.approx({n: int(m.sum()) for n, m in masks.items()}, abs=2)
    assert sum(v.kept for v in here.layers) == sum(int(m.sum()) for m in masks.values())
    began = time.perf_counter()
    for sparsity in (0.3, 0.5, 0.9):
        preview("", request.replace(sparsity=sparsity, accuracy=False, picture=False))
    assert (time.perf_counter() - began) / 3 < 0.05, "once scanned, a slider's answer is looked up"
    by_threshold = preview("", request.replace(sparsity=None, threshold=here.threshold))
    assert all(abs(a.kept - b.kept) <= 2 for a, b in zip(by_threshold.layers, here.layers, strict=True))


def test_a_preview_scans_groups_where_groups_go():
    request = PreviewRequest(
        model=MODEL, data=DATA, scope="sensitivity", granularity=pc.Neurons(), sparsity=0.6, accuracy=False
    )
    found = preview("", request)
    model = MODEL.build(DATA.info.shape, DATA.info.classes, 0)
    batch = next(DATA.load().drawn(512, generator(0, "scoring", 0), 512))
    masks = pc.prune_(model, 0.6, scope="sensitivity", batch=batch, granularity=pc.Neurons())
    # the batches are cut otherwise, which moves a loss in its last digits, and a count by one group at most
    assert all(abs(v.kept - int(masks[v.name].sum())) <= v.shape[1] for v in found.layers)
    assert {v.kept % v.shape[1] for v in found.layers} == {0}, "whole neurons"
    single = preview("", request.replace(granularity=pc.Weights()))
    assert any(v.kept % v.shape[1] for v in single.layers), "and the other scan is another"


def test_a_preview_without_data_says_why():
    request = PreviewRequest(model=pc.Torchvision(architecture="squeezenet1_1"), scope="sensitivity", sparsity=0.5)
    assert "this model has no data" in str(preview("", request))
