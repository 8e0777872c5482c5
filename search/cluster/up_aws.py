"""Checks of a cluster file for AWS: the region, who gets in, and what EC2 would say to each type of machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from search.cluster import ec2
from search.cluster.up_finding import Finding, error, one_of, warning

# What ray/autoscaler/_private/aws and the autoscaler itself look up.
_KEYS = {
    "type",
    "region",
    "availability_zone",
    "cache_stopped_nodes",
    "security_group",
    "key_pair",
    "aws_credentials",
    "cloudwatch",
    "use_internal_ips",
    "use_external_head_ip",
    "module",
    "disable_node_updaters",
    "disable_launch_config_check",
    "foreground_node_launch",
    "worker_liveness_check",
    "worker_rpc_drain",
}
_EXAMPLE_GROUP = "sg-0123456789abcdef0"
_HOW_TO_GROUP = (
    "make a group that lets in SSH from your address and everything from itself, and write SecurityGroupIds: [sg-...]"
)


def check(config: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with the provider and with each `node_config`."""
    yield from _provider(config["provider"])
    if not ec2.available():
        yield warning(
            ("provider", "type"),
            "Expected botocore, found none, so that regions and node_config were not compared with what EC2 knows;"
            " `ray up` needs it too. Type `pip install 'huetune[aws]'`.",
        )
    for name, node_type in config["available_node_types"].items():
        path = ("available_node_types", name, "node_config")
        node_config = node_type["node_config"]
        wanted = {key: value for key, value in node_config.items() if key != "SubnetIds"}  # Ray's own key
        yield from ec2.faults(wanted, path)
        yield from _machine(node_config, path)
        yield from _door(node_config, path)
        yield from _disks(node_config, path)
        yield from _gpus(node_type, name)
        if "ssh_private_key" in config["auth"] and not {"KeyName", "UserData"} & node_config.keys():
            yield error(
                path,
                f"Expected KeyName, the name AWS has for auth.ssh_private_key, found none in {name!r}."
                " Add it, or remove ssh_private_key, and Ray makes a key pair.",
            )
    head = config["head_node_type"]
    yield from _roles(config["available_node_types"], head)


def _provider(provider: dict[str, Any]) -> Iterator[Finding]:
    for key in sorted(provider.keys() - _KEYS, key=str):
        yield error(("provider", key), f"Unknown key {key!r}, which Ray would ignore. {one_of(_KEYS, key)}")
    region = provider.get("region")
    if not region:
        yield error(("provider",), "Expected provider.region, found none. Add it, such as `region: us-west-2`.")
    elif (regions := ec2.regions()) and region not in regions:
        yield error(("provider", "region"), f"Expected a region of AWS, got {region!r}. {one_of(regions, region)}")
    zones = [zone.strip() for zone in provider.get("availability_zone", "").split(",") if zone.strip()]
    if region and (strange := [zone for zone in zones if not zone.startswith(region)]):
        yield error(
            ("provider", "availability_zone"),
            f"Expected zones of the region {region}, got {', '.join(strange)}. Write such as {region}a.",
        )
    if provider.get("cache_stopped_nodes", True):
        where = ("provider", "cache_stopped_nodes")
        yield warning(
            where, "Expected cache_stopped_nodes: false; machines that only stop still cost their disks. Set it."
        )
    for index, rule in enumerate(provider.get("security_group", {}).get("IpPermissions", [])):
        if "0.0.0.0/0" in str(rule) or "::/0" in str(rule):
            yield error(
                ("provider", "security_group", "IpPermissions", index),
                "Expected a rule for your own addresses, got one for the whole world. Write such as 203.0.113.7/32.",
            )


def _machine(node_config: dict[str, Any], path: tuple[str, ...]) -> Iterator[Finding]:
    templated = "LaunchTemplate" in node_config
    image = node_config.get("ImageId")
    if not templated and image in (None, "", "latest_dlami"):
        yield error(
            (*path, "ImageId"),
            "Expected ImageId, found none: Ray's own image is Ubuntu 18.04 with Python 3.6, and huetune needs 3.11."
            " Copy the one of huetune's cluster.yaml.",
        )
    elif isinstance(image, str) and not re.match(r"ami-[0-9a-f]{8,17}$|resolve:ssm:.", image):
        yield error(
            (*path, "ImageId"),
            f"Expected an image such as ami-0abc... or resolve:ssm:PARAMETER, got {image!r}. Mend it.",
        )
    if not templated and "InstanceType" not in node_config:
        yield error(path, "Expected InstanceType, found none. Add such as `InstanceType: g6.xlarge`.")
    options = node_config.get("MetadataOptions")
    if not templated and not (isinstance(options, dict) and options.get("HttpTokens") == "required"):
        yield warning(
            (*path, "MetadataOptions"),
            "Expected MetadataOptions: {HttpTokens: required}, found none: with IMDSv1 whatever can be made to fetch"
            " a page for a stranger gives away the machine's role. Add it.",
        )


