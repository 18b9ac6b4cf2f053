"""
An example for Airflow: one job file as a task that gives its slot back while it is paused.

Copy it to the folder of DAGs and change the constants; bulkops itself does not need Airflow. The
task is a sensor in reschedule mode, because exit code 5 means "run again later": the same command
goes on where it stopped. See
https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/sensors.html
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from enum import Enum

from airflow.decorators import dag, task
from airflow.exceptions import AirflowFailException

COMMAND = (
    *("/opt/bulkops/bin/bulkops", "run", "/etc/bulkops/jobs/nightly-reconciliation.toml"),
    *("--yes", "--if-locked", "skip"),
)
#: Credentials come from the environment of the worker, or from a file for its owner alone.
FOLDER = "/var/lib/bulkops"


class End(Enum):
    """What an exit code means to a scheduler."""

    #: Every row is in its wanted state, or there was nothing to do.
    DONE = "done"
    #: Paused (5), or drained by a signal (130, 143): the same command goes on later.
    LATER = "later"
    #: Anything else needs a person. Code 3 is finished, with rows to look at.
    FAILED = "failed"


def end_of(code: int) -> End:
    """Return what the exit code of bulkops means; see the table in its README."""
    if code == 0:
        return End.DONE
    return End.LATER if code in {5, 130, 143} else End.FAILED


@dag(schedule="30 1 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def bulkops_nightly() -> None:
    """Run the job every night."""

    @task.sensor(
        mode="reschedule",
        poke_interval=timedelta(minutes=30).total_seconds(),
        timeout=timedelta(hours=20).total_seconds(),
    )
    def run_job() -> bool:
        code = subprocess.run(COMMAND, cwd=FOLDER, check=False).returncode  # noqa: S603  (no shell)
        if end_of(code) is End.FAILED:
            raise AirflowFailException(f"bulkops ended with {code}; see its words above")
        return end_of(code) is End.DONE

    run_job()


bulkops_nightly()
