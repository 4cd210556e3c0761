"""The Sizing and Compare pages. Its face: a plan, its headline, and the bills beside it."""

from memdb.ui.plan.figures import bills
from memdb.ui.plan.state import all_bills, profile, sizing_plan
from memdb.ui.plan.views import headline

__all__ = ["all_bills", "bills", "headline", "profile", "sizing_plan"]
