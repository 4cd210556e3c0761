"""A choice as a boto3 call, CloudFormation and Terraform, with the article's production settings.

Text only: nothing is created here. Tests give the call to botocore's validator and to moto, the template to
cfn-lint, and the Terraform to an HCL parser.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from memdb.errors import BadInput
from memdb.json_text import json_text
from memdb.sizing.catalogue import Flavour
from memdb.sizing.constraints import MDB_REPLICAS
from memdb.sizing.shape import whole

PARAMETER_GROUPS: dict[Flavour, str] = {
    "valkey": "default.memorydb-valkey7.search",
    "redis": "default.memorydb-redis7.search",
}
VERSIONS: dict[Flavour, str] = {"valkey": "7.3", "redis": "7.1"}
_NAME = re.compile(r"[a-z](?:-?[a-z0-9]){0,39}")
_NODE = re.compile(r"db\.[a-z0-9]{2,8}\.[a-z0-9]{2,12}")
_WINDOW = "sun:03:00-sun:05:00"  # the article's maintenance window
_SNAPSHOTS = "01:00-02:00"  # daily, off peak, not inside the maintenance window
# Stand for what only the user knows; the templates take them as parameters.
KMS, SUBNETS, GROUP, ACL = "your-kms-key-arn", ("subnet-a", "subnet-b", "subnet-c"), "sg-yours", "your-acl"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A MemoryDB cluster with search."""

    name: str
    node_type: str
    replicas: int = 2
    flavour: Flavour = "valkey"
    snapshot_days: int = 7

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(
                f"'{self.name}' cannot name a cluster.",
                "1 to 40 small letters, digits and single dashes, beginning with a letter.",
            )
        if not _NODE.fullmatch(self.node_type):
            raise BadInput(f"'{self.node_type}' is no node type.", "One like db.r7g.large.")
        whole("Replicas", self.replicas, 0, MDB_REPLICAS)
        whole("Snapshot days", self.snapshot_days, 0, 35)


def cluster_arguments(cluster: Cluster) -> dict[str, Any]:
    """Arguments of boto3's `memorydb.create_cluster`."""
    return {
        "ClusterName": cluster.name,
        "Description": "Sessions and vectors",
        "NodeType": cluster.node_type,
        "Engine": cluster.flavour,
        "EngineVersion": VERSIONS[cluster.flavour],
        "ParameterGroupName": PARAMETER_GROUPS[cluster.flavour],
        "NumShards": 1,
        "NumReplicasPerShard": cluster.replicas,
        "ACLName": ACL,
        "SubnetGroupName": f"{cluster.name}-subnets",
        "SecurityGroupIds": [GROUP],
        "TLSEnabled": True,
        "KmsKeyId": KMS,
        "SnapshotRetentionLimit": cluster.snapshot_days,
        "SnapshotWindow": _SNAPSHOTS,
        "MaintenanceWindow": _WINDOW,
        "AutoMinorVersionUpgrade": True,
        "DataTiering": False,
    }


def subnet_group_arguments(cluster: Cluster) -> dict[str, Any]:
    """Arguments of `create_subnet_group`: a subnet in each zone, for MemoryDB to spread the nodes over."""
    return {
        "SubnetGroupName": f"{cluster.name}-subnets",
        "Description": "One subnet in each of three zones",
        "SubnetIds": list(SUBNETS),
    }


def boto3_code(cluster: Cluster) -> str:
    """A Python script that creates the subnet group and the cluster."""

    def call(name: str, arguments: dict[str, Any]) -> str:
        lines = "".join(f"    {key}={json_like(value)},\n" for key, value in arguments.items())
        return f"memorydb.{name}(\n{lines})\n"

    def json_like(value: object) -> str:
        return json.dumps(value) if not isinstance(value, bool) else str(value)

    return (
        "import boto3\n\n"
        "# Replace the subnets (one in each zone), the security group, the KMS key and the ACL by yours.\n"
        'memorydb = boto3.client("memorydb")\n\n'
        + call("create_subnet_group", subnet_group_arguments(cluster))
        + "\n"
        + call("create_cluster", cluster_arguments(cluster))
    )


