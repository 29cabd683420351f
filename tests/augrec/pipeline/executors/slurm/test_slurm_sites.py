"""Other people's SLURM: banners, silence, old versions, several clusters, refusals in the middle of a chain.

The commands are stand-ins on the PATH. They keep their jobs in a folder, as a controller would.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import exclusive
from augrec.pipeline.executors.profile import JobResources, Profile
from augrec.pipeline.executors.slurm import controller
from augrec.pipeline.executors.slurm import status as standing
from augrec.pipeline.executors.slurm.plan import Job, plan
from augrec.pipeline.executors.slurm.script import render
from augrec.pipeline.executors.slurm.submit import submit, submitted
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent

SECTIONS = """
generation: {shards: 5, sources: {rule: {engine: {kind: heuristic}}}}
embedding: {}
seeds: [1, 2, 3]
workers: null
"""
JOBS = ["prepare", "candidates", "augment-rule", "merge", "embed-groups", "embed", "train", "report"]
SBATCH = """#!/bin/bash
n=$(( $(cat "$STATE/n" 2>/dev/null || echo 1000) + 1 )); echo $n > "$STATE/n"
[ "$MODE" = third ] && [ $n -ge 1003 ] && [[ "$WHY" != *"timed out"* ]] && { echo "sbatch: error: $WHY" >&2; exit 1; }
echo "$n|${!#}|$*" >> "$STATE/jobs"
case "$MODE" in
banner) printf -- '------\\n   Welcome to the 3 nodes of Seabird\\n\\n--> Verifying host (login2)...OK\\n%s\\n' $n;;
sentence) echo "Submitted batch job $n";;
cluster) echo "$n;slaking";;
footer) printf '%s\\nYour project has used 17 of 20 hours\\n' $n;;
silent) ;;
budget) printf '%s\\nCore hours left:\\n4711\\n' $n;;
noisy) echo "sbatch: error: memory was rounded up" >&2; echo $n;;
binary) printf '\\xff\\xfe\\n%s\\n' $n;;
third) [ $n -ge 1003 ] && { echo "sbatch: error: $WHY" >&2; exit 1; }; echo $n;;
*) echo $n;;
esac
"""
SQUEUE = """#!/bin/bash
echo "$*" >> "$STATE/asked"
[ -n "$SQUEUE_STATES$SQUEUE_FORMAT" ] && exit 9
case "$QMODE" in
down) echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1;;
wrapped) echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 0;;
boxed) echo "| Seabird | 3 nodes | all up | welcome |"; echo "slurm_load_jobs error: Unable to contact" >&2; exit 0;;
printed) echo "squeue: error: the scheduler is busy"; exit 0;;
greeting) echo "Welcome to Seabird, 3 nodes"; echo "squeue: error: unknown key in slurm.conf" >&2;;
old) [[ "$*" == *--me* ]] && { echo "squeue: unrecognized option '--me'" >&2; exit 1; };;
oldest) for unknown in --federation --me; do
    [[ " $* " == *" $unknown "* ]] && { echo "squeue: unrecognized option '$unknown'" >&2; exit 1; }
done;;
elsewhere) [[ "$*" == *--federation* ]] || exit 0;;
copies) [[ "$*" == *--federation* ]] && JOBSTATE=$THERE || JOBSTATE=REVOKED;;
esac
while IFS='|' read n script rest; do
    grep -qw "$n" "$STATE/cancelled" 2>/dev/null || echo "$n|N/A|${JOBSTATE:-PENDING}|Dependency|$script"
