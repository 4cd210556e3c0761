"""MemoryDB Explorer: the frame; the screens are in pages/."""

from pathlib import Path

from memdb.ui import frame

frame.run(Path(__file__).parent)
