"""The templates of a style with their parameters filled in, and the commands that come next."""

from __future__ import annotations

import shlex
from pathlib import Path

import memdb
from memdb import files
from memdb.errors import BadInput, EngineUnavailable
from memdb.hosting.place import Place, Style
from memdb.json_text import json_text

BUNDLE = ("install.sh", "memdb-explorer.service", "constraints.txt")
STACK = "memdb-explorer"
# What only the user knows: CloudFormation's parameter → what it is.
OPEN: dict[Style, dict[str, str]] = {
    "host": {"BundleBucket": "a bucket of yours in this Region, for the wheel"},
    "team": {
        "Access": "who may look and write, the lines of [access], e.g. look = ['email=*@example.com']",
        "BalancerSubnetIds": "subnets of the load balancer, two zones or more",
        "VisitorsCidr": "who may reach the load balancer, e.g. 10.0.0.0/8",
        "Image": "the image in your registry",
        "HostName": "under which visitors open it",
        "CertificateArn": "for that name",
        "LoginSecretArn": "the secret with the login",
        "LoginIssuer": "of the login's provider",
        "LoginAuthorizationEndpoint": "of the login's provider",
        "LoginTokenEndpoint": "of the login's provider",
        "LoginUserInfoEndpoint": "of the login's provider",
    },
}


def templates() -> Path:
    """The folder of the templates: in the clone, or inside the package.

    Raises:
        EngineUnavailable: the installation lacks them.
    """
    package = Path(memdb.__file__).parent
    for folder in (package.parent / "deploy", package / "_deploy"):
        if (folder / "host" / "cloudformation.yaml").is_file():
            return folder
    raise EngineUnavailable(
        f"The templates are not in {package / '_deploy'}.", "Install memdb-explorer again."
    )


def values(place: Place, style: Style, access: str, parameters: dict[str, str]) -> dict[str, str | list[str]]:
    """CloudFormation's parameters, by name.

    Args:
        place: what AWS tells.
        style: whose templates.
        access: the lines of `[access]`, of a team; empty leaves them to be filled in.
        parameters: what else the user said.
    """
    cluster = place.cluster
    described: dict[str, str | list[str]] = {
        "Service": cluster.service,
        "ClusterName": cluster.name,
        "ClusterEndpoint": cluster.host,
        "ClusterPort": str(cluster.port),
        "ClusterArn": place.cluster_arn,
        "UserName": place.user,
        "UserArn": place.user_arn,
        "ClusterSecurityGroupId": place.security_group,
        "VpcId": place.vpc,
    }
    if style == "host":
        described["SubnetId"] = place.subnets[0]
    else:
        described |= {"SubnetIds": list(place.subnets)} | ({"Access": access} if access else {})
    return described | parameters


def texts(place: Place, style: Style, filled: dict[str, str | list[str]]) -> dict[str, str]:
    """All files, by name: both kinds of template as they are, and their parameters."""
    folder = templates() / style
    variables = {_snake(name): int(v) if name == "ClusterPort" else v for name, v in filled.items()}  # type: ignore[arg-type]
    variables["region"] = place.cluster.region
    parameters = [
        {"ParameterKey": name, "ParameterValue": ",".join(v) if isinstance(v, list) else v}
        for name, v in filled.items()
    ]
    return {
        "cloudformation.yaml": (folder / "cloudformation.yaml").read_text("utf-8"),
        "parameters.json": json_text(parameters, indent=2) + "\n",
        "main.tf": (folder / "main.tf").read_text("utf-8"),
        "terraform.tfvars.json": json_text(variables, indent=2) + "\n",
    }


def still_open(style: Style, filled: dict[str, str | list[str]], wheel: Path | None) -> dict[str, str]:
    """What is not given yet and must be: parameter, or the wheel of a host → what it is."""
    where = ", in parameters.json or terraform.tfvars.json"
    still = {name: what + where for name, what in OPEN[style].items() if not filled.get(name)}
    if style == "host" and wheel is None:
        still["the wheel"] = (
            "which the host installs: the first command builds it, in a clone of this version"
        )
    return still


def commands(
    place: Place, style: Style, out: Path, filled: dict[str, str | list[str]], wheel: Path | None
) -> tuple[str, ...]:
    """What to run next, ready to copy."""
    region, folder = place.cluster.region, shlex.quote(str(out))
    apply = (
        f"aws cloudformation create-stack --region {region} --stack-name {STACK} "
        f"--capabilities CAPABILITY_IAM --template-body file://{folder}/cloudformation.yaml --parameters file://{folder}/parameters.json",
        f"terraform -chdir={folder} init && terraform -chdir={folder} apply    # or this",
    )
    if style == "team":
        return apply
    bucket = str(filled.get("BundleBucket") or "YOUR-BUCKET")
    build = () if wheel is not None else (f"python -m build --wheel --outdir {folder}/bundle",)
    return (
        *build,
        f"aws s3 cp --region {region} --recursive {folder}/bundle s3://{bucket}/memdb-explorer/",
        *apply,
        f"aws cloudformation wait stack-create-complete --region {region} --stack-name {STACK}",
        # The instance is known once the stack is there; this finds it.
        f"aws ssm start-session --region {region} --document-name AWS-StartPortForwardingSession "
        "--parameters portNumber=8501,localPortNumber=8501 --target "
        f"$(aws cloudformation describe-stack-resource --region {region} --stack-name {STACK} "
        "--logical-resource-id Instance --query StackResourceDetail.PhysicalResourceId --output text)",
    )


def check_folder(out: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
        BadInput: it is there and not empty, or is no folder.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"'{out}' is there already.", "Name a folder with --out that is new or empty.")


def write(out: Path, style: Style, contents: dict[str, str], wheel: Path | None) -> tuple[Path, ...]:
    """Write the files, and for a host the bundle that it installs from.

    Raises:
        NotKept: the folder cannot be written.
    """
    paths = [files.write(out / name, text.encode()) for name, text in contents.items()]
    if style == "host":
        bundled = {name: (templates() / name).read_bytes() for name in BUNDLE}
        bundled |= {} if wheel is None else {wheel.name: wheel.read_bytes()}
        paths += [files.write(out / "bundle" / name, data) for name, data in bundled.items()]
    return tuple(paths)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
