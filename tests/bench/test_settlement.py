"""The measurement of a large file: it stages what it says, stage by stage.  No figure is judged."""

import pytest

from hub.bench import settlement


@pytest.mark.parametrize("layout", settlement.LAYOUTS)
def test_a_file_is_staged_in_a_process_of_its_own_and_measured_by_stage(layout):
    told = settlement._child(layout, 3_000)
    assert told["what"] == f"{layout}, 3,000 records" and told["per_second"] > 0
    assert set(told["stages_us"]) == {"read and map", "of seal: to JSON", "seal", "insert and commit"}
    assert set(told["others_wait_ms"]) == {"p50", "p99", "max"}
