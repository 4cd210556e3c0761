"""Numbers of a link: what Streamlit fails of is left out, as it leaves out other wrong values by itself."""

from __future__ import annotations

import math
from functools import cache

from streamlit.elements.widgets.number_input import Number, NumberInputSerde


@cache
def without_infinity() -> None:
    """Let boxes of whole numbers take no infinity from a link; once in this process.

    Streamlit 1.67 reads the value as a float and makes an int of it: of "inf", "1e999" and of hundreds of
    digits it cannot, and shows the OverflowError as the page's own.
    """
    of_streamlit = NumberInputSerde.deserialize

    def deserialize(box: NumberInputSerde, value: Number | None) -> Number | None:
        return of_streamlit(box, None if isinstance(value, float) and math.isinf(value) else value)

    NumberInputSerde.deserialize = deserialize  # type: ignore[assignment, method-assign]
