"""TAGCF: its graph, gates and layers against loops over nodes in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import AttributeNodes, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.options.tagcf import TagcfOptions
from recsys.models.parts.views import Views
from recsys.models.registry import FAMILIES
from recsys.models.tagcf import TAGCF
from recsys.seeds import seeded

N_USERS, N_ITEMS, DIM = 6, 7, 3
NAMES = (("genre", "war"), ("genre", "drama"), ("genre", "any"), ("genre", "rare"), ("mood", "calm"))
WAR, DRAMA, ANY, RARE, CALM = range(5)
HAVING = [(0, WAR), (1, WAR), (2, WAR), (2, DRAMA), (3, DRAMA), (4, CALM), (5, CALM), (6, RARE)]
NODES = AttributeNodes(NAMES, np.array(HAVING + [(item, ANY) for item in range(7)]), np.array([(5, DRAMA)]))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """User 0 has two war films, user 1 one; user 5 has nothing and is said to like drama."""
    train = np.array([(0, 0), (0, 1), (1, 0), (1, 4), (2, 2), (2, 3), (3, 4), (3, 5), (3, 6), (4, 6)])
    return Dataset.from_arrays(N_USERS, N_ITEMS, train, np.array([(1, 1)]), np.array([(4, 5)]))


def built(data: Dataset, nodes: AttributeNodes | None = NODES, **options: Any) -> TAGCF:
    given = TagcfOptions.model_validate({"dim": DIM, "layers": 2, "most_items": 0.5, **options})
    return TAGCF.build(data, SideInformation(nodes=nodes), given, seeded(0, "parameters")).double()


def joined_by_hand(data: Dataset, support: int) -> list[tuple[int, int]]:
    """(user, value) of the values that the graph has, each user's training items counted one by one."""
    found = {(5, DRAMA)}
    for user in range(N_USERS):
        for value in (WAR, DRAMA, CALM):
            items = [item for owner, item in data.train.tolist() if owner == user and (item, value) in HAVING]
            if len(items) >= support:
                found.add((user, value))
    return sorted(found)


def expected(model: TAGCF, data: Dataset, *, support: int = 2, loops: bool = False, slope: float = 0.01,
             pooling: str = "mean", noise: float = 0.0) -> np.ndarray:  # fmt: skip
    """Final embeddings of users, then items: neighbours summed one by one, and a gate computed for each of them."""
    place = {value: N_USERS + N_ITEMS + row for row, value in enumerate((WAR, DRAMA, CALM))}
    kinds = {
        "ui": [(user, N_USERS + item) for user, item in data.train.tolist()],
        "ia": [(N_USERS + item, place[value]) for item, value in HAVING if value in place],
        "ua": [(user, place[value]) for user, value in joined_by_hand(data, support)],
    }
    total = N_USERS + N_ITEMS + 3
    degree = [1] * total
    for pair in (pair for pairs in kinds.values() for pair in pairs):
        for end in pair:
            degree[end] += 1
    own = [(node, node) for node in range(total)]
    relations = [[pair for pairs in kinds.values() for pair in pairs] + own, kinds["ia"], kinds["ua"]]
    if loops:
        relations[1] = relations[1] + own[N_USERS:]
    with torch.no_grad():
        tables = (model.user_embedding, model.item_embedding, model.attribute_embedding)
        layers = [torch.cat(tables).numpy()]
    for _ in range(2):
        following = np.zeros((total, DIM))
        for pairs, gate in zip(relations, model.gates, strict=True):
            heard = np.zeros((total, DIM))
            for a, b in pairs:
                scale = 1 / math.sqrt(degree[a] * degree[b])
                heard[a] += scale * layers[-1][b]
                if a != b:
                    heard[b] += scale * layers[-1][a]
            w, out = (layer.weight.detach().numpy() for layer in (gate.hidden, gate.out))  # type: ignore[union-attr]
            for node in range(total):
                hidden = w @ np.concatenate([layers[-1][node], heard[node]])
                hidden = np.where(hidden > 0, hidden, slope * hidden)
                following[node] += heard[node] / (1 + math.exp(-float((out @ hidden)[0])))
        layers.append(following + noise * np.sign(following) / math.sqrt(DIM))
    result = sum(layers) / (3 if pooling == "mean" else 1)
    return result[: N_USERS + N_ITEMS]


