from prometheus_client.parser import text_string_to_metric_families

from lurk.jobs.queue import Job
from lurk.records import JobSpec
from lurk.service.metrics import Metrics
from lurk.storage.metric_counts import Counts


def samples(metrics):
    families = text_string_to_metric_families(metrics.text())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def test_everything_that_is_shown_can_be_read_by_prometheus():
    counts = Counts()
    counts.add("lurk_requests", 7, kind="api", status="2xx")
    counts.add("lurk_renders", 3, found="yes")
    counts.time("lurk_job_seconds", 0.3, kind="map", state="done")
    counts.time("lurk_job_seconds", 0.02, kind="map", state="done")
    jobs = [Job("a", JobSpec("map", "s", ()), 0), Job("b", JobSpec("sweep", "s", ()), 2, "running")]
    studies = {'odd "name"\\': {"images_indexed": 312, "rate": 41.5}, "waiting": {"images_indexed": 0, "rate": None}}
    found = samples(Metrics(jobs, 2, studies, counts.read()))
    assert found["lurk_workers",] == 2
    assert found["lurk_queue_jobs", ("lane", "now"), ("state", "queued")] == 1
    assert found["lurk_queue_jobs", ("lane", "sweep"), ("state", "running")] == 1
    assert found["lurk_queue_jobs", ("lane", "next"), ("state", "queued")] == 0
    assert found["lurk_jobs", ("state", "done")] == 0
    assert found["lurk_sweep_images", ("study", 'odd "name"\\')] == 312
    assert found["lurk_sweep_rate", ("study", 'odd "name"\\')] == 41.5
    assert found["lurk_sweep_rate", ("study", "waiting")] == 0
    assert found["lurk_requests_total", ("kind", "api"), ("status", "2xx")] == 7
    assert found["lurk_renders_total", ("found", "yes")] == 3
    assert found["lurk_job_seconds_count", ("kind", "map"), ("state", "done")] == 2
    assert found["lurk_job_seconds_bucket", ("kind", "map"), ("le", "0.025"), ("state", "done")] == 1
    assert found["lurk_job_seconds_bucket", ("kind", "map"), ("le", "0.5"), ("state", "done")] == 2
    assert abs(found["lurk_job_seconds_sum", ("kind", "map"), ("state", "done")] - 0.32) < 1e-9
