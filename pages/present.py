"""Presenter mode: the loss, the proof, the search, the map, the bill."""

from memdb.ui import frame, present

present.draw(
    frame.page(
        "Present",
        "Five steps in five minutes. The arrow keys lead on and back, P pulls the plug.",
    )
)
