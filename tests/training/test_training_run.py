"""What ``pc.run`` gives back, and how it shows itself."""

from __future__ import annotations

import prune_core as pc


def test_in_a_notebook_a_result_says_what_came_out() -> None:
    result = pc.run(
        pc.Experiment(data=pc.Moons(samples=200), model=pc.MLP(width=8), clip=pc.NormClip(max_norm=0.1),
                      prune=pc.Pruning(schedule=pc.OneShot(final=0.5, at=2)), train=pc.Training(steps=5)),
        interventions=[pc.InterventionEvent(3, "lr", 0.05)],
    )  # fmt: skip
    html = result._repr_html_()
    assert f"{result.accuracy:.2%}" in html and "finished after 5 steps" in html
    kept = sum(int(m.sum()) for m in result.masks.values())
    assert f"{kept:,} of" in html and "lr 0.05 from step 3" in html and result.digest in html
