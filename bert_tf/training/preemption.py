"""Handles SIGTERM and Ctrl-C: training stops at a safe point."""

import signal
import threading

from absl import logging

from bert_tf.errors import InterruptedTrainingError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Stop(BaseException):
    """Raised where a signal arrives: no library catches it as a fault of its.

    Keras took an `InterruptedTrainingError` for weights that cannot be loaded.
    """


class PreemptionHandler:
    """Notes SIGTERM and SIGINT while the `with` block lasts.

    A second SIGINT ends the process where it is. Outside the main thread,
    where no signal arrives, nothing is noted.
    """

    def __init__(self):
        self.requested = False
        self._number = signal.SIGTERM
        self._at_once = False

    def __enter__(self):
        """Takes the signals over."""
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            # What is ignored stays so, as SIGINT in the background of a script.
            self._before = {
                number: signal.signal(number, self._note)
                for number in _SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(self, kind, *args):
        """Gives them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is _Stop:
            self.stop()

    def stop_at_once(self) -> None:
        """From here on a signal raises where it arrives: all is saved."""
        self._at_once = True
        if self.requested:
            self.stop()

    def stop_at_steps(self) -> None:
        """From here on a signal only sets `requested`."""
        self._at_once = False

    def stop(self) -> None:
        """Ends the training."""
        raise InterruptedTrainingError(
            ("terminated" if self._number == signal.SIGTERM else "interrupted")
            + "; the training is saved, and the same command (without "
            "--overwrite_output_dir) resumes it",
            self._number,
        )

    def _note(self, number, frame) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested, self._number = True, number
        if self._at_once:
            raise _Stop
        if number == signal.SIGINT:
            logging.info("Stopping after this step; Ctrl-C again ends at once.")
