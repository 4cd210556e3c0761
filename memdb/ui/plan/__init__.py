"""The Sizing and Compare pages. Its face: a plan and its headline."""

from memdb.ui.plan.state import made, profile
from memdb.ui.plan.views import components_frame, headline

__all__ = ["components_frame", "headline", "made", "profile"]
