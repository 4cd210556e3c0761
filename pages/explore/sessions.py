"""Sessions: page through conversations, watch their time to live, open one."""

from memdb.ui import frame
from memdb.ui.sessions import page

page.draw(
    frame.page(
        "Sessions",
        "Conversations with their time to live: page, filter, open, export, change.",
    )
)
