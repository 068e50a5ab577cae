"""Colors of pictures, also on the pages of `report`, for every color vision.

They are Okabe and Ito's.
"""

from __future__ import annotations

RUN = "#0072b2"
ITEM_KNN = "#e69f00"
POPULAR = "#8a8f98"
REST = POPULAR  # what has no color of its own
CATEGORIES = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7"),
    *("#d55e00", "#56b4e9", "#f0e442"),
)
