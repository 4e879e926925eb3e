"""Make the teacher of the part `store`, before anything is measured.

Run as `python -m benchmarks.teach JOB.json ROW.json`.
"""

from benchmarks.answers import write_answers
from benchmarks.corpus import Split
from benchmarks.jobs import Job
from benchmarks.ours import build_ours, train_seed
from benchmarks.worker import Outcome, run_worker


def make_teacher(job: Job, data: dict[str, dict[str, Split]]) -> list[Outcome]:
    """Train one classifier on all sets of the job and store its answers."""
    (seed,) = job.seeds
    teacher = build_ours(job, data, seed)
    outcome = train_seed(job, data, teacher, seed)
    write_answers(job, data, teacher)
    return [outcome]


if __name__ == "__main__":
    run_worker(make_teacher)