@pytest.mark.parametrize("support", [1, 2])
def test_embeddings_are_those_of_the_gated_graph(data: Dataset, support: int) -> None:
    model = built(data, least_support=support)
    found = torch.cat(model()).detach().numpy()
    np.testing.assert_allclose(found, expected(model, data, support=support), atol=1e-6)
    assert len(model.attribute_embedding) == 3, "one value has too few items, one too many"


def test_the_published_ways_are_options(data: Dataset) -> None:
    model = built(data, released=True)
    with torch.no_grad():
        model.gates[0].hidden.weight.mul_(0.01)  # a slope of 64 drives gates to 0 and 1
    found = torch.cat(model()).detach().numpy()
    np.testing.assert_allclose(
        found, expected(model, data, loops=True, slope=64.0, pooling="sum"), rtol=1e-5, atol=1e-6
    )
    assert TagcfOptions(released=True).l2_kind == "all"


class Even(Draws):
    """Noise of the same length in every direction."""

    def uniform(self, name: str, *shape: int) -> torch.Tensor:
        return torch.ones(*shape)


def test_the_contrast_is_between_two_passes_with_noise_on_every_layer(data: Dataset) -> None:
    model = built(data, contrast=0.3, noise=0.2, contrast_temperature=0.5).train()
    passed = model.propagate(model.table(), Even(torch.Generator()))
    assert isinstance(passed, Views)
    np.testing.assert_allclose(torch.cat(passed.final).detach().numpy(), expected(model, data), atol=1e-6)
    for view in (passed.first, passed.second):
        np.testing.assert_allclose(torch.cat(view).detach().numpy(), expected(model, data, noise=0.2), atol=1e-6)
    pairs = torch.tensor([[0, 0, 3], [3, 5, 0], [3, 6, 1]])
    batch = Triplets(pairs[:, 0], pairs[:, 1], pairs[:, 2], None, 3)
    rows = expected(model, data, noise=0.2)
    unit = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True) + 1e-8)
    users, items = unit[:N_USERS], unit[N_USERS:]
    total = 0.0
    for user, item, _ in pairs.tolist():
        for own, others in ((users[user], users), (items[item], items)):
            total += math.log(sum(math.exp(own @ other / 0.5) for other in others)) - own @ own / 0.5
    assert model.terms(passed, batch)["contrast"].item() == pytest.approx(0.3 * total / 3, rel=1e-5)
    assert not isinstance(model.eval().propagate(model.table(), model.draw), Views)


def test_only_training_items_join_a_user_to_values(data: Dataset) -> None:
    """User 1 has the second war film in validation, user 4 the second calm one in test."""
    users = {(user, value) for user, value in joined_by_hand(data, 2)}
    assert (1, WAR) not in users
    assert (4, CALM) not in users
    bare = Dataset.from_arrays(N_USERS, N_ITEMS, data.train, np.zeros((0, 2)), np.zeros((0, 2)))
    for mine, theirs in zip(built(data)(), built(bare)(), strict=True):
        assert torch.equal(mine, theirs)


def test_named_attributes_alone_become_nodes(data: Dataset) -> None:
    assert len(built(data, attributes=["mood"]).attribute_embedding) == 1
    with pytest.raises(DataError, match="'tagcf' asks for the attribute 'genres'") as caught:
        built(data, attributes=["genres"])
    assert "did you mean 'genre'" in str(caught.value)


def test_what_joins_nobody_is_an_error_that_says_what_to_change(data: Dataset) -> None:
    with pytest.raises(DataError, match="none of the 5 values") as caught:
        built(data, least_items=50)
    assert "least_items" in str(caught.value)
    with pytest.raises(DataError, match="needs values of attributes"):
        built(data, None)
    with pytest.raises(DataError, match="attributes of items beyond the 7"):
        built(data, AttributeNodes(NAMES, np.array([(7, 0), (6, 0)]), np.zeros((0, 2), dtype=np.int64)))


def test_its_own_attributes_need_no_vectors_and_an_aligner_does() -> None:
    family = FAMILIES["tagcf"]
    assert family.uses_features(TagcfOptions())
    assert not family.uses_vectors(TagcfOptions())
    assert family.uses_vectors(TagcfOptions.model_validate({"aligner": {"kind": "con"}}))


def test_a_step_moves_gates_and_values(data: Dataset) -> None:
    model = built(data).train()
    pairs = torch.tensor([[0, 0, 3], [3, 5, 0]])
    terms = model.loss(Triplets(pairs[:, 0], pairs[:, 1], pairs[:, 2], None, 2))
    torch.stack(list(terms.values())).sum().backward()
    assert set(terms) == {"bpr", "l2"}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