done < "$STATE/jobs"
exit 0
"""
SCANCEL = """#!/bin/bash
[ "$CMODE" = down ] && exit 1
[ -n "$SCANCEL_INTERACTIVE" ] && { echo -n "Cancel job_id=$* [y/n]? "; exit 0; }
echo "$*" >> "$STATE/cancelled"
"""
SACCT = """#!/bin/bash
[ -n "$ENDED" ] || exit 1
[[ "$SAMODE" == local && "$*" == *--federation* ]] && { echo "sacct: unrecognized option '--federation'" >&2; exit 1; }
while IFS='|' read n rest; do echo "$n|$ENDED|0:0"; done < "$STATE/jobs"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with what the stand-ins remember; their kind of trouble is set by variables."""
    state, programs = tmp_path / "state", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    (state / "jobs").touch()
    scontrol = '#!/bin/bash\necho "MaxArraySize            = ${MAS:-1001}"\n'
    texts = {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL, "scontrol": scontrol, "sacct": SACCT}
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(state))
    return state


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "raw").mkdir()
    config = write_config(tmp_path / "toy.yaml", toy_config(tmp_path / "raw", SECTIONS))
    return Run(read_config(config, [f"output={tmp_path / 'my run'}"]))


def hand_over(run: Run) -> list[str]:
    return [job.id for job in submit(run, Profile(), dry_run=False, console=silent())]


def accepted(site: Path) -> list[str]:
    return [line.partition("|")[0] for line in (site / "jobs").read_text().splitlines()]


def calls(site: Path) -> list[str]:
    return [line.split("|", 2)[2] for line in (site / "jobs").read_text().splitlines()]


@pytest.mark.parametrize("mode", ["plain", "banner", "sentence", "binary", "noisy"])
def test_a_banner_is_no_part_of_an_id(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("MODE", mode)
    ids = hand_over(run)
    assert ids == [str(1001 + place) for place in range(len(JOBS))]
    assert [job.id for job in submitted(run.folder)] == ids
    assert "--dependency=afterok:1001 " in calls(site)[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("17\n", "17"),
        ("0\n", None),
        ("17;big-one\n", "17;big-one"),
        ("banner 9\n\n  17  \n\n", "17"),
        ("Submitted batch job 17 on cluster big\n", "17;big"),
        ("17\nbye 18 times\n", None),
        ("hello\n\x1b[1;32m17\x1b[0m\n", "17"),
        ("67109080;east\n", "67109080;east"),
        ("job 17\n", None),
        ("17 18\n", None),
        ("-17\n", None),
        ("17;\n", None),
        ("17;a b\n", None),
        ("\n", None),
        ("", None),
    ],
)
def test_an_id_is_the_last_line_whole(text: str, found: str | None) -> None:
    parsed = controller.parse_job_id(text)
    assert (None if parsed is None else f"{parsed};{parsed.cluster}".rstrip(";")) == found


@pytest.mark.parametrize(("mode", "shown"), [("footer", "Your project has used"), ("silent", "nothing")])
def test_what_is_no_id_is_shown_and_the_job_behind_it_taken_back(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: str, shown: str
) -> None:
    monkeypatch.setenv("MODE", mode)
    with pytest.raises(AugrecError, match="printed no job id") as error:
        hand_over(run)
    assert shown in str(error.value)
    assert accepted(site) == ["1001"]
    assert (site / "cancelled").read_text().split() == ["1001"], "squeue knows whose script it runs"
    monkeypatch.setenv("MODE", "plain")
    assert len(hand_over(run)) == len(JOBS)


def test_a_cluster_of_several_is_named_in_every_call(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "cluster")
    assert hand_over(run)[0] == "1001"
    assert {job.cluster for job in submitted(run.folder)} == {"slaking"}
    assert "--dependency=afterok:1001 " in calls(site)[1]
    with pytest.raises(AugrecError, match="still waiting or running: 1001, 1002") as error:
        hand_over(run)
    assert "scancel --clusters=slaking 1001 1002" in str(error.value)
    assert "--clusters=slaking" in (site / "asked").read_text()


@pytest.mark.parametrize("trouble", ["down", "wrapped", "printed", "boxed", "missing", "slow"])
def test_silence_is_not_an_empty_queue(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    hand_over(run)
    before = accepted(site)
    silence(tmp_path, monkeypatch, trouble)
    with pytest.raises(AugrecError, match="squeue does not answer") as error:
        hand_over(run)
    assert "1001" in str(error.value)
    assert "nothing was submitted now" in str(error.value)
    assert accepted(site) == before
    rows = {row.stage: row for row in standing.collect(run)}
    assert rows["prepare"].jobs == "unknown: squeue does not answer"


def test_a_greeting_above_an_empty_queue_is_an_answer(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_over(run)
    monkeypatch.setenv("QMODE", "greeting")
    monkeypatch.setenv("JOBSTATE", "COMPLETED")
    assert len(hand_over(run)) == len(JOBS)
    (site / "jobs").write_text("")
    assert controller.queue() == []


def test_a_number_printed_for_two_jobs_is_the_id_of_neither(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "budget")
    with pytest.raises(AugrecError, match="sbatch printed 4711 for prepare and for candidates") as error:
        hand_over(run)
    assert "jobs 1001, 1002" in str(error.value)
    assert (site / "cancelled").read_text().split() == ["1001", "1002"], "what runs this run's scripts, and no job 4711"
    assert submitted(run.folder) == []
    monkeypatch.setenv("MODE", "plain")
    assert len(hand_over(run)) == len(JOBS)


def silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    squeue = tmp_path / "bin" / "squeue"
    if trouble in ("down", "wrapped", "printed", "boxed"):
        monkeypatch.setenv("QMODE", trouble)
    elif trouble == "slow":
        monkeypatch.setattr(controller, "SECONDS", 0.2)
        squeue.write_text("#!/bin/bash\nexec sleep 60\n")
    else:
        real = controller.shutil.which  # type: ignore[attr-defined]
        monkeypatch.setattr(controller.shutil, "which", lambda name: None if name == "squeue" else real(name))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("state", "again"),
    [
        *(("COMPLETED", True), ("CANCELLED by 1000", True), ("RUNNING", False), ("NEW_STATE", False)),
        ("REVOKED", False),  # a copy: the job may run on another cluster
    ],
)
def test_the_accounting_speaks_for_a_silent_queue(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, state: str, again: bool
) -> None:
    hand_over(run)
    monkeypatch.setenv("QMODE", "down")
    monkeypatch.setenv("ENDED", state)
    if again:
        assert len(hand_over(run)) == len(JOBS)
    else:
        with pytest.raises(AugrecError, match="squeue does not answer"):
            hand_over(run)


def test_two_submissions_at_once_are_one(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    real = controller.submit

    def second(*arguments: Any) -> str:
        if not refused:
            with pytest.raises(AugrecError, match="another submission of this run is under way") as error:
                hand_over(run)
            refused.append(str(error.value))
        return real(*arguments)

    monkeypatch.setattr(controller, "submit", second)
    assert len(hand_over(run)) == len(JOBS)
    assert len(accepted(site)) == len(JOBS)
    assert refused


def test_a_job_at_work_is_named_as_a_job(site: Path, run: Run) -> None:
    """It holds the run's lock, which says less than the queue does."""
    hand_over(run)
    with exclusive(run.folder), pytest.raises(AugrecError, match="still waiting or running: 1001"):
        hand_over(run)


