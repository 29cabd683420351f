"""Steam's reviews and games in small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from augrec.artefacts.errors import DataError
from tests.recsys.data.published import packed

PAIRS = [(user, game) for user in range(8) for game in range(5)]
NAMES = ["Chaos Syren", "007", "Ана", "x\tx", "ПоДсОлНуХ ☀", 'it\'s "me"', "7", "None"]


def review(user: int, game: int, **change: Any) -> dict[str, Any]:
    about = {
        "username": NAMES[user],
        "hours": 0.1 * user,
        "products": 41,
        "product_id": f"{10 * game + 10}",
        "page_order": 0,
        "date": f"2017-12-{1 + user + game:02d}",
        "text": f'It\'s a "{game}" ☺\n' if user else "",
        "early_access": False,
        "page": 1,
    }
    return about | change


def game(number: int, **change: Any) -> dict[str, Any]:
    about = {
        "publisher": "Kotoshiro",
        "genres": ["Action", "Indie"],
        "app_name": f"Kitty {number}",
        "title": f"Lost Kitty {number}",
        "release_date": "2018-01-04" if number else "Soon..",
        "tags": ["Strategy", "Action"],
        "price": 4.99 if number else "Free To Play",
        "id": f"{10 * number + 10}",
        "developer": "Kotoshiro",
    }
    return about | change


def unicode_literal(record: dict[str, Any]) -> str:
    """As Python 2 wrote it, with a u before each text."""
    fields = (
        f"u{key!r}: " + (f"u{value!r}" if isinstance(value, str) else repr(value)) for key, value in record.items()
    )
    return "{" + ", ".join(fields) + "}"


GAMES = [unicode_literal(game(number)) for number in range(5)]
FILES = {
    "steam_reviews.json.gz": packed([unicode_literal(review(*pair)) for pair in PAIRS]),
    "steam_games.json.gz": packed(GAMES),
}


def test_reviews_and_games(prepared: Callable) -> None:
    dataset, meta = prepared("steam", FILES, split={"kind": "leave_last_out"})
    assert meta["counts"]["interactions"] == len(PAIRS)
    users, games = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    assert users == sorted(NAMES)  # "007" and "7" are two users
    assert games == ["10", "20", "30", "40", "50"]
    assert dataset.ratings("train") is None
    for split in ("train", "valid", "test"):
        for (u, i), text in zip(dataset.pairs(split).tolist(), dataset.texts(split).to_pylist(), strict=True):
            said = review(NAMES.index(users[u]), int(games[i]) // 10 - 1)["text"]
            assert text == (said or None)
    rows = dataset.items.to_pylist()
    assert [row["title"] for row in rows] == [f"Lost Kitty {number}" for number in range(5)]
    assert [row["year"] for row in rows] == [None, 2018, 2018, 2018, 2018]
    assert all(row["genres"] == ["Action", "Indie"] and row["tags"] == ["Strategy", "Action"] for row in rows)
    assert all(row["publisher"] == "Kotoshiro" for row in rows)
    assert f"5 of {len(PAIRS)} interactions have no review" in meta["notes"]


def test_games_without_an_id_or_a_title(prepared: Callable) -> None:
    nameless = game(1)
    del nameless["title"]
    lost = game(9)
    del lost["id"]
    games = [unicode_literal(record) for record in (game(0), nameless, game(2), game(3), game(4), lost, game(2))]
    dataset, meta = prepared("steam", FILES | {"steam_games.json.gz": packed(games)})
    assert dataset.items["title"].to_pylist()[1] == "Kitty 1"
    assert "steam_games.json.gz: 1 line has no id: left out" in meta["notes"]
    assert "steam_games.json.gz: 1 line describes an item again: left out" in meta["notes"]


def test_what_python_prints_for_no_number_is_nothing(prepared: Callable) -> None:
    games = [unicode_literal(game(number)).replace("u'Kotoshiro'", ("nan", "inf")[number % 2]) for number in range(5)]
    dataset, _ = prepared("steam", FILES | {"steam_games.json.gz": packed(games)})
    assert dataset.items["title"].to_pylist() == [f"Lost Kitty {number}" for number in range(5)]
    assert "publisher" not in dataset.items.column_names


@pytest.mark.parametrize("line", ["{u'username': u'x',", "{u'username': open('x')}", "'text'", "{**{}}"])
def test_a_line_that_is_no_literal_is_named(prepared: Callable, line: str) -> None:
    with pytest.raises(DataError, match=r"(?s)steam_reviews\.json\.gz:2") as raised:
        prepared("steam", {"steam_reviews.json.gz": packed([unicode_literal(review(0, 0)), line])})
    assert " at 0x" not in str(raised.value)  # no place in this process's memory
