"""deploy/: both kinds of template say the same, grant what the code calls, and hold before AWS's schemas."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import hcl2
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from memdb.hosting.place import STYLES
from tests.linted import lint

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SERVICES = {
    "memorydb": "memorydb",
    "elasticache": "elasticache",
    "cloudwatch": "cloudwatch",
    "pricing": "pricing",
    "bedrock-runtime": "bedrock",
    "secretsmanager": "secretsmanager",
    "ec2": "ec2",
}
# IAM names these two otherwise than the API does (Service Authorization Reference, Amazon Bedrock).
OTHERWISE = {"bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream"}
# Calls that the templates grant on purpose to nobody.
WRITES = {
    f"{service}:{call}"
    for service in ("memorydb", "elasticache")
    for call in ("CreateSnapshot", "CopySnapshot")
} | {"memorydb:FailoverShard", "elasticache:TestFailover", "cloudwatch:PutMetricAlarm"}
# In the text that the Sizing page shows for a cluster of one's own; nothing is sent.
PRINTED = {"memorydb:CreateCluster", "memorydb:CreateSubnetGroup"}
# Asked by `memdb deploy`, on the machine of who runs it.
ON_THE_WAY = {
    "ec2:DescribeSubnets",
    "ec2:DescribeRouteTables",
    "ec2:DescribeVpcEndpoints",
    "memorydb:DescribeSubnetGroups",
    "memorydb:DescribeUsers",
    "elasticache:DescribeCacheSubnetGroups",
    "elasticache:DescribeUsers",
}
# By a target of the settings file that names a secret: which one, only its owner knows (docs/deploy-team.md).
OF_YOURS = {"secretsmanager:GetSecretValue"}
# What serving needs besides calls of this package: the login itself, Session Manager, logs, files, installing.
BESIDES = re.compile(r"(logs|ssm|ssmmessages|s3|elasticfilesystem|sts):|.*:Connect$")


def operations() -> dict[str, set[str]]:
    """Python's name of each operation → the IAM actions that it may need."""
    session = botocore.session.get_session()
    names: dict[str, set[str]] = {}
    for service, prefix in SERVICES.items():
        for operation in session.get_service_model(service).operation_names:
            action = f"{prefix}:{operation}"
            python = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation).lower()
            names.setdefault(python, set()).add(OTHERWISE.get(action, action))
    return names


# Calls that name no action beside them; the client is made for this service in the same file.
BY_ITSELF = {
    ("assistant/answers.py", "converse_stream"): "bedrock-runtime",
    ("embedding/bedrock.py", "invoke_model"): "bedrock-runtime",
    ("cluster/aws.py", "get_secret_value"): "secretsmanager",
    ("cluster/discover.py", "describe_clusters"): "memorydb",
    ("cluster/discover.py", "describe_parameters"): "memorydb",
    ("cluster/elasticache.py", "describe_replication_groups"): "elasticache",
    ("cluster/elasticache.py", "describe_serverless_caches"): "elasticache",
    ("cluster/elasticache.py", "describe_cache_clusters"): "elasticache",
    ("sizing/prices.py", "get_products"): "pricing",
    ("cli/aws.py", "put_metric_alarm"): "cloudwatch",
}
MADE_BY = {"bedrock-runtime": "memdb.assistant.bedrock_client"}  # the module that makes the service's client
# The sample answers by these names, and the Sizing page prints the last two: nothing is called.
NOT_CALLED = {"operations/aws_sample.py", "sizing/deploy.py"}


def called(tree: ast.AST) -> Iterator[str]:
    """What a source calls as a method, or names in a text: `get_paginator("describe_clusters")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named_actions(tree: ast.AST) -> set[str]:
    """Actions that a source names: whole, or with the service of a client (either database's) before them."""
    actions: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"[a-z0-9]+:[A-Z]\w+", node.value):
                actions.add(node.value)
            elif re.fullmatch(r":[A-Z]\w+", node.value):
                actions |= {f"{service}{node.value}" for service in ("memorydb", "elasticache")}
    return actions


def actions_of(source: str, name: str, known: dict[str, set[str]]) -> tuple[set[str], list[str]]:
    """The actions of every call in a source, by service and operation, and the calls whose service is not told."""
    tree, needed, untold = ast.parse(source), set(), []
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)):
        for operation in set(called(function)) & known.keys():
            beside = known[operation] & named_actions(function)
            service = BY_ITSELF.get((name, operation))
            if not beside and service is not None and MADE_BY.get(service, f'"{service}"') in source:
                beside = {a for a in known[operation] if a.startswith(f"{SERVICES[service]}:")}
            needed |= beside
            untold += [] if beside else [f"{name}: {operation}"]
    return needed, untold


def actions_of_the_code() -> set[str]:
    """Every action that the package's calls need."""
    known, needed = operations(), set()
    for path in sorted((ROOT / "memdb").rglob("*.py")):
        name = str(path.relative_to(ROOT / "memdb"))
        if name not in NOT_CALLED:
            actions, untold = actions_of(path.read_text(), name, known)
            assert not untold
            needed |= actions
    return needed


