"""A session of Spark on this machine."""

import pytest

from tests.tasks.conftest import task_run, trained_task  # noqa: F401


@pytest.fixture(scope="module")
def spark():
    """A session with a Python process of two threads at a time.

    What it does takes seconds to begin, so that its tests are slow ones.
    """
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from bert_tf.spark import session

    with session.session(
        "tests",
        master="local[2]",
        settings={
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
        },
        whole_executors=True,
    ) as session:
        yield session
