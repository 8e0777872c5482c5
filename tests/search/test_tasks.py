"""Independent pieces of work on Ray."""

from functools import partial
from pathlib import Path

import pytest

from search.errors import RunError
from search.tasks import ray_map


@pytest.mark.usefixtures("cluster")
class TestRayMap:
    def test_every_item_is_worked_on_in_another_process(self, tmp_path: Path) -> None:
        def work(power: int, number: int) -> int:
            (tmp_path / str(number)).write_text("done")
            return int(number**power)

        assert sorted(ray_map(partial(work, 2), range(5))) == [0, 1, 4, 9, 16]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "4"]

    def test_what_a_piece_of_work_raises_is_raised_as_it_is(self) -> None:
        def work(number: int) -> int:
            if number == 1:
                raise KeyError("lr_g")
            return number

        with pytest.raises(KeyError, match="lr_g"):
            list(ray_map(work, [1]))

    def test_a_process_that_dies_is_an_error_that_says_so(self) -> None:
        def work(number: int) -> None:
            import os

            os._exit(3)

        with pytest.raises(RunError, match="Ray could not run a task"):
            list(ray_map(work, [1]))
