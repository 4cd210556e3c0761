# MemoryDB Explorer for one person: an instance in a private subnet, without any inbound rule, reached by port
# forwarding of Session Manager. `memdb deploy --style host` fills in the variables.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "region" {
  type = string
}

variable "name" {
  type    = string
  default = "memdb-explorer"
}

variable "service" {
  type    = string
  default = "memorydb"
}

variable "cluster_name" {
  type = string
}

variable "cluster_endpoint" {
  type = string
}

variable "cluster_port" {
  type    = number
  default = 6379
}

variable "cluster_arn" {
  type        = string
  description = "The role may connect to this cluster alone"
}

variable "user_name" {
  type        = string
  description = "User of the cluster whose authentication mode is IAM"
}

variable "user_arn" {
  type        = string
  description = "The role may connect as this user alone"
}

variable "cluster_security_group_id" {
  type        = string
  description = "Gets one rule, which lets the explorer in"
}

variable "vpc_id" {
  type = string
}

variable "subnet_id" {
  type        = string
  description = "Private; it reaches Session Manager by a NAT gateway or by endpoints"
}

variable "bundle_bucket" {
  type        = string
  description = "Bucket with the wheel, install.sh, memdb-explorer.service and constraints.txt"
}

variable "bundle_prefix" {
  type    = string
  default = "memdb-explorer"
}

variable "package_index" {
  type        = string
  default     = ""
  description = "Address of your package index; empty is pip's own, or the folder wheelhouse of the bundle"
}

variable "instance_type" {
  type    = string
  default = "t3.medium"
}

variable "bedrock" {
  type        = bool
  default     = false
  description = "Lets the Assistant ask Bedrock"
}

variable "log_days" {
  type    = number
  default = 30
}

provider "aws" {
  region = var.region
}

data "aws_partition" "here" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  bucket = "arn:${data.aws_partition.here.partition}:s3:::${var.bundle_bucket}"
}

resource "aws_cloudwatch_log_group" "log" {
  name              = "/memdb-explorer/${var.name}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "explorer" {
  name_prefix = "${var.name}-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

data "aws_iam_policy_document" "explorer" {
  # Every page: the login, as one user to one cluster.
  statement {
    sid       = "Login"
    actions   = ["${var.service}:Connect"]
    resources = [var.cluster_arn, var.user_arn]
  }
  # Connect (list of clusters) and AWS (card, checklist). Describe calls take no resource of their own for lists.
  statement {
    sid = "PagesConnectAndAws"
    actions = [
      "memorydb:DescribeClusters",
      "memorydb:DescribeParameters",
      "memorydb:DescribeSnapshots",
      "elasticache:DescribeReplicationGroups",
      "elasticache:DescribeCacheClusters",
      "elasticache:DescribeServerlessCaches",
      "elasticache:DescribeCacheParameters",
      "elasticache:DescribeSnapshots",
    ]
    resources = ["*"]
  }
  # AWS: metrics and alarms. CloudWatch knows no resources for these.
  statement {
    sid       = "PageAwsMetrics"
    actions   = ["cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms"]
    resources = ["*"]
  }
  # Sizing and Compare: prices anew.
  statement {
    sid       = "PageSizing"
    actions   = ["pricing:GetProducts"]
    resources = ["*"]
  }
  # Assistant, where it was asked for: embeddings and answers.
  dynamic "statement" {
    for_each = var.bedrock ? [1] : []
    content {
      sid       = "PageAssistant"
      actions   = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
      resources = ["arn:${data.aws_partition.here.partition}:bedrock:${var.region}::foundation-model/*"]
    }
  }
  # No page: the log of the service.
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.log.arn}:*"]
  }
  # No page: installing and upgrading.
  statement {
    sid       = "Install"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket}/${var.bundle_prefix}/*"]
  }
  statement {
    sid       = "InstallList"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.bundle_prefix}/*"]
    }
  }
  # No page: Session Manager, without the shell commands and inventory of AWS's own policy.
  statement {
    sid = "SessionManager"
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "explorer" {
  role   = aws_iam_role.explorer.id
  policy = data.aws_iam_policy_document.explorer.json
}

resource "aws_iam_instance_profile" "explorer" {
  name_prefix = "${var.name}-"
  role        = aws_iam_role.explorer.name
}

resource "aws_security_group" "explorer" {
  name_prefix = "${var.name}-"
  description = "MemoryDB Explorer, nothing comes in"
  vpc_id      = var.vpc_id

  egress {
    description = "AWS's services and the package index"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    description     = "The cluster"
    protocol        = "tcp"
    from_port       = var.cluster_port
    to_port         = var.cluster_port
    security_groups = [var.cluster_security_group_id]
  }
}

resource "aws_security_group_rule" "cluster" {
  type                     = "ingress"
  description              = "MemoryDB Explorer"
  security_group_id        = var.cluster_security_group_id
  source_security_group_id = aws_security_group.explorer.id
  protocol                 = "tcp"
  from_port                = var.cluster_port
  to_port                  = var.cluster_port
}

resource "aws_instance" "explorer" {
  ami                         = data.aws_ssm_parameter.image.value
  instance_type               = var.instance_type
  iam_instance_profile        = aws_iam_instance_profile.explorer.name
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.explorer.id]
  associate_public_ip_address = false
  tags                        = { Name = var.name }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 20
    encrypted   = true
  }

  lifecycle {
    ignore_changes = [ami]
  }

  user_data = <<-SCRIPT
    #!/bin/sh
    set -eu
    dnf install -y python3.12 amazon-cloudwatch-agent
    mkdir -p /root/bundle
    aws s3 cp --region ${var.region} --recursive s3://${var.bundle_bucket}/${var.bundle_prefix}/ /root/bundle/
    cat > /root/explorer.env <<'END'
    MEMDB_URL=rediss://${var.user_name}@${var.cluster_endpoint}:${var.cluster_port}
    MEMDB_IAM_CLUSTER=${var.cluster_name}
    MEMDB_IAM_REGION=${var.region}
    MEMDB_IAM_SERVICE=${var.service}
    MEMDB_KIND=production
    MEMDB_LOG=json
    AWS_REGION=${var.region}
    END
    cd /root/bundle
    PIP_INDEX_URL='${var.package_index}' sh install.sh --python python3.12 --env /root/explorer.env
    cat > /opt/aws/amazon-cloudwatch-agent/etc/explorer.json <<'END'
    {"logs": {"logs_collected": {"files": {"collect_list": [{
      "file_path": "/var/log/memdb-explorer/explorer.log",
      "log_group_name": "/memdb-explorer/${var.name}", "log_stream_name": "{instance_id}"}]}}}}
    END
    /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
      -c file:/opt/aws/amazon-cloudwatch-agent/etc/explorer.json
  SCRIPT
}

output "forward" {
  description = "Run this, then open http://localhost:8501"
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.explorer.id} --document-name AWS-StartPortForwardingSession --parameters portNumber=8501,localPortNumber=8501"
}
