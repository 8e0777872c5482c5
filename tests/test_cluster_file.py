"""cluster.yaml is what Ray's own schema wants; starting it takes an account, and is not tried here."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


def check(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(copy.deepcopy(config)))


def test_the_cluster_file_passes_rays_schema() -> None:
    config = yaml.safe_load(CLUSTER.read_text())
    check(config)
    assert config["head_node_type"] in config["available_node_types"]
    gpu = config["available_node_types"]["gpu"]
    assert gpu["max_workers"] == config["max_workers"]
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_the_schema_would_notice_a_mistake() -> None:
    config = yaml.safe_load(CLUSTER.read_text())
    config["max_worker"] = 3
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        check(config)
