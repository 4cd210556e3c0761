# MemoryDB Explorer for a team: one container on ECS Fargate behind a load balancer with TLS and OIDC, sticky
# sessions, its data on EFS. `memdb deploy --style team` fills in the variables.

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

variable "subnet_ids" {
  type        = list(string)
  description = "Of the container, private, two zones or more; they reach ECR, logs, secrets and the login's provider"
}

variable "balancer_subnet_ids" {
  type        = list(string)
  description = "Of the load balancer, two zones or more"
}

variable "balancer_internal" {
  type    = bool
  default = true
}

variable "visitors_cidr" {
  type        = string
  description = "Who may reach the load balancer, e.g. 10.0.0.0/8"
}

variable "image" {
  type        = string
  description = "The image that the Containerfile makes, in your registry"
}

variable "host_name" {
  type        = string
  description = "Under which visitors open it; the certificate is for it, and its record points to the load balancer"
}

variable "certificate_arn" {
  type = string
}

variable "login_secret_arn" {
  type        = string
  description = "Secret whose JSON is Streamlit's table [auth]: redirect_uri, cookie_secret, client_id, client_secret, server_metadata_url"
}

variable "login_issuer" {
  type        = string
  description = "The three endpoints that follow, and this, stand in the provider's .well-known/openid-configuration"
}

variable "login_authorization_endpoint" {
  type = string
}

variable "login_token_endpoint" {
  type = string
}

variable "login_user_info_endpoint" {
  type = string
}

variable "access" {
  type        = string
  description = "Who may look and write, as the table [access] has it, e.g. look = [\"email=*@example.com\"]"
}

variable "cpu" {
  type    = number
  default = 1024
}

variable "memory" {
  type    = number
  default = 4096
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

# Its client_id and client_secret are for the load balancer; they stand in Terraform's state, as the provider keeps it.
data "aws_secretsmanager_secret_version" "login" {
  secret_id = var.login_secret_arn
}

locals {
  login = jsondecode(data.aws_secretsmanager_secret_version.login.secret_string)
  trust = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ecs-tasks.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_cloudwatch_log_group" "log" {
  name              = "/memdb-explorer/${var.name}"
  retention_in_days = var.log_days
}

# What ECS itself does: fetch the image, write the log, hand the container its login.
resource "aws_iam_role" "execution" {
  name_prefix        = "${var.name}-"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "ReadTheLogin"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.login_secret_arn]
  }
}

resource "aws_iam_role_policy" "execution" {
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "explorer" {
  name_prefix        = "${var.name}-"
  assume_role_policy = local.trust
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
  # No page: what the app keeps (maps, runs, histories).
  statement {
    sid       = "Home"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.home.arn]
    condition {
      test     = "StringEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.home.arn]
    }
  }
}

resource "aws_iam_role_policy" "explorer" {
  role   = aws_iam_role.explorer.id
  policy = data.aws_iam_policy_document.explorer.json
}

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "Load balancer of MemoryDB Explorer"
  vpc_id      = var.vpc_id

  ingress {
    description = "Visitors"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = [var.visitors_cidr]
  }
}

resource "aws_security_group_rule" "balancer_login" {
  type              = "egress"
  description       = "The login's provider"
  security_group_id = aws_security_group.balancer.id
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = ["0.0.0.0/0"]
}

resource "aws_security_group_rule" "balancer_task" {
  type                     = "egress"
  description              = "The app"
  security_group_id        = aws_security_group.balancer.id
  source_security_group_id = aws_security_group.task.id
  protocol                 = "tcp"
  from_port                = 8501
  to_port                  = 8501
}

