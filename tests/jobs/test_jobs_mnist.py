"""The same experiment on real data, in a worker process and in this one."""

from __future__ import annotations

import prune_core as pc


def test_mnist_in_a_worker_is_mnist_here(lab, mnist_root):
    exp = pc.Experiment(
        data=pc.MNIST(),
        model=pc.LeNet300(),
        clip=pc.NormClip(max_norm=1.0),
        prune=pc.Pruning(criterion=pc.Magnitude(), scope="global", schedule=pc.Cubic(final=0.95, start=100, stop=400)),
        train=pc.Training(steps=500, seed=1, device="cpu"),
    )
    handle = lab.launch(exp)
    here = pc.run(exp, progress=False)
    assert handle.wait(120) == "finished"
    record = handle.record
    assert record.digest == here.digest
    assert record.accuracy == here.accuracy
    assert handle.history()["loss"].tolist() == here.history["loss"].tolist()
    assert here.accuracy > 0.9
    assert here.sparsity == round(266_200 * 0.95) / 266_200
