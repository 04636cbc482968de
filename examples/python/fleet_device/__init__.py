"""What an app on a device needs of Fleet: the model that runs, its changes, samples, health, and the owner's say.

Standard library only, Python 3.8 or later. Nothing here talks to the network, and nothing here can stop an update.
"""
from .check import CheckFailed, check_slot
from .health import Health
from .live import Live, NothingLoaded
from .owner import consent, update_lock, waiting_for
from .slot import Slot, current_slot
from .statsd import StatsD
from .watch import Watch

__all__ = ["CheckFailed", "Health", "Live", "NothingLoaded", "Slot", "StatsD", "Watch", "check_slot", "consent", "current_slot", "update_lock", "waiting_for"]
