"""Settings of Superset for one person on one machine, whose own database is in SUPERSET_HOME."""

import os
import secrets
from pathlib import Path

KEY = Path(os.environ["SUPERSET_HOME"]) / "key"
if not KEY.exists():
    KEY.write_text(secrets.token_urlsafe(32))

SECRET_KEY = KEY.read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{KEY.with_name('superset.db')}"
FEATURE_FLAGS = {
    "ENABLE_TEMPLATE_PROCESSING": True
}  # {{ filter_values(...) }} in a dataset's SQL
TALISMAN_ENABLED = False  # which wants HTTPS