def granted(text: str) -> set[str]:
    """Actions that a template names."""
    named = re.findall(r"(?:\b[a-z0-9-]+|\$\{(?:var\.service|Service)\}):[A-Z][A-Za-z]+\b", text)
    return {re.sub(r"\$\{.*\}", "memorydb", name) for name in named if not name.startswith(("arn:", "aws:"))}


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms, as what they hold."""


def _short(loader: Loader, _suffix: str, node: Any) -> Any:
    made = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    return made.get(type(node), loader.construct_mapping)(node)


Loader.add_multi_constructor("!", _short)


def cloudformation(style: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((DEPLOY / style / "cloudformation.yaml").read_text(), Loader)  # noqa: S506
    return loaded


def terraform(style: str) -> dict[str, Any]:
    return hcl2.loads((DEPLOY / style / "main.tf").read_text())


def unquoted(text: str) -> str:
    return text.strip('"')


def variables(style: str) -> dict[str, Any]:
    return {unquoted(name): body for block in terraform(style)["variable"] for name, body in block.items()}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.mark.long
def test_cloudformation_holds_before_the_schemas() -> None:
    for style in STYLES:
        assert lint((DEPLOY / style / "cloudformation.yaml").read_text(), regions=["eu-west-1"]) == []


@pytest.mark.parametrize("style", STYLES)
def test_both_kinds_take_the_same(style: str) -> None:
    parameters = cloudformation(style)["Parameters"]
    # Terraform is told Region and name; a stack has both. The scheme is a word there and a switch here, and the
    # image of the instance is looked up in the template itself.
    mine = {snake(name) for name in parameters} - {"image_id", "balancer_scheme"}
    theirs = set(variables(style)) - {"region", "name", "balancer_internal"}
    assert mine == theirs
    required = {snake(name) for name, body in parameters.items() if "Default" not in body}
    assert required == {name for name, body in variables(style).items() if "default" not in body} - {"region"}


@pytest.mark.parametrize("style", STYLES)
def test_both_kinds_grant_the_same(style: str) -> None:
    texts = [(DEPLOY / style / name).read_text() for name in ("cloudformation.yaml", "main.tf")]
    first, second = (granted(text) for text in texts)
    assert first == second
    assert "memorydb:Connect" in first


def test_a_call_counts_for_the_service_it_is_sent_to_alone() -> None:
    known = operations()
    both = "memorydb:DescribeSnapshots", "elasticache:DescribeSnapshots"
    assert set(both) <= known["describe_snapshots"]
    call = 'lambda: pages(client, "describe_snapshots", "Snapshots")'
    for action in both:  # whatever else the file speaks of
        source = f'"""memorydb and elasticache"""\ndef read(client):\n    return ask("{action}", {call})\n'
        assert actions_of(source, "x.py", known) == ({action}, [])
    source = f'def read(client):\n    return ask(f"{{service(client)}}:DescribeSnapshots", {call})\n'
    assert actions_of(source, "x.py", known) == (set(both), [])
    source = "def read(client):\n    return client.describe_snapshots()\n"
    assert actions_of(source, "x.py", known) == (set(), ["x.py: describe_snapshots"])
    other = f'def read(client):\n    return ask("memorydb:DescribeUsers", {call})\n'
    assert actions_of(other, "x.py", known) == (set(), ["x.py: describe_snapshots"])


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES)
def test_granted_is_what_the_code_calls(style: str) -> None:
    given = {a for a in granted((DEPLOY / style / "main.tf").read_text()) if not BESIDES.match(a)} - OF_YOURS
    assert given == actions_of_the_code() - WRITES - PRINTED - ON_THE_WAY - OF_YOURS


def test_no_right_is_wider_than_said() -> None:
    for style in STYLES:
        for path in (DEPLOY / style).iterdir():
            text = path.read_text()
            assert not re.search(r"[\"' ][a-z]+:\*", text), path
            assert "AdministratorAccess" not in text
    for resource in cloudformation("host")["Resources"].values():
        assert "SecurityGroupIngress" not in resource.get("Properties", {})
    assert not any(
        "ingress" in body
        for block in terraform("host")["resource"]
        for body in block.get('"aws_security_group"', {}).values()
    )


@pytest.mark.parametrize("style", STYLES)
def test_each_statement_says_what_it_is_for(style: str) -> None:
    lines = (DEPLOY / style / "main.tf").read_text().splitlines()
    begins = [i for i, line in enumerate(lines) if re.search(r"^  (dynamic \")?statement\"? \{", line)]
    told = [i for i in begins if lines[i - 1].lstrip().startswith("#")]
    sids = [re.search(r'"(\w+)"', line)[1] for line in lines if line.lstrip().startswith("sid ")]  # type: ignore[index]
    assert len(sids) == len(begins)
    assert len(begins) - len(told) <= 2  # what goes with the one before it, and the execution role's own


def test_the_container_of_the_team_is_the_image_s() -> None:
    image = (DEPLOY / "Containerfile").read_text()
    assert len(re.findall(r"^FROM ", image, re.M)) == 2
    last = image.rsplit("\nFROM ", 1)[1]
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" in last
    assert 'ENTRYPOINT ["/opt/memdb/bin/memdb", "serve", "--address", "0.0.0.0"]' in last
    assert not re.search(r"apt-get|pip install|gcc|build-essential", last)
    (container,) = cloudformation("team")["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "10001:10001"
    assert container["HealthCheck"]["Command"][1:] == json.loads(re.search(r"CMD (\[.*\])", last)[1])  # type: ignore[index]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert compose["explorer"]["read_only"] is True
    assert compose["explorer"]["ports"] == ["127.0.0.1:8501:8501"]


def test_every_dependency_is_locked_where_it_may_be() -> None:
    """Where this fails: `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["login"])
    ]
    locked: dict[str, list[Version]] = {}
    for line in (DEPLOY / "constraints.txt").read_text().splitlines():
        name, _, rest = line.partition("==")
        locked.setdefault(name.lower(), []).append(Version(rest.partition(";")[0].strip()))
    assert len(locked) > len(wanted)
    for requirement in wanted:
        versions = locked.get(requirement.name.lower(), [])
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_no_registry_is_named() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    images = {w for path in files for w in re.findall(r"(?:FROM|image:)\s+(\S+)", path.read_text())}
    assert images == {"python:3.12-slim", "valkey/valkey-bundle:8.1"}
