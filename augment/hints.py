"""What a recommender says of users, for prompts to show: who is like them, and how it scores items (Llama4Rec).

A prompt about items that the recommender was trained on would tell the answer by its hint. These here are for items
without an interaction in training; scores of training items come from models that have not seen them
(`augrec.artefacts.held_out`), and who asks about those puts them into the entity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from augment.item_numbers import ItemNumbers
from augrec.artefacts.base_folder import BaseFolder
from augrec.artefacts.files import digest, sha256_file
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.matrices import read_matrix
from augrec.artefacts.neighbours import read_neighbours
from augrec.artefacts.ranked_lists import read_scored_lists

BASE_AGAIN = "run `augrec base` again"


@dataclass(frozen=True, eq=False)
class Hints:
    """A recommender's word on every user.

    Attributes:
        similar: the user who is most like one; None where nobody is known to be.
        scores: a user's scores by item, for as many items as there are scores of.
        listed: the items that it ranks first for every user, best first, without those of the training.
        identity: one hash of what it was read from.
    """

    similar: Callable[[int], int | None]
    scores: Callable[[int], Mapping[int, float]]
    listed: UserItems
    identity: str

    @classmethod
    def load(cls, base: BaseFolder, n_users: int, n_items: int) -> Hints:
        """Reads what the stage `base` wrote.

        Scores are of all items where the model has vectors, else of those that it lists.

        Raises:
            DataError: a file is missing or damaged, or was made of other data.
        """
        neighbours = read_neighbours(base.neighbours, n_users, remedy=BASE_AGAIN)
        lists, listed = read_scored_lists(base.lists, n_users, n_items, remedy=BASE_AGAIN)
        has_vectors = base.users.exists()
        if has_vectors:
            users = read_matrix(base.users, rows=n_users, remedy=BASE_AGAIN)
            items = read_matrix(base.items, rows=n_items, remedy=BASE_AGAIN)

        def similar(user: int) -> int | None:
            found = neighbours.of(user)
            return int(found[0]) if len(found) else None

        def scores(user: int) -> dict[int, float]:
            if has_vectors:
                return dict(enumerate((items @ users[user]).tolist()))
            own = slice(*lists.starts[user : user + 2])
            return dict(zip(lists.items[own].tolist(), listed[own].tolist(), strict=True))

        read = [base.neighbours, base.lists, *([base.users, base.items] if has_vectors else [])]
        identity = digest([sha256_file(path) for path in read])
        return cls(similar, lambda user: ItemNumbers(lambda: scores(user)), lists, identity)
