"""What a page says of the alignment probe."""

from __future__ import annotations

from dataclasses import asdict

from augrec.report.measures.alignment import Alignment
from augrec.report.measures.meetings import Meetings
from augrec.report.pages.alignment import alignment_table, read_alignments
from augrec.report.render.wording import DASH

NO = Meetings(21_000, 500, 498.2, 1.0036, 0.021, 0.41)
NOTHING = Meetings(0, 0, 0.0, None, None, 1.0)
FOUND = Meetings(21_000, 1_190, 1000.0, 1.19, 0.008, 0.005)
APART = Alignment("gpt user_profile", "user", "tf-idf", 940, NO, FOUND, NO, NO, "apart", "why")
UNKNOWN = Alignment("own", "item", "tf-idf", 0, NOTHING, NOTHING, NOTHING, NOTHING, "undecided", "too few")


def test_a_row_says_how_often_near_ones_meet_beside_chance_and_controls() -> None:
    table = alignment_table([APART, UNKNOWN])
    assert table is not None
    first, second = ([cell.text.replace("\u202f", ",") for cell in row.cells] for row in table.rows)
    assert first == [
        "gpt user_profile",
        "940",
        "21,000",
        "500",
        "498",
        "1.00",
        "1.07",
        "1.19",
        "1.00",
        "1.00",
        "✗ apart",
    ]
    assert second[1:5] == ["0", "0", "0", "0"]
    assert set(second[5:10]) == {DASH}
    assert table.rows[0].cells[-1].note == "why"
    assert table.rows[0].cells[1].under == ("users by tf-idf",)
    assert alignment_table([]) is None


def test_what_an_audit_wrote_is_read_again_and_an_older_one_has_none() -> None:
    assert read_alignments({"alignment": [asdict(APART), asdict(UNKNOWN)]}) == (APART, UNKNOWN)
    assert read_alignments({}) == ()