def test_without_slurm_it_is_not_silence(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run folder seen from a laptop."""
    hand_over(run)
    monkeypatch.setattr(controller.shutil, "which", lambda name: None)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="sbatch is not on PATH"):
        hand_over(run)
    assert len(accepted(site)) == len(JOBS)


@pytest.mark.parametrize("content", ["[]", "{}", '{"jobs": [1]}', '{"jobs": [{"id": "7"}]}', '{"jobs": null}', "{"])
def test_a_list_of_jobs_that_is_none_is_named(site: Path, run: Run, content: str) -> None:
    hand_over(run)
    notes = run.files.submission("001").jobs
    notes.write_text(content)
    with pytest.raises(AugrecError) as error:
        hand_over(run)
    assert (error.value.where, "squeue --me" in str(error.value.remedy)) == (str(notes), True)


def test_a_program_that_cannot_start_is_named(
    site: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin" / "sbatch").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(UsageError, match="sbatch cannot be started: Exec format error"):
        hand_over(run)


def test_a_first_submission_needs_no_queue(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMODE", "down")
    assert len(hand_over(run)) == len(JOBS)


@pytest.mark.parametrize(
    "line", ["\\e[31m1001|N/A|RUNNING|None|/x\\e[0m", "1001_3|3|RUNNING|None|/x", "  1001 | 3 | RUNNING | None | /x"]
)
def test_rows_of_a_queue_are_read_whatever_a_site_adds(site: Path, tmp_path: Path, line: str) -> None:
    """A row that is not understood would be a job that is not there, and handed over again."""
    (tmp_path / "bin" / "squeue").write_text(f"#!/bin/bash\nprintf '{line}\\n'\n")
    queued = controller.queue()
    assert queued is not None
    assert [(job.job, job.alive) for job in queued] == [("1001", True)]


@pytest.mark.parametrize(
    "line", ["\\e[1m1001|FAILED|1:0\\e[0m", " 1001|FAILED |1:0|", "JobID|State|Exit\\n1001|FAILED|1:0"]
)
def test_rows_of_the_accounting_are_read_whatever_a_site_adds(site: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "bin" / "sacct").write_text(f"#!/bin/bash\nprintf '{line}\\n'\n")
    assert controller.verdicts(["1001"]) == {"1001": "FAILED"}


@pytest.mark.parametrize("mode", ["old", "oldest"])
def test_an_old_squeue_is_asked_by_user(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    hand_over(run)
    monkeypatch.setenv("QMODE", mode)
    with pytest.raises(AugrecError, match="still waiting or running: 1001, 1002"):
        hand_over(run)
    assert "--user=" in (site / "asked").read_text()


@pytest.mark.parametrize(
    ("mode", "there", "again"),
    [
        ("elsewhere", "RUNNING", False),  # another cluster of the federation started it: here it is in no list
        ("copies", "RUNNING", False),
        ("copies", "COMPLETED", True),
        ("copies", "REVOKED", True),  # the origin's record of a job that ended elsewhere
    ],
)
def test_a_copy_that_a_federation_revoked_says_nothing_of_its_job(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: str, there: str, again: bool
) -> None:
    hand_over(run)
    monkeypatch.setenv("QMODE", mode)
    monkeypatch.setenv("JOBSTATE", there)
    monkeypatch.setenv("THERE", there)
    assert any("RUNNING" in row.jobs for row in standing.collect(run)) == (not again)
    assert not any("REVOKED" in row.jobs for row in standing.collect(run))
    if again:
        assert len(hand_over(run)) == len(JOBS)
    else:
        with pytest.raises(AugrecError, match="still waiting or running: 1001"):
            hand_over(run)


@pytest.mark.parametrize("mode", ["federated", "local"])
def test_an_old_accounting_is_asked_without_a_federation(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    ids = hand_over(run)
    monkeypatch.setenv("SAMODE", mode)
    monkeypatch.setenv("ENDED", "COMPLETED")
    assert controller.verdicts(ids) == dict.fromkeys(ids, "COMPLETED")


@pytest.mark.parametrize(
    ("state", "again"),
    [
        ("COMPLETED", True),
        ("OUT_OF_MEMORY", True),
        ("NODE_FAIL", True),
        ("COMPLETING", False),
        ("REQUEUE_HOLD", False),
        ("SPECIAL_EXIT", False),
        ("SUSPENDED", False),
        ("NEW_STATE", False),
    ],
)
def test_only_a_state_without_return_lets_submit_go_on(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, state: str, again: bool
) -> None:
    """Sites list ended jobs too (SQUEUE_STATES=all, or for a while); a state nobody knows may still run."""
    hand_over(run)
    monkeypatch.setenv("JOBSTATE", state)
    if again:
        assert len(hand_over(run)) == len(JOBS)
    else:
        with pytest.raises(AugrecError, match="still waiting or running: 1001"):
            hand_over(run)


def test_what_a_user_sets_for_squeue_does_not_shape_its_answer(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(run)
    monkeypatch.setenv("SQUEUE_STATES", "all")
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    with pytest.raises(AugrecError, match="still waiting or running"):
        hand_over(run)


def test_what_a_user_sets_for_scancel_leaves_no_job_behind(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ask, get no answer and take nothing back, with an exit status of success."""
    monkeypatch.setenv("SCANCEL_INTERACTIVE", "1")
    monkeypatch.setenv("MODE", "third")
    monkeypatch.setenv("WHY", "QOSMaxSubmitJobPerUserLimit")
    with pytest.raises(AugrecError, match="taken back: jobs 1001, 1002"):
        hand_over(run)
    assert (site / "cancelled").read_text().split() == ["1001", "1002"]


@pytest.mark.parametrize("why", ["QOSMaxSubmitJobPerUserLimit", "Socket timed out on send/recv operation"])
def test_a_chain_refused_in_the_middle_is_taken_back_and_submitted_again(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setenv("MODE", "third")
    monkeypatch.setenv("WHY", why)
    with pytest.raises(AugrecError, match=why) as error:
        hand_over(run)
    assert "taken back: jobs 1001, 1002" in str(error.value)
    assert "remedy" in str(error.value)
    cancelled = (site / "cancelled").read_text().split()
    assert cancelled[:2] == ["1001", "1002"]
    # A call that timed out may have left a job behind; a refusal cannot.
    assert ("1003" in cancelled) == ("timed out" in why)
    monkeypatch.setenv("MODE", "plain")
    assert len(hand_over(run)) == len(JOBS)


def test_a_chain_that_cannot_be_taken_back_is_remembered(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "third")
    monkeypatch.setenv("CMODE", "down")
    with pytest.raises(AugrecError, match="could not be taken back") as error:
        hand_over(run)
    assert "scancel 1001 1002" in str(error.value)
    monkeypatch.setenv("MODE", "plain")
    with pytest.raises(AugrecError, match="still waiting or running: 1001, 1002"):
        hand_over(run)
    monkeypatch.delenv("CMODE")
    controller.cancel(["1001", "1002"])
    assert len(hand_over(run)) == len(JOBS)


def test_a_call_that_never_ends_leaves_no_second_job(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The job was accepted, the answer never came, and the queue does not answer either."""
    monkeypatch.setattr(controller, "SECONDS", 0.5)
    monkeypatch.setenv("QMODE", "down")
    program = tmp_path / "bin" / "sbatch"
    program.write_text(SBATCH.replace('case "$MODE"', 'exec sleep 60\ncase "$MODE"'))
    with pytest.raises(AugrecError, match="did not answer within") as error:
        hand_over(run)
    assert "squeue --me" in str(error.value)
    assert json.loads((run.folder / "slurm" / "001" / "jobs.json").read_text())["unknown"] == ["prepare"]
    program.write_text(SBATCH)
    with pytest.raises(AugrecError, match=r"squeue does not answer(.|\n)*prepare \(without an id\)"):
        hand_over(run)
    monkeypatch.delenv("QMODE")
    with pytest.raises(AugrecError, match="still waiting or running: 1001"):
        hand_over(run)
    controller.cancel(["1001"])
    assert len(hand_over(run)) == len(JOBS)


def test_what_was_accepted_is_noted_before_the_next_call(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission that is killed in the middle knows its jobs."""
    seen: list[int] = []
    real = controller.submit

    def look(*arguments: Any) -> str:
        seen.append(len(submitted(run.folder)))
        return real(*arguments)

    monkeypatch.setattr(controller, "submit", look)
    hand_over(run)
    assert seen == list(range(len(JOBS)))


def test_a_crash_between_the_job_and_its_receipt_loses_no_job(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intent was written down before the call: the next submission finds the job by its script."""
    real = controller.submit

    def accepted_and_killed(*arguments: Any) -> str:
        real(*arguments)
        raise SystemExit(137)

    monkeypatch.setattr(controller, "submit", accepted_and_killed)
    with pytest.raises(SystemExit):
        hand_over(run)
    assert submitted(run.folder) == [], "no receipt"
    monkeypatch.setattr(controller, "submit", real)
    with pytest.raises(AugrecError, match="still waiting or running: 1001"):
        hand_over(run)
    controller.cancel(["1001"])
    assert len(hand_over(run)) == len(JOBS)


def test_ranges_keep_within_the_largest_array(site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAS", "2")
    assert controller.max_array_size() == 2
    level = plan(run, Profile(), controller.max_array_size())[2]
    assert [len(job.tasks) for job in level] == [2, 2, 1]
    monkeypatch.setenv("MAS", "0")
    level = plan(run, Profile(), controller.max_array_size())[2]
    assert [(len(job.tasks), job.array) for job in level] == [(1, False)] * 5


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs the batch script of a job whose command wants to be tried again, with some text as scontrol."""

    def start(scontrol: str) -> subprocess.CompletedProcess[str]:
        programs = tmp_path / "node"
        programs.mkdir()
        for name, text in {"scontrol": scontrol, "sleep": "", "augrec": "exit 75"}.items():
            (programs / name).write_text(f"#!/bin/bash\n{text}\n")
            (programs / name).chmod(0o755)
        (tmp_path / "slurm" / "logs").mkdir(parents=True)
        (tmp_path / "env").mkdir()
        (tmp_path / "env" / "bin").symlink_to(programs)
        given = Profile(venv=tmp_path / "env")
        job = Job("train", "train", [[["train"]]], JobResources(), False)
        text = render(job, given, run=tmp_path, folder=tmp_path / "slurm" / "001", chdir=tmp_path)
        environment = {"SLURM_JOB_ID": "18", "PATH": f"{programs}:/usr/bin:/bin", "AT": str(tmp_path / "count")}
        return subprocess.run(["bash"], input=text, env=environment, text=True, capture_output=True, check=False)

    return start


def test_a_requeue_is_tried_again_while_the_controller_is_busy(
    scripted: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = scripted('echo "$*" >> "$AT"; [ $(wc -l < "$AT") -ge 3 ]')
    assert (tmp_path / "count").read_text().splitlines() == ["requeue 18"] * 3
    assert (done.returncode, done.stderr) == (75, "")


def test_a_requeue_that_fails_says_so(scripted: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    done = scripted("exit 1")
    assert done.returncode == 75
    assert done.stderr == "scontrol requeue failed: submit the run again, finished work is kept\n"
