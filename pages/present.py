"""Presenter mode: a story in seven steps that fills the screen."""

from memdb.ui import frame
from memdb.ui.present import page

page.draw(frame.admitted())
