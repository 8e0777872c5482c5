"""The search in stages that users copy: every stage hands the colorizer a training that it accepts."""

import math
from pathlib import Path

from colorizer.config import TrainingConfig
from search.definition_file import DefinitionFile
from search.stages import Stages

THOROUGH = Path(__file__).parents[1] / "searches" / "thorough.py"


def test_every_stage_of_the_thorough_search_is_made_of_known_hyperparameters(dataset: Path) -> None:
    search = DefinitionFile.load(THOROUGH).build(data=str(dataset), trials=4, seeds=2)
    method = search.method
    assert isinstance(method, Stages)
    method.iterations, method.seed = search.iterations, search.seed
    method.set_search_properties(search.metric, search.mode, search.space)
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict):
        assert config.pop("data") == str(dataset)
        length = config.pop("training_iteration", search.iterations)
        training = TrainingConfig.from_dict(config)
        # The best rates lie beyond the grid: it has to go there.
        distance = (math.log10(training.lr_g) + 0.5) ** 2 + (math.log10(training.lr_d) + 3) ** 2
        method.on_trial_complete(trial, {"psnr": 20 - distance, "training_iteration": length})
    stages = [told.suggestion.stage for told in method.told.values()]
    counts = {name: stages.count(name) for name in dict.fromkeys(stages)}
    assert counts.pop("learning rates") > 16
    assert counts == {"regularisation": 4, "joint": 4, "retest": 8}
    first = [method.config(trial) for trial, told in method.told.items() if told.suggestion.stage == "learning rates"]
    assert {config["data_fraction"] for config in first} == {0.25}
    assert {config["schedule"] for config in first} == {"constant"}  # they end half way
    winner = method.winner()
    assert winner is not None
    assert method.config(winner.configuration)["lr_g"] > 0.1
    assert method.config(winner.configuration)["data_fraction"] == 1.0
    assert method.config(winner.configuration)["schedule"] == "cosine"
