"""How hypothesis runs here."""

from __future__ import annotations

from hypothesis import settings

# A busy machine makes single examples slow; pytest's timeout catches a hang.
settings.register_profile("queuectl", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("queuectl")
