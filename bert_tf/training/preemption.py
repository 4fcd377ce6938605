"""Handles SIGTERM: training stops at a safe point."""

import signal
import threading

from bert_tf.errors import InterruptedTrainingError


class PreemptionHandler:
    """Notes SIGTERM while the `with` block lasts.

    Outside the main thread, where no signal arrives, it notes nothing.
    """

    def __init__(self):
        self.requested = False
        self._at_once = False

    def __enter__(self):
        """Takes SIGTERM over."""
        self._in_main_thread = (
            threading.current_thread() is threading.main_thread()
        )
        if self._in_main_thread:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *args):
        """Gives it back."""
        if self._in_main_thread:
            signal.signal(signal.SIGTERM, self._before)

    def stop_at_once(self) -> None:
        """From here on SIGTERM raises where it arrives: all is saved."""
        self._at_once = True
        if self.requested:
            self.stop()

    def stop_at_steps(self) -> None:
        """From here on SIGTERM only sets `requested`."""
        self._at_once = False

    def stop(self) -> None:
        """Ends the training."""
        raise InterruptedTrainingError(
            "terminated; the training is saved, and the same command (without "
            "--overwrite_output_dir) resumes it"
        )

    def _note(self, number, frame) -> None:
        self.requested = True
        if self._at_once:
            self.stop()
