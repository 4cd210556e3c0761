"""Compare: MemoryDB beside ElastiCache, S3 Vectors and OpenSearch Serverless, at your volume and rate."""

from memdb.ui import frame
from memdb.ui.plan import page

page.compare_services(
    frame.page(
        "Compare",
        "Four services at your volume and query rate, and which one to choose when.",
    )
)
