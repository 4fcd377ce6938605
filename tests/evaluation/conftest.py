import pytest


@pytest.fixture(autouse=True, scope="module")
def with_pictures(painted):
    """The tests of this folder are of pages and pictures."""
