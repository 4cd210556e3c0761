"""Assistant: a question in a session, answered from one store in one round trip, with where the time went."""

from memdb.ui import frame
from memdb.ui.assistant import page

page.draw(
    frame.page(
        "Assistant",
        "The conversation, what this user prefers and the documents: one store, one round trip.",
    )
)
