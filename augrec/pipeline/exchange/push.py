"""`augrec push`: an exported folder to a hub, when its user says so.

Nothing else in augrec writes to a network. Without `--yes` it lists what would go where; with it, a token has to
be there (HF_TOKEN, or what `hf auth login` stored). A new repository is private unless it is said to be public.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.exchange.exported import EXPORT_FILE

Kind = Literal["dataset", "model"]
KINDS: tuple[Kind, ...] = ("dataset", "model")


@dataclass(frozen=True)
class Push:
    """What goes, or went, where."""

    folder: Path
    repository: str
    kind: Kind
    endpoint: str
    files: tuple[tuple[str, int], ...]
    """Each with its size in bytes."""
    url: str | None
    """Of the commit; None where nothing was uploaded."""


def push(
    folder: Path,
    repository: str,
    *,
    yes: bool = False,
    public: bool = False,
    token: str | None = None,
) -> Push:
    """Uploads what `augrec export dataset` or `export model` wrote, as one commit, to HF_ENDPOINT or huggingface.co.

    Args:
        folder: the export.
        repository: OWNER/NAME.
        yes: upload; else only say what would be.
        public: whether a repository that is made is public. One that is there stays what it is.
        token: to write with; HF_TOKEN or the stored one unless given.

    Raises:
        UsageError: the folder is no such export, the name is none, there is no token, or HF_HUB_OFFLINE is set.
        AugrecError: the hub refuses, or cannot be reached.
    """
    from huggingface_hub import constants, get_token

    kind, hub = _kind_of(folder), constants.ENDPOINT
    _check_name(repository)
    there = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in there)
    listed = Push(folder, repository, kind, hub, files, None)
    if not yes:
        return listed
    if constants.HF_HUB_OFFLINE:
        raise UsageError("HF_HUB_OFFLINE is set, so nothing is uploaded", remedy="unset it for this command")
    secret = token or get_token()
    if secret is None:
        raise UsageError("there is no token to write with", remedy="set HF_TOKEN, or run `hf auth login`")
    return replace(listed, url=_upload(listed, secret, private=not public))


def _kind_of(folder: Path) -> Kind:
    """What was exported into a folder."""
    layout = read_json(folder / EXPORT_FILE).get("layout") if (folder / EXPORT_FILE).is_file() else None
    kind: Kind | None = next((one for one in KINDS if one == layout), None)
    if kind is None:
        raise UsageError(
            "this is no folder that can be pushed",
            where=folder,
            remedy="write one by `augrec export dataset` or `augrec export model`",
        )
    return kind


def _check_name(repository: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"'{repository}' names no repository ({error})", where="REPO", remedy="OWNER/NAME") from None
    if "/" not in repository:
        raise UsageError(f"'{repository}' names no repository", where="REPO", remedy="OWNER/NAME")


def _upload(listed: Push, token: str, *, private: bool) -> str | None:
    """Uploads the folder as one commit, into a repository that is made where there is none; the commit's URL."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, message = HfApi(endpoint=listed.endpoint, token=token), f"augrec export {listed.kind}"
    try:
        api.create_repo(listed.repository, repo_type=listed.kind, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=listed.repository, repo_type=listed.kind, folder_path=listed.folder, commit_message=message
        )
    except Exception as error:
        if not isinstance(error, HfHubHTTPError | OSError) and not _of_network(error):
            raise
        raise AugrecError(
            f"the hub did not take it ({str(error).splitlines()[0]})",
            where=f"{listed.endpoint}/{listed.repository}",
            remedy="check the token's rights and the name, and push again: a commit is whole or not there",
        ) from error
    return done.commit_url


def _of_network(error: Exception) -> bool:
    """Whether the HTTP client of huggingface_hub raised it, which is another one in other versions."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests")
