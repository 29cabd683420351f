"""The files of a tokenizer: are they there, and is none of them cut short?

A tokenizer whose end is missing loads without a word and splits text otherwise than the model learned. JSON shows its
end by a brace. What is written line by line shows it by what other files say: merges by the vocabulary that they make,
a vocabulary by the size that the model's configuration gives. SentencePiece's files are records of stated length.
"""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.files import parse_json
from augrec.artefacts.model_files import model_config
from augrec.artefacts.visible import one_line
from augrec.pipeline.weights.tensor_files import is_pointer, pointer_in_words

MERGES, WORDS, LINES = "merges.txt", "vocab.json", "vocab.txt"
SENTENCE_PIECES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    (LINES,),
    (WORDS, MERGES),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("tekken.json",),
)
"""What makes a tokenizer, the first that is there."""
SPARE_SHARE, SPARE = 0.02, 300
"""Words without a merge, or embeddings without a line, that whole files have too: letters, marks of a text's ends, and
numbers that were rounded up."""
PIECE, TRAINER = 1, 2
"""SentencePiece's fields of a piece and of how it was trained, which comes after all pieces."""


def tokenizer_faults(folder: Path) -> list[str]:
    """What a folder's tokenizer lacks, in words; empty where nothing shows."""
    names = next((names for names in TOKENIZERS if all((folder / name).is_file() for name in names)), None)
    if names is None:
        return ["tokenizer files (tokenizer.json, or vocab.json and merges.txt, or a .model file)"]
    lines = [folder / name for name in names if not name.endswith(".json")]  # JSON is looked at whatever it is for
    pointers = [f"the content of {pointer_in_words(path)}" for path in lines if is_pointer(path)]
    if pointers:
        return pointers
    if names == (WORDS, MERGES):
        return _of_merges(folder / MERGES, folder / WORDS)
    if names == (LINES,):
        return _of_lines(folder)
    return [f"the end of {name}" for name in names if name in SENTENCE_PIECES and _is_cut(folder / name)]


def _of_merges(merges: Path, words: Path) -> list[str]:
    """Merges whose last line is half a line, or that make too few of the vocabulary's words."""
    known = _object(words)
    if not known:  # its end is looked at where JSON is
        return []
    lines = merges.read_text(encoding="utf-8", errors="replace").split("\n")
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#version")]
    made = {"".join(pair[:2]) for pair in pairs}
    last = " ".join(pairs[-1]) if pairs else ""
    if not pairs or len(pairs[-1]) < 2 or ("".join(pairs[-1][:2]) not in known and made & known.keys()):
        return [f"the end of {merges.name} (its last line is {one_line(last, 40)!r})"]
    unmade = sum(len(word) > 1 and word not in made for word in known)
    if unmade > max(SPARE, SPARE_SHARE * len(known)):
        return [f"the end of {merges.name} ({unmade:,} of {len(known):,} words of {words.name} have no merge)"]
    return []


def _of_lines(folder: Path) -> list[str]:
    """A vocabulary of fewer lines than the model has embeddings."""
    promised = (model_config(folder) or {}).get("vocab_size")
    with (folder / LINES).open("rb") as file:
        count = sum(bool(line.strip()) for line in file) + len(_object(folder / "added_tokens.json"))
    if isinstance(promised, int) and count < promised - max(SPARE, SPARE_SHARE * promised):
        return [f"the end of {LINES} ({count:,} of {promised:,} words are there)"]
    return []


def _is_cut(path: Path) -> bool:
    """Whether a record of a SentencePiece file goes on after its end, or what comes after all pieces is missing."""
    data = path.read_bytes()
    if not data or data[0] != PIECE << 3 | 2:
        return not data  # words with their numbers (tiktoken), or a format that is not known here
    place, seen = 0, set[int]()
    while place < len(data):
        tag, place = _varint(data, place)
        kind, field = tag & 7, tag >> 3
        if kind == 2:
            length, place = _varint(data, place)
            place += length
        elif kind == 0:
            _, place = _varint(data, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            return True
        seen.add(field)
    return place > len(data) or TRAINER not in seen


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of protocol buffers and where the next thing begins: after the file where it is cut in the number."""
    value = shift = 0
    while place < len(data):
        value |= (data[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 128:
            return value, place
    return value, len(data) + 1


def _object(path: Path) -> dict[str, object]:
    """An object in JSON; an empty one where it cannot be read."""
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
