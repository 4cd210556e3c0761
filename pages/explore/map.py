"""Map: embedding neighbourhoods as a picture, with the live index on top and how far it can be believed."""

from memdb.ui import frame
from memdb.ui.map import page

page.draw(
    frame.page(
        "Map",
        "Where documents lie among their neighbours, what the index finds there, and what a map cannot show.",
    )
)
