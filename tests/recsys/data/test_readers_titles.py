"""Titles as people write them."""

from __future__ import annotations

import pytest

from recsys.data.readers.titles import title_and_year


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Misérables, Les (1995)", "Les Misérables", 1995),
        ("Avventura, L' (1960)", "L'Avventura", 1960),
        (
            "Double vie de Véronique, La (Double Life of Veronique, The) (1991)",
            "La Double vie de Véronique (The Double Life of Veronique)",
            1991,
        ),
        ("Contempt (Mépris, Le) (1963)", "Contempt (Le Mépris)", 1963),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly", 1966),
        ("Paris, Texas (1984)", "Paris, Texas", 1984),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Nikita (La Femme Nikita)", "Nikita (La Femme Nikita)", None),
        ("1984", "1984", None),
        ("unkonwn", "unknown", None),
    ],
)
def test_title_and_year(text: str, title: str, year: int | None) -> None:
    assert title_and_year(text) == (title, year)
