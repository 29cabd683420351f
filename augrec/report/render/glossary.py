"""The words of a page that somebody from outside may not know, each in a sentence; every page ends with them."""

from __future__ import annotations

from collections.abc import Sequence

TERMS: Sequence[tuple[str, str]] = (
    ("recall@k", "of a user's held-out items, the share that stands among the first k of the ranked list."),
    ("precision@k", "of the first k of the list, the share that is held out."),
    ("NDCG@k", "hits among the first k, weighted by 1 / log2(place + 1), as a share of the best possible order."),
    ("hit rate@k", "whether any held-out item stands among the first k."),
    ("MRR@k", "one divided by the place of the first hit; nothing beyond k."),
    ("coverage@k", "the share of all items that stand in anybody's first k."),
    (
        "RMSE, MAE",
        "errors of predicted ratings: the root of the mean square, and the mean of the sizes. Less is better.",
    ),
    ("split", "which interactions were trained on (train), chosen by (validation) and judged by, once (test)."),
    ("k-core", "what is left when users and items with fewer than k interactions are dropped until none is."),
    ("candidates", "the unseen items that a base recommender ranks first, which a prompt shows."),
    ("source", "who wrote the augmentation: a language model, or a rule that stands beside it as a control."),
    ("edge", "a user and an item that a source called likely or unlikely, added to training."),
    ("baseline", "the row that every other one is compared with."),
    ("control", "a row that keeps the machinery and takes away the content, to tell what causes a gain."),
    ("seed", "what fixes the random numbers of a training; another seed is another training of the same model."),
    ("±", "the standard deviation over seeds."),
    ("interval", "what the difference may be, over users and seeds. Simultaneous: all of the page hold at once."),
    ("p", "how often chance alone gives a difference as large, were there none."),
    ("Holm", "a correction for looking at several comparisons; it raises p."),
    ("d_z", "the mean difference of users in standard deviations of their differences. About .2 is small."),
    ("margin", "the smallest difference that matters, declared before the run."),
    ("detectable", "the smallest difference that so many users, or seeds, show with a chance of 80 %."),
    ("head, middle, tail", "thirds: of users by their training interactions, of items by how often they occur there."),
)
"""(term, meaning): a clause that follows a colon."""
