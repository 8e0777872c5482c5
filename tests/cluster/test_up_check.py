"""`huetune up-check` passes the two cluster files, and names the line of everything that is done to them."""

import copy
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from search.cli import app
from search.cluster import ec2
from search.cluster.up_check import up_check

ROOT = Path(__file__).parents[2]
AWS, LOCAL = (ROOT / "cluster.yaml").read_text(), (ROOT / "cluster.local.yaml").read_text()
EXAMPLE_GROUP = "got the example sg-0123456789abcdef0"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a token and a key, in the folder from which `ray up` is typed."""
    folder = tmp_path / "home"
    for name in (".ray/auth_token", ".ssh/id_ed25519"):
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_text("secret")
        file.chmod(0o600)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("RAY_UP_enable_autoscaler_v2", "0")
    monkeypatch.chdir(ROOT)
    return folder


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str], tuple[int, list[str]]]:
    """What the command says to a text: its exit code, and its findings line by line."""

    def run(text: str) -> tuple[int, list[str]]:
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        result = CliRunner().invoke(app, ["up-check", str(file)])
        assert isinstance(result.exception, SystemExit | None), result.exception
        *findings, summary = result.stdout.splitlines()
        assert summary.startswith(f"{file}: {sum(': error:' in f for f in findings)} error")
        assert all(finding.startswith(f"{file}, line ") for finding in findings)
        return result.exit_code, [finding.removeprefix(f"{file}, ") for finding in findings]

    return run


def changed(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is no longer in the cluster file: this test has to follow"
    return text.replace(old, new)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def rays_own_check(text: str) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config: dict[str, Any] = prepare_config(copy.deepcopy(yaml.safe_load(text)))
    validate_config(config)
    return config


def test_the_file_for_aws_passes_ray_and_has_one_thing_left_to_fill_in(check: Any) -> None:
    config = rays_own_check(AWS)
    types = config["available_node_types"]
    assert {name: node_type["max_workers"] for name, node_type in types.items()} == {
        "head": 0,
        "gpu-on-demand": config["max_workers"],
        "gpu-spot-g6": config["max_workers"],
        "gpu-spot-g5": config["max_workers"],
    }
    spot = {
        name for name, t in types.items() if t["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"}
    }
    assert spot == {"gpu-spot-g6", "gpu-spot-g5"}
    assert all(types[name]["priority"] > types["gpu-on-demand"]["priority"] for name in spot)
    code, findings = check(AWS)
    assert code == 0
    assert [EXAMPLE_GROUP in finding for finding in findings] == [True]
    assert findings[0].startswith(f"line {line_of(AWS, 'sg-0123456789abcdef0')}: warning: ")


def test_the_file_for_machines_of_ones_own_passes(check: Any) -> None:
    config = rays_own_check(LOCAL)
    assert config["available_node_types"]["local.cluster.node"]["min_workers"] == 2
    assert check(LOCAL) == (0, [])


@pytest.mark.parametrize("text", [AWS, LOCAL])
def test_at_most_five_lines_are_to_be_changed(text: str) -> None:
    assert 1 <= text.count("# change:") <= 5


@pytest.mark.parametrize("text", [AWS, LOCAL])
def test_what_is_mounted_is_enough_to_install_huetune(text: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {package.split(".")[0] for package in project["tool"]["setuptools"]["packages"]}
    needed = {"pyproject.toml", "constraints.txt", project["project"]["readme"], *project["project"]["license-files"]}
    mounts = yaml.safe_load(text)["file_mounts"]
    assert {f"~/huetune/{name}": name for name in packages | needed} | {
        "~/.ray/auth_token": "~/.ray/auth_token"
    } == mounts


GPU = "      InstanceType: g6.xlarge "
DISKS = AWS[AWS.index("      BlockDeviceMappings:") : AWS.index("      TagSpecifications:")]
MUTATIONS = {
    # what is changed, into what, in which line the finding stands, and words of it
    "a key of Ray": (
        "idle_timeout_minutes:",
        "idle_timeout_minute:",
        "idle_timeout_minute:",
        "mean 'idle_timeout_minutes'",
    ),
    "a key of a type": ("    priority: 1", "    priorty: 1", "priorty", "mean 'priority'"),
    "a value of Ray": (
        "max_workers: 8  ",
        "max_workers: many  ",
        "max_workers: many",
        "'many' is not of type 'integer'",
    ),
    "no idle timeout": ("idle_timeout_minutes: 10", "idle_timeout_minutes:", "idle_timeout_minutes", "'number'"),
    "no node_config": ("    node_config: &machine\n", "    metadata: &machine\n", "  head:", "'node_config'"),
    "a provider": ("  type: aws", "  type: asw", "type: asw", "Did you mean 'aws'"),
    "a key of the provider": ("  region:", "  regoin:", "regoin", "Did you mean 'region'"),
    "no region": ("  region: us-west-2 ", "  # region", "provider:", "Expected provider.region"),
    "an unknown region": ("region: us-west-2", "region: us-west-9", "us-west-9", "Did you mean 'us-west-2'"),
    "a zone elsewhere": (
        "  region:",
        "  availability_zone: eu-west-1a\n  region:",
        "eu-west-1a",
        "zones of the region us-west-2",
    ),
    "a key of EC2": (
        "      InstanceType: m6i",
        "      InstanceTyp: m6i",
        "InstanceTyp:",
        "Did you mean 'InstanceType'",
    ),
    "a key deep in EC2": ("VolumeType:", "VolumType:", "VolumType", "Did you mean 'VolumeType'"),
    "a value deep in EC2": ("gp3", "gp9", "gp9", "Expected a VolumeType that EC2 knows, got 'gp9'"),
    "text for a number": (
        "VolumeSize: 150",
        "VolumeSize: big",
        "VolumeSize: big",
        "whole number for VolumeSize, got 'big'",
    ),
    "keys for a list": ("Tags: *tags}", "Tags: {a: b}}", "Tags: {a: b}", "a list for Tags"),
    "a type of machine": (
        "g5.xlarge",
        "g5.xlarg",
        "g5.xlarg",
        "Did you mean 'g5.xlarge'? If it is newer than botocore",
    ),
    "a market": (
        "g5.xlarge, InstanceMarketOptions: {MarketType: spot}",
        "g5.xlarge, InstanceMarketOptions: {MarketType: spott}",
        "spott",
        "Did you mean 'spot'",
    ),
    "a GPU that is none": (
        GPU,
        "      InstanceType: m6i.xlarge ",
        "resources: {CPU: 4, GPU: 1}",
        "no GPU of a m6i.xlarge",
    ),
    "no type of machine": (
        "      InstanceType: m6i.xlarge",
        "      # none",
        "node_config: &machine",
        "Expected InstanceType",
    ),
    "half a thing of EC2": (
        GPU,
        f"      CreditSpecification: {{}}\n{GPU}",
        "CreditSpecification",
        "Expected CpuCredits in CreditSpecification",
    ),
    "no image": ("      ImageId:", "      # ImageId:", "node_config: &machine", "Python 3.6"),
    "a strange image": ("ImageId: resolve:ssm:", "ImageId: ", "ImageId: /aws", "Expected an image such as ami-"),
    "no group": (
        "      SecurityGroupIds:",
        "      # SecurityGroupIds:",
        "node_config: &machine",
        "SSH from the whole world",
    ),
    "a strange group": ("[sg-0123456789abcdef0]", "[huetune]", "[huetune]", "Expected the id of a security group"),
    "an open group": (
        "  region:",
        "  security_group:\n    IpPermissions:\n      - {IpRanges: [{CidrIp: 0.0.0.0/0}]}\n  region:",
        "0.0.0.0/0",
        "for the whole world",
    ),
    "a key of one's own": (
        "  ssh_user: ubuntu",
        "  ssh_user: ubuntu\n  ssh_private_key: ~/.ssh/id_ed25519",
        "node_config: &machine",
        "Expected KeyName",
    ),
    "the head's type": (
        "head_node_type: head",
        "head_node_type: haed",
        "head_node_type",
        "got 'haed'. Did you mean 'head'",
    ),
    "no head's type": ("head_node_type: head\n", "", "cluster_name:", "got None"),
    "more than there may be": (
        "    priority: 0",
        "    min_workers: 9",
        "min_workers: 9",
        "<= max_workers of 'gpu-on-demand', got 9 and 8",
    ),
    "more promised than there may be": (
        "    resources: {CPU: 4, GPU: 1}",
        "    min_workers: 3\n    resources: {CPU: 4, GPU: 1}",
        "max_workers: 8 ",
        "at least 9, the sum of every min_workers, got 8",
    ),
    "more in all": ("max_workers: 8 ", "max_workers: 0 ", "max_workers: 0 ", "Raise max_workers"),
    "an open dashboard": (
        "dashboard-host=127.0.0.1",
        "dashboard-host=0.0.0.0",
        "head_start_ray_commands",
        "got --dashboard-host=0.0.0.0",
    ),
    "no token mode": ("RAY_AUTH_MODE=token ", "", "head_start_ray_commands", "Expected RAY_AUTH_MODE=token"),
    "no token": ("  ~/.ray/auth_token:", "  ~/.ray/other:", "file_mounts:", "Expected the token to be mounted"),
    "a mount of a number": ("/search: search", "/search: 3", "/search: 3", "Expected a path on this machine, got 3"),
    "nothing set up": (
        "\nsetup_commands:",
        "\ninitialization_commands:",
        "cluster_name:",
        "install a nightly build of Ray",
    ),
    "a mount of nothing": ("/search: search", "/search: serch", "serch", "Expected serch here"),
    "no autoscaling": (
        "--autoscaling-config=~/ray_bootstrap_config.yaml",
        "",
        "head_start_ray_commands",
        "no worker would ever",
    ),
    "another port": (
        "HEAD_IP:6379",
        "HEAD_IP:6380",
        "worker_start_ray_commands",
        "Expected --address=$RAY_HEAD_IP:6379",
    ),
    "no start": (
        "ray start --address",
        "ray begin --address",
        "worker_start_ray_commands",
        "Expected a command `ray start",
    ),
    "a key twice": (
        "max_workers: 8 ",
        "max_workers: 4\nmax_workers: 8 ",
        "max_workers: 8 ",
        "Expected 'max_workers' once, but line",
    ),
    "no YAML": ("{MarketType: spot}", "{MarketType: spot", "  gpu-spot-g5:", "Expected YAML"),
}


def stands_at(text: str, part: str) -> int:
    """The line of a part; of a list of start commands, that of its last command, `ray stop` being the first."""
    line = line_of(text, part)
    return line + 2 if part.endswith("_start_ray_commands") and "ray begin" not in text else line


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_in_the_file_for_aws_is_refused_and_its_line_named(name: str, check: Any) -> None:
    old, new, part, words = MUTATIONS[name]
    text = changed(AWS, old, new)
    code, findings = check(text)
    assert code == 1
    told = [finding for finding in findings if finding.startswith(f"line {stands_at(text, part)}: error: ")]
    assert any(words in finding for finding in told), findings


WARNINGS = {
    "no encryption": (", Encrypted: true", "", "Ebs:", "got Encrypted: not given"),
    "disks as they come": (
        DISKS,
        "",
        "node_config: &machine",
        "Expected BlockDeviceMappings",
    ),
    "encryption denied": ("Encrypted: true", "Encrypted: false", "Ebs:", "got Encrypted: false"),
    "IMDSv1": ("HttpTokens: required", "HttpTokens: optional", "HttpTokens", "IMDSv1"),
    "a spot head": (
        "      InstanceType: m6i.xlarge",
        "      InstanceType: m6i.xlarge\n      InstanceMarketOptions: {MarketType: spot}",
        "InstanceMarketOptions",
        "a head on demand",
    ),
    "a busy head": ("    resources: {CPU: 0} ", "    resources: {CPU: 4} ", "resources: {CPU: 4} ", "got CPU 4"),
    "a head as it is": ("    resources: {CPU: 0} ", "    # resources", "  head:", "got CPU as many as it has"),
    "no role": (
        "      IamInstanceProfile: {Name: huetune-head}",
        "      # none",
        "node_config: &machine",
        "everything with EC2",
    ),
    "idling": ("idle_timeout_minutes: 10", "idle_timeout_minutes: 600", "idle_timeout", "got 600 minutes"),
    "no idling": ("idle_timeout_minutes: 10", "idle_timeout_minutes: 0", "idle_timeout", "got 0"),
    "stopped machines": ("  cache_stopped_nodes: false", "  # none", "provider:", "still cost their disks"),
    "more of a type": ("    priority: 0", "    max_workers: 99", "max_workers: 99", "Expected at most 8"),
    "two heads": (
        "    max_workers: 0",
        "    max_workers: 1",
        "max_workers: 1",
        "no further machine of the head's type",
    ),
    "slow health checks": ("RAY_health_check_period_ms=1000", "", "head_start_ray_commands", "noticed after 15 to 63"),
    "floating versions": ("--constraint ~/huetune/constraints.txt ", "", "pip install", "Expected pinned versions"),
    "another cloud": ("  type: aws", "  type: gcp", "type: gcp", "huetune knows aws and local"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_costs_or_risks_more_than_it_has_to_is_a_warning(name: str, check: Any) -> None:
    old, new, part, words = WARNINGS[name]
    text = changed(AWS, old, new)
    part = "      pip install" if part == "pip install" and part not in text else part
    code, findings = check(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if part in row and not row.startswith("#"))
    line += 2 if part.endswith("_start_ray_commands") else 0
    assert any(f.startswith(f"line {line}: warning: ") and words in f for f in findings), findings
    assert code == 0, findings


LOCAL_MUTATIONS = {
    "no workers": ("  worker_ips:", "  # worker_ips:", "provider:", "Expected worker_ips"),
    "the head among them": ("[192.168.1.11,", "[192.168.1.10,", "worker_ips", "'192.168.1.10' again"),
    "types": (
        "cluster_name:",
        "available_node_types: {a: {resources: {}, node_config: {}}}\ncluster_name:",
        "available_node_types",
        "all of one type",
    ),
    "a key of the provider": (
        "  type: local",
        "  type: local\n  region: here",
        "region: here",
        "which Ray would ignore",
    ),
    "machines that stay out": (
        "cluster_name:",
        "max_workers: 1\ncluster_name:",
        "max_workers: 1",
        "of 2, one for each",
    ),
    "an address that is none": ("[192.168.1.11,", "[{},", "worker_ips", "Expected an address, got {}"),
    "no user": ("  ssh_user:", "  # ssh_user:", "auth:", "Expected auth.ssh_user"),
    "no key": ("  ssh_private_key:", "  # ssh_private_key:", "auth:", "Expected auth.ssh_private_key"),
    "a key that is not there": ("id_ed25519", "id_rsa", "id_rsa", "Expected a file ~/.ssh/id_rsa, found none"),
}


@pytest.mark.parametrize("name", LOCAL_MUTATIONS)
def test_a_mistake_in_the_file_for_machines_of_ones_own_is_refused(name: str, check: Any) -> None:
    old, new, part, words = LOCAL_MUTATIONS[name]
    text = changed(LOCAL, old, new)
    code, findings = check(text)
    assert code == 1
    assert any(f.startswith(f"line {line_of(text, part)}: error: ") and words in f for f in findings), findings


@pytest.mark.parametrize(("name", "line"), [(".ray/auth_token", "  ~/.ray/auth_token"), (".ssh/id_ed25519", "_key:")])
def test_a_secret_that_others_can_read_is_an_error(home: Path, check: Any, name: str, line: str) -> None:
    (home / name).chmod(0o644)
    code, [finding] = check(LOCAL)
    assert code == 1
    assert finding.startswith(f"line {line_of(LOCAL, line)}: error: ")
    assert finding.endswith(f"got mode 644. Type `chmod 600 ~/{name}`.")


def test_a_token_that_was_not_made_yet_is_an_error_that_says_how(home: Path, check: Any) -> None:
    (home / ".ray/auth_token").unlink()
    code, findings = check(LOCAL)
    assert code == 1
    assert "`ray get-auth-token --generate`" in findings[0]


def test_with_the_second_autoscaler_machines_of_ones_own_are_warned_of(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_UP_enable_autoscaler_v2")
    code, [finding] = check(LOCAL)
    assert code == 0
    assert "RAY_UP_enable_autoscaler_v2=0" in finding


def test_without_botocore_it_says_what_was_not_checked(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2, "available", lambda: False)
    code, findings = check(changed(AWS, "MarketType: spot}", "MarketType: spott}"))
    assert code == 0
    assert "pip install 'huetune[aws]'" in findings[0]


def test_nobody_is_asked(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("up-check went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert check(AWS)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list\n",
        "words\n",
        "provider: 3\n",
        "provider: {type: [aws]}\n",
        "a: &a [*a]\n",
        "provider: {type: aws}\navailable_node_types: {a: 3}\n",
        "8: 9\nprovider: {type: aws}\n",
        "provider: {type: aws}\navailable_node_types: {3: {}}\n",
    ],
)
def test_a_file_that_is_something_else_is_refused_in_words(text: str, check: Any) -> None:
    code, findings = check(text)
    assert code == 1
    assert all(": error: " in finding or ": warning: " in finding for finding in findings)


def test_a_file_that_is_not_there_is_told() -> None:
    result = CliRunner().invoke(app, ["up-check", "nowhere.yaml"])
    assert result.exit_code == 1
    assert "Expected a cluster file at nowhere.yaml" in result.stderr


def test_findings_come_from_the_top_down(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(changed(changed(AWS, "us-west-2", "us-west-9"), "HEAD_IP:6379", "HEAD_IP:6380"))
    lines = [remark.line for remark in up_check(file)]
    assert lines == sorted(lines)
    assert len(lines) == 3
