"""The AWS page. Its face: the choice of a cluster, and the confirmation before AWS is written to."""

from memdb.ui.aws.choice import ChosenCluster, choose, confirmed

__all__ = ["ChosenCluster", "choose", "confirmed"]
