"""What the site needs of mkdocs: pages may link to files of the repository that are no pages; the site names those.

On a page of the repository `[text](../configs/x.yaml)` leads to the file. The site has no such file, so that the link
becomes the text with the file's name. Links between pages stay, and `mkdocs build --strict` checks them.
"""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)#\s]*)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page's text before mkdocs reads it."""
    return OUTSIDE.sub(_named, markdown)


def _named(found: re.Match[str]) -> str:
    text, path = found[1], found[2]
    return f"{text} (`{path}`)" if path and path.rpartition("/")[2] not in text else text if path else f"`{text}`"
