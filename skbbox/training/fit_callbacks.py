"""scikit-learn's callbacks of ``fit``, such as the progress of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

try:
    from sklearn import callback as sklearn_callback
except ImportError:  # Before scikit-learn 1.9.
    sklearn_callback = None

if TYPE_CHECKING:
    import keras

    # Its only method, `set_callbacks`, does not exist before scikit-learn 1.9.
    class CallbackSupportMixin:  # noqa: D101
        def set_callbacks(self, *callbacks: Any) -> Any: ...
else:
    CallbackSupportMixin = getattr(sklearn_callback, "CallbackSupportMixin", object)

__all__ = ["CallbackSupportMixin", "FitTask", "with_callbacks"]


F = TypeVar("F", bound=Callable[..., Any])


def with_callbacks(method: F) -> F:
    """Decorate ``fit``, so that callbacks are told of its end, also after an error."""
    if sklearn_callback is None:
        return method
    managed: F = sklearn_callback.with_callbacks(method)
    return managed


class FitTask:
    """Tells the callbacks of ``set_callbacks`` about a fit and its epochs.

    Parameters
    ----------
    estimator : estimator
        Without callbacks, nothing happens.
    data : dict of str to object
        X and y.
    n_epochs : int
        The most epochs of the fit.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], n_epochs: int) -> None:
        self.call = {"estimator": estimator} | data
        self.context: Any = None
        if hasattr(estimator, "_skl_callbacks"):
            self.context = estimator._init_callback_context(max_subtasks=n_epochs)
            self.context.call_on_fit_task_begin(**self.call)

    def make_observers(self) -> list[keras.callbacks.Callback]:
        """Keras callbacks that report each epoch, and stop the training where one asks for it."""
        if self.context is None:
            return []
        import keras

        tasks: list[Any] = []

        def begin(epoch: int, logs: Any = None) -> None:
            tasks.append(self.context.subcontext(task_name="epoch"))
            tasks[-1].call_on_fit_task_begin(**self.call)

        def end(epoch: int, logs: Any = None) -> None:
            if tasks[-1].call_on_fit_task_end(**self.call):
                observer.model.stop_training = True

        observer = keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
        return [observer]

    def finish(self) -> None:
        """Tell the callbacks that the fit is complete."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.call)
