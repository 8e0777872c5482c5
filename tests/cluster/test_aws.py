"""cluster.yaml through Ray's own AWS code to an EC2 that looks at what it is asked for: moto, in this process."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto.settings
import pytest
import yaml
from moto import mock_aws

from search.cluster.up_check import up_check

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
REGION = "us-west-2"
Config = dict[str, Any]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An account of AWS with the two profiles that cluster.yaml names, and what every account has."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir()
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for setting in ("EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "ENABLE_AMI_VALIDATION", "ENABLE_KEYPAIR_VALIDATION"):
            patch.setattr(moto.settings, setting, True)
        patch.setenv("HOME", str(home))
        iam = boto3.client("iam", REGION)
        for name in ("huetune-head", "huetune-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        forget_clients()
        yield boto3.client("ec2", REGION)
    forget_clients()


def forget_clients() -> None:
    """Ray keeps its clients for as long as the process lives."""
    from ray.autoscaler._private.aws import config, utils

    for cached in (config._get_subnets_or_die, utils.resource_cache, utils.client_cache):
        cached.cache_clear()


@pytest.fixture(scope="module")
def bootstrapped(account: Any) -> Config:
    """cluster.yaml as Ray has it just before it asks for machines; only the ids are of this account.

    moto does not look up `resolve:ssm:`, and the group in the file is an example.
    """
    group = account.create_security_group(GroupName="huetune", Description="of the test")["GroupId"]
    image = account.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    config: Config = yaml.safe_load(TEXT)
    for node_type in config["available_node_types"].values():
        assert node_type["node_config"]["ImageId"].startswith("resolve:ssm:/aws/service/deeplearning/ami/x86_64/")
        node_type["node_config"] |= {"ImageId": image, "SecurityGroupIds": [group]}
    return as_ray_up_has_it(config)


@pytest.fixture
def ready(bootstrapped: Config) -> Config:
    """The same, to be changed at will."""
    return copy.deepcopy(bootstrapped)


def as_ray_up_has_it(config: Config) -> Config:
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = AWSNodeProvider.fillout_available_node_types_resources(prepare_config(config))
    validate_config(config)
    return dict(AWSNodeProvider.bootstrap_config(config))


def launch(config: Config, name: str) -> dict[str, Any]:
    """One machine of a type, through Ray's provider; what EC2 knows of it then."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    created = provider.create_node(config["available_node_types"][name]["node_config"], {"ray-node-kind": name}, 1)
    [machine] = created.values()
    return dict(machine.meta.client.describe_instances(InstanceIds=[machine.id])["Reservations"][0]["Instances"][0])


TYPES = {"head": "m6i.xlarge", "gpu-on-demand": "g6.xlarge", "gpu-spot-g6": "g6.xlarge", "gpu-spot-g5": "g5.xlarge"}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_machine_is_what_ec2_takes(name: str, ready: Config, account: Any) -> None:
    machine = launch(ready, name)
    assert machine["InstanceType"] == TYPES[name]
    assert machine.get("InstanceLifecycle") == ("spot" if "spot" in name else None)
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert machine["IamInstanceProfile"]["Arn"].endswith("huetune-head" if name == "head" else "huetune-worker")
    assert [group["GroupName"] for group in machine["SecurityGroups"]] == ["huetune"]
    tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}
    assert tags["project"] == "huetune"
    assert tags["ray-cluster-name"] == "huetune"  # what `ray down` goes by
    disk = machine["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    [volume] = account.describe_volumes(VolumeIds=[disk])["Volumes"]
    assert volume["Encrypted"]
    assert (volume["Size"], volume["VolumeType"]) == (150, "gp3")
    assert {"Key": "project", "Value": "huetune"} in volume["Tags"]


def test_the_types_offer_what_they_say(ready: Config) -> None:
    """Ray looks the machines up and keeps what the file says; what it adds has to fit."""
    for name, node_type in ready["available_node_types"].items():
        known = boto3.client("ec2", REGION).describe_instance_types(InstanceTypes=[TYPES[name]])["InstanceTypes"][0]
        resources = node_type["resources"]
        if name == "head":
            assert resources["CPU"] == 0
            assert "GPU" not in resources
        else:
            assert resources["CPU"] == known["VCpuInfo"]["DefaultVCpus"]
            assert resources["GPU"] == known["GpuInfo"]["Gpus"][0]["Count"]


def test_rays_own_group_would_be_open_to_the_world_whatever_the_file_says(ready: Config, account: Any) -> None:
    """Why cluster.yaml names a group, and why up-check wants one."""
    config = copy.deepcopy(ready)
    config["provider"]["security_group"] = {
        "GroupName": "closed",
        "IpPermissions": [
            {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
        ],
    }
    for node_type in config["available_node_types"].values():
        del node_type["node_config"]["SecurityGroupIds"]
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    AWSNodeProvider.bootstrap_config(config)
    [group] = account.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["closed"]}])["SecurityGroups"]
    open_to = [address["CidrIp"] for rule in group["IpPermissions"] for address in rule["IpRanges"]]
    assert "0.0.0.0/0" in open_to


REFUSED = {
    "type": ({"InstanceType": "g5.xlarg"}, "InvalidInstanceType.NotFound"),
    "image": ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
    "key": ({"KeyName": "nobodys"}, "InvalidKeyPair.NotFound"),
    "profile": ({"IamInstanceProfile": {"Name": "nobodys"}}, "Instance profile nobodys not found"),
    "group": ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
    "parameter": ({"InstanceTyp": "g5.xlarge"}, 'Unknown parameter in input: "InstanceTyp"'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_ec2_refuses_what_it_does_not_have(what: str, ready: Config) -> None:
    change, words = REFUSED[what]
    ready["available_node_types"]["gpu-spot-g5"]["node_config"] |= change
    with pytest.raises(Exception, match=words):
        launch(ready, "gpu-spot-g5")


def test_a_market_that_there_is_not_is_seen_by_up_check_alone(ready: Config, tmp_path: Path) -> None:
    ready["available_node_types"]["gpu-spot-g5"]["node_config"]["InstanceMarketOptions"] = {"MarketType": "spott"}
    assert launch(ready, "gpu-spot-g5")["InstanceType"] == "g5.xlarge"  # moto and botocore let it pass
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT.replace("MarketType: spot", "MarketType: spott", 1))
    line = next(number for number, row in enumerate(file.read_text().splitlines(), 1) if "spott" in row)
    assert f"{file}, line {line}: error: Expected a MarketType that EC2 knows, got 'spott'. Did you mean 'spot'?" in [
        remark.text for remark in up_check(file)
    ]