def cloudformation(cluster: Cluster) -> str:
    """A template in JSON; what only the user knows are parameters."""
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "MemoryDB with vector search: one shard, replicas over zones, TLS, KMS, snapshots",
        "Parameters": {
            "SubnetIds": {"Type": "List<AWS::EC2::Subnet::Id>", "Description": "One in each zone"},
            "SecurityGroupId": {"Type": "AWS::EC2::SecurityGroup::Id"},
            "KmsKeyArn": {"Type": "String", "Description": "Key for data at rest"},
            "AclName": {"Type": "String", "Description": "An ACL of your users; open-access has no login"},
        },
        "Resources": {
            "Subnets": {
                "Type": "AWS::MemoryDB::SubnetGroup",
                "Properties": {
                    "SubnetGroupName": f"{cluster.name}-subnets",
                    "SubnetIds": {"Ref": "SubnetIds"},
                },
            },
            "Cluster": {
                "Type": "AWS::MemoryDB::Cluster",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "ClusterName": cluster.name,
                    "Description": "Sessions and vectors",
                    "NodeType": cluster.node_type,
                    "Engine": cluster.flavour,
                    "EngineVersion": VERSIONS[cluster.flavour],
                    "ParameterGroupName": PARAMETER_GROUPS[cluster.flavour],
                    "NumShards": 1,
                    "NumReplicasPerShard": cluster.replicas,
                    "ACLName": {"Ref": "AclName"},
                    "SubnetGroupName": {"Ref": "Subnets"},
                    "SecurityGroupIds": [{"Ref": "SecurityGroupId"}],
                    "TLSEnabled": True,
                    "KmsKeyId": {"Ref": "KmsKeyArn"},
                    "SnapshotRetentionLimit": cluster.snapshot_days,
                    "SnapshotWindow": _SNAPSHOTS,
                    "MaintenanceWindow": _WINDOW,
                    "AutoMinorVersionUpgrade": True,
                },
            },
        },
        "Outputs": {
            "Endpoint": {"Value": {"Fn::GetAtt": ["Cluster", "ClusterEndpoint.Address"]}},
        },
    }
    return json_text(template, indent=2) + "\n"


def terraform(cluster: Cluster) -> str:
    """HCL for the AWS provider; what only the user knows are variables."""
    name = cluster.name.replace("-", "_")
    return f"""variable "subnet_ids" {{
  type        = list(string)
  description = "One in each zone"
}}

variable "security_group_id" {{
  type = string
}}

variable "kms_key_arn" {{
  type = string
}}

variable "acl_name" {{
  type        = string
  description = "An ACL of your users; open-access has no login"
}}

resource "aws_memorydb_subnet_group" "{name}" {{
  name       = "{cluster.name}-subnets"
  subnet_ids = var.subnet_ids
}}

resource "aws_memorydb_cluster" "{name}" {{
  name                       = "{cluster.name}"
  description                = "Sessions and vectors"
  node_type                  = "{cluster.node_type}"
  engine                     = "{cluster.flavour}"
  engine_version             = "{VERSIONS[cluster.flavour]}"
  parameter_group_name       = "{PARAMETER_GROUPS[cluster.flavour]}"
  num_shards                 = 1
  num_replicas_per_shard     = {cluster.replicas}
  acl_name                   = var.acl_name
  subnet_group_name          = aws_memorydb_subnet_group.{name}.name
  security_group_ids         = [var.security_group_id]
  tls_enabled                = true
  kms_key_arn                = var.kms_key_arn
  snapshot_retention_limit   = {cluster.snapshot_days}
  snapshot_window            = "{_SNAPSHOTS}"
  maintenance_window         = "{_WINDOW}"
  auto_minor_version_upgrade = true
}}

output "endpoint" {{
  value = aws_memorydb_cluster.{name}.cluster_endpoint[0].address
}}
"""
