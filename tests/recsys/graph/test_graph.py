from __future__ import annotations

import copy
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from augrec.artefacts.errors import DataError, UsageError
from recsys.graph.adjacency import Operator, adjacency, bipartite, row_mean_with_self
from recsys.graph.smoothing import SmoothingGraph
from recsys.graph.sparse_operator import block_count, use_backend

Edges = tuple[np.ndarray, int, int]


@pytest.fixture
def random_edges() -> Edges:
    pairs = np.unique(np.random.default_rng(1).integers(0, (30, 50), (200, 2)), axis=0)
    return pairs, 30, 50


def dense(operator: Operator) -> np.ndarray:
    return operator.matrix().to_dense().double().numpy()


def test_the_adjacency_of_six_nodes_by_hand(six_nodes: Edges) -> None:
    half = 2**-0.5
    expected = np.zeros((6, 6))
    expected[0, 3] = half  # user 0 has two items, item 0 one user
    expected[0, 4] = 0.5
    expected[1, 4] = half
    expected += expected.T
    np.testing.assert_allclose(dense(adjacency(*six_nodes)), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("norm", "to_user", "to_item"),
    [
        ("symmetric", [[2**-0.5, 0.5, 0], [0, 2**-0.5, 0], [0, 0, 0]], [[2**-0.5, 0, 0], [0.5, 2**-0.5, 0], [0, 0, 0]]),
        ("row-sqrt", [[2**-0.5, 2**-0.5, 0], [0, 1, 0], [0, 0, 0]], [[1, 0, 0], [2**-0.5, 2**-0.5, 0], [0, 0, 0]]),
        ("row-mean", [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]], [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]),
    ],
)
def test_both_directions_by_hand(six_nodes: Edges, norm: str, to_user: list, to_item: list) -> None:
    user_from_item, item_from_user = bipartite(*six_nodes, norm=norm)
    np.testing.assert_allclose(dense(user_from_item), to_user, atol=1e-7)
    np.testing.assert_allclose(dense(item_from_user), to_item, atol=1e-7)


def test_the_adjacency_is_symmetric_with_spectral_radius_one(random_edges: Edges) -> None:
    matrix = dense(adjacency(*random_edges))
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.abs(np.linalg.eigvalsh(matrix)).max() == pytest.approx(1.0, abs=1e-6)


def test_a_message_reaches_the_neighbour_and_nobody_else(six_nodes: Edges) -> None:
    operator = adjacency(*six_nodes)
    x = torch.ones(6, 2)
    changed = x.clone()
    changed[1] += 1.0  # user 1, whose only item is item 1 (node 4)
    moved = (operator @ x != operator @ changed).any(dim=1)
    assert moved.tolist() == [False, False, False, False, True, False]


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_mean_of_powers_equals_dense_numpy(random_edges: Edges, layers: int) -> None:
    operator = adjacency(*random_edges).double()
    x = torch.randn(80, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = dense(operator)
    expected = sum(np.linalg.matrix_power(matrix, power) @ x.numpy() for power in range(layers + 1)) / (layers + 1)
    np.testing.assert_allclose(operator.mean_of_powers(x, layers).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_gradients_of_asymmetric_and_symmetric_operators_are_right(six_nodes: Edges) -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    for operator in bipartite(*six_nodes, norm="row-sqrt"):
        operator.double()
        assert torch.autograd.gradcheck(operator, x)
        assert torch.autograd.gradgradcheck(operator, x)
        assert torch.autograd.gradcheck(lambda y, op=operator: op.mean_of_powers(y, 3), x)
    joint = torch.cat([x, x]).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: adjacency(*six_nodes).double().mean_of_powers(y, 2), joint)


@pytest.mark.parametrize("norm", ["symmetric", "row-sqrt", "row-mean"])
def test_isolated_nodes_and_an_empty_graph_stay_finite(six_nodes: Edges, norm: str) -> None:
    for edges in (six_nodes[0], np.zeros((0, 2), dtype=np.int64)):
        for operator in bipartite(edges, 3, 3, norm=norm):
            result = operator @ torch.ones(3, 2)
            assert torch.isfinite(result).all()
            assert (result[2] == 0).all()


def test_wrong_edges_are_named() -> None:
    with pytest.raises(DataError, match="outside the 2 x 2"):
        adjacency(np.array([[0, 2]]), 2, 2)
    with pytest.raises(DataError, match="1 training interactions occur more than once"):
        adjacency(np.array([[0, 1], [0, 1]]), 2, 2)
    with pytest.raises(DataError, match="declared symmetric"):
        Operator(sp.csr_array(np.array([[0.0, 1.0], [2.0, 0.0]])), symmetric=True)


def test_the_operator_follows_its_model_and_is_not_saved_with_it(six_nodes: Edges) -> None:
    operator = adjacency(*six_nodes)
    before = operator @ torch.eye(6)
    twin = copy.deepcopy(operator).double()
    assert (twin @ torch.eye(6, dtype=torch.float64)).dtype == torch.float64
    assert torch.equal(operator @ torch.eye(6), before)
    assert not operator.state_dict()


def test_propagation_stays_in_full_precision_under_autocast(six_nodes: Edges) -> None:
    operator = adjacency(*six_nodes)
    x = torch.eye(6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        result = operator @ x.bfloat16()
        result.sum().backward()
    assert result.dtype == torch.float32
    torch.testing.assert_close(
        x.grad, operator.matrix().to_dense().T.sum(1, keepdim=True).expand(6, 6), atol=1e-2, rtol=0
    )


def test_no_warning_reaches_the_user_and_none_is_switched_off_elsewhere(six_nodes: Edges) -> None:
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            filters = list(warnings.filters)
            adjacency(*six_nodes) @ torch.ones(6, 1)
            assert warnings.filters == filters
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_smoothing_is_the_mean_of_powers_of_the_joint_matrix(random_edges: Edges, layers: int) -> None:
    _, n_users, n_items = random_edges
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 4, dtype=torch.float64, generator=generator) for n in (n_users, n_items))
    smoothed = torch.cat(SmoothingGraph(*random_edges).double()(users, items, layers))
    matrix, x = dense(adjacency(*random_edges)), torch.cat([users, items]).numpy()
    expected = sum(np.linalg.matrix_power(matrix, power) @ x for power in range(layers + 1)) / (layers + 1)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-12, atol=1e-12)


