"""The stops of the guided tour: what each says, asks and does."""

from __future__ import annotations

from prune_ui import tour_answers as answers
from prune_ui.predict import Question
from prune_ui.tour import Step

TURNS = ("not at all", "by less than 10°", "by 10° to 45°", "by more than 45°")
SURVIVORS = ("all four", "only those that clip", "only those that prune", "none")
VERDICTS = ("holds", "does not hold", "depends")
TRUTHS = (
    "Clipping removes parameters from a network.",
    "Clipping limits the update; pruning removes parameters.",
    "Clipping and pruning are two words for one thing.",
)

STEPS: tuple[Step, ...] = (
    Step(
        "pages/race.py",
        "One network, four times",
        "The same network is trained in four lanes, from the same weights and on the same batches: as it is, with its "
        "**gradients clipped**, with its **weights pruned**, and with both. Texts say that clipping makes a network "
        "smaller. What do you expect?",
        {"race": "sample-race"},
        veiled=True,
        question=Question(
            "tour/removed", "What share of the parameters does clipping remove?", idea="clipping", start=0.5
        ),
        answer=answers.removed_by_clipping,
    ),
    Step(
        "pages/race.py",
        "See for yourself",
        "That was a race that ships with the lab. Start one of your own: it takes some seconds. Move the **clip "
        "threshold** or the **sparsity** while it runs if you like. Whatever the threshold, the number of non-zero "
        "parameters in the clipping lane stays where it was.",
        None,
        action="Start the race for me",
        act=answers.race,
    ),
    Step(
        "pages/race.py",
        "What clipping is for",
        "A recurrent network at a learning rate far too high. Its gradients explode. Guess first, then start it.",
        answers.preset_link("exploding"),
        question=Question("tour/survivors", "Which lanes will learn?", SURVIVORS),
        answer=answers.survivors,
        action="Start the race for me",
        act=answers.race,
    ),
    Step(
        "pages/clipping.py",
        "What it does to one gradient",
        "A real gradient of a small network, fifty steps into training. **Value clipping** holds each entry within ±α, "
        "here 0.001, and leaves the smaller ones as they are.",
        {"strategy": "value", "t.value": "0.001"},
        veiled=True,
        question=Question("tour/turned", "Does that turn the gradient to another direction?", TURNS),
        answer=lambda: answers.turned("value", 0.001),
    ),
    Step(
        "pages/clipping.py",
        "The other way to clip",
        "**Norm clipping** shortens the whole gradient to a length of 0.1. Below, the arrow gets shorter and keeps its "
        "direction; further down a loss with a cliff shows why that helps. Drag the thresholds in the charts.",
        {"strategy": "norm", "t.norm": "0.1"},
        veiled=True,
        question=Question("tour/turned_norm", "Does norm clipping turn the gradient?", TURNS),
        answer=lambda: answers.turned("norm", 0.1),
    ),
    Step(
        "pages/prune.py",
        "Now take weights away",
        "A trained network, nothing removed yet. The smallest **90 %** of its weights are to go at once, and it will "
        "not be trained again afterwards.",
        {"run": "sample-dense", "sparsity": "0"},
        question=Question(
            "tour/pruned", "What share of the test examples will it still get right?", idea="pruning", start=0.5
        ),
        answer=answers.pruned,
        action="Move the slider to 90 %",
        act=answers.move_sparsity,
    ),
    Step(
        "pages/prune.py",
        "Who pays for it",
        "One number hides a good deal. Below are the classes that lost most, and the very images whose answer changed.",
        {"run": "sample-dense", "sparsity": "0.9", "show": "forgotten"},
    ),
    Step(
        "pages/trade_offs.py",
        "How far one can go",
        "Trained with pruning from the start, a network bears more. Here are many runs over several seeds, with 95 % "
        "intervals.",
        {"sweep": "sample"},
        veiled=True,
        question=Question(
            "tour/bend", "At which sparsity does accuracy lie 2 points below that of the dense network?", idea="pruning"
        ),
        answer=answers.bend,
    ),
    Step(
        "pages/claims.py",
        "Claims on trial",
        "Each claim is put to a measured test, by a rule that was fixed before anybody looked. This one: *a pruned "
        "model is faster.*",
        {"claim": "pruned_faster"},
        veiled=True,
        question=Question("tour/faster", "What will the verdict be?", VERDICTS),
        answer=lambda: answers.verdict("pruned_faster"),
    ),
    Step(
        "pages/race.py",
        "In your own words",
        "Back where it began. Choose the sentence that you would now tell somebody else. Then go on by yourself: "
        "**Train** for your own settings, **Methods** for every way to clip and to prune, **Runs** for what you made.",
        {"race": "sample-race"},
        question=Question("tour/truth", "Which sentence is true?", TRUTHS),
        answer=lambda: answers.truth(TRUTHS[1]),
    ),
)