def _door(node_config: dict[str, Any], path: tuple[str, ...]) -> Iterator[Finding]:
    """Who reaches the machine. A group that Ray makes always lets in SSH from 0.0.0.0/0, whatever rules it is given."""
    groups = node_config.get("SecurityGroupIds")
    if not groups and not {"NetworkInterfaces", "LaunchTemplate"} & node_config.keys():
        yield error(
            (*path, "SecurityGroupIds"),
            "Expected SecurityGroupIds, found none: Ray would make a group that is open to SSH from the whole world,"
            f" whatever provider.security_group says. Instead {_HOW_TO_GROUP}.",
        )
    for index, group in enumerate(groups if isinstance(groups, list) else []):
        if group == _EXAMPLE_GROUP:
            yield warning(
                (*path, "SecurityGroupIds", index),
                f"Expected your security group, got the example {group}. Before `ray up`, {_HOW_TO_GROUP}.",
            )
        elif isinstance(group, str) and not re.fullmatch(r"sg-([0-9a-f]{8}|[0-9a-f]{17})", group):
            yield error(
                (*path, "SecurityGroupIds", index),
                f"Expected the id of a security group, such as {_EXAMPLE_GROUP}, got {group!r}. Mend it.",
            )


def _disks(node_config: dict[str, Any], path: tuple[str, ...]) -> Iterator[Finding]:
    disks = node_config.get("BlockDeviceMappings")
    if not disks and "LaunchTemplate" not in node_config:
        yield warning(
            (*path, "BlockDeviceMappings"),
            "Expected BlockDeviceMappings with Encrypted: true, found none: the disk is as the image has it."
            " Copy those of huetune's cluster.yaml.",
        )
    for index, disk in enumerate(disks if isinstance(disks, list) else []):
        volume = disk.get("Ebs") if isinstance(disk, dict) else None
        if isinstance(volume, dict) and volume.get("Encrypted") is not True:
            yield warning(
                (*path, "BlockDeviceMappings", index, "Ebs"),
                "Expected an encrypted disk, got Encrypted: "
                f"{str(volume.get('Encrypted', 'not given')).lower()}. Set Encrypted: true.",
            )


def _gpus(node_type: dict[str, Any], name: str) -> Iterator[Finding]:
    """Families of NVIDIA GPUs are g and p, and nothing else on AWS is."""
    kind = str(node_type["node_config"].get("InstanceType", ""))
    promised = node_type["resources"].get("GPU", 0)
    if promised and kind and not re.match(r"(g|gr|p)\d", kind):
        yield error(
            ("available_node_types", name, "resources"),
            f"Expected no GPU of a {kind}, which has none, got GPU: {promised}: Ray would start machines for ever that"
            " fit no trial. Change InstanceType, or remove GPU.",
        )


def _roles(types: dict[str, dict[str, Any]], head: str) -> Iterator[Finding]:
    for name, node_type in types.items():
        path = ("available_node_types", name, "node_config")
        node_config = node_type["node_config"]
        if not {"IamInstanceProfile", "LaunchTemplate"} & node_config.keys():
            yield warning(
                (*path, "IamInstanceProfile"),
                "Expected IamInstanceProfile, found none: Ray would make a role that may do everything with EC2 and S3."
                " Name a profile that may start machines and use your bucket."
                if name == head
                else "Expected IamInstanceProfile, found none: these machines could not reach the bucket."
                " Name a profile that may use it.",
            )
    if types[head]["node_config"].get("InstanceMarketOptions"):
        yield warning(
            ("available_node_types", head, "node_config", "InstanceMarketOptions"),
            "Expected a head on demand, got a spot machine: when AWS takes it, the search ends and has to be resumed."
            " Remove InstanceMarketOptions from the head.",
        )