def test_smoothing_has_the_right_gradient(six_nodes: Edges) -> None:
    graph = SmoothingGraph(*six_nodes).double()
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(3, 2, dtype=torch.float64, requires_grad=True, generator=generator) for _ in range(2)]
    for layers in (0, 1, 3):
        assert torch.autograd.gradcheck(lambda u, i, n=layers: graph(u, i, n), x)
        assert torch.autograd.gradgradcheck(lambda u, i, n=layers: graph(u, i, n), x)


@pytest.mark.parametrize("norm", ["symmetric", "row-sqrt", "row-mean"])
def test_every_operator_is_stored_with_its_own_transpose(random_edges: Edges, norm: str) -> None:
    for operator in (*bipartite(*random_edges, norm=norm), row_mean_with_self(*random_edges)):
        assert torch.equal(operator.matrix().to_dense().T, operator.matrix(transposed=True).to_dense())


@pytest.mark.sparse
def test_torch_sparse_gives_the_same(random_edges: Edges) -> None:
    pytest.importorskip("torch_sparse", reason="needs the extra torch-sparse")
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 4, generator=generator, requires_grad=True) for n in random_edges[1:])
    results = []
    for backend in ("csr", "torch-sparse"):
        graph = SmoothingGraph(*random_edges)
        one_sided = bipartite(*random_edges, norm="row-sqrt").user_from_item
        for module in (graph, one_sided):
            use_backend(module, backend)
        smoothed = graph(users, items, 3)
        outputs = [*smoothed, one_sided @ items, adjacency(*random_edges).mean_of_powers(torch.cat([users, items]), 2)]
        results.append(outputs + list(torch.autograd.grad(sum(x.square().sum() for x in outputs), [users, items])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_backend_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_sparse", None)
    with pytest.raises(UsageError, match=r"(?s)training.backend is torch-sparse.*augrec\[torch-sparse\]"):
        use_backend(torch.nn.Linear(1, 1), "torch-sparse")


@pytest.mark.parametrize("width", [1, 4, 37, 64, 100])  # of 37 and 100, the last vectors overlap those before
@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_products_by_blocks_of_columns_are_the_same(
    random_edges: Edges, width: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for name, value in {"NARROW": 1, "ENTRIES": 0, "LEAST": 7}.items():
        monkeypatch.setattr(f"recsys.graph.sparse_operator.{name}", value)
    x, y = (
        torch.randn(n, width, generator=generator, dtype=torch.float64, requires_grad=True) for n in random_edges[1:]
    )
    results = []
    for work in (10**9, 0):
        monkeypatch.setattr("recsys.graph.sparse_operator.WORTH_LOADING", work)
        graph = SmoothingGraph(*random_edges).double()
        one_sided = bipartite(*random_edges, norm="row-sqrt").user_from_item.double()
        joint = adjacency(*random_edges).double()
        outputs = [*graph(x, y, 3), one_sided @ y, joint.mean_of_powers(torch.cat([x, y]), 2)]
        results.append(outputs + list(torch.autograd.grad(sum(z.square().sum() for z in outputs), [x, y])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("width", [16, 64, 100])
def test_compiled_products_add_entry_by_entry(
    random_edges: Edges, width: int, added: bool, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.graph.sparse_operator.WORTH_LOADING", 0)
    hop = SmoothingGraph(*random_edges).hop
    generator = torch.Generator().manual_seed(0)
    x, plus = (torch.randn(n, width, generator=generator) for n in hop.shape[::-1])
    found = hop.multiply(x, plus=plus if added else None, scale=scale)
    exact = scale * ((plus if added else 0) + hop.matrix().to_dense().double() @ x.double())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)
    pointers, columns, values = hop.row_pointers.tolist(), hop.columns.tolist(), hop.values.double()
    in_order = torch.zeros_like(found)
    for row in range(len(in_order)):
        for entry in range(pointers[row], pointers[row + 1]):
            term = values[entry] * x[columns[entry]].double()  # exact in float64, and rounded once with the sum
            in_order[row] = (in_order[row].double() + term).float()
    whole = scale * in_order.double() + (scale * plus).double() if added else scale * in_order.double()
    assert torch.equal(found, whole.float())


def test_blocks_are_cut_where_rows_keep_entries_in_them() -> None:
    assert block_count(1_000_000, 200_000, 20_000_000) == 2  # a row has 20 entries
    assert block_count(200_000, 1_000_000, 20_000_000) == 12  # a row has 100
    assert block_count(50_000, 12_000, 20_000_000) == 1  # 8,192 columns are the least
    assert block_count(3, 2, 0) == 1


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_powers_lie_side_by_side_and_their_gradients_meet(six_nodes: Edges, layers: int) -> None:
    operator = row_mean_with_self(*six_nodes).double()
    dense, n = operator.matrix().to_dense(), operator.shape[0]
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    expected = torch.cat([torch.linalg.matrix_power(dense, layer) @ x for layer in range(layers + 1)], 1)
    found = operator.powers(x, layers)
    assert torch.allclose(found, expected)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((value * weights).sum(), x)[0] for value in (found, expected))
    assert torch.allclose(ours, theirs)