resource "aws_security_group" "task" {
  name_prefix = "${var.name}-"
  description = "MemoryDB Explorer, reached from its load balancer alone"
  vpc_id      = var.vpc_id

  ingress {
    description     = "The load balancer"
    protocol        = "tcp"
    from_port       = 8501
    to_port         = 8501
    security_groups = [aws_security_group.balancer.id]
  }
  egress {
    description = "AWS's services and the login's provider"
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
  egress {
    description     = "What the app keeps"
    protocol        = "tcp"
    from_port       = 2049
    to_port         = 2049
    security_groups = [aws_security_group.home.id]
  }
}

resource "aws_security_group" "home" {
  name_prefix = "${var.name}-home-"
  description = "Files of MemoryDB Explorer"
  vpc_id      = var.vpc_id
}

resource "aws_security_group_rule" "home" {
  type                     = "ingress"
  description              = "MemoryDB Explorer"
  security_group_id        = aws_security_group.home.id
  source_security_group_id = aws_security_group.task.id
  protocol                 = "tcp"
  from_port                = 2049
  to_port                  = 2049
}

resource "aws_security_group_rule" "cluster" {
  type                     = "ingress"
  description              = "MemoryDB Explorer"
  security_group_id        = var.cluster_security_group_id
  source_security_group_id = aws_security_group.task.id
  protocol                 = "tcp"
  from_port                = var.cluster_port
  to_port                  = var.cluster_port
}

resource "aws_efs_file_system" "home" {
  encrypted = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_efs_backup_policy" "home" {
  file_system_id = aws_efs_file_system.home.id

  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "home" {
  count           = length(var.subnet_ids)
  file_system_id  = aws_efs_file_system.home.id
  subnet_id       = var.subnet_ids[count.index]
  security_groups = [aws_security_group.home.id]
}

resource "aws_efs_access_point" "home" {
  file_system_id = aws_efs_file_system.home.id

  posix_user {
    uid = 10001
    gid = 10001
  }

  root_directory {
    path = "/memdb-explorer"
    creation_info {
      owner_uid   = 10001
      owner_gid   = 10001
      permissions = "0700"
    }
  }
}

resource "aws_ecs_cluster" "explorer" {
  name = var.name
}

resource "aws_ecs_task_definition" "explorer" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.explorer.arn

  volume {
    name = "home"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.home.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.home.id
        iam             = "ENABLED"
      }
    }
  }

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name                   = "explorer"
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true }
    stopTimeout            = 30
    portMappings           = [{ containerPort = 8501, protocol = "tcp" }]
    mountPoints = [
      { sourceVolume = "home", containerPath = "/data", readOnly = false },
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
    environment = [
      { name = "MEMDB_HOME", value = "/data" },
      { name = "MEMDB_URL", value = "rediss://${var.user_name}@${var.cluster_endpoint}:${var.cluster_port}" },
      { name = "MEMDB_IAM_CLUSTER", value = var.cluster_name },
      { name = "MEMDB_IAM_REGION", value = var.region },
      { name = "MEMDB_IAM_SERVICE", value = var.service },
      { name = "MEMDB_KIND", value = "production" },
      { name = "MEMDB_ACCESS", value = var.access },
      { name = "MEMDB_LOG", value = "json" },
      { name = "AWS_REGION", value = var.region },
    ]
    secrets = [{ name = "MEMDB_LOGIN", valueFrom = var.login_secret_arn }]
    healthCheck = {
      command = [
        "CMD", "/opt/memdb/bin/python", "-c",
        "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)",
      ]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.log.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "explorer"
      }
    }
  }])
}

resource "aws_lb" "explorer" {
  name_prefix                = "memdb-"
  load_balancer_type         = "application"
  internal                   = var.balancer_internal
  subnets                    = var.balancer_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  idle_timeout               = 3600
  drop_invalid_header_fields = true
}

resource "aws_lb_target_group" "explorer" {
  name_prefix          = "memdb-"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 8501
  deregistration_delay = 30

  # Not /_stcore/ready: a cluster that is down would take the app with it.
  health_check {
    path              = "/_stcore/health"
    interval          = 15
    healthy_threshold = 2
    matcher           = "200"
  }

  stickiness {
    type            = "lb_cookie"
    cookie_duration = 86400
  }
}

resource "aws_lb_listener" "explorer" {
  load_balancer_arn = aws_lb.explorer.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type  = "authenticate-oidc"
    order = 1
    authenticate_oidc {
      issuer                     = var.login_issuer
      authorization_endpoint     = var.login_authorization_endpoint
      token_endpoint             = var.login_token_endpoint
      user_info_endpoint         = var.login_user_info_endpoint
      client_id                  = local.login.client_id
      client_secret              = local.login.client_secret
      scope                      = "openid email"
      on_unauthenticated_request = "authenticate"
    }
  }

  default_action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.explorer.arn
  }
}

resource "aws_ecs_service" "explorer" {
  name            = var.name
  cluster         = aws_ecs_cluster.explorer.id
  task_definition = aws_ecs_task_definition.explorer.arn
  launch_type     = "FARGATE"
  desired_count   = 1
  # One at a time: two would write the same history.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  health_check_grace_period_seconds  = 90
  depends_on                         = [aws_lb_listener.explorer, aws_efs_mount_target.home]

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.task.id]
    assign_public_ip = false
  }

  load_balancer {
    container_name   = "explorer"
    container_port   = 8501
    target_group_arn = aws_lb_target_group.explorer.arn
  }
}

output "balancer" {
  description = "Point the record of the host name to this"
  value       = aws_lb.explorer.dns_name
}

output "address" {
  value = "https://${var.host_name}/"
}

output "redirects" {
  description = "Both have to be allowed by the login's provider; the second stands in the secret as redirect_uri"
  value       = ["https://${var.host_name}/oauth2/idpresponse", "https://${var.host_name}/oauth2callback"]
}
