import pytest

from orders.worker import JobStopped, attempts, run_jobs, run_once


def fails():
    raise ValueError("no")


def stops():
    raise JobStopped


def test_a_job_that_fails_does_not_keep_others_from_running():
    assert run_jobs({"bad": fails, "good": list}) == {"bad": "failed", "good": "done"}


def test_a_plug_in_that_stops_its_job_does_not_stop_the_worker():
    assert run_jobs({"stopped": stops, "good": list}) == {"stopped": "failed", "good": "done"}


def test_a_single_job_passes_its_error_on():
    assert run_once(list) == []
    with pytest.raises(ValueError, match="no"):
        run_once(fails)


def test_a_job_is_tried_again():
    left = [OSError("first"), OSError("second")]

    def job():
        if left:
            raise left.pop(0)
        return "done"

    assert attempts(job) == "done"
